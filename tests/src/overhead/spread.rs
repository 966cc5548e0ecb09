//! A figure measured many times: its middle, and how far the middle half of the measurements lies apart.

use std::fmt;

/// Medians and quartiles: one run that something foreign disturbed moves neither.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub low: f64,
    pub middle: f64,
    pub high: f64,
    pub count: usize,
}

impl Spread {
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().filter(|figure| figure.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            low: quantile(&sorted, 0.25)?,
            middle: quantile(&sorted, 0.5)?,
            high: quantile(&sorted, 0.75)?,
            count: sorted.len(),
        })
    }

    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            low: self.low * factor,
            middle: self.middle * factor,
            high: self.high * factor,
            count: self.count,
        }
    }

    /// `3.2 (2.9 to 3.6)` with so many digits behind the point.
    pub fn show(&self, digits: usize) -> String {
        let Self {
            low, middle, high, ..
        } = self;
        format!("{middle:.digits$} ({low:.digits$} to {high:.digits$})")
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.show(2))
    }
}

/// Between the two nearest of ascending figures.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places in a short list"
)]
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * (sorted.len().checked_sub(1)?) as f64;
    let (below, above) = (
        sorted.get(place.floor() as usize)?,
        sorted.get(place.ceil() as usize)?,
    );
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles_and_quarters() {
        let check = |figures: &[f64], expected: Option<[f64; 3]>| {
            let found = Spread::of(figures.iter().copied());
            assert_eq!(
                found.map(|spread| [spread.low, spread.middle, spread.high]),
                expected
            );
        };
        check(&[], None);
        check(&[7.0], Some([7.0; 3]));
        check(&[4.0, 1.0, 3.0, 2.0, 5.0], Some([2.0, 3.0, 4.0]));
        check(&[1.0, 2.0], Some([1.25, 1.5, 1.75]));
        check(&[1.0, f64::NAN], Some([1.0; 3]));
        assert_eq!(Spread::of([1.0, 2.0, 3.0]).unwrap().show(1), "2.0 (1.5 to 2.5)");
    }
}
