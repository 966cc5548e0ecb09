//! Reads stories.

use anyhow::{Context as _, Result, bail};

/// One line of what happens.
#[derive(Clone, Debug, Default)]
pub struct Act {
    pub time: u64,
    pub who: String,
    pub verb: String,
    pub words: Vec<String>,
    pub options: Vec<(String, String)>,
    /// Fields on the lines below.
    pub fields: Vec<(String, String)>,
}

impl Act {
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .find(|(option, _)| option == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn number<T: std::str::FromStr>(&self, place: usize) -> Result<T> {
        let word = self
            .words
            .get(place)
            .with_context(|| format!("`{}` lacks a number", self.verb))?;
        word.parse()
            .ok()
            .with_context(|| format!("`{word}` is not a number"))
    }
}

#[derive(Clone, Debug, Default)]
pub struct Story {
    pub joined: bool,
    pub acts: Vec<Act>,
    pub expected: Vec<String>,
}

const OPTIONS: [&str; 9] = [
    "end", "only", "literal", "never", "huffman", "priority", "unseen", "lost", "code",
];

impl Story {
    pub fn parse(text: &str) -> Result<Self> {
        let mut story = Self::default();
        let mut expecting = false;
        for (number, line) in text.lines().enumerate() {
            let line = line.split(" #").next().unwrap_or_default();
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            if expecting {
                story.expected.push(words.join(" "));
            } else if line.starts_with(' ') {
                let act = story.acts.last_mut().context("fields without an act")?;
                let (name, value) = line
                    .trim()
                    .split_at(line.trim()[1..].find(':').context("no colon")? + 1);
                act.fields.push((name.to_owned(), value[1..].trim().to_owned()));
            } else {
                match words[..] {
                    ["expect"] => expecting = true,
                    ["fresh"] => story.joined = false,
                    ["joined"] => story.joined = true,
                    [time, who, verb, ref rest @ ..] => {
                        story.acts.push(
                            act(time, who, verb, rest).with_context(|| format!("line {}", number + 1))?,
                        );
                    }
                    _ => bail!("line {}: not understood", number + 1),
                }
            }
        }
        Ok(story)
    }
}

fn act(time: &str, who: &str, verb: &str, rest: &[&str]) -> Result<Act> {
    let mut act = Act {
        time: time.parse::<u64>().context("a time in milliseconds")? * 1_000_000,
        who: who.to_owned(),
        verb: verb.to_owned(),
        ..Act::default()
    };
    for word in rest {
        match word.split_once('=') {
            Some((name, value)) if !name.starts_with('/') => {
                act.options.push((name.to_owned(), value.to_owned()));
            }
            None if OPTIONS.contains(word) => act.options.push(((*word).to_owned(), String::new())),
            _ => act.words.push((*word).to_owned()),
        }
    }
    Ok(act)
}
