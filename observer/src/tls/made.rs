//! ELF files made by hand, for tests of what reads them: one segment of code, and sections.

use object::elf;

use super::elf::MACHINE;

/// Where the segment is loaded, where in the file it begins, and its length.
pub const ADDRESS: u64 = 0x40_0000;
pub const CODE: u64 = 0x1000;
pub const LENGTH: u64 = 0x1000;

/// A section with its content; the sections of a file have numbers from 1 on, which `link` may name.
#[derive(Debug)]
pub struct Part {
    pub name: &'static str,
    pub kind: u32,
    pub address: u64,
    pub link: u32,
    pub content: Vec<u8>,
}

/// `code` comes first in the segment; the rest of it returns.
pub fn file(code: &[u8], parts: &[Part]) -> Vec<u8> {
    let mut file = vec![0; usize::try_from(CODE).unwrap()];
    file.extend(code);
    file.resize(usize::try_from(CODE + LENGTH).unwrap(), 0xc3);
    let mut titles = vec![0];
    let mut headers = vec![0; 64];
    for part in parts {
        add(&mut file, &mut titles, &mut headers, part);
    }
    let mut own = titles.clone();
    own.extend(b".shstrtab\0");
    let names = Part {
        name: ".shstrtab",
        kind: elf::SHT_STRTAB,
        address: 0,
        link: 0,
        content: own,
    };
    add(&mut file, &mut titles, &mut headers, &names);
    let at = file.len() as u64;
    file.extend(headers);
    head(&mut file, at, u16::try_from(parts.len()).unwrap());
    file
}

fn add(file: &mut Vec<u8>, titles: &mut Vec<u8>, headers: &mut Vec<u8>, part: &Part) {
    let (offset, title) = (file.len() as u64, u32::try_from(titles.len()).unwrap());
    file.extend(&part.content);
    file.resize(file.len().next_multiple_of(8), 0);
    titles.extend(part.name.bytes());
    titles.push(0);
    headers.extend([title, part.kind, 0, 0].map(u32::to_le_bytes).as_flattened());
    let length = part.content.len() as u64;
    headers.extend(
        [part.address, offset, length]
            .map(u64::to_le_bytes)
            .as_flattened(),
    );
    headers.extend([part.link, 0].map(u32::to_le_bytes).as_flattened());
    headers.extend([0; 16]);
}

fn head(file: &mut [u8], sections: u64, parts: u16) {
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &elf::ET_DYN.to_le_bytes());
    put(18, &MACHINE.to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(40, &sections.to_le_bytes());
    put(
        54,
        [56, 1, 64, parts + 2, parts + 1]
            .map(u16::to_le_bytes)
            .as_flattened(),
    );
    put(64, [elf::PT_LOAD, elf::PF_X].map(u32::to_le_bytes).as_flattened());
    put(
        72,
        [CODE, ADDRESS, ADDRESS, LENGTH]
            .map(u64::to_le_bytes)
            .as_flattened(),
    );
}
