//! What is declared of a key, once, for reading, checking, comparing and documenting it.

/// When a changed value takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Applies {
    /// With a reload (SIGHUP).
    Now,
    /// With the next start of the agent.
    AfterRestart,
    /// Not in this version: the key is read and checked, and a notice says that nothing follows from it.
    NotYet,
}

/// What stands in for a key that is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// Nothing: it must be written.
    Required,
    /// Nothing, and that has a meaning, which the key's description says.
    None,
    /// A value, in TOML.
    Value(&'static str),
}

/// How a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `key = value`
    Value,
    /// `[key]` with keys of its own.
    Table,
    /// `[[key]]`, once an element.
    Array,
    /// `[key.NAME]` with keys of its own, once a name.
    Tables,
    /// `[key]` with names of the user's choice.
    Map,
}

/// A key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it means, in sentences.
    pub about: &'static str,
    /// What a value looks like, in words.
    pub ty: &'static str,
    /// Unit of a bare number; empty where numbers have none, and where values must carry their own.
    pub unit: &'static str,
    /// What stands in for it.
    pub default: Default,
    /// Smallest and largest value, as `0.1 to 60`; empty where there is none.
    pub range: &'static str,
    /// When a change takes effect.
    pub applies: Applies,
    /// How it is written.
    pub shape: Shape,
    /// The keys below it.
    pub keys: &'static [Key],
}

impl Key {
    /// What it means, on one line.
    pub fn meaning(&self) -> String {
        self.about.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The limits as numbers, durations being seconds and sizes bytes.
    pub fn limits(&self) -> Option<(f64, f64)> {
        let (from, to) = self.range.split_once(" to ")?;
        Some((bound(from)?, bound(to)?))
    }
}

#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
fn bound(text: &str) -> Option<f64> {
    let number = text.parse().ok();
    let duration = || crate::units::duration(text).ok().map(|d| d.as_secs_f64());
    let size = || crate::units::bytes(text).ok().map(|b| b as f64);
    number.or_else(duration).or_else(size)
}
