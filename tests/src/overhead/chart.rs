//! A curve as SVG: both axes logarithmic, so that growth in proportion is a straight line, and what is flat is flat.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const BELOW: f64 = 48.0;
const ABOVE: f64 = 34.0;
const RIGHT: f64 = 20.0;

/// Named points; both numbers above 0.
#[derive(Debug, Clone)]
pub struct Chart {
    pub title: String,
    pub across: String,
    pub up: String,
    pub points: Vec<(f64, f64)>,
}

impl Chart {
    /// Writes it beside the page, as `overhead-ACROSS-NAME.svg`; gives what the page says of it.
    pub fn publish(&self, name: &str) -> Result<String> {
        let file = format!("overhead-{}-{name}.svg", self.across);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../observer/docs");
        std::fs::write(folder.join(&file), self.svg()).with_context(|| file.clone())?;
        Ok(format!("\n![{}]({file})\n", self.title))
    }

    /// Of what goes up with what goes across.
    pub fn new(across: &str, up: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self {
            title: format!("{up}, by {across}"),
            across: across.to_owned(),
            up: up.to_owned(),
            points: points.into_iter().collect(),
        }
    }

    pub fn svg(&self) -> String {
        let (across, up) = (self.decades(|point| point.0), self.decades(|point| point.1));
        let x =
            |value: f64| LEFT + (value.log10() - across.0) / (across.1 - across.0) * (WIDTH - LEFT - RIGHT);
        let y =
            |value: f64| HEIGHT - BELOW - (value.log10() - up.0) / (up.1 - up.0) * (HEIGHT - BELOW - ABOVE);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{}</text>\n",
            self.title
        );
        for decade in steps(across) {
            let (at, bottom) = (x(decade), HEIGHT - BELOW);
            let _ = write!(
                svg,
                "<line x1=\"{at:.1}\" y1=\"{ABOVE}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\n\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{decade}</text>\n",
                bottom + 16.0
            );
        }
        for decade in steps(up) {
            let (at, right) = (y(decade), WIDTH - RIGHT);
            let _ = write!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{decade}</text>\n",
                LEFT - 6.0,
                at + 4.0
            );
        }
        let places: Vec<String> = self
            .points
            .iter()
            .map(|&(across, up)| format!("{:.1},{:.1}", x(across), y(up)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"2\"/>",
            places.join(" ")
        );
        for &(across, up) in &self.points {
            let (across, up) = (x(across), y(up));
            let _ = writeln!(
                svg,
                "<circle cx=\"{across:.1}\" cy=\"{up:.1}\" r=\"3\" fill=\"#1f5fa8\"/>"
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text x=\"14\" y=\"{:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {:.1})\">{}</text>\n</svg>",
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 10.0,
            self.across,
            f64::midpoint(ABOVE, HEIGHT - BELOW),
            f64::midpoint(ABOVE, HEIGHT - BELOW),
            self.up
        );
        svg
    }

    /// The powers of ten around all points, one decade at least.
    fn decades(&self, of: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
        let logarithms = || {
            self.points
                .iter()
                .map(|point| of(point).max(f64::MIN_POSITIVE).log10())
        };
        let low = logarithms().fold(f64::INFINITY, f64::min).floor();
        let high = logarithms().fold(f64::NEG_INFINITY, f64::max).ceil();
        if low.is_finite() && high.is_finite() {
            (low, high.max(low + 1.0))
        } else {
            (0.0, 1.0)
        }
    }
}

fn steps((low, high): (f64, f64)) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(low), |step| Some(step + 1.0))
        .take_while(move |step| *step <= high)
        .map(|step| 10_f64.powf(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_within_their_decades() {
        let chart = Chart {
            title: "t".into(),
            across: "x".into(),
            up: "y".into(),
            points: vec![(1.0, 2.0), (100.0, 30.0)],
        };
        assert_eq!(chart.decades(|point| point.0), (0.0, 2.0));
        assert_eq!(chart.decades(|point| point.1), (0.0, 2.0));
        let svg = chart.svg();
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(
            svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>") && !svg.contains("NaN"),
            "{svg}"
        );
    }

    #[test]
    fn nothing_to_show() {
        let chart = Chart {
            title: String::new(),
            across: String::new(),
            up: String::new(),
            points: Vec::new(),
        };
        assert!(!chart.svg().contains("NaN"));
    }
}
