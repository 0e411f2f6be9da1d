//! Garbage: packs that no backup needs any more. First they are named, and after a grace period they go.

use super::Repository;
use super::id::{ExtentId, RandomId};
use super::index::{Index, Indexed};
use super::lock::{COLLECT, Holder};
use super::pack;
use jiff::{SignedDuration, Timestamp};
use pgtend_model::backup::retention::Garbage;
use pgtend_model::error::{Kind, Result};
use std::collections::HashSet;

const BELOW: &str = "gc";
/// How long a pack stays after it was named: longer than any reader needs that began before.
pub const GRACE: SignedDuration = SignedDuration::from_hours(24);

/// How much the clocks of two hosts may differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_hours(1);

/// Packs that are condemned.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Condemned {
    packs: Vec<String>,
}

impl Repository {
    /// Packs that are to go: what lies in them counts as absent for whoever writes.
    ///
    /// # Errors
    /// What the storage says.
    pub fn condemned(&self) -> Result<HashSet<RandomId>> {
        let mut all = HashSet::new();
        for object in self.storage.list(BELOW)? {
            all.extend(self.condemned_by(&object.key)?);
        }
        Ok(all)
    }

    /// What a mark names. One that is damaged names nothing: as long as nobody can read it, nothing is removed by it.
    fn condemned_by(&self, key: &str) -> Result<Vec<RandomId>> {
        let condemned: Condemned = match self.get_document(key) {
            Ok(condemned) => condemned,
            Err(error) if matches!(error.kind, Kind::Conflict | Kind::NotFound) => {
                tracing::warn!(error = error.what, place = error.place, "a mark of garbage cannot be read: what it named is named again");
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        Ok(condemned.packs.iter().filter_map(|id| RandomId::parse(id)).collect())
    }

    /// Names what nobody needs, and removes what was named longer than `grace` ago and is still needed by nobody. One does so at a time,
    /// whichever server it is for; while somebody else does, nothing happens.
    ///
    /// # Errors
    /// What the storage says; `Conflict` when a backup's list is damaged: then nothing is garbage.
    pub fn collect_garbage(&self, grace: SignedDuration) -> Result<Garbage> {
        let mut collected = Garbage::default();
        let _lock = match self.lock(COLLECT, "removal of garbage", Timestamp::now()) {
            Ok(lock) => lock,
            Err(error) if error.kind == Kind::Conflict => {
                tracing::info!(reason = error.what, "garbage is left to whoever removes it already");
                return Ok(collected);
            }
            Err(error) => return Err(error),
        };
        let index = self.load_index()?;
        // In this order: a backup that ends meanwhile is still among the writers, or already among those who need something.
        let writers = self.backups_going_on()?;
        let needed = self.needed_packs(&index)?;
        let mut named = HashSet::new();
        let now = self.storage_now()?;
        for object in self.storage.list(BELOW)? {
            let packs = self.condemned_by(&object.key)?;
            let is_due = now.duration_since(object.modified) > grace && !is_older(&writers, object.modified);
            if !is_due && !packs.is_empty() {
                named.extend(packs);
                continue;
            }
            let gone: HashSet<RandomId> = packs.into_iter().filter(|id| !needed.contains(id)).collect();
            for id in &gone {
                collected.removed_bytes += index.packs().iter().find(|pack| pack.id == *id).map_or(0, |pack| pack.bytes);
                self.storage.delete(&pack::key(*id))?;
                self.forget_damage(*id)?;
                collected.removed += 1;
            }
            self.forget(&gone)?;
            self.storage.delete(&object.key)?;
            named.extend(gone);
        }
        let fresh: Vec<String> = index
            .packs()
            .iter()
            .map(|pack| pack.id)
            .filter(|id| !needed.contains(id) && !named.contains(id))
            .map(|id| id.to_string())
            .collect();
        collected.condemned = fresh.len();
        if !fresh.is_empty() {
            self.put_document(&format!("{BELOW}/{}", RandomId::new()?), &Condemned { packs: fresh })?;
        }
        Ok(collected)
    }

    /// Packs with an extent that some backup needs, or that is the base of one.
    fn needed_packs(&self, index: &Index) -> Result<HashSet<RandomId>> {
        let mut needed = HashSet::new();
        let mut need = |id: &ExtentId| {
            needed.extend(index.find(id).map(|location| index.pack(location).id));
        };
        for server in self.servers()? {
            let (heads, damaged) = self.backups(&server)?;
            if let Some(error) = damaged.into_iter().next() {
                return Err(error.hint("as long as a backup cannot be read, nobody can tell what it needs: nothing is removed"));
            }
            for head in heads {
                for file in self.files(&server, head.label)? {
                    for extent in &file.extents {
                        let id = ExtentId(extent.id);
                        need(&id);
                        if let Some(base) = index.base(&id) {
                            need(&base);
                        }
                    }
                }
            }
        }
        Ok(needed)
    }

    /// Writes the indexes that tell of these packs anew, without them.
    pub(super) fn forget(&self, gone: &HashSet<RandomId>) -> Result<()> {
        for object in self.storage.list("index")? {
            let packs = self.read_index(&object.key)?;
            let kept: Vec<Indexed> = packs.iter().filter(|indexed| !gone.contains(&indexed.pack.id)).cloned().collect();
            if kept.len() == packs.len() {
                continue;
            }
            if !kept.is_empty() {
                self.write_index(&kept)?;
            }
            self.storage.delete(&object.key)?;
        }
        Ok(())
    }
}

/// Whether somebody works since before then, who may not know what was condemned. Clocks of hosts may differ.
fn is_older(holders: &[Holder], than: Timestamp) -> bool {
    holders.iter().any(|holder| holder.since < than + CLOCKS_DIFFER)
}
