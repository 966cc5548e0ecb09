//! The frame of a Go function on its stack, as far as it is needed to find the function's receiver from the frame pointer.
//!
//! Arguments come in registers, the receiver in rax. Behind the return address there is room for each of them, in which the function
//! stores those that it needs after a call. The frame pointer shows where that is, at every call alike: it points at
//! the caller's, which is saved in front of the return address.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use crate::tls::code;

/// Places on the stack, from where it ended when the function was called: the return address, and room for receiver and buffer.
const RETURN: i64 = 0;
const RECEIVER: i64 = 8;
const BUFFER: i64 = 16;
/// Where the caller's frame pointer is saved, and so what the own one is.
const POINTER: i64 = -8;

/// Instructions until the receiver is stored; it takes ten.
const MOST: usize = 32;

/// A frame whose receiver is in its place from the first call to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// How much lower the stack ends.
    depth: i64,
    /// Where the code is, and where in it the receiver has been stored.
    begins: u64,
    stored: u64,
}

/// What is done to the stack pointer and the frame pointer at the beginning.
#[derive(Clone, Copy, Default)]
struct Beginning {
    depth: i64,
    /// The caller's frame pointer is saved in its place, and the own one points at it.
    saved: bool,
    pointed: bool,
}

impl Frame {
    /// Of the function at `address`. `None`: it has another one, or the receiver is not stored in front of all calls.
    pub fn read(code: &[u8], address: u64) -> Option<Self> {
        let behind = code::behind_stack_check(code)?;
        let rest = code.get(usize::try_from(behind).ok()?..)?;
        let mut beginning = Beginning::default();
        let ip = address.wrapping_add(behind);
        for instruction in Decoder::with_ip(64, rest, ip, DecoderOptions::NONE)
            .into_iter()
            .take(MOST)
        {
            if beginning.pointed && beginning.stores_receiver(&instruction) {
                return Some(Self {
                    depth: beginning.depth,
                    begins: address,
                    stored: instruction.next_ip(),
                });
            }
            beginning = beginning.with(&instruction)?;
        }
        None
    }

    /// Whether the receiver may be elsewhere after it, or something else in its place: by a jump past the storing, by a change of one
    /// of the pointers that is not part of a return, by a store.
    pub fn is_broken_by(&self, instruction: &Instruction) -> bool {
        let offset = instruction.ip().wrapping_sub(self.begins);
        let stored = self.stored.wrapping_sub(self.begins);
        if is_jump(instruction) {
            let target = instruction.near_branch_target().wrapping_sub(self.begins);
            return instruction.op0_kind() != OpKind::NearBranch64 || (1..stored).contains(&target);
        }
        if offset < stored {
            // Looked at already.
            return false;
        }
        let reaches = matches!(instruction.mnemonic(), Mnemonic::Lea) || stores(instruction);
        self.moves_pointer(instruction)
            || reaches
                && is_of_stack(instruction)
                && (instruction.memory_index() != Register::None
                    || (RETURN..BUFFER).contains(&place(instruction, self.depth)))
    }

    /// Other than to return.
    fn moves_pointer(&self, instruction: &Instruction) -> bool {
        let target = instruction.op0_register();
        match instruction.mnemonic() {
            Mnemonic::Cmp | Mnemonic::Test => false,
            Mnemonic::Push => true,
            Mnemonic::Pop => target != Register::RBP,
            Mnemonic::Add | Mnemonic::Sub if target == Register::RSP => {
                let up = lowered(instruction).map(i64::wrapping_neg);
                // What is left is taken off the stack by itself.
                up != Some(self.depth) && up != Some(self.depth + POINTER)
            }
            Mnemonic::Mov if target == Register::RBP => {
                !is_of_stack(instruction) || place(instruction, self.depth) != POINTER
            }
            _ => matches!(target, Register::RSP | Register::RBP),
        }
    }

    /// Whether rax, where the function that copies wants the target, is the caller's buffer after it; `None`: rax is not changed.
    pub fn sends_to_caller(&self, instruction: &Instruction) -> Option<bool> {
        let reads = matches!(instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Test);
        if reads || !is_of_first_register(instruction.op0_register()) {
            return None;
        }
        Some(
            instruction.mnemonic() == Mnemonic::Mov
                && instruction.op0_register() == Register::RAX
                && instruction.op1_kind() == OpKind::Memory
                && is_of_stack(instruction)
                && instruction.memory_index() == Register::None
                && place(instruction, self.depth) == BUFFER,
        )
    }
}

impl Beginning {
    /// After one more instruction; `None`: it does not belong there.
    fn with(mut self, instruction: &Instruction) -> Option<Self> {
        let [first, second] = [instruction.op0_register(), instruction.op1_register()];
        let is_of_stack = instruction.memory_base() == Register::RSP;
        let at = || is_of_stack.then(|| place(instruction, self.depth));
        match (instruction.mnemonic(), first) {
            // Since Go 1.21.
            (Mnemonic::Push, Register::RBP) if self.depth == 0 => {
                self.depth = 8;
                self.saved = true;
            }
            (Mnemonic::Mov, Register::RBP) if self.saved && second == Register::RSP && self.depth == 8 => {
                self.pointed = true;
            }
            // Until then.
            (Mnemonic::Mov, Register::None) if second == Register::RBP && at() == Some(POINTER) => {
                self.saved = true;
            }
            (Mnemonic::Lea, Register::RBP) if self.saved && at() == Some(POINTER) => self.pointed = true,
            (Mnemonic::Add | Mnemonic::Sub, Register::RSP) => {
                let more = lowered(instruction).filter(|more| *more > 0)?;
                self.depth = self.depth.checked_add(more)?;
            }
            (_, Register::RSP | Register::RBP) => return None,
            // Nothing that changes more than it names.
            (
                Mnemonic::Lea
                | Mnemonic::Mov
                | Mnemonic::Movq
                | Mnemonic::Movups
                | Mnemonic::Nop
                | Mnemonic::Xor,
                _,
            ) if !is_of_first_register(first) => {}
            _ => return None,
        }
        Some(self)
    }

    fn stores_receiver(self, instruction: &Instruction) -> bool {
        instruction.mnemonic() == Mnemonic::Mov
            && stores(instruction)
            && instruction.op1_register() == Register::RAX
            && is_of_stack(instruction)
            && instruction.memory_index() == Register::None
            && place(instruction, self.depth) == RECEIVER
    }
}

fn is_jump(instruction: &Instruction) -> bool {
    match instruction.mnemonic() {
        Mnemonic::Call => false,
        Mnemonic::Jmp => true,
        _ => instruction.op0_kind() == OpKind::NearBranch64,
    }
}

fn stores(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::Memory
        && !matches!(
            instruction.mnemonic(),
            Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Nop
        )
}

fn is_of_stack(instruction: &Instruction) -> bool {
    matches!(instruction.memory_base(), Register::RSP | Register::RBP)
}

/// What the memory at hand is, if it is addressed by one of the pointers, in a frame of this depth.
fn place(instruction: &Instruction, depth: i64) -> i64 {
    let from = if instruction.memory_base() == Register::RBP {
        POINTER
    } else {
        depth.wrapping_neg()
    };
    from.wrapping_add(instruction.memory_displacement64().cast_signed())
}

/// By how much an addition or subtraction lowers the stack pointer. 128 is subtracted by adding -128, which is shorter.
fn lowered(instruction: &Instruction) -> Option<i64> {
    let number = match instruction.op1_kind() {
        OpKind::Immediate8to64 => instruction.immediate8to64(),
        OpKind::Immediate32to64 => instruction.immediate32to64(),
        _ => return None,
    };
    match instruction.mnemonic() {
        Mnemonic::Sub => Some(number),
        _ => Some(number.wrapping_neg()),
    }
}

fn is_of_first_register(register: Register) -> bool {
    matches!(
        register,
        Register::RAX | Register::EAX | Register::AX | Register::AL | Register::AH
    )
}
