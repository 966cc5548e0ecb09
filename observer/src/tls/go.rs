//! Programs written in Go: `crypto/tls` is compiled into each of them. Only those with arguments in registers, since
//! Go 1.17; whoever stripped the symbols has left the table that the run time itself needs.

use std::collections::HashMap;

use super::bytes::Bytes;
use super::elf::{Elf, Symbol};
use super::{Act, Found, Library, Point, Reason, code, entry};

mod build;
mod copy;
mod table;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

use table::Table;

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
    let table = Table::open(elf);
    let mut functions = elf.functions(PREFIX, &wanted)?;
    if functions.is_empty() {
        functions = match &table {
            Ok(table) => table.functions(PREFIX, &wanted)?,
            Err(reason) => return Err(reason.clone()),
        };
    }
    if functions.is_empty() {
        return Ok(None);
    }
    let version = Some(version?);
    let points = points(elf, &functions, table.ok().as_ref())?;
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
    table: Option<&Table<'_, B>>,
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
        let mut point = |act, inside: u64| {
            points.push(Point {
                act,
                offset: offset + inside,
            });
        };
        if act != Act::GoRead {
            point(act, behind);
        } else if let Some(copy) = copy(elf, table, &body, symbol.address) {
            point(Act::GoReadCopy, copy);
        } else {
            point(act, behind);
            for inside in returns {
                point(Act::GoReadEnd, inside);
            }
        }
    }
    for (acts, name) in [
        (&[Act::GoHandshake][..], "crypto/tls.(*Conn).clientHandshake"),
        (&[Act::GoWrite], "crypto/tls.(*Conn).Write"),
        (&[Act::GoRead, Act::GoReadCopy], READ),
        (&[Act::GoClose], "crypto/tls.(*Conn).Close"),
    ] {
        if !points.iter().any(|point| acts.contains(&point.act)) {
            return Err(Reason::Incomplete(name));
        }
    }
    Ok(points)
}

/// Where in the code of `Read`, which is at `address`, a single cheap probe sees everything. Names are those of the table of
/// functions, which every program has, or of its symbols, if a C linker has put the table into another section.
fn copy<B: Bytes + ?Sized>(
    elf: &Elf<'_, B>,
    table: Option<&Table<'_, B>>,
    code: &[u8],
    address: u64,
) -> Option<u64> {
    let called = copy::called(code, address)?;
    let names = match table {
        Some(table) => table.names_at(&called),
        None => elf.names_at(&called),
    };
    let offset = copy::call(code, address, &names.ok()?)?;
    let call = code.get(usize::try_from(offset).ok()?..)?;
    entry::is_emulated(call).then_some(offset)
}
