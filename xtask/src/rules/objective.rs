//! A service level objective as slos.yaml says it, and what follows from it by arithmetic. All mistakes are told at
//! once.

use anyhow::{Result, bail};
use serde_json::{Map, Value};

/// Upper bounds of the duration histograms that a latency objective may name: the observer's default.
const BOUNDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

const KEYS: [&str; 10] = [
    "name",
    "description",
    "objective",
    "window",
    "namespace",
    "service",
    "method",
    "under",
    "critical_below",
    "team",
];

#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    pub name: String,
    pub description: String,
    /// Percent of good calls.
    pub percent: f64,
    pub days: u32,
    /// Label and regular expression.
    pub selectors: Vec<(&'static str, String)>,
    /// Seconds; an availability objective has none.
    pub under: Option<f64>,
    /// Percent.
    pub critical_below: Option<f64>,
    pub team: String,
}

/// One pair of windows: it fires when `part` of the budget would be spent within `long`, and still is within `short`.
#[derive(Debug, Clone, Copy)]
pub struct Burn {
    pub word: &'static str,
    part: f64,
    pub long: &'static str,
    long_hours: f64,
    pub short: &'static str,
    pub pending: &'static str,
    pub severity: &'static str,
}

/// The pairs that Google's site reliability workbook recommends; `for` of the fast one is the platform's.
pub const BURNS: [Burn; 4] = [
    burn("Fast", 0.02, ("1h", 1.0), "5m", "2m", "critical"),
    burn("Medium", 0.05, ("6h", 6.0), "30m", "15m", "critical"),
    burn("Slow", 0.1, ("1d", 24.0), "2h", "1h", "warning"),
    burn("Creeping", 0.1, ("3d", 72.0), "6h", "3h", "warning"),
];

const fn burn(
    word: &'static str,
    part: f64,
    (long, long_hours): (&'static str, f64),
    short: &'static str,
    pending: &'static str,
    severity: &'static str,
) -> Burn {
    Burn {
        word,
        part,
        long,
        long_hours,
        short,
        pending,
        severity,
    }
}

impl Objective {
    /// Part of the calls that may be bad.
    pub fn budget(&self) -> f64 {
        1.0 - self.percent / 100.0
    }

    /// The budget as text, without the tail that floating point gives it.
    pub fn budget_text(&self) -> String {
        number(self.budget())
    }

    /// `platform_availability`: `PlatformAvailability`.
    pub fn alert(&self) -> String {
        let words = self.name.split('_');
        words
            .map(|word| {
                let (first, rest) = word.split_at(1.min(word.len()));
                first.to_uppercase() + rest
            })
            .collect()
    }

    /// What the alerts say is affected: the name without its last word.
    pub fn subject(&self) -> &str {
        self.name
            .rsplit_once('_')
            .map_or(self.name.as_str(), |(subject, _)| subject)
    }

    pub fn window(&self) -> String {
        format!("{}d", self.days)
    }

    /// The pairs of windows that can fire at all: no more than all calls can be bad.
    pub fn burns(&self) -> impl Iterator<Item = (&'static Burn, f64)> + use<'_> {
        BURNS
            .iter()
            .map(|burn| (burn, burn.factor(self.days)))
            .filter(|(_, factor)| factor * self.budget() < 1.0)
    }
}

impl Burn {
    /// How many times faster than allowed.
    fn factor(&self, days: u32) -> f64 {
        self.part * f64::from(days) * 24.0 / self.long_hours
    }
}

/// As short as it can be with six digits after the point.
pub fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub fn all(document: &Value) -> Result<Vec<Objective>> {
    let mut mistakes = Vec::new();
    let mut objectives = Vec::<Objective>::new();
    for (index, entry) in document["slos"].as_array().into_iter().flatten().enumerate() {
        let Some(entry) = entry.as_object() else {
            mistakes.push(format!("slos[{index}] is no mapping"));
            continue;
        };
        let objective = Reader {
            entry,
            place: entry["name"]
                .as_str()
                .map_or_else(|| format!("slos[{index}]"), str::to_owned),
            mistakes: &mut mistakes,
        }
        .objective();
        if objectives.iter().any(|other| other.name == objective.name) {
            mistakes.push(format!("{}: the name is there twice", objective.name));
        }
        objectives.push(objective);
    }
    if objectives.is_empty() {
        mistakes.push(String::from("there is no list `slos`"));
    }
    if !mistakes.is_empty() {
        bail!("{}", mistakes.join("; "));
    }
    Ok(objectives)
}

struct Reader<'a> {
    entry: &'a Map<String, Value>,
    place: String,
    mistakes: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn objective(mut self) -> Objective {
        for key in self.entry.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            self.mistakes
                .push(format!("{}: there is no key `{key}`", self.place));
        }
        let name = self.text("name");
        if !is_name(&name) {
            self.wrong("name", "is not lower case words joined by _");
        }
        let percent = self.number("objective").unwrap_or_default();
        if !(50.0..100.0).contains(&percent) {
            self.wrong("objective", "is not a percentage from 50 to below 100");
        }
        let under = self.number("under");
        if under.is_some_and(|under| !BOUNDS.contains(&under)) {
            self.wrong("under", "is no bound of the histograms");
        }
        Objective {
            description: self.text("description"),
            days: self.days(),
            selectors: ["namespace", "service", "method"]
                .into_iter()
                .filter_map(|label| Some((label, self.entry.get(label)?.as_str()?.to_owned())))
                .collect(),
            critical_below: self.number("critical_below"),
            team: self.text("team"),
            name,
            percent,
            under,
        }
    }

    fn days(&mut self) -> u32 {
        let window = self.text("window");
        let days = window.strip_suffix('d').and_then(|days| days.parse().ok());
        let days = days.unwrap_or_default();
        // Below a week the budget's part of three days is more than the budget.
        if !(7..=90).contains(&days) {
            self.wrong("window", "is not 7d to 90d");
        }
        days
    }

    fn text(&mut self, key: &str) -> String {
        let found = self.entry.get(key).and_then(Value::as_str);
        if found.is_none() {
            self.wrong(key, "is missing");
        }
        found.unwrap_or_default().to_owned()
    }

    fn number(&mut self, key: &str) -> Option<f64> {
        let value = self.entry.get(key)?;
        if value.as_f64().is_none() {
            self.wrong(key, "is no number");
        }
        value.as_f64()
    }

    fn wrong(&mut self, key: &str, how: &str) {
        self.mistakes.push(format!("{}: {key} {how}", self.place));
    }
}

fn is_name(name: &str) -> bool {
    name.split('_').all(|word| {
        word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(char::is_alphanumeric)
    }) && name == name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "{name: platform_availability, description: d, objective: 99.9, window: 30d, team: t}";

    fn check(entry: &str, expected: Result<&str, &str>) {
        let document = crate::yaml::document(&format!("slos: [{entry}]")).unwrap();
        match (all(&document), expected) {
            (Ok(found), Ok(alert)) => assert_eq!(found[0].alert(), alert),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{entry}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn objectives_and_mistakes() {
        check(GOOD, Ok("PlatformAvailability"));
        check(&GOOD.replace("99.9", "100"), Err("objective is not a percentage"));
        check(&GOOD.replace("30d", "3h"), Err("window is not 7d"));
        check(&GOOD.replace("team: t", "under: 0.7"), Err("under is no bound"));
        check(&GOOD.replace("team: t", "under: 0.7"), Err("team is missing"));
        check(&GOOD.replace("team", "teem"), Err("there is no key `teem`"));
        check(&format!("{GOOD}, {GOOD}"), Err("twice"));
    }

    #[test]
    fn factors_of_the_workbook() {
        let factors = BURNS.map(|burn| number(burn.factor(30)));
        assert_eq!(factors, ["14.4", "6", "3", "1"]);
        let objective = Objective {
            percent: 90.0,
            ..all(&crate::yaml::document(&format!("slos: [{GOOD}]")).unwrap()).unwrap()[0].clone()
        };
        let words: Vec<_> = objective.burns().map(|(burn, _)| burn.word).collect();
        assert_eq!(words, ["Medium", "Slow", "Creeping"]);
    }
}
