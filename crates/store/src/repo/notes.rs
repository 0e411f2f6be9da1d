//! Annotations of backups: notes beside the head, added and never changed.

use super::Repository;
use super::storage::Put;
use jiff::Timestamp;
use pgtend_model::backup::Label;
use pgtend_model::backup::annotation::{Annotations, Note};
use pgtend_model::error::{Kind, Result};
use std::collections::BTreeMap;

impl Repository {
    /// Adds a note to a backup.
    ///
    /// # Errors
    /// `NotFound` when there is no such backup; what the storage says.
    pub fn annotate(&self, server: &str, label: Label, note: &Note) -> Result<()> {
        self.backup(server, label)?;
        let mut nanosecond = note.at.as_nanosecond();
        while self.put_document(&format!("backups/{server}/{label}/note-{nanosecond:019}"), note)? == Put::Exists {
            nanosecond += 1;
        }
        Ok(())
    }

    /// What the notes of a server's backups come to. A backup with a note that cannot be read counts as held: what somebody wanted to keep
    /// does not go for a flipped bit.
    ///
    /// # Errors
    /// What the storage says.
    pub fn annotations(&self, server: &str) -> Result<BTreeMap<Label, Annotations>> {
        let below = format!("backups/{server}");
        let mut notes: BTreeMap<Label, Vec<Note>> = BTreeMap::new();
        let mut unreadable = Vec::new();
        for object in self.storage.list(&below)? {
            let parts = object.key.strip_prefix(&below).and_then(|rest| rest.strip_prefix('/')?.split_once("/note-"));
            let Some(label) = parts.and_then(|(label, _)| label.parse().ok()) else { continue };
            match self.get_document(&object.key) {
                Ok(note) => notes.entry(label).or_default().push(note),
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) if error.kind == Kind::Conflict => {
                    tracing::error!(error = error.what, place = error.place, "a note cannot be read: its backup counts as held");
                    unreadable.push((label, format!("a note that cannot be read, {}", object.key)));
                }
                Err(error) => return Err(error),
            }
        }
        let mut all: BTreeMap<Label, Annotations> = notes.iter().map(|(label, notes)| (*label, Annotations::of(notes))).collect();
        for (label, why) in unreadable {
            let annotations = all.entry(label).or_default();
            annotations.held = true;
            annotations.held_by = Some(why);
        }
        Ok(all)
    }

    /// Removes what backups left that were cut short between their files and their head, or while they were taken away. A backup that goes on is left
    /// alone. Gives how many objects went.
    ///
    /// # Errors
    /// What the storage says.
    pub fn remove_leftovers(&self, server: &str) -> Result<usize> {
        let below = format!("backups/{server}");
        let list = || -> Result<Vec<String>> { Ok(self.storage.list(&below)?.into_iter().map(|object| object.key).collect()) };
        let is_headless = |all: &[String], key: &str| {
            let directory = key.rsplit_once('/').map_or("", |(directory, _)| directory);
            !all.iter().any(|other| *other == format!("{directory}/head"))
        };
        let before = list()?;
        let leftovers: Vec<&String> = before.iter().filter(|key| is_headless(&before, key)).collect();
        // Listed before it is asked who writes: what is without a head then, and without a writer, gets none any more.
        if leftovers.is_empty() || !self.backups_going_on()?.is_empty() {
            return Ok(0);
        }
        let now = list()?;
        let mut removed = 0;
        for key in leftovers.into_iter().filter(|key| is_headless(&now, key)) {
            self.storage.delete(key)?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Says which cluster writes under a server's name from now on.
    ///
    /// # Errors
    /// What the storage says.
    pub fn set_current(&self, server: &str, current: &Current) -> Result<()> {
        let mut nanosecond = current.at.as_nanosecond();
        while self.put_document(&format!("servers/{server}/current-{nanosecond:019}"), current)? == Put::Exists {
            nanosecond += 1;
        }
        Ok(())
    }

    /// Which cluster writes under a server's name, where somebody said so.
    ///
    /// # Errors
    /// What the storage says; `Conflict` when what was said is damaged.
    pub fn current(&self, server: &str) -> Result<Option<Current>> {
        let below = format!("servers/{server}");
        let objects = self.storage.list(&below)?;
        let last = objects.iter().rfind(|object| object.key.starts_with(&format!("{below}/{CURRENT}")));
        last.map(|object| self.get_document(&object.key)).transpose()
    }
}

/// How the objects begin that say which cluster writes.
pub(super) const CURRENT: &str = "current-";

/// Which cluster writes under a server's name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Current {
    /// Its identity, decimal.
    pub system_identifier: String,
    /// Since when.
    pub at: Timestamp,
    /// Who said so.
    pub who: String,
}
