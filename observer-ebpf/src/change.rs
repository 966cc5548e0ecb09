//! What is counted of sockets' states for the gauges, so that lists of sockets are only read where they have changed: for
//! each network namespace, connections to databases that begin or end, and sockets that begin or cease to listen.

/// Where members of kernel types are, of this very kernel, from a socket to the number of its namespace, which is that of
/// its `/proc/PID/net/stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SocketPlaces {
    /// From a socket to its namespace.
    pub sock_net: u32,
    /// From the namespace to its `net/stat`.
    pub net_entry: u32,
    /// From that to its inode's number.
    pub entry_number: u32,
    /// From a socket to the port at the other end, in network order.
    pub sock_port: u32,
}

/// Namespaces that are counted for: one for each pod, and then some.
pub const MAX_NAMESPACES: usize = 1024;
/// Words of the set of databases' ports, a bit for each.
pub const PORT_WORDS: usize = (1 << 16) / 64;

/// The kernel's numbers (`TCP_*`).
pub const ESTABLISHED: i32 = 1;
pub const CLOSE: i32 = 7;
pub const LISTEN: i32 = 10;

/// Where in the set a port is: the word, and the bit in it.
#[inline(always)]
pub const fn place_of(port: u16) -> (u32, u64) {
    ((port / 64) as u32, 1 << (port % 64))
}

const _: () = assert!(size_of::<SocketPlaces>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_in_the_set() {
        let mut words = [0_u64; PORT_WORDS];
        for port in [0, 63, 64, 6379, u16::MAX] {
            let (word, bit) = place_of(port);
            assert_eq!(words[word as usize] & bit, 0);
            words[word as usize] |= bit;
        }
        assert_eq!(words.iter().map(|word| word.count_ones()).sum::<u32>(), 5);
        assert_eq!(words[PORT_WORDS - 1], 1 << 63);
    }
}
