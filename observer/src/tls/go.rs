//! Programs written in Go: `crypto/tls` is compiled into each of them. Only those with arguments in registers, since
//! Go 1.17; whoever stripped the symbols has left the table that the run time itself needs.

use std::collections::HashMap;

use super::bytes::Bytes;
use super::elf::{Elf, Symbol};
use super::{Act, Found, Library, Point, Reason, code};

mod build;
mod table;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

const PREFIX: &str = "crypto/tls.(*Conn).";
const READ: &str = "crypto/tls.(*Conn).Read";
const NAMES: [(&str, Act); 5] = [
    ("crypto/tls.(*Conn).clientHandshake", Act::GoHandshake),
    ("crypto/tls.(*Conn).serverHandshake", Act::GoHandshake),
    ("crypto/tls.(*Conn).Write", Act::GoWrite),
    (READ, Act::GoRead),
    ("crypto/tls.(*Conn).Close", Act::GoClose),
];

/// The largest of them has 3 KB.
const MAX_FUNCTION: u64 = 64 << 10;
/// Each is a probe of its own.
const MAX_RETURNS: usize = 64;

/// `None`: not Go, or without TLS.
pub fn judge<B: Bytes + ?Sized>(elf: &Elf<'_, B>) -> Result<Option<Found>, Reason> {
    let Some(build) = elf.section(".go.buildinfo") else {
        return Ok(None);
    };
    let version = build::version(elf, build);
    if let Ok(version) = &version
        && !build::has_registers(version)
    {
        return Err(Reason::OldGo(version.clone()));
    }
    let wanted = NAMES.map(|(name, _)| name);
    let mut functions = elf.functions(PREFIX, &wanted)?;
    if functions.is_empty() {
        functions = table::functions(elf, PREFIX, &wanted)?;
    }
    if functions.is_empty() {
        return Ok(None);
    }
    let version = Some(version?);
    let points = points(elf, &functions)?;
    Ok(Some(Found {
        library: Library::Go,
        version,
        points,
        random: None,
    }))
}

fn points<B: Bytes + ?Sized>(
    elf: &Elf<'_, B>,
    functions: &HashMap<&'static str, Symbol>,
) -> Result<Vec<Point>, Reason> {
    let mut points = Vec::new();
    for (name, act) in NAMES {
        // A client alone has no server in it, once the linker has removed what is not called.
        let Some(symbol) = functions.get(name) else {
            continue;
        };
        let offset = elf.code_offset(symbol.address);
        let offset = offset.ok_or(Reason::Damaged("a function outside of the code"))?;
        let body = elf.bytes().piece(offset, symbol.size, MAX_FUNCTION)?;
        let behind = code::behind_stack_check(&body).ok_or(Reason::NotGo(name))?;
        let returns =
            code::returns(&body).filter(|returns| !returns.is_empty() && returns.len() <= MAX_RETURNS);
        let returns = returns.ok_or(Reason::Undecodable(name))?;
        points.push(Point {
            act,
            offset: offset + behind,
        });
        if act == Act::GoRead {
            points.extend(returns.iter().map(|inside| Point {
                act: Act::GoReadEnd,
                offset: offset + inside,
            }));
        }
    }
    for (act, name) in [
        (Act::GoHandshake, "crypto/tls.(*Conn).clientHandshake"),
        (Act::GoWrite, "crypto/tls.(*Conn).Write"),
        (Act::GoRead, READ),
        (Act::GoClose, "crypto/tls.(*Conn).Close"),
    ] {
        if !points.iter().any(|point| point.act == act) {
            return Err(Reason::Incomplete(name));
        }
    }
    Ok(points)
}
