//! ELF files, as far as is needed to find functions in them: 64 bits, little-endian, of this machine. Nothing is read
//! whole; tables are gone through in pieces.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use object::LittleEndian as Little;
use object::elf;
use object::pod::{self, Pod};

use super::Reason;
use super::bytes::{Bytes, search};

/// The ELF file behind some bytes.
#[derive(Debug)]
pub struct Elf<'a, B: ?Sized> {
    bytes: &'a B,
    segments: Vec<Segment>,
    sections: Vec<Section>,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    address: u64,
    offset: u64,
    length: u64,
    executable: bool,
}

#[derive(Clone, Debug)]
pub struct Section {
    pub name: String,
    pub address: u64,
    pub offset: u64,
    pub length: u64,
    kind: u32,
    link: u32,
}

#[cfg(test)]
impl Section {
    pub const fn of_code(address: u64, offset: u64, length: u64) -> Self {
        Self {
            name: String::new(),
            address,
            offset,
            length,
            kind: elf::SHT_PROGBITS,
            link: 0,
        }
    }
}

/// A function, by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    pub address: u64,
    /// 0: not said.
    pub size: u64,
}

const HEADER: usize = size_of::<elf::FileHeader64<Little>>();
const MAX_SEGMENTS: u16 = 128;
/// Compilers with a section for each function merge them when they link.
const MAX_SECTIONS: u16 = 4096;
const MAX_NAMES: u64 = 1 << 20;
/// Of symbols and their names: those of a browser with symbols are some 100 MB.
const MAX_TABLE: u64 = 256 << 20;
/// Places in a table of names where one is that was asked for; one each is the rule.
const MAX_HITS: usize = 1024;
/// Symbols that are read at once.
const SYMBOLS: usize = 4096;

/// Which machine's code is looked for.
#[cfg(target_arch = "x86_64")]
pub const MACHINE: u16 = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
pub const MACHINE: u16 = elf::EM_AARCH64;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub const MACHINE: u16 = elf::EM_NONE;

impl<'a, B: Bytes + ?Sized> Elf<'a, B> {
    /// `None`: no ELF file at all.
    pub fn read(bytes: &'a B) -> Result<Option<Self>, Reason> {
        let mut ident = [0; elf::ELFMAG.len()];
        if bytes.length() < HEADER as u64 || bytes.read_at(0, &mut ident).is_err() || ident != elf::ELFMAG {
            return Ok(None);
        }
        let header: elf::FileHeader64<Little> = one(&table(bytes, 0, HEADER / 8)?)?;
        if header.e_ident.class != elf::ELFCLASS64 || header.e_ident.data != elf::ELFDATA2LSB {
            return Err(Reason::Foreign("not 64 bits, little-endian"));
        }
        if header.e_machine.get(Little) != MACHINE {
            return Err(Reason::Foreign("another processor"));
        }
        let count = header.e_phnum.get(Little);
        if count > MAX_SEGMENTS
            || usize::from(header.e_phentsize.get(Little)) != size_of::<elf::ProgramHeader64<Little>>()
        {
            return Err(Reason::Damaged("program headers"));
        }
        let words = table(bytes, header.e_phoff.get(Little), usize::from(count) * 7)?;
        let segments = slice(&words, usize::from(count))?
            .iter()
            .filter_map(segment)
            .collect();
        let sections = sections(bytes, &header)?;
        Ok(Some(Self {
            bytes,
            segments,
            sections,
        }))
    }

    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// At most `most` bytes of a section.
    pub fn content(&self, section: &Section, most: u64) -> Result<Vec<u8>, Reason> {
        self.bytes.piece(section.offset, section.length.min(most), most)
    }

    pub fn bytes(&self) -> &'a B {
        self.bytes
    }

    /// Where in the file the code at an address is.
    pub fn code_offset(&self, address: u64) -> Option<u64> {
        self.place(address, |segment| segment.executable)
    }

    /// Where in the file the byte at an address is.
    pub fn offset(&self, address: u64) -> Option<u64> {
        self.place(address, |_| true)
    }

    fn place(&self, address: u64, wanted: impl Fn(&Segment) -> bool) -> Option<u64> {
        self.segments
            .iter()
            .filter(|segment| wanted(segment))
            .find_map(|segment| {
                let inside = address.checked_sub(segment.address)?;
                (inside < segment.length).then(|| segment.offset.checked_add(inside))?
            })
    }

    /// Functions with the names `wanted`, which all begin with `prefix`, by name; one with several addresses is an
    /// error. Exported names first, then those of the full table, if it has not been stripped.
    pub fn functions(
        &self,
        prefix: &str,
        wanted: &[&'static str],
    ) -> Result<HashMap<&'static str, Symbol>, Reason> {
        let mut found = HashMap::new();
        for kind in [elf::SHT_DYNSYM, elf::SHT_SYMTAB] {
            let Some(symbols) = self.sections.iter().find(|section| section.kind == kind) else {
                continue;
            };
            let here = self.in_table(symbols, prefix, wanted)?;
            if here.len() > found.len() {
                found = here;
            }
            if found.len() == wanted.len() {
                break;
            }
        }
        Ok(found)
    }

    fn in_table(
        &self,
        symbols: &Section,
        prefix: &str,
        wanted: &[&'static str],
    ) -> Result<HashMap<&'static str, Symbol>, Reason> {
        let hits = self.names(self.names_of(symbols)?, prefix, wanted)?;
        if hits.is_empty() || symbols.length > MAX_TABLE {
            return Ok(HashMap::new());
        }
        let mut found: HashMap<&'static str, Symbol> = HashMap::new();
        self.each(symbols, |symbol| {
            let Some(name) = hits.get(&symbol.st_name.get(Little)) else {
                return Ok(());
            };
            let Some(function) = function(symbol) else {
                return Ok(());
            };
            match found.insert(name, function) {
                Some(other) if other.address != function.address => Err(Reason::Ambiguous(name)),
                _ => Ok(()),
            }
        })?;
        Ok(found)
    }

    /// Names of the functions at `addresses` by the full table of symbols, or as much of each as [`Bytes::name`] gives; none if it
    /// has been stripped.
    pub fn names_at(&self, addresses: &HashSet<u64>) -> Result<HashMap<u64, Vec<u8>>, Reason> {
        let mut found = HashMap::new();
        let mut sections = self.sections.iter();
        let full = sections.find(|section| section.kind == elf::SHT_SYMTAB && section.length <= MAX_TABLE);
        let Some(symbols) = full else {
            return Ok(found);
        };
        let names = self.names_of(symbols)?;
        self.each(symbols, |symbol| {
            let address = function(symbol).map(|function| function.address);
            let Some(address) = address.filter(|address| addresses.contains(address)) else {
                return Ok(());
            };
            // The first of several, so that each is read once.
            if let Entry::Vacant(place) = found.entry(address) {
                let offset = u64::from(symbol.st_name.get(Little));
                let rest = names.length.saturating_sub(offset);
                place.insert(self.bytes.name(names.offset.saturating_add(offset), rest)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The section with the names of a table of symbols.
    fn names_of(&self, symbols: &Section) -> Result<&Section, Reason> {
        let link = usize::try_from(symbols.link).ok();
        let names = link.and_then(|link| self.sections.get(link));
        names.ok_or(Reason::Damaged("symbols without names"))
    }

    /// Goes through a table of symbols.
    fn each(
        &self,
        symbols: &Section,
        mut act: impl FnMut(&elf::Sym64<Little>) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let size = size_of::<elf::Sym64<Little>>();
        let count = usize::try_from(symbols.length).unwrap_or(0) / size;
        for first in (0..count).step_by(SYMBOLS) {
            let here = SYMBOLS.min(count - first);
            let offset = symbols.offset.saturating_add((first * size) as u64);
            let words = table(self.bytes, offset, here * 3)?;
            slice(&words, here)?.iter().try_for_each(&mut act)?;
        }
        Ok(())
    }

    /// Where in a table of names the wanted ones are. Linkers let a name be the end of another, so what is in front of
    /// one does not matter.
    fn names(
        &self,
        names: &Section,
        prefix: &str,
        wanted: &[&'static str],
    ) -> Result<HashMap<u32, &'static str>, Reason> {
        let mut hits = HashMap::new();
        let length = names.length.min(MAX_TABLE);
        search(
            self.bytes,
            names.offset,
            length,
            prefix.as_bytes(),
            |at, behind| {
                let end = behind.iter().position(|byte| *byte == 0);
                let name = end.and_then(|end| behind.get(..end));
                let known = wanted.iter().find(|wanted| Some(wanted.as_bytes()) == name);
                if let (Some(known), Ok(at)) = (known, u32::try_from(at - names.offset)) {
                    hits.insert(at, *known);
                }
                hits.len() < MAX_HITS
            },
        )?;
        Ok(hits)
    }

    /// The version that stands behind `needle` in the read-only data: three numbers at least, or it is an interface
    /// that is spoken of.
    pub fn version_behind(&self, needle: &str, most: u64) -> Option<String> {
        let section = self.section(".rodata")?;
        let mut version = None;
        let length = section.length.min(most);
        let needle = needle.as_bytes();
        let _ = search(self.bytes, section.offset, length, needle, |_, behind| {
            let word = behind.get(needle.len()..).unwrap_or_default();
            let end = word
                .iter()
                .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'.');
            let word = word.get(..end.unwrap_or(0)).unwrap_or_default();
            let numbers = word.split(|byte| *byte == b'.').count();
            if numbers == 3 && word.first().is_some_and(u8::is_ascii_digit) {
                version = String::from_utf8(word.to_vec()).ok();
            }
            version.is_none()
        });
        version
    }
}

/// `None`: it is no function, or not in this file.
fn function(symbol: &elf::Sym64<Little>) -> Option<Symbol> {
    let defined = symbol.st_shndx.get(Little) != elf::SHN_UNDEF && symbol.st_value.get(Little) != 0;
    (defined && symbol.st_info & 0xf == elf::STT_FUNC).then(|| Symbol {
        address: symbol.st_value.get(Little),
        size: symbol.st_size.get(Little),
    })
}

fn segment(header: &elf::ProgramHeader64<Little>) -> Option<Segment> {
    (header.p_type.get(Little) == elf::PT_LOAD).then(|| Segment {
        address: header.p_vaddr.get(Little),
        offset: header.p_offset.get(Little),
        length: header.p_filesz.get(Little),
        executable: header.p_flags.get(Little) & elf::PF_X != 0,
    })
}

fn sections<B: Bytes + ?Sized>(
    bytes: &B,
    header: &elf::FileHeader64<Little>,
) -> Result<Vec<Section>, Reason> {
    let count = header.e_shnum.get(Little);
    if count == 0 {
        return Ok(Vec::new());
    }
    if count > MAX_SECTIONS
        || usize::from(header.e_shentsize.get(Little)) != size_of::<elf::SectionHeader64<Little>>()
    {
        return Err(Reason::Damaged("section headers"));
    }
    let words = table(bytes, header.e_shoff.get(Little), usize::from(count) * 8)?;
    let headers: &[elf::SectionHeader64<Little>] = slice(&words, usize::from(count))?;
    let names = headers.get(usize::from(header.e_shstrndx.get(Little)));
    let names = names.ok_or(Reason::Damaged("section names"))?;
    let names = bytes.piece(names.sh_offset.get(Little), names.sh_size.get(Little), MAX_NAMES)?;
    let name = |at: u32| {
        let rest = names.get(usize::try_from(at).ok()?..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(rest.get(..end.min(64))?).into_owned())
    };
    let section = |header: &elf::SectionHeader64<Little>| Section {
        name: name(header.sh_name.get(Little)).unwrap_or_default(),
        address: header.sh_addr.get(Little),
        offset: header.sh_offset.get(Little),
        length: header.sh_size.get(Little),
        kind: header.sh_type.get(Little),
        link: header.sh_link.get(Little),
    };
    // What is not in the file has no content to look at.
    Ok(headers
        .iter()
        .map(section)
        .map(|section| match section.kind {
            elf::SHT_NOBITS => Section { length: 0, ..section },
            _ => section,
        })
        .collect())
}

/// Reads a table, aligned as its entries want it. `words`: in units of eight bytes.
fn table<B: Bytes + ?Sized>(bytes: &B, offset: u64, words: usize) -> Result<Vec<u64>, Reason> {
    let mut table = vec![0; words];
    let into = pod::bytes_of_slice_mut(&mut table);
    if offset
        .checked_add(into.len() as u64)
        .is_none_or(|end| end > bytes.length())
    {
        return Err(Reason::Damaged("a table lies behind the end of the file"));
    }
    bytes.read_at(offset, into).map_err(super::bytes::unreadable)?;
    Ok(table)
}

fn slice<T: Pod>(words: &[u64], count: usize) -> Result<&[T], Reason> {
    pod::slice_from_bytes(pod::bytes_of_slice(words), count)
        .map(|(entries, _)| entries)
        .map_err(|()| Reason::Damaged("a table"))
}

fn one<T: Pod>(words: &[u64]) -> Result<T, Reason> {
    slice(words, 1)?
        .first()
        .copied()
        .ok_or(Reason::Damaged("a header"))
}

#[cfg(test)]
mod tests;
