//! What the kernel programs and the daemon have in common: the record format ([`record`]), the state kept in
//! every socket ([`connection`]) and every object that encrypts ([`plaintext`]), what is counted for the gauges ([`change`]),
//! the causes of loss ([`loss`]), and the frame walker ([`walker`]).
//!
//! Rules of the ABI: `repr(C)`, no `bool`, no `Option`, no padding, sizes asserted at compile time, every enum
//! crosses as a plain integer and is read back through a total function. Nothing here allocates, does I/O or
//! reads a clock; the same code is compiled for the kernel, for `observer replay` and for the tests.
#![no_std]
#![expect(
    clippy::inline_always,
    reason = "the verifiers of old kernels refuse calls between programs mixed with tail calls, so all is inlined"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::as_conversions,
    reason = "lengths and positions are u32 by TCP's definition and enums cross as integers; From cannot say it"
)]

#[cfg(test)]
extern crate std;

pub mod change;
pub mod connection;
pub mod loss;
pub mod plaintext;
pub mod record;
pub mod walker;
