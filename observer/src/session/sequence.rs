//! Were records of this direction lost?

/// The number expected next. On a connection joined late nothing is expected of the first record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence(Option<u32>);

impl Sequence {
    pub(super) const fn new(joined: bool) -> Self {
        Self(if joined { None } else { Some(0) })
    }

    /// Takes the number of the next record; how many are missing before it. A step back cannot be told from
    /// a step forward by almost everything, and counts as one.
    pub(super) fn step(&mut self, number: u32) -> u32 {
        let missing = self.0.map_or(0, |expected| number.wrapping_sub(expected));
        self.0 = Some(number.wrapping_add(1));
        if missing > u32::MAX / 2 { 1 } else { missing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps() {
        let mut sequence = Sequence::new(false);
        let found = [0, 1, 3, 3, 4, 100].map(|number| sequence.step(number));
        assert_eq!(found, [0, 0, 1, 1, 0, 95]);
        assert_eq!(Sequence::new(false).step(7), 7);
        let mut sequence = Sequence::new(true);
        assert_eq!([u32::MAX, 0, 1].map(|number| sequence.step(number)), [0, 0, 0]);
    }
}
