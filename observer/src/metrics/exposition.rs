//! The two text formats: Prometheus 0.0.4 and `OpenMetrics` 1.0. Labels arrive escaped; this writes lines.

use std::fmt::Write as _;

use super::family::{Family, Kind};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Text,
    OpenMetrics,
}

impl Format {
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A number as it is measured, so that nothing is rounded on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Whole(u64),
    /// Exported as seconds.
    Nanoseconds(u64),
    Float(f64),
}

#[derive(Debug)]
pub struct Encoder {
    format: Format,
    out: String,
}

impl Encoder {
    pub fn new(format: Format, capacity: usize) -> Self {
        Self {
            format,
            out: String::with_capacity(capacity),
        }
    }

    /// The lines before the samples of a family.
    pub fn family(&mut self, family: &Family) {
        let name = match self.format {
            Format::Text => family.name,
            Format::OpenMetrics => family.base_name(),
        };
        self.line(&["# HELP ", name, " ", family.help]);
        self.line(&["# TYPE ", name, " ", family.kind.name()]);
        if let (Format::OpenMetrics, Some(unit)) = (self.format, family.unit.name()) {
            self.line(&["# UNIT ", name, " ", unit]);
        }
    }

    /// One sample. Each piece is a rendered list of labels, possibly empty.
    pub fn sample(&mut self, family: &Family, suffix: &str, labels: &[&str], value: Value) {
        debug_assert!(family.kind == Kind::Histogram || suffix.is_empty());
        self.out.push_str(family.name);
        self.out.push_str(suffix);
        let mut before = '{';
        for piece in labels.iter().filter(|piece| !piece.is_empty()) {
            self.out.push(before);
            self.out.push_str(piece);
            before = ',';
        }
        if before == ',' {
            self.out.push('}');
        }
        self.out.push(' ');
        self.value(value);
        self.out.push('\n');
    }

    pub fn finish(mut self) -> Vec<u8> {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out.into_bytes()
    }

    fn line(&mut self, pieces: &[&str]) {
        for piece in pieces {
            self.out.push_str(piece);
        }
        self.out.push('\n');
    }

    fn value(&mut self, value: Value) {
        match value {
            Value::Whole(value) => self.out.push_str(itoa::Buffer::new().format(value)),
            Value::Nanoseconds(value) => self.seconds(value),
            Value::Float(value) if value.is_nan() => self.out.push_str("NaN"),
            Value::Float(value) if value.is_infinite() => {
                self.out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
            }
            // Debug, not Display: 1e300 as such and not with 300 digits.
            // Writing to a String does not fail.
            Value::Float(value) => drop(write!(self.out, "{value:?}")),
        }
    }

    /// Exact, where dividing floats would round.
    fn seconds(&mut self, nanoseconds: u64) {
        self.out
            .push_str(itoa::Buffer::new().format(nanoseconds / 1_000_000_000));
        let mut rest = nanoseconds % 1_000_000_000;
        if rest == 0 {
            return;
        }
        self.out.push('.');
        let mut unit = 100_000_000;
        while rest > 0 {
            // A single digit.
            self.out.push_str(itoa::Buffer::new().format(rest / unit));
            rest %= unit;
            unit /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::catalogue;

    fn written(value: Value) -> String {
        let mut encoder = Encoder::new(Format::Text, 0);
        encoder.value(value);
        encoder.out
    }

    #[test]
    fn numbers() {
        for (value, expected) in [
            (Value::Whole(u64::MAX), "18446744073709551615"),
            (Value::Nanoseconds(0), "0"),
            (Value::Nanoseconds(1), "0.000000001"),
            (Value::Nanoseconds(1_500_000_000), "1.5"),
            (Value::Nanoseconds(2_000_000_000), "2"),
            (Value::Nanoseconds(1_050_000_010), "1.05000001"),
            (Value::Float(0.5), "0.5"),
            (Value::Float(f64::NAN), "NaN"),
            (Value::Float(f64::INFINITY), "+Inf"),
            (Value::Float(f64::NEG_INFINITY), "-Inf"),
            (Value::Float(1e300), "1e300"),
        ] {
            assert_eq!(written(value), expected);
        }
    }

    fn check(format: Format, expected: &str) {
        let mut encoder = Encoder::new(format, 0);
        encoder.family(&catalogue::REQUEST_BYTES);
        encoder.sample(
            &catalogue::REQUEST_BYTES,
            "",
            &["a=\"b\"", "", "c=\"d\""],
            Value::Whole(1),
        );
        encoder.family(&catalogue::START_TIME);
        encoder.sample(&catalogue::START_TIME, "", &[], Value::Nanoseconds(5));
        assert_eq!(String::from_utf8(encoder.finish()).expect("text"), expected);
    }

    #[test]
    fn text_0_0_4() {
        check(
            Format::Text,
            "# HELP marty_grpc_request_bytes_total DATA payload sent to the server.\n\
             # TYPE marty_grpc_request_bytes_total counter\n\
             marty_grpc_request_bytes_total{a=\"b\",c=\"d\"} 1\n\
             # HELP marty_observer_start_time_seconds Unix time at which the observer started.\n\
             # TYPE marty_observer_start_time_seconds gauge\n\
             marty_observer_start_time_seconds 0.000000005\n",
        );
    }

    #[test]
    fn open_metrics_1_0() {
        check(
            Format::OpenMetrics,
            "# HELP marty_grpc_request_bytes DATA payload sent to the server.\n\
             # TYPE marty_grpc_request_bytes counter\n\
             # UNIT marty_grpc_request_bytes bytes\n\
             marty_grpc_request_bytes_total{a=\"b\",c=\"d\"} 1\n\
             # HELP marty_observer_start_time_seconds Unix time at which the observer started.\n\
             # TYPE marty_observer_start_time_seconds gauge\n\
             # UNIT marty_observer_start_time_seconds seconds\n\
             marty_observer_start_time_seconds 0.000000005\n\
             # EOF\n",
        );
    }

    proptest! {
        #[test]
        fn seconds_are_exact(nanoseconds: u64) {
            let text = written(Value::Nanoseconds(nanoseconds));
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            let read: u128 = format!("{whole}{fraction:0<9}").parse().expect("digits");
            prop_assert_eq!(read, u128::from(nanoseconds));
        }
    }
}
