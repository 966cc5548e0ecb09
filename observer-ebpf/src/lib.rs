//! What the kernel programs and the daemon have in common: the record format ([`record`]), the state kept in
//! every socket ([`connection`]), the causes of loss ([`loss`]), and the frame walker ([`walker`]).
//!
//! Rules of the ABI: `repr(C)`, no `bool`, no `Option`, no padding, sizes asserted at compile time, every enum
//! crosses as a plain integer and is read back through a total function. Nothing here allocates, does I/O or
//! reads a clock; the same code is compiled for the kernel, for `observer replay` and for the tests.
#![no_std]

pub mod loss;
pub mod record;
