//! `grpc-timeout`: up to eight digits and a unit.

/// A timeout in the form in which it fits a token: the number, and below it 3 bits of unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeout(u32);

const UNIT_BITS: u32 = 3;
const MAX_DIGITS: usize = 8;
/// By the number that stands for it: letter and nanoseconds.
const UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

impl Timeout {
    /// A header that is there, but no timeout.
    const INVALID: Self = Self(u32::MAX);

    pub(super) fn parse(value: &[u8]) -> Self {
        Self::parse_valid(value).unwrap_or(Self::INVALID)
    }

    fn parse_valid(value: &[u8]) -> Option<Self> {
        let (&letter, digits) = value.split_last()?;
        let unit = UNITS.iter().position(|&(name, _)| name == letter)?;
        if digits.is_empty() || digits.len() > MAX_DIGITS {
            return None;
        }
        let mut number = 0_u32;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            number = number * 10 + u32::from(digit - b'0');
        }
        Some(Self(number << UNIT_BITS | u32::try_from(unit).ok()?))
    }

    pub(super) const fn token(self) -> u32 {
        self.0
    }

    pub(super) const fn from_token(token: u32) -> Self {
        Self(token)
    }

    /// How long a call must have lasted for a reset to count as its deadline. Clients round the header up and
    /// their clock starts before the header is seen, so 2 % and 2 ms less than it says.
    pub(super) fn patience(self) -> Option<u64> {
        let nanoseconds = u64::from(self.0 >> UNIT_BITS).saturating_mul(self.unit()?);
        Some((nanoseconds - nanoseconds / 50).saturating_sub(2_000_000))
    }

    fn unit(self) -> Option<u64> {
        let place = usize::try_from(self.0 & ((1 << UNIT_BITS) - 1)).ok()?;
        UNITS.get(place).map(|&(_, nanoseconds)| nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, patience: Option<u64>) {
        let timeout = Timeout::from_token(Timeout::parse(value.as_bytes()).token());
        assert_eq!(timeout.patience(), patience, "{value:?}");
    }

    #[test]
    fn units() {
        check("1S", Some(978_000_000));
        check("100m", Some(96_000_000));
        check("100000u", Some(96_000_000));
        check("99999999n", Some(96_000_000));
        check("1M", Some(58_798_000_000));
        check("2H", Some(7_055_998_000_000));
        check("0n", Some(0));
        check("1m", Some(0));
        check("99999999H", Some(u64::MAX - u64::MAX / 50 - 2_000_000));
    }

    #[test]
    fn no_timeouts() {
        for value in ["", "S", "1", "1s", "123456789n", "-1S", "1.5S", " 1S", "1S "] {
            check(value, None);
        }
    }
}
