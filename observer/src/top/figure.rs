//! Numbers in at most six characters, so that nine columns fit into eighty.

/// A number that is not there.
pub const NONE: &str = "-";

/// Per second, or a count.
pub fn count(value: f64) -> String {
    scaled(
        value,
        &[(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")],
    )
}

pub fn bytes(value: f64) -> String {
    const KIB: f64 = 1024.0;
    let units = [
        (1.0, "B"),
        (KIB, "K"),
        (KIB * KIB, "M"),
        (KIB * KIB * KIB, "G"),
        (KIB * KIB * KIB * KIB, "T"),
    ];
    scaled(value, &units)
}

pub fn seconds(value: f64) -> String {
    let (unit, name) = match value {
        ..600.0 => return scaled(value, &[(1e-6, "us"), (1e-3, "ms"), (1.0, "s")]),
        ..36_000.0 => (60.0, "m"),
        ..360_000.0 => (3600.0, "h"),
        _ => (86_400.0, "d"),
    };
    format!("{:.0}{name}", (value / unit).min(99_999.0))
}

pub fn percent(value: f64) -> String {
    match value {
        // A few errors among many calls are not none.
        value if value > 0.0 && value < 0.1 => "<0.1%".to_owned(),
        value if value > 99.9 && value < 100.0 => ">99.9%".to_owned(),
        value if value == 0.0 || value >= 99.95 => format!("{value:.0}%"),
        value => format!("{value:.1}%"),
    }
}

/// Three digits, in the largest unit of which there is a whole one.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    if value.is_nan() {
        return NONE.to_owned();
    }
    // 0.9995 of a unit would be written as a whole one.
    let fitting = units.iter().rev().find(|(unit, _)| value / unit >= 0.9995);
    let Some((unit, name)) = fitting.or(units.first()) else {
        return NONE.to_owned();
    };
    let value = (value / unit).min(9999.0);
    let whole = *name == "B" || (name.is_empty() && value.fract() == 0.0);
    let decimals = match value {
        _ if whole => 0,
        0.0 => 0,
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{name}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn figures() {
        for (figure, expected) in [
            (count(0.0), "0"),
            (count(0.016), "0.02"),
            (count(5.0), "5"),
            (count(12.345), "12.3"),
            (count(999.7), "1.00k"),
            (count(1_234_567.0), "1.23M"),
            (bytes(0.0), "0B"),
            (bytes(1023.0), "1023B"),
            (bytes(1536.0), "1.50K"),
            (seconds(0.0), "0us"),
            (seconds(0.000_123), "123us"),
            (seconds(0.001_5), "1.50ms"),
            (seconds(0.25), "250ms"),
            (seconds(10.0), "10.0s"),
            (seconds(660.0), "11m"),
            (percent(0.0), "0%"),
            (percent(0.01), "<0.1%"),
            (percent(12.34), "12.3%"),
            (percent(99.96), ">99.9%"),
            (percent(100.0), "100%"),
            (count(f64::NAN), "-"),
        ] {
            assert_eq!(figure, expected);
        }
    }

    proptest! {
        #[test]
        fn never_wider_than_a_column(value in prop_oneof![0.0..1e-3, 0.0..1.0, 0.0..1e4, 0.0..1e18, Just(f64::INFINITY)]) {
            for figure in [count(value), bytes(value), seconds(value), percent(value.min(100.0))] {
                prop_assert!(figure.len() <= 6, "{} for {}", figure, value);
            }
        }
    }
}
