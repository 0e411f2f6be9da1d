//! How a value of the configuration is read, checked and shown, for each type that a key can have.

use super::key::{Applies, Key, Shape};
use super::raw::Document;
use super::secret::Secrets;
use crate::error::{Error, Kind};
use crate::units;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// A value as it stands in the text.
pub type Node<'i> = Spanned<DeValue<'i>>;

/// A type that a key can have.
pub trait Setting: Sized + PartialEq {
    /// What a value looks like, in words.
    const TYPE: &'static str;
    /// What a list of such values looks like, in words.
    const LIST: &'static str = "list";
    /// How it is written.
    const SHAPE: Shape = Shape::Value;
    /// The keys below it.
    const KEYS: &'static [Key] = &[];

    /// Reads it; what is wrong is told to `at`, and then there is none.
    fn read(node: &Node<'_>, at: &At<'_>) -> Option<Self>;

    /// How it would be written, given the unit of a bare number; none when it would be left out.
    fn show(&self, unit: &str, secrets: Secrets) -> Option<toml::Value>;

    /// What it is when it is not written and has no default; none for a type that always has a value.
    fn absent() -> Option<Self> {
        None
    }

    /// Its size, for comparing with the key's limits: seconds, bytes, or the number itself.
    fn amount(&self) -> Option<f64> {
        None
    }
}

/// Where a value stands, and who hears what is wrong with it.
pub struct At<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) span: Range<usize>,
    /// The dotted path of the key; empty for the whole file.
    pub(super) path: String,
    /// What is declared of the key; none for the whole file.
    pub(super) key: Option<&'static Key>,
}

impl<'a> At<'a> {
    pub(super) fn root(document: &'a Document<'a>, node: &Node<'_>) -> Self {
        Self { document, span: node.span(), path: String::new(), key: None }
    }

    /// The place of a value below this one.
    pub(super) fn below(&self, name: &str, node: &Node<'_>, key: Option<&'static Key>) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { document: self.document, span: node.span(), path, key }
    }

    /// The place of an element of this list.
    pub(super) fn element(&self, node: &Node<'_>) -> Self {
        Self { document: self.document, span: node.span(), path: self.path.clone(), key: self.key }
    }

    /// Unit of a bare number.
    pub(super) fn unit(&self) -> &'static str {
        self.key.map_or("", |key| key.unit)
    }

    /// The section's header as it is written: `[ash]`, `[[server]]`.
    pub(super) fn header(&self) -> String {
        match self.key.map(|key| key.shape) {
            Some(Shape::Array) => format!("[[{}]]", self.path),
            _ => format!("[{}]", self.path),
        }
    }

    /// Notes that the value is wrong.
    pub(super) fn wrong(&self, what: impl Into<String>, hint: impl Into<String>) {
        self.document.problem(&self.span, Error::new(Kind::Config, what).hint(hint));
    }

    /// Notes that the value has the wrong type.
    pub(super) fn wrong_type(&self, wanted: &str, node: &Node<'_>) {
        let found = match node.get_ref() {
            DeValue::Boolean(_) => "true or false",
            DeValue::Array(_) => "a list",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a fraction",
            DeValue::String(_) => "a string",
            DeValue::Datetime(_) => "a date",
            DeValue::Table(_) => "a table",
        };
        self.wrong(format!("{} must be {wanted}, not {found}", self.path), "");
    }

    /// Passes on a value that lies within the key's limits, and notes it when it does not.
    pub(super) fn within<T: Setting>(&self, value: T, written: &str) -> Option<T> {
        let limits = self.key.and_then(Key::limits);
        let (Some((from, to)), Some(amount)) = (limits, value.amount()) else { return Some(value) };
        if (from..=to).contains(&amount) {
            return Some(value);
        }
        self.wrong(format!("{} is {written}, and must be {}", self.path, self.key.map_or("", |key| key.range)), "");
        None
    }

    /// Notes that the key is written and that nothing follows from it yet.
    pub(super) fn note_unused(&self) {
        if self.key.is_some_and(|key| key.applies == Applies::NotYet) {
            self.document.notice(&self.span, format!("{} is not used by this version of pgtend", self.path));
        }
    }
}

impl Setting for bool {
    const TYPE: &'static str = "boolean";

    fn read(node: &Node<'_>, at: &At<'_>) -> Option<Self> {
        let value = node.get_ref().as_bool();
        if value.is_none() {
            at.wrong_type("true or false", node);
        }
        value
    }

    fn show(&self, _: &str, _: Secrets) -> Option<toml::Value> {
        Some((*self).into())
    }
}

macro_rules! integers {
    ($($ty:ty),+) => {$(
        impl Setting for $ty {
            const TYPE: &'static str = "integer";

            fn read(node: &Node<'_>, at: &At<'_>) -> Option<Self> {
                let number = match node.get_ref() {
                    DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).ok()?,
                    DeValue::String(text) if at.unit() == "bytes" => read_bytes(text, at)?.into(),
                    _ => {
                        at.wrong_type(if at.unit() == "bytes" { "a size such as \"64MB\"" } else { "an integer" }, node);
                        return None;
                    }
                };
                let written = node.get_ref().as_str().map_or(number.to_string(), |text| format!("\"{text}\""));
                match Self::try_from(number) {
                    Ok(value) => at.within(value, &written),
                    Err(_) => {
                        at.wrong(format!("{} is {written}, and must be {}", at.path, at.key.map_or("", |key| key.range)), "");
                        None
                    }
                }
            }

            fn show(&self, unit: &str, _: Secrets) -> Option<toml::Value> {
                let number = i64::try_from(*self).ok()?;
                Some(if unit == "bytes" { show_bytes(number).into() } else { number.into() })
            }

            fn amount(&self) -> Option<f64> {
                Some(*self as f64)
            }
        }
    )+};
}

integers!(u32, u64, usize);

impl Setting for f64 {
    const TYPE: &'static str = "number";

    fn read(node: &Node<'_>, at: &At<'_>) -> Option<Self> {
        let written = match node.get_ref() {
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            _ => {
                at.wrong_type("a number", node);
                return None;
            }
        };
        match written.replace('_', "").parse::<Self>() {
            Ok(value) if value.is_finite() => at.within(value, &written),
            _ => {
                at.wrong(format!("{} is {written}, and must be a finite number", at.path), "");
                None
            }
        }
    }

    fn show(&self, _: &str, _: Secrets) -> Option<toml::Value> {
        Some((*self).into())
    }

    fn amount(&self) -> Option<f64> {
        Some(*self)
    }
}

fn read_bytes(text: &str, at: &At<'_>) -> Option<u64> {
    match units::bytes(text) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            at.wrong(format!("{}: {}", at.path, error.what), error.hint);
            None
        }
    }
}

impl Setting for Duration {
    const TYPE: &'static str = "duration";

    fn read(node: &Node<'_>, at: &At<'_>) -> Option<Self> {
        let bare_seconds = at.unit() == "seconds";
        let (value, written) = match node.get_ref() {
            DeValue::Integer(number) if bare_seconds => (read_duration(number.as_str(), at)?, number.to_string()),
            DeValue::Float(number) if bare_seconds => (read_duration(number.as_str(), at)?, number.to_string()),
            DeValue::String(text) if !bare_seconds => (read_duration(text, at)?, format!("\"{text}\"")),
            DeValue::Integer(number) => {
                at.wrong(format!("{} has no unit", at.path), format!("write \"{number}s\", or \"{number}ms\" if that is meant"));
                return None;
            }
            _ => {
                at.wrong_type(if bare_seconds { "a number of seconds" } else { "a duration such as \"5s\"" }, node);
                return None;
            }
        };
        at.within(value, &written)
    }

    fn show(&self, unit: &str, _: Secrets) -> Option<toml::Value> {
        Some(match unit {
            "seconds" if self.subsec_nanos() == 0 => i64::try_from(self.as_secs()).ok()?.into(),
            "seconds" => self.as_secs_f64().into(),
            _ => units::exact_duration(*self).into(),
        })
    }

    fn amount(&self) -> Option<f64> {
        Some(self.as_secs_f64())
    }
}

fn read_duration(text: &str, at: &At<'_>) -> Option<Duration> {
    if at.unit().is_empty() && text.trim().parse::<f64>().is_ok() {
        at.wrong(format!("{} has no unit", at.path), format!("write \"{0}s\", or \"{0}ms\" if that is meant", text.trim()));
        return None;
    }
    match units::duration(text) {
        Ok(duration) => Some(whole_milliseconds(duration)),
        Err(error) => {
            at.wrong(format!("{}: {}", at.path, error.what), error.hint);
            None
        }
    }
}

/// The resolution of configured durations is a millisecond, so that what is shown can be read back unchanged.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates at 2^64 ms, beyond every limit")]
fn whole_milliseconds(duration: Duration) -> Duration {
    Duration::from_millis((duration.as_secs_f64() * 1e3).round() as u64)
}

/// A size in the largest unit that divides it.
fn show_bytes(bytes: i64) -> String {
    let units: [(i64, &str); 4] = [(1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")];
    match units.iter().find(|(unit, _)| bytes > 0 && bytes % unit == 0) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

impl Setting for String {
    const TYPE: &'static str = "string";
    const LIST: &'static str = "list of strings";

    fn read(node: &Node<'_>, at: &At<'_>) -> Option<Self> {
        let text = node.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            at.wrong_type("a string", node);
        }
        text
    }

    fn show(&self, _: &str, _: Secrets) -> Option<toml::Value> {
        Some(self.as_str().into())
    }
}

impl Setting for PathBuf {
    const TYPE: &'static str = "absolute path";

    fn read(node: &Node<'_>, at: &At<'_>) -> Option<Self> {
        let path = Self::from(String::read(node, at)?);
        if !path.is_absolute() {
            at.wrong(format!("{} is \"{}\", which is not absolute", at.path, path.display()), "write the whole path, from /");
            return None;
        }
        Some(path)
    }

    fn show(&self, _: &str, _: Secrets) -> Option<toml::Value> {
        Some(self.display().to_string().into())
    }
}

impl<T: Setting> Setting for Option<T> {
    const TYPE: &'static str = T::TYPE;
    const SHAPE: Shape = T::SHAPE;
    const KEYS: &'static [Key] = T::KEYS;

    fn read(node: &Node<'_>, at: &At<'_>) -> Option<Self> {
        T::read(node, at).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn show(&self, unit: &str, secrets: Secrets) -> Option<toml::Value> {
        self.as_ref().and_then(|value| value.show(unit, secrets))
    }

    fn amount(&self) -> Option<f64> {
        self.as_ref().and_then(Setting::amount)
    }
}

impl<T: Setting> Setting for Vec<T> {
    const TYPE: &'static str = T::LIST;
    const SHAPE: Shape = if matches!(T::SHAPE, Shape::Table) { Shape::Array } else { Shape::Value };
    const KEYS: &'static [Key] = T::KEYS;

    fn read(node: &Node<'_>, at: &At<'_>) -> Option<Self> {
        match node.get_ref() {
            DeValue::Array(elements) => {
                let read: Vec<Option<T>> = elements.iter().map(|element| T::read(element, &at.element(element))).collect();
                read.into_iter().collect()
            }
            DeValue::Table(_) if Self::SHAPE == Shape::Array => {
                at.wrong(format!("[{}] is a list, because there can be several", at.path), format!("write [[{}]]", at.path));
                None
            }
            _ => {
                at.wrong_type(&format!("a {}", Self::TYPE), node);
                None
            }
        }
    }

    fn show(&self, unit: &str, secrets: Secrets) -> Option<toml::Value> {
        let elements: Vec<toml::Value> = self.iter().filter_map(|element| element.show(unit, secrets)).collect();
        let left_out = elements.is_empty() && Self::SHAPE == Shape::Array;
        (!left_out).then_some(toml::Value::Array(elements))
    }
}
