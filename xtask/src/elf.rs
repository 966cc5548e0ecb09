//! The linked kernel object: what must not be in it, and what need not be.
//!
//! The linker makes BTF of the debug information and leaves both. The kernel takes the BTF alone, so the rest (three
//! quarters of the file, which every daemon would carry) is taken out here. `llvm-objcopy` would do the same, but one
//! of a matching LLVM is on no machine that has only a compiler.

use anyhow::{Context, Result, bail};
use object::build::elf::{Builder, Section, SectionData};
use object::elf::{SHF_EXECINSTR, SHT_STRTAB, STT_FUNC};

/// One instruction.
const INSTRUCTION: usize = 8;
/// A call, and in its source register: of a function of this object.
const CALL: u8 = 0x85;
const OF_FUNCTION: u8 = 1;

/// Whether programs may call functions of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    Refused,
    Allowed,
}

/// The object as it is embedded.
pub fn finish(linked: &[u8], calls: Calls) -> Result<Vec<u8>> {
    let mut object = Builder::read(linked).context("the kernel object is no ELF file")?;
    if calls == Calls::Refused {
        refuse_calls(&object)?;
    }
    for section in &mut object.sections {
        section.delete = is_debug(&section.name);
    }
    object.delete_orphans();
    add_section_names(&mut object);
    let mut finished = Vec::new();
    object
        .write(&mut finished)
        .context("the kernel object cannot be written without its debug information")?;
    Ok(finished)
}

/// LLVM keeps the names of sections and symbols in one table; two are what can be written.
fn add_section_names(object: &mut Builder<'_>) {
    let has_names = |section: &Section<'_>| matches!(section.data, SectionData::SectionString);
    if !object.sections.iter().any(has_names) {
        let names = object.sections.add();
        names.name = ".shstrtab".into();
        names.sh_type = SHT_STRTAB;
        names.sh_addralign = 1;
        names.data = SectionData::SectionString;
    }
}

fn is_debug(name: &[u8]) -> bool {
    name.starts_with(b".debug_") || name.starts_with(b".rel.debug_")
}

/// Programs that make tail calls must not call functions: kernels before 6.0 refuse the mix on arm64, and a function of
/// the compiler's, such as `memset`, copies byte by byte where instructions in place copy eight.
fn refuse_calls(object: &Builder<'_>) -> Result<()> {
    for section in &object.sections {
        let SectionData::Data(code) = &section.data else {
            continue;
        };
        // In `.text` are the functions themselves; without a call of them they stay out of the kernel.
        if section.sh_flags & u64::from(SHF_EXECINSTR) == 0 || section.name == b".text"[..].into() {
            continue;
        }
        if let Some(index) = code.chunks_exact(INSTRUCTION).position(is_call) {
            bail!(
                "program {} calls {}: it must be inlined",
                name_at(object, section, index),
                callee(object, section, index)
            );
        }
    }
    Ok(())
}

fn is_call(instruction: &[u8]) -> bool {
    let source = |registers: u8| {
        if cfg!(target_endian = "big") {
            registers & 15
        } else {
            registers >> 4
        }
    };
    matches!(instruction, [CALL, registers, ..] if source(*registers) == OF_FUNCTION)
}

/// The program that has instruction `index` of `section`.
fn name_at(object: &Builder<'_>, section: &Section<'_>, index: usize) -> String {
    let at = (index * INSTRUCTION) as u64;
    let found = object.symbols.iter().find(|symbol| {
        symbol.section == Some(section.id())
            && symbol.st_type() == STT_FUNC
            && (symbol.st_value..symbol.st_value + symbol.st_size).contains(&at)
    });
    found.map_or_else(|| section.name.to_string(), |symbol| symbol.name.to_string())
}

/// What instruction `index` of `section` calls.
fn callee(object: &Builder<'_>, section: &Section<'_>, index: usize) -> String {
    let relocations = object.sections.iter().filter_map(|relocations| {
        let of_this = relocations.sh_info_section == Some(section.id());
        match &relocations.data {
            SectionData::Relocation(all) if of_this => Some(all),
            _ => None,
        }
    });
    let symbol = relocations
        .flatten()
        .find(|relocation| relocation.r_offset == (index * INSTRUCTION) as u64)
        .and_then(|relocation| relocation.symbol);
    symbol.map_or_else(
        || String::from("a function"),
        |id| object.symbols.get(id).name.to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::Endianness;
    use object::build::elf::Relocation;
    use object::elf::{EM_BPF, ET_REL, SHF_INFO_LINK, SHT_PROGBITS, SHT_REL, SHT_SYMTAB, STB_GLOBAL};

    const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];
    const CALL_FUNCTION: [u8; 8] = [CALL, OF_FUNCTION << 4, 0, 0, 0xff, 0xff, 0xff, 0xff];
    const CALL_KERNEL: [u8; 8] = [CALL, 0, 0, 0, 1, 0, 0, 0];

    /// An object with one program of these instructions, BTF, and debug information that refers to the program.
    fn object(code: &[[u8; 8]]) -> Vec<u8> {
        let mut object = Builder::new(Endianness::Little, true);
        object.header.e_type = ET_REL;
        object.header.e_machine = EM_BPF;
        let mut section = |name: &'static str, kind, data| {
            let section = object.sections.add();
            section.name = name.into();
            section.sh_type = kind;
            section.sh_addralign = 8;
            section.data = data;
            section.id()
        };
        section(".shstrtab", SHT_STRTAB, SectionData::SectionString);
        let strings = section(".strtab", SHT_STRTAB, SectionData::String);
        let symbols = section(".symtab", SHT_SYMTAB, SectionData::Symbol);
        let program = section(
            "cgroup_skb/egress",
            SHT_PROGBITS,
            SectionData::Data(code.concat().into()),
        );
        section(".BTF", SHT_PROGBITS, SectionData::Data(vec![1; 100].into()));
        let debug = section(
            ".debug_info",
            SHT_PROGBITS,
            SectionData::Data(vec![2; 5000].into()),
        );
        object.sections.get_mut(program).sh_flags = u64::from(SHF_EXECINSTR);
        object.sections.get_mut(symbols).sh_link_section = Some(strings);
        let mut symbol = |name: &'static str, section, size| {
            let symbol = object.symbols.add();
            symbol.name = name.into();
            symbol.section = section;
            symbol.st_size = size;
            symbol.set_st_info(STB_GLOBAL, STT_FUNC);
            symbol.id()
        };
        let egress = symbol("egress", Some(program), code.len() as u64 * 8);
        let memset = symbol("memset", None, 0);
        for (name, of, r_offset, symbol) in [
            (".relcgroup_skb/egress", program, 8, memset),
            (".rel.debug_info", debug, 0, egress),
        ] {
            let section = object.sections.add();
            section.name = name.into();
            section.sh_type = SHT_REL;
            section.sh_flags = u64::from(SHF_INFO_LINK);
            section.sh_entsize = 16;
            section.sh_addralign = 8;
            section.sh_link_section = Some(symbols);
            section.sh_info_section = Some(of);
            section.data = SectionData::Relocation(vec![Relocation {
                r_offset,
                symbol: Some(symbol),
                r_type: 10,
                r_addend: 0,
            }]);
        }
        let mut bytes = Vec::new();
        object.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn debug_information_is_taken_out() {
        let linked = object(&[CALL_KERNEL, EXIT]);
        let finished = finish(&linked, Calls::Refused).unwrap();
        assert!(finished.len() + 5000 < linked.len());
        let finished = Builder::read(&*finished).unwrap();
        let names: Vec<String> = finished
            .sections
            .iter()
            .map(|section| section.name.to_string())
            .collect();
        for kept in ["cgroup_skb/egress", ".relcgroup_skb/egress", ".BTF", ".symtab"] {
            assert!(names.iter().any(|name| name == kept), "{kept}: {names:?}");
        }
        assert!(names.iter().all(|name| !name.contains("debug")), "{names:?}");
    }

    #[test]
    fn calls_of_functions_are_refused() {
        let error = finish(&object(&[EXIT, CALL_FUNCTION]), Calls::Refused)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "program egress calls memset: it must be inlined");
        finish(&object(&[EXIT, CALL_FUNCTION]), Calls::Allowed).unwrap();
    }

    #[test]
    fn what_is_no_object() {
        assert!(finish(b"#!/bin/sh\n", Calls::Allowed).is_err());
    }
}
