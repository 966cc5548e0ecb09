//! Reading a function for x86-64, from its beginning to its end in the order in which it lies there. Arguments are in rdi,
//! rsi, rdx, rcx, r8: of the function that keeps mistakes the third is the mistake, the fourth the source file.

use std::collections::{BTreeSet, HashMap};

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::Routine;
use crate::tls::boring::method;

/// `None`: not everything is an instruction, or a mistake is not a plain number.
pub fn read(code: &[u8], address: u64, source: u64) -> Option<Routine> {
    let mut reading = Reading {
        source,
        ..Reading::default()
    };
    for instruction in Decoder::with_ip(64, code, address, DecoderOptions::NONE) {
        if instruction.is_invalid() {
            return None;
        }
        reading.step(&instruction)?;
    }
    Some(reading.end())
}

#[derive(Default)]
struct Reading {
    source: u64,
    routine: Routine,
    /// rbp points into the frame; else it is a register as others.
    frame_pointer: bool,
    /// Since the last call or jump: what the third argument will be, and whether the fourth is the source file.
    mistake: Option<u32>,
    names_source: bool,
    /// And which register the first was taken from.
    first: Option<Register>,
    /// By register, the register of the object whose first eight bytes it holds: the address of its table.
    tables: HashMap<Register, Register>,
    /// Objects that are set up through their tables.
    objects: BTreeSet<Register>,
    /// Functions that were called with what a register held.
    handed: Vec<(Register, u64)>,
}

impl Reading {
    fn step(&mut self, instruction: &Instruction) -> Option<()> {
        match instruction.mnemonic() {
            Mnemonic::Call => {
                self.call(instruction);
                self.leave()?;
            }
            Mnemonic::Jmp => {
                // The last call of a function may be a jump.
                if instruction.op0_kind() == OpKind::Memory {
                    self.call(instruction);
                }
                self.leave()?;
            }
            _ => self.other(instruction),
        }
        Some(())
    }

    /// A call, of a function that is known or through a table.
    fn call(&mut self, instruction: &Instruction) {
        match instruction.op0_kind() {
            OpKind::NearBranch64 => {
                let target = instruction.near_branch_target();
                self.routine.calls.insert(target);
                self.handed.extend(self.first.map(|object| (object, target)));
            }
            OpKind::Memory if instruction.memory_index() == Register::None => {
                let entry = instruction.memory_displacement64();
                if let Some(object) = self.tables.get(&instruction.memory_base()) {
                    self.routine.through.insert(entry);
                    if entry == method::SSL_NEW {
                        self.objects.insert(*object);
                    }
                }
            }
            _ => {}
        }
    }

    /// What was prepared for a call is used up by it.
    fn leave(&mut self) -> Option<()> {
        let mistake = self.mistake.take();
        self.first = None;
        if std::mem::take(&mut self.names_source) {
            self.routine.mistakes.insert(mistake?);
        }
        Some(())
    }

    fn other(&mut self, instruction: &Instruction) {
        if instruction.op0_kind() == OpKind::Memory {
            self.routine.stores |= writes(instruction) && !self.is_frame(instruction.memory_base());
            return;
        }
        let compares = matches!(instruction.mnemonic(), Mnemonic::Test | Mnemonic::Cmp);
        if instruction.op0_kind() != OpKind::Register || compares {
            return;
        }
        let into = whole(instruction.op0_register());
        self.tables.remove(&into);
        match into {
            Register::RDX => self.mistake = number(instruction),
            Register::RCX => {
                self.names_source = instruction.mnemonic() == Mnemonic::Lea
                    && instruction.is_ip_rel_memory_operand()
                    && instruction.ip_rel_memory_address() == self.source;
            }
            Register::RDI => self.first = copied(instruction),
            Register::RBP => self.frame_pointer |= copied(instruction) == Some(Register::RSP),
            _ => {}
        }
        if let Some(object) = table_of(instruction) {
            self.tables.insert(into, object);
        }
    }

    fn is_frame(&self, base: Register) -> bool {
        base == Register::RSP || base == Register::RBP && self.frame_pointer
    }

    fn end(mut self) -> Routine {
        let Self { objects, handed, .. } = self;
        let of_objects = handed.into_iter().filter(|(object, _)| objects.contains(object));
        self.routine.handed = of_objects.map(|(_, target)| target).collect();
        self.routine
    }
}

/// The register of 64 bits that one of 32 is the lower half of.
fn whole(register: Register) -> Register {
    let number = (register as u32).wrapping_sub(Register::EAX as u32);
    if number < 16 {
        Register::RAX + number
    } else {
        register
    }
}

/// Whether an instruction whose first operand is memory changes it: those that do so in what is looked for.
fn writes(instruction: &Instruction) -> bool {
    matches!(
        instruction.mnemonic(),
        Mnemonic::Mov
            | Mnemonic::Add
            | Mnemonic::Sub
            | Mnemonic::Movq
            | Mnemonic::Movaps
            | Mnemonic::Movups
            | Mnemonic::Movdqa
            | Mnemonic::Movdqu
    )
}

/// `mov edx, number`
fn number(instruction: &Instruction) -> Option<u32> {
    let plain = instruction.mnemonic() == Mnemonic::Mov && instruction.op1_kind() == OpKind::Immediate32;
    plain.then(|| instruction.immediate32())
}

/// `mov rdi, register`: which.
fn copied(instruction: &Instruction) -> Option<Register> {
    let plain = instruction.mnemonic() == Mnemonic::Mov && instruction.op1_kind() == OpKind::Register;
    plain.then(|| instruction.op1_register())
}

/// `mov table, [object]`: of which object.
fn table_of(instruction: &Instruction) -> Option<Register> {
    let plain = instruction.mnemonic() == Mnemonic::Mov
        && instruction.op1_kind() == OpKind::Memory
        && instruction.memory_index() == Register::None
        && instruction.memory_displacement64() == 0
        && !matches!(
            instruction.memory_base(),
            Register::None | Register::RIP | Register::RSP
        )
        && !instruction.has_segment_prefix();
    plain.then(|| instruction.memory_base())
}
