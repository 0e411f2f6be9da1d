//! What somebody wrote to a backup, and whether it is held: notes that are added and never changed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One note: `docs/repository-format.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When it was written.
    pub at: Timestamp,
    /// By whom.
    pub who: String,
    /// Keys with their values; none removes the key.
    #[serde(default)]
    pub set: BTreeMap<String, Option<String>>,
    /// Whether the backup is held from now on; none leaves it as it is.
    #[serde(default)]
    pub hold: Option<bool>,
}

/// What the notes of a backup come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Annotations {
    /// Keys with their values.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Whether it is held: it is neither expired nor deleted then.
    #[serde(default)]
    pub held: bool,
    /// Who said so, and when.
    #[serde(default)]
    pub held_by: Option<String>,
}

impl Annotations {
    /// Of notes in the order of their times.
    pub fn of<'a>(notes: impl IntoIterator<Item = &'a Note>) -> Self {
        let mut all = Self::default();
        for note in notes {
            for (key, value) in &note.set {
                match value {
                    Some(value) => drop(all.annotations.insert(key.clone(), value.clone())),
                    None => drop(all.annotations.remove(key)),
                }
            }
            if let Some(hold) = note.hold {
                all.held = hold;
                all.held_by = hold.then(|| format!("{}, {:.0}", note.who, note.at));
            }
        }
        all
    }

    /// Whether a key can be one.
    pub fn is_key(key: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !key.is_empty() && key.len() <= 64 && key.bytes().all(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(second: i64, set: &[(&str, Option<&str>)], hold: Option<bool>) -> Note {
        let set = set.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned))).collect();
        Note { at: Timestamp::from_second(second).unwrap(), who: "uid 0".into(), set, hold }
    }

    #[test]
    fn later_notes_win_and_a_hold_stays_until_it_is_released() {
        let notes = [
            note(1, &[("ticket", Some("7")), ("why", Some("before the upgrade"))], Some(true)),
            note(2, &[("ticket", Some("8")), ("why", None)], None),
        ];
        let all = Annotations::of(&notes);
        assert_eq!(all.annotations, BTreeMap::from([("ticket".into(), "8".into())]));
        assert!(all.held && all.held_by.unwrap().starts_with("uid 0, 1970-01-01T00:00:01Z"));
        assert!(!Annotations::of(notes.iter().chain([&note(3, &[], Some(false))])).held);
        assert!(Annotations::is_key("retain-until") && !Annotations::is_key("a b") && !Annotations::is_key(""));
    }
}
