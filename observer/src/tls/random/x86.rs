//! The reading for x86-64, with the calling convention of System V: object in rdi, buffer in rsi.

use std::collections::HashSet;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::RandomPlace;

/// Steps over all ways; a real function takes a few hundred.
const MAX_STEPS: usize = 20_000;
/// Ways that wait to be followed.
const MAX_WAYS: usize = 256;

/// What an address is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Base {
    /// The SSL object.
    Object,
    /// What a pointer at this offset in the object points to.
    Behind(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
enum Value {
    #[default]
    Unknown,
    /// An address in the caller's buffer.
    Buffer(i64),
    Address(Base, i64),
    /// What is stored at that address.
    Content(Base, i64),
}

impl Value {
    fn plus(self, more: i64) -> Self {
        match self.as_address() {
            Self::Buffer(offset) => Self::Buffer(offset.wrapping_add(more)),
            Self::Address(base, offset) => Self::Address(base, offset.wrapping_add(more)),
            _ => Self::Unknown,
        }
    }

    /// What is stored in the object may be a pointer, if it is used as one.
    fn as_address(self) -> Self {
        match self {
            Self::Content(Base::Object, offset) => {
                u32::try_from(offset).map_or(Self::Unknown, |offset| Self::Address(Base::Behind(offset), 0))
            }
            other => other,
        }
    }
}

/// General registers, then vector registers.
type Registers = [Value; 48];

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    at: usize,
    registers: Registers,
}

/// `code` is the function, `address` where it is.
pub fn place(code: &[u8], address: u64) -> Option<RandomPlace> {
    let (base, offset) = Reading::new(code, address).follow()?;
    let pointer = match base {
        Base::Object => None,
        Base::Behind(pointer) => Some(pointer),
    };
    let offset = u32::try_from(offset).ok()?;
    Some(RandomPlace { pointer, offset })
}

/// Two ways copy from two places: one of them was misread.
struct Contradiction;

/// All ways through a function.
struct Reading<'a> {
    code: &'a [u8],
    address: u64,
    ways: Vec<State>,
    copied: Option<(Base, i64)>,
}

impl<'a> Reading<'a> {
    fn new(code: &'a [u8], address: u64) -> Self {
        let mut registers = [Value::Unknown; 48];
        set(&mut registers, Register::RDI, Value::Address(Base::Object, 0));
        set(&mut registers, Register::RSI, Value::Buffer(0));
        Self {
            code,
            address,
            ways: vec![State { at: 0, registers }],
            copied: None,
        }
    }

    /// What is copied on all ways that copy something; `None`: nothing, or not the same.
    fn follow(mut self) -> Option<(Base, i64)> {
        let mut seen = HashSet::new();
        while let Some(mut state) = self.ways.pop() {
            while seen.insert(state) {
                if seen.len() > MAX_STEPS || self.ways.len() > MAX_WAYS {
                    return None;
                }
                let Some(rest) = self.code.get(state.at..).filter(|rest| !rest.is_empty()) else {
                    break;
                };
                let ip = self.address.wrapping_add(state.at as u64);
                let instruction = Decoder::with_ip(64, rest, ip, DecoderOptions::NONE).decode();
                if instruction.is_invalid() {
                    return None;
                }
                match self.go(&instruction, state) {
                    Ok(Some(next)) => state = next,
                    Ok(None) => break,
                    Err(Contradiction) => return None,
                }
            }
        }
        self.copied
    }

    /// One step; `None`: the end of this way.
    fn go(&mut self, instruction: &Instruction, mut state: State) -> Result<Option<State>, Contradiction> {
        let step = step(instruction, &mut state.registers);
        if let Some(source) = step.copied {
            if self.copied.is_some_and(|other| other != source) {
                return Err(Contradiction);
            }
            self.copied = Some(source);
        }
        let behind = state.at + instruction.len();
        let target = instruction.near_branch_target().wrapping_sub(self.address);
        let target = usize::try_from(target).unwrap_or(usize::MAX);
        if step.branches {
            self.ways.push(State { at: target, ..state });
        }
        if let Some(registers) = step.otherwise {
            self.ways.push(State {
                at: behind,
                registers,
            });
        }
        match step.end {
            End::Next => state.at = behind,
            End::Jump => state.at = target,
            End::Done => return Ok(None),
        }
        Ok(Some(state))
    }
}

enum End {
    Next,
    Jump,
    Done,
}

struct Step {
    end: End,
    /// It may also go on at the target.
    branches: bool,
    /// It may also go on behind it, with these.
    otherwise: Option<Registers>,
    /// What was copied to the start of the buffer.
    copied: Option<(Base, i64)>,
}

fn step(instruction: &Instruction, registers: &mut Registers) -> Step {
    let mut step = Step {
        end: End::Next,
        branches: false,
        otherwise: None,
        copied: None,
    };
    let branch = instruction.op0_kind() == OpKind::NearBranch64;
    match instruction.mnemonic() {
        Mnemonic::Call => {
            step.copied = by_call(registers);
            forget_after_call(registers);
        }
        // Jumping out of the function is a call of the last thing that it does.
        Mnemonic::Jmp => {
            step.copied = by_call(registers);
            step.end = if branch { End::Jump } else { End::Done };
        }
        Mnemonic::Ret | Mnemonic::Ud2 | Mnemonic::Int3 | Mnemonic::Hlt => step.end = End::Done,
        _ if branch => step.branches = true,
        _ => compute(instruction, registers, &mut step),
    }
    step
}

fn compute(instruction: &Instruction, registers: &mut Registers, step: &mut Step) {
    let target = instruction.op0_register();
    let to_register = instruction.op0_kind() == OpKind::Register;
    match instruction.mnemonic() {
        Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Push | Mnemonic::Nop | Mnemonic::Endbr64 => {}
        Mnemonic::Lea => set(registers, target, address(instruction, registers)),
        Mnemonic::Add | Mnemonic::Sub if to_register && is_number(instruction) => {
            let number = instruction.immediate(1).cast_signed();
            let negative = instruction.mnemonic() == Mnemonic::Sub;
            let number = if negative { number.wrapping_neg() } else { number };
            let value = get(registers, target).plus(number);
            set(registers, target, value);
        }
        mnemonic if is_move(mnemonic) => {
            let value = operand(instruction, registers);
            if to_register {
                set(registers, target, value);
            } else if let (Value::Buffer(to), Value::Content(base, from)) =
                (address(instruction, registers), value)
            {
                step.copied = Some((base, from.wrapping_sub(to)));
            }
        }
        mnemonic if is_conditional_move(mnemonic) => {
            step.otherwise = Some(*registers);
            let value = operand(instruction, registers);
            set(registers, target, value);
        }
        Mnemonic::Movsb | Mnemonic::Movsd | Mnemonic::Movsq | Mnemonic::Movsw if !to_register => {
            step.copied = copy(get(registers, Register::RDI), get(registers, Register::RSI));
            set(registers, Register::RDI, Value::Unknown);
            set(registers, Register::RSI, Value::Unknown);
        }
        // Whatever else writes, writes its first operand; some write registers that they do not name.
        mnemonic => {
            set(registers, target, Value::Unknown);
            if mnemonic == Mnemonic::Xchg {
                set(registers, instruction.op1_register(), Value::Unknown);
            }
            if has_hidden_results(mnemonic) {
                set(registers, Register::RAX, Value::Unknown);
                set(registers, Register::RDX, Value::Unknown);
            }
        }
    }
}

fn is_number(instruction: &Instruction) -> bool {
    matches!(
        instruction.op1_kind(),
        OpKind::Immediate8 | OpKind::Immediate32 | OpKind::Immediate8to64 | OpKind::Immediate32to64
    )
}

fn is_move(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Mov | M::Movzx | M::Movups | M::Movdqu | M::Movaps | M::Movdqa | M::Movq | M::Movd | M::Movupd
    ) || matches!(
        mnemonic,
        M::Vmovups | M::Vmovdqu | M::Vmovaps | M::Vmovdqa | M::Vmovdqu8 | M::Vmovdqu64 | M::Lddqu
    )
}

fn is_conditional_move(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Cmova | M::Cmovae | M::Cmovb | M::Cmovbe | M::Cmove | M::Cmovne
    ) || matches!(
        mnemonic,
        M::Cmovg | M::Cmovge | M::Cmovl | M::Cmovle | M::Cmovs | M::Cmovns
    )
}

fn has_hidden_results(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Mul | M::Imul | M::Div | M::Idiv | M::Cdq | M::Cqo | M::Cdqe | M::Cwde | M::Cmpxchg
    )
}

/// The value that an instruction takes: its second operand.
fn operand(instruction: &Instruction, registers: &Registers) -> Value {
    match instruction.op1_kind() {
        OpKind::Register => get(registers, instruction.op1_register()),
        OpKind::Memory => match address(instruction, registers) {
            Value::Address(base, offset) => Value::Content(base, offset),
            _ => Value::Unknown,
        },
        _ => Value::Unknown,
    }
}

/// The address of an instruction's memory operand.
fn address(instruction: &Instruction, registers: &Registers) -> Value {
    if instruction.memory_index() != Register::None || instruction.segment_prefix() != Register::None {
        return Value::Unknown;
    }
    get(registers, instruction.memory_base()).plus(instruction.memory_displacement64().cast_signed())
}

/// `memcpy` and its kin: buffer in rdi, source in rsi.
fn by_call(registers: &Registers) -> Option<(Base, i64)> {
    copy(get(registers, Register::RDI), get(registers, Register::RSI))
}

fn copy(to: Value, from: Value) -> Option<(Base, i64)> {
    match (to.as_address(), from.as_address()) {
        (Value::Buffer(to), Value::Address(base, from)) => Some((base, from.wrapping_sub(to))),
        _ => None,
    }
}

fn forget_after_call(registers: &mut Registers) {
    use Register as R;
    for register in [
        R::RAX,
        R::RCX,
        R::RDX,
        R::RSI,
        R::RDI,
        R::R8,
        R::R9,
        R::R10,
        R::R11,
    ] {
        set(registers, register, Value::Unknown);
    }
    for vector in registers.iter_mut().skip(16) {
        *vector = Value::Unknown;
    }
}

/// Parts of a register count as the whole: of what is copied in parts, the start is what matters. The decoder numbers
/// registers of one width one behind the other; in the row of bytes ah to bh come between.
fn slot(register: Register) -> Option<usize> {
    let number = register as usize;
    let behind = |first: Register, count| number.checked_sub(first as usize).filter(|at| *at < count);
    let wide = [Register::RAX, Register::EAX, Register::AX];
    let vectors = [Register::XMM0, Register::YMM0, Register::ZMM0];
    wide.iter()
        .find_map(|first| behind(*first, 16))
        .or_else(|| behind(Register::AL, 20).map(|at| if at < 4 { at } else { at - 4 }))
        .or_else(|| {
            vectors
                .iter()
                .find_map(|first| behind(*first, 32).map(|at| 16 + at))
        })
}

fn get(registers: &Registers, register: Register) -> Value {
    slot(register)
        .and_then(|slot| registers.get(slot))
        .copied()
        .unwrap_or_default()
}

fn set(registers: &mut Registers, register: Register, value: Value) {
    if let Some(place) = slot(register).and_then(|slot| registers.get_mut(slot)) {
        *place = value;
    }
}

#[cfg(test)]
mod tests;
