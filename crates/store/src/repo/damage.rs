//! Packs that were found damaged: what lies in them counts as absent for whoever writes, so that the next backup keeps anew what the server still has.

use super::Repository;
use super::id::RandomId;
use super::pack;
use super::storage::Put;
use jiff::Timestamp;
use pgtend_model::error::Result;
use std::collections::HashSet;

const BELOW: &str = "damaged";

/// Why a pack is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Damaged {
    /// The key of the pack.
    pub pack: String,
    /// When that was found.
    pub found: Timestamp,
    /// What is wrong, in words.
    pub what: String,
}

fn key(pack: RandomId) -> String {
    format!("{BELOW}/{pack}")
}

impl Repository {
    /// Packs that were found damaged.
    ///
    /// # Errors
    /// What the storage says.
    pub fn damaged_packs(&self) -> Result<HashSet<RandomId>> {
        let objects = self.storage.list(BELOW)?;
        // The key alone tells: a note that is damaged itself must not hide what it is about.
        Ok(objects.iter().filter_map(|object| RandomId::parse(object.key.strip_prefix("damaged/")?)).collect())
    }

    /// Notes that a pack is damaged; gives whether that is news.
    ///
    /// # Errors
    /// What the storage says.
    pub fn note_damage(&self, pack: RandomId, found: Timestamp, what: &str) -> Result<bool> {
        let note = Damaged { pack: pack::key(pack), found, what: what.to_owned() };
        Ok(self.put_document(&key(pack), &note)? == Put::Made)
    }

    /// Takes the note away: the pack is whole again, or gone.
    ///
    /// # Errors
    /// What the storage says.
    pub fn forget_damage(&self, pack: RandomId) -> Result<()> {
        self.storage.delete(&key(pack))
    }

    /// Packs that whoever can choose leaves alone: damaged ones, and those that are to go.
    ///
    /// # Errors
    /// What the storage says.
    pub(super) fn avoided(&self) -> Result<HashSet<RandomId>> {
        let mut avoided = self.damaged_packs()?;
        avoided.extend(self.condemned()?);
        Ok(avoided)
    }
}
