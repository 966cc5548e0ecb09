//! The table of functions that every Go program carries for its stack traces (`.gopclntab`). Its layout is not a stable
//! interface; those of Go 1.16 to 1.27 are known by their magic numbers, and each function that is found is checked to begin
//! like one.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use object::elf::{R_AARCH64_RELATIVE, R_X86_64_RELATIVE};

use crate::tls::Reason;
use crate::tls::bytes::{Bytes, search};
use crate::tls::elf::{Elf, Section, Symbol};

mod window;
use window::Window;

/// Sections that may have it: the second name is that of position-independent programs from another linker.
const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];

/// 1.16 and 1.17: addresses as they are.
const ABSOLUTE: u32 = 0xffff_fffa;
/// 1.18 and 1.19, and from 1.20 on: relative to the start of the code.
const RELATIVE: [u32; 2] = [0xffff_fff0, 0xffff_fff1];

/// Kubernetes' largest has 150,000.
const MAX_FUNCTIONS: u64 = 4 << 20;
const MAX_NAMES: u64 = 256 << 20;

const DAMAGED: Reason = Reason::NoGoTable("it is damaged");

/// Positions of its parts in the file.
struct Layout {
    count: u64,
    names: u64,
    /// Entries, and behind them the functions, which the entries point at from here.
    entries: u64,
    end: u64,
    /// What the addresses in there are relative to.
    text: u64,
    /// Bytes of an address or offset in an entry.
    width: u64,
}

/// The table of one program.
pub struct Table<'a, B: ?Sized> {
    bytes: &'a B,
    layout: Layout,
}

impl<'a, B: Bytes + ?Sized> Table<'a, B> {
    pub fn open(elf: &Elf<'a, B>) -> Result<Self, Reason> {
        let section = SECTIONS.iter().find_map(|name| elf.section(name));
        let section = section.ok_or(Reason::NoGoTable("its section has been removed"))?;
        Ok(Self {
            bytes: elf.bytes(),
            layout: Layout::read(elf, section)?,
        })
    }

    /// Functions with the names `wanted`, which all begin with `prefix`, by name.
    pub fn functions(
        &self,
        prefix: &str,
        wanted: &[&'static str],
    ) -> Result<HashMap<&'static str, Symbol>, Reason> {
        let Self { bytes, layout } = self;
        let names = self.names(prefix, wanted)?;
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let mut entries = Window::new(*bytes, layout.end);
        let mut bodies = Window::new(*bytes, layout.end);
        let mut found = HashMap::new();
        for index in 0..layout.count {
            let entry = layout.entries + index * 2 * layout.width;
            let body = layout
                .entries
                .checked_add(entries.number(entry + layout.width, layout.width)?);
            // The function's own address comes first, its name behind.
            let name = bodies.number(body.ok_or(DAMAGED)?.saturating_add(layout.width), 4)?;
            let Some(name) = names.get(&name) else { continue };
            let start = entries.number(entry, layout.width)?;
            let end = entries.number(entry + 2 * layout.width, layout.width)?;
            let symbol = Symbol {
                address: layout.text.checked_add(start).ok_or(DAMAGED)?,
                size: end.checked_sub(start).ok_or(DAMAGED)?,
            };
            if found.insert(*name, symbol).is_some() {
                return Err(Reason::Ambiguous(name));
            }
        }
        Ok(found)
    }

    /// Offsets of the wanted names in the table of names.
    fn names(&self, prefix: &str, wanted: &[&'static str]) -> Result<HashMap<u64, &'static str>, Reason> {
        let Self { bytes, layout } = self;
        let mut found = HashMap::new();
        let length = layout.length_of_names()?;
        search(*bytes, layout.names, length, prefix.as_bytes(), |at, behind| {
            let end = behind.iter().position(|byte| *byte == 0);
            let name = end.and_then(|end| behind.get(..end));
            if let Some(known) = wanted.iter().find(|wanted| Some(wanted.as_bytes()) == name) {
                found.insert(at - layout.names, *known);
            }
            found.len() < 64
        })?;
        Ok(found)
    }

    /// Names of the functions that begin at `addresses`, or as much of each as [`Bytes::name`] gives. The table is in order of
    /// addresses, so that only a few numbers of it are read for each.
    pub fn names_at(&self, addresses: &HashSet<u64>) -> Result<HashMap<u64, Vec<u8>>, Reason> {
        let mut found = HashMap::new();
        for address in addresses {
            if let Some(entry) = self.entry_of(*address)? {
                found.insert(*address, self.name_of(entry)?);
            }
        }
        Ok(found)
    }

    fn entry_of(&self, address: u64) -> Result<Option<u64>, Reason> {
        let layout = &self.layout;
        let Some(wanted) = address.checked_sub(layout.text) else {
            return Ok(None);
        };
        let (mut low, mut high) = (0, layout.count);
        while low < high {
            let middle = low.midpoint(high);
            let entry = layout.entries.saturating_add(middle * 2 * layout.width);
            match self.number(entry, layout.width)?.cmp(&wanted) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(Some(entry)),
            }
        }
        Ok(None)
    }

    fn name_of(&self, entry: u64) -> Result<Vec<u8>, Reason> {
        let layout = &self.layout;
        let body = self.number(entry.saturating_add(layout.width), layout.width)?;
        let body = layout.entries.checked_add(body).ok_or(DAMAGED)?;
        let offset = self.number(body.saturating_add(layout.width), 4)?;
        let rest = layout.length_of_names()?.checked_sub(offset);
        self.bytes.name(layout.names + offset, rest.ok_or(DAMAGED)?)
    }

    fn number(&self, offset: u64, width: u64) -> Result<u64, Reason> {
        let piece = self.bytes.piece(offset, width, 8)?;
        let mut number = [0; 8];
        number
            .get_mut(..piece.len())
            .ok_or(DAMAGED)?
            .copy_from_slice(&piece);
        Ok(u64::from_le_bytes(number))
    }
}

impl Layout {
    fn read<B: Bytes + ?Sized>(elf: &Elf<'_, B>, section: &Section) -> Result<Self, Reason> {
        let head = elf.content(section, 72)?;
        let word = |index: usize| {
            let bytes = head.get(8 + 8 * index..)?.first_chunk::<8>()?;
            Some(u64::from_le_bytes(*bytes))
        };
        let end = section.offset.checked_add(section.length).ok_or(DAMAGED)?;
        let part = |index| section.offset.checked_add(word(index)?).filter(|at| *at < end);
        let magic = head.first_chunk::<4>().map(|magic| u32::from_le_bytes(*magic));
        if head.get(7) != Some(&8) {
            return Err(Reason::NoGoTable("its pointers have not eight bytes"));
        }
        let count = word(0).filter(|count| *count <= MAX_FUNCTIONS).ok_or(DAMAGED)?;
        match magic {
            Some(ABSOLUTE) => Ok(Self {
                count,
                names: part(2).ok_or(DAMAGED)?,
                entries: part(6).ok_or(DAMAGED)?,
                end,
                text: 0,
                width: 8,
            }),
            Some(magic) if RELATIVE.contains(&magic) => Ok(Self {
                count,
                names: part(3).ok_or(DAMAGED)?,
                entries: part(7).ok_or(DAMAGED)?,
                end,
                text: text_start(elf, section, word(2).ok_or(DAMAGED)?)?,
                width: 4,
            }),
            _ => Err(Reason::NoGoTable("its layout is not known")),
        }
    }

    fn length_of_names(&self) -> Result<u64, Reason> {
        let length = self.entries.checked_sub(self.names).ok_or(DAMAGED)?;
        Ok(length.min(MAX_NAMES))
    }
}

/// The start of Go's code, in front of which a C linker may have put other code. Said in the header, until 1.26 emptied that
/// field; from then on in the description of the module. Whatever comes out: the functions are checked to begin like ones.
fn text_start<B: Bytes + ?Sized>(elf: &Elf<'_, B>, section: &Section, said: u64) -> Result<u64, Reason> {
    /// Number of the field in `moduledata`: behind one pointer, six slices and three numbers.
    const TEXT: u64 = 22;
    if said != 0 {
        return Ok(said);
    }
    if let Some(address) = relocated(elf, section.address.wrapping_add(24))? {
        return Ok(address);
    }
    let Some(module) = elf.section(".go.module") else {
        let text = elf.section(".text").map(|text| text.address);
        return text.ok_or(Reason::NoGoTable("where the code begins is not said"));
    };
    let address = module.address.wrapping_add(8 * TEXT);
    if let Some(address) = relocated(elf, address)? {
        return Ok(address);
    }
    let field = elf.bytes().piece(module.offset.saturating_add(8 * TEXT), 8, 8)?;
    let field = field.first_chunk::<8>().map(|field| u64::from_le_bytes(*field));
    field.filter(|address| *address != 0).ok_or(DAMAGED)
}

/// What the loader writes to an address.
fn relocated<B: Bytes + ?Sized>(elf: &Elf<'_, B>, address: u64) -> Result<Option<u64>, Reason> {
    const ENTRY: u64 = 24;
    let names = [".rela.dyn", ".rela"];
    let Some(section) = names.iter().find_map(|name| elf.section(name)) else {
        return Ok(None);
    };
    let end = section.offset.checked_add(section.length).ok_or(DAMAGED)?;
    let mut window = Window::new(elf.bytes(), end);
    for index in 0..(section.length / ENTRY).min(MAX_FUNCTIONS) {
        let entry = section.offset + index * ENTRY;
        if window.number(entry, 8)? != address {
            continue;
        }
        let kind = window.number(entry + 8, 8)? as u32;
        if [R_X86_64_RELATIVE, R_AARCH64_RELATIVE].contains(&kind) {
            return window.number(entry + 16, 8).map(Some);
        }
    }
    Ok(None)
}
