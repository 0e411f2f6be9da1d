//! Making indexes anew from the packs, where one was lost or damaged.

use super::Repository;
use super::id::RandomId;
use super::index::{Indexed, PackInfo};
use super::lock::COLLECT;
use jiff::Timestamp;
use pgtend_model::backup::repo_report::Rebuilt;
use pgtend_model::error::Result;
use std::collections::HashSet;

/// Packs that one index tells of.
const PACKS_AN_INDEX: usize = 64;

impl Repository {
    /// Writes indexes of packs that no readable index tells of, and then removes the unreadable ones, and what is told of packs that are not
    /// there. Nothing else may remove packs meanwhile. `each` is called for each pack that is read, with its bytes; its error ends the work.
    ///
    /// # Errors
    /// `Conflict` when garbage is removed just now; what the storage says.
    pub fn rebuild_index(&self, now: Timestamp, mut each: impl FnMut(u64) -> Result<()>) -> Result<Rebuilt> {
        let lock = self.lock(COLLECT, "making indexes anew", now)?;
        let inspection = self.inspect()?;
        let mut known: HashSet<RandomId> = inspection.packs().map(|(id, _)| id).collect();
        let mut rebuilt = Rebuilt::default();
        let mut waiting: Vec<Indexed> = Vec::new();
        let mut there = HashSet::new();
        let mut checker = inspection.checker();
        for object in self.storage.list("packs")? {
            let Some(id) = Self::pack_of_key(&object.key) else { continue };
            there.insert(id);
            if !known.insert(id) {
                continue;
            }
            each(object.bytes)?;
            let check = checker.pack(id)?;
            if !check.wrong.is_empty() {
                rebuilt.damaged_packs.push(object.key.clone());
                self.note_damage(id, now, "found when the index was made anew")?;
            }
            rebuilt.packs += 1;
            rebuilt.extents += check.unindexed.len();
            let entries = check.unindexed.iter().map(|found| found.0).collect();
            waiting.push(Indexed { pack: PackInfo { id, bytes: object.bytes }, entries });
            if waiting.len() >= PACKS_AN_INDEX {
                self.write_index(&std::mem::take(&mut waiting))?;
            }
        }
        if !waiting.is_empty() {
            self.write_index(&waiting)?;
        }
        lock.check()?;
        for index in inspection.damaged_indexes() {
            self.storage.delete(&index.place)?;
            rebuilt.removed_indexes.push(index.place.clone());
        }
        let missing: HashSet<RandomId> = inspection.packs().map(|(id, _)| id).filter(|id| !there.contains(id)).collect();
        rebuilt.missing_packs = inspection.packs().filter(|(id, _)| missing.contains(id)).map(|(_, key)| key).collect();
        if !missing.is_empty() {
            self.forget(&missing)?;
            missing.iter().try_for_each(|id| self.forget_damage(*id))?;
        }
        Ok(rebuilt)
    }
}
