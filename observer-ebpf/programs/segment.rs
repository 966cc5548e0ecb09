//! From a packet to the TCP segment in it, and the segment as something to walk.

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::bpf_skb_load_bytes;
use core::mem::MaybeUninit;
use observer_ebpf::connection::AtHand;
use observer_ebpf::walker::Source;
use observer_ebpf::walker::head::{HEAD, Head};

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;

const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;
const TCP_HEADER: usize = 20;
const TCP: u8 = 6;

/// Options of TCP, and how many are looked at. Linux sends 3 before that of MPTCP.
const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MPTCP: u8 = 30;
const MAX_OPTIONS: u32 = 8;

/// Extension headers that are skipped before TCP is expected; segments behind more are counted as unreadable.
const MAX_EXTENSIONS: u32 = 6;

/// `N` bytes of the packet at `offset`.
#[inline(always)]
pub fn load<const N: usize>(skb: *mut __sk_buff, offset: u32) -> Option<[u8; N]> {
    let mut bytes = MaybeUninit::<[u8; N]>::uninit();
    // SAFETY: `bytes` has room for `N` bytes; the kernel checks the offset.
    let failed = unsafe { bpf_skb_load_bytes(skb.cast(), offset, bytes.as_mut_ptr().cast(), N as u32) };
    // SAFETY: the kernel has written all bytes where it returns 0 (and zeroes them where not).
    if failed == 0 {
        Some(unsafe { bytes.assume_init() })
    } else {
        None
    }
}

/// `N` bytes of the packet at `OFFSET`: read where they lie if the kernel has them in one piece, as it nearly always has
/// of headers. That saves the call.
#[inline(always)]
fn at_hand<const OFFSET: u32, const N: usize>(skb: *mut __sk_buff) -> Option<[u8; N]> {
    // SAFETY: the context is valid for the whole run; the kernel makes addresses of these two loads.
    let (data, end) = unsafe {
        (
            (&raw const (*skb).data).read_volatile() as usize,
            (&raw const (*skb).data_end).read_volatile() as usize,
        )
    };
    if data + OFFSET as usize + N <= end {
        // SAFETY: the packet has these bytes; any alignment will do for them.
        return Some(unsafe { ((data + OFFSET as usize) as *const [u8; N]).read() });
    }
    load::<N>(skb, OFFSET)
}

/// `N` words of the packet at `offset`, in network order.
#[inline(always)]
pub fn words<const N: usize>(skb: *mut __sk_buff, offset: u32) -> Option<[u32; N]> {
    let mut words = MaybeUninit::<[u32; N]>::uninit();
    // SAFETY: as in `load`.
    let failed = unsafe { bpf_skb_load_bytes(skb.cast(), offset, words.as_mut_ptr().cast(), N as u32 * 4) };
    // SAFETY: as in `load`.
    if failed == 0 {
        Some(unsafe { words.assume_init() })
    } else {
        None
    }
}

/// Room for a frame head that ends with a word, so that it can be read in two words instead of nine bytes.
#[repr(C, align(8))]
struct HeadRoom {
    first: u64,
    second: u32,
    reserved: u32,
}

/// The frame head at `offset` of the packet.
#[inline(always)]
fn head(skb: *mut __sk_buff, offset: u32) -> Option<Head> {
    let mut room = MaybeUninit::<HeadRoom>::uninit();
    let first = room.as_mut_ptr().cast::<u64>();
    // SAFETY: the room has 16 bytes, of which the head takes the 4th to the 12th; the first three are zero, and all
    // that is read was written where the kernel answers 0.
    unsafe {
        first.write(0);
        let failed = bpf_skb_load_bytes(skb.cast(), offset, first.cast::<u8>().add(3).cast(), HEAD as u32);
        if failed != 0 {
            return None;
        }
        Some(Head::from_words(first.read(), (*room.as_ptr()).second))
    }
}

/// A TCP segment inside a packet.
#[derive(Clone, Copy)]
pub struct Segment {
    pub skb: *mut __sk_buff,
    /// Sequence number of the first payload byte.
    pub start: u32,
    pub length: u32,
    pub flags: u8,
    /// Where the payload begins in the packet.
    payload: u32,
    /// Where the TCP header begins.
    header: u32,
    pub time: u64,
}

impl Segment {
    /// The segment in the packet of a TCP socket; its time is set by [`Segment::at`]. `None`: it cannot be read, and has to
    /// be counted. It is in a form of IP that is not known here, or below `IPsec`, which the hook of egress comes behind.
    #[inline(always)]
    pub fn parse(skb: *mut __sk_buff) -> Option<Self> {
        // What the decision needs of an IP header of either version: both are at least so long.
        let [version, _, _, _, _, _, next, _, _, protocol] = at_hand::<0, 10>(skb)?;
        let (offset, tcp) = match version >> 4 {
            4 if protocol != TCP => return None,
            4 if version & 15 == 5 => (IPV4_HEADER, at_hand::<IPV4_HEADER, TCP_HEADER>(skb)),
            6 if next == TCP => (IPV6_HEADER, at_hand::<IPV6_HEADER, TCP_HEADER>(skb)),
            4 => {
                let offset = u32::from(version & 15) * 4;
                (offset, load(skb, offset))
            }
            6 => {
                let offset = skip_extensions(skb, next)?;
                (offset, load(skb, offset))
            }
            _ => return None,
        };
        let [_, _, _, _, a, b, c, d, _, _, _, _, doff, flags, ..] = tcp?;
        Self::of(skb, offset, u32::from_be_bytes([a, b, c, d]), doff, flags)
    }

    #[inline(always)]
    fn of(skb: *mut __sk_buff, offset: u32, sequence: u32, doff: u8, flags: u8) -> Option<Self> {
        let payload = offset + u32::from(doff >> 4) * 4;
        // SAFETY: the context is valid for the whole run.
        let total = unsafe { (*skb).len };
        if payload > total {
            return None;
        }
        // A SYN takes a sequence number of its own, before the data that may come with it (TCP fast open).
        let start = sequence.wrapping_add(u32::from(flags & SYN != 0));
        Some(Self {
            skb,
            start,
            length: total - payload,
            flags,
            payload,
            header: offset,
            time: 0,
        })
    }

    #[inline(always)]
    pub fn at(mut self, time: u64) -> Self {
        self.time = time;
        self
    }

    /// Leaves the segment where the programs that go on with it find it. What is read back is the same, but the
    /// verifier follows it once, instead of once for every form of IP.
    #[inline(always)]
    pub fn keep(&self, at_hand: &mut AtHand) {
        *at_hand = AtHand {
            time: self.time,
            start: self.start,
            length: self.length,
            payload: self.payload,
            // Behind IP headers of 60 bytes, or 40 and a few extensions of 2 KiB.
            header: self.header as u16,
            flags: u16::from(self.flags),
        };
        // SAFETY: no instruction at all; the compiler has to believe that memory has changed.
        unsafe { core::arch::asm!("") };
    }

    /// The segment that was kept.
    #[inline(always)]
    pub fn kept(skb: *mut __sk_buff, at_hand: &AtHand) -> Self {
        let AtHand {
            time,
            start,
            length,
            payload,
            header,
            flags,
        } = *at_hand;
        Self {
            skb,
            start,
            length,
            flags: flags as u8,
            payload,
            header: u32::from(header),
            time,
        }
    }

    /// Source and destination port in one word, in host order.
    #[inline(always)]
    pub fn ports(&self) -> Option<u32> {
        Some(u32::from_be_bytes(load::<4>(self.skb, self.header)?))
    }

    /// Whether the segment carries data of MPTCP: its option (RFC 8684) is on every such segment, and on none of a
    /// connection that fell back to TCP.
    #[inline(always)]
    pub fn is_multipath(&self) -> bool {
        let mut at = self.header + TCP_HEADER as u32;
        for _ in 0..MAX_OPTIONS {
            if at + 2 > self.payload {
                return false;
            }
            let Some([kind, length]) = load::<2>(self.skb, at) else {
                return false;
            };
            at += match kind {
                END => return false,
                MPTCP => return true,
                NO_OPERATION => 1,
                _ => u32::from(length),
            };
        }
        false
    }

    /// Loads `length` bytes (1 to `most`) at `at` to `target`.
    ///
    /// # Safety
    /// `target` must have room for `most` bytes.
    #[inline(always)]
    pub unsafe fn copy(&self, at: u32, target: *mut u8, length: u32) -> bool {
        // SAFETY: by the caller.
        unsafe { bpf_skb_load_bytes(self.skb.cast(), self.payload + at, target.cast(), length) == 0 }
    }
}

impl Source for Segment {
    #[inline(always)]
    fn start(&self) -> u32 {
        self.start
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        self.length
    }

    #[inline(always)]
    fn time(&self) -> u64 {
        self.time
    }

    #[inline(always)]
    fn load<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        load::<N>(self.skb, self.payload + at)
    }

    #[inline(always)]
    fn head(&self, at: u32) -> Option<Head> {
        head(self.skb, self.payload + at)
    }
}

/// Offset of the TCP header behind IPv6 extension headers (RFC 8200, section 4.1).
#[inline(always)]
fn skip_extensions(skb: *mut __sk_buff, first: u8) -> Option<u32> {
    let mut header = first;
    let mut offset = IPV6_HEADER;
    for _ in 0..MAX_EXTENSIONS {
        if header == TCP {
            return Some(offset);
        }
        let [next, length] = load::<2>(skb, offset)?;
        offset += match header {
            0 | 43 | 60 => (u32::from(length) + 1) * 8,
            44 => 8,
            51 => (u32::from(length) + 2) * 4,
            _ => return None,
        };
        header = next;
    }
    None
}
