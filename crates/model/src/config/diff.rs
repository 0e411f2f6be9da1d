//! What differs between two configurations, for a reload.

use super::effective::Effective;
use super::key::{Applies, Default, Key, Shape};
use super::secret::Secrets;
use super::setting::Setting;
use std::collections::BTreeSet;
use std::fmt;
use toml::Value;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// The key, as `ash.max_samples` or `server[main].dsn`.
    pub path: String,
    /// What was, as TOML with secrets masked; none when it was not set.
    pub old: Option<String>,
    /// What is, as TOML with secrets masked; none when it is not set any more.
    pub new: Option<String>,
    /// When it takes effect.
    pub applies: Applies,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.old, &self.new) {
            (None, Some(new)) => write!(f, "{}: now {new}", self.path),
            (Some(old), None) => write!(f, "{}: no longer {old}", self.path),
            (Some(old), Some(new)) if old == new => write!(f, "{}: another secret in {new}", self.path),
            (old, new) => {
                let text = |value: &Option<String>| value.clone().unwrap_or_default();
                write!(f, "{}: {} → {}", self.path, text(old), text(new))
            }
        }?;
        match self.applies {
            Applies::Now => Ok(()),
            Applies::AfterRestart => f.write_str(" (after a restart)"),
            Applies::NotYet => f.write_str(" (not used by this version)"),
        }
    }
}

/// What differs between two configurations, in the order of declaration. Servers and custom metrics are told apart by their names.
pub fn diff(old: &Effective, new: &Effective) -> Vec<Change> {
    let (old_shown, old_masked) = (old.to_toml(Secrets::Shown), old.to_toml(Secrets::Masked));
    let (new_shown, new_masked) = (new.to_toml(Secrets::Shown), new.to_toml(Secrets::Masked));
    let mut changes = Vec::new();
    let old = Seen { shown: Some(&old_shown), masked: Some(&old_masked) };
    let new = Seen { shown: Some(&new_shown), masked: Some(&new_masked) };
    tables("", Effective::KEYS, old, new, &mut changes);
    changes
}

/// A value twice: as it is, to compare it; masked, to show it.
#[derive(Clone, Copy)]
struct Seen<'v> {
    shown: Option<&'v Value>,
    masked: Option<&'v Value>,
}

impl<'v> Seen<'v> {
    fn below(self, name: &str) -> Self {
        Self { shown: self.shown.and_then(|value| value.get(name)), masked: self.masked.and_then(|value| value.get(name)) }
    }

    /// The element of a list of tables that has this name.
    fn named(self, name: &str) -> Self {
        fn find<'v>(list: Option<&'v Value>, name: &str) -> Option<&'v Value> {
            list?.as_array()?.iter().find(|element| name_of(element) == Some(name))
        }
        Self { shown: find(self.shown, name), masked: find(self.masked, name) }
    }

    fn names(self) -> Vec<&'v str> {
        match self.shown {
            Some(Value::Array(list)) => list.iter().filter_map(name_of).collect(),
            Some(Value::Table(table)) => table.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    fn text(self) -> Option<String> {
        self.masked.map(ToString::to_string)
    }

    /// What tells an element from others: its required keys.
    fn summary(self, keys: &[Key]) -> Option<String> {
        let required = keys.iter().filter(|key| key.default == Default::Required);
        let table: toml::Table = required.filter_map(|key| Some((key.name.to_owned(), self.masked?.get(key.name)?.clone()))).collect();
        self.masked.map(|_| Value::Table(table).to_string())
    }
}

fn name_of(element: &Value) -> Option<&str> {
    element.get("name").and_then(Value::as_str)
}

fn tables(path: &str, keys: &[Key], old: Seen<'_>, new: Seen<'_>, changes: &mut Vec<Change>) {
    for key in keys {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let (old, new) = (old.below(key.name), new.below(key.name));
        match key.shape {
            Shape::Value => value(path, key.applies, old, new, changes),
            Shape::Table => tables(&path, key.keys, old, new, changes),
            Shape::Array => {
                for name in both(old.names(), new.names()) {
                    element(format!("{path}[{name}]"), key, old.named(name), new.named(name), changes);
                }
            }
            Shape::Tables => {
                for name in both(old.names(), new.names()) {
                    element(format!("{path}.{name}"), key, old.below(name), new.below(name), changes);
                }
            }
            Shape::Map => {
                for name in both(old.names(), new.names()) {
                    value(format!("{path}.{name}"), key.applies, old.below(name), new.below(name), changes);
                }
            }
        }
    }
}

/// The names of both, the old ones first.
fn both<'v>(old: Vec<&'v str>, new: Vec<&'v str>) -> Vec<&'v str> {
    let mut seen = BTreeSet::new();
    old.into_iter().chain(new).filter(|name| seen.insert(*name)).collect()
}

fn element(path: String, key: &Key, old: Seen<'_>, new: Seen<'_>, changes: &mut Vec<Change>) {
    if old.shown.is_some() && new.shown.is_some() {
        tables(&path, key.keys, old, new, changes);
    } else {
        changes.push(Change { path, old: old.summary(key.keys), new: new.summary(key.keys), applies: key.applies });
    }
}

fn value(path: String, applies: Applies, old: Seen<'_>, new: Seen<'_>, changes: &mut Vec<Change>) {
    if old.shown != new.shown {
        changes.push(Change { path, old: old.text(), new: new.text(), applies });
    }
}
