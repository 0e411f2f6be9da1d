//! The objects that take long to verify: packs and WAL files, on several threads.

use super::stopped;
use crate::backup::progress::Progress;
use jiff::Timestamp;
use pgtend_model::backup::repo_report::{Checked, Damage, DamageKind};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::wal::{Segment, SegmentSize, WalFile, is_wal_name};
use pgtend_postgres::files::wal::{HEADER_BYTES, Header};
use pgtend_store::repo::Repository;
use pgtend_store::repo::id::RandomId;
use pgtend_store::repo::inspect::{Checker, Inspection};
use pgtend_store::repo::open_wal::WalPiece;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub key: String,
    pub bytes: u64,
    pub modified: Timestamp,
    pub what: What,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Pack(RandomId),
    Wal { server: String, system_identifier: String, name: String },
}

impl Item {
    pub const fn is_pack(&self) -> bool {
        matches!(self.what, What::Pack(_))
    }
}

/// What was found so far.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Found {
    pub checked: Checked,
    pub errors: Vec<Damage>,
    /// Frames that are damaged, by pack and offset.
    #[serde(with = "frames")]
    pub wrong: Vec<(RandomId, u32)>,
    #[serde(with = "packs")]
    pub missing: HashSet<RandomId>,
    /// Packs in which every frame is sound.
    #[serde(with = "packs")]
    pub sound: HashSet<RandomId>,
    /// Keys of WAL files that are damaged.
    pub damaged_wal: Vec<String>,
    /// Objects that this host cannot read.
    pub sealed: u64,
    pub unindexed_packs: u64,
}

impl Found {
    pub fn add(&mut self, other: Self) {
        let (mine, more) = (&mut self.checked, other.checked);
        mine.packs += more.packs;
        mine.extents += more.extents;
        mine.wal_files += more.wal_files;
        mine.documents += more.documents;
        mine.bytes += more.bytes;
        self.errors.extend(other.errors);
        self.wrong.extend(other.wrong);
        self.missing.extend(other.missing);
        self.sound.extend(other.sound);
        self.damaged_wal.extend(other.damaged_wal);
        self.sealed += other.sealed;
        self.unindexed_packs += other.unindexed_packs;
    }
}

/// Every pack and WAL file, in the order of keys: those of the storage, and packs that an index tells of.
pub(super) fn list(
    repository: &Repository,
    inspection: &Inspection,
    server: Option<&str>,
    needed: Option<&HashSet<RandomId>>,
) -> Result<Vec<Item>> {
    let mut items: BTreeMap<String, Item> = BTreeMap::new();
    let told = inspection.packs().map(|(id, key)| Item { key, bytes: 0, modified: Timestamp::UNIX_EPOCH, what: What::Pack(id) });
    items.extend(told.map(|item| (item.key.clone(), item)));
    for object in repository.storage().list("packs")?.into_iter().chain(repository.storage().list("wal")?) {
        let what = Repository::pack_of_key(&object.key).map(What::Pack).or_else(|| wal_of_key(&object.key));
        let Some(what) = what else { continue };
        items.insert(object.key.clone(), Item { key: object.key, bytes: object.bytes, modified: object.modified, what });
    }
    items.retain(|_, item| match &item.what {
        What::Pack(id) => needed.is_none_or(|needed| needed.contains(id)),
        What::Wal { server: of, .. } => server.is_none_or(|server| server == of),
    });
    Ok(items.into_values().collect())
}

/// `wal/<server>/<system identifier>/…/<name>`, but for notes of gaps; pieces of segments too.
fn wal_of_key(key: &str) -> Option<What> {
    if let Some((owner, piece)) = Repository::wal_piece_of_key(key) {
        return Some(What::Wal { server: owner.server, system_identifier: owner.system_identifier, name: piece.name() });
    }
    let parts: Vec<&str> = key.split('/').collect();
    let ["wal", server, system_identifier, between @ .., name] = parts.as_slice() else { return None };
    let is_file = is_wal_name(name) && between.first() != Some(&"gaps");
    is_file.then(|| What::Wal {
        server: (*server).to_owned(),
        system_identifier: (*system_identifier).to_owned(),
        name: (*name).to_owned(),
    })
}

/// Looks at these objects on several threads.
pub(super) fn look(
    repository: &Repository,
    inspection: &Inspection,
    items: &[&Item],
    threads: usize,
    progress: &Progress,
) -> Result<Found> {
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    let work = || {
        let mut found = Found::default();
        let mut checker = inspection.checker();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            let is_over = failed.lock().unwrap_or_else(PoisonError::into_inner).is_some();
            progress.pace(item.bytes);
            let looked = if progress.check().is_err() { Err(stopped()) } else { one(repository, &mut checker, item, &mut found) };
            if is_over {
                break;
            }
            if let Err(error) = looked {
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                break;
            }
            progress.done(item.bytes);
            progress.file();
        }
        found
    };
    let all: Vec<Found> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut found = Found::default();
    all.into_iter().for_each(|one| found.add(one));
    Ok(found)
}

fn one(repository: &Repository, checker: &mut Checker<'_>, item: &Item, found: &mut Found) -> Result<()> {
    match &item.what {
        What::Pack(id) => pack(checker, item, *id, found),
        What::Wal { system_identifier, name, .. } => wal(repository, item, system_identifier, name, found),
    }
}

fn pack(checker: &mut Checker<'_>, item: &Item, id: RandomId, found: &mut Found) -> Result<()> {
    let check = checker.pack(id)?;
    if check.missing {
        found.missing.insert(id);
        return Ok(());
    }
    found.checked.packs += 1;
    found.checked.extents += check.frames;
    found.checked.bytes += check.bytes;
    found.sealed += u64::from(check.sealed);
    found.unindexed_packs += u64::from(!check.unindexed.is_empty());
    let Some((offset, what)) = check.wrong.first() else {
        if !check.sealed {
            found.sound.insert(id);
        }
        return Ok(());
    };
    let more = if check.wrong.len() > 1 { format!(", and {} more", check.wrong.len() - 1) } else { String::new() };
    let detail = format!("at byte {offset}: {what}{more}");
    found.errors.push(Damage { kind: DamageKind::Pack, object: item.key.clone(), detail, lost_extents: check.wrong.len() as u64 });
    found.wrong.extend(check.wrong.iter().map(|(offset, _)| (id, *offset)));
    Ok(())
}

fn wal(repository: &Repository, item: &Item, system_identifier: &str, name: &str, found: &mut Found) -> Result<()> {
    let read = || repository.check_wal(&item.key);
    // What looks damaged is read once more before it is called so.
    let content = match read() {
        Err(error) if error.kind == Kind::Conflict => read(),
        content => content,
    };
    let mut damage = |kind, detail| {
        found.errors.push(Damage { kind, object: item.key.clone(), detail, lost_extents: 0 });
        found.damaged_wal.push(item.key.clone());
    };
    match content {
        Ok(content) => {
            if let Some(detail) = foreign(&content, system_identifier, name) {
                damage(DamageKind::ForeignWal, detail);
            }
        }
        // Taken away with the backups that needed it, since it was listed.
        Err(error) if error.kind == Kind::NotFound => return Ok(()),
        Err(error) if error.kind == Kind::Authentication => found.sealed += 1,
        Err(error) if error.kind == Kind::Conflict => damage(DamageKind::Wal, error.what),
        Err(error) => return Err(error),
    }
    found.checked.wal_files += 1;
    found.checked.bytes += item.bytes;
    Ok(())
}

/// Why a file's first page is not what its name says.
fn foreign(content: &[u8], system_identifier: &str, name: &str) -> Option<String> {
    let piece = WalPiece::of_name(name);
    if let Some(piece) = &piece {
        let bytes = (piece.to_byte - piece.from_byte) as usize;
        if content.len() != bytes {
            return Some(format!("it has {} bytes, not {bytes}", content.len()));
        }
        if piece.from_byte > 0 || bytes < HEADER_BYTES {
            return None;
        }
    }
    let name = piece.as_ref().map_or(name, |piece| &piece.segment);
    let header = Header::of(content);
    let size = header.and_then(|header| SegmentSize::new(header.segment_bytes)).or_else(|| SegmentSize::new(16 << 20))?;
    let (WalFile::Segment(segment) | WalFile::Partial(segment)) = WalFile::of_name(name, size)? else { return None };
    let Some(header) = header else { return Some("it does not begin as a WAL segment of PostgreSQL 13 to 18 does".to_owned()) };
    if header.system_identifier.to_string() != system_identifier {
        return Some(format!("it belongs to the cluster {}", header.system_identifier));
    }
    wrong_place(&header, segment, size).or_else(|| {
        let whole = content.len() == size.bytes() as usize || name.ends_with(".partial") || piece.is_some();
        (!whole).then(|| format!("it has {} bytes, not {}", content.len(), size.bytes()))
    })
}

fn wrong_place(header: &Header, segment: Segment, size: SegmentSize) -> Option<String> {
    if header.address != segment.start(size) {
        return Some(format!("it begins at {}, its name says {}", header.address, segment.start(size)));
    }
    (header.timeline > segment.timeline).then(|| format!("it begins on timeline {}", header.timeline))
}

/// Packs by their names.
mod packs {
    use super::RandomId;
    use serde::{Deserialize as _, Deserializer, Serializer, de};
    use std::collections::HashSet;

    pub fn serialize<S: Serializer>(packs: &HashSet<RandomId>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(packs.iter().map(ToString::to_string))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HashSet<RandomId>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        names.iter().map(|name| RandomId::parse(name).ok_or_else(|| de::Error::custom("no pack"))).collect()
    }
}

/// Frames by pack and offset.
mod frames {
    use super::RandomId;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(frames: &[(RandomId, u32)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(frames.iter().map(|(pack, offset)| (pack.to_string(), *offset)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(RandomId, u32)>, D::Error> {
        let frames = Vec::<(String, u32)>::deserialize(deserializer)?;
        let read = |(pack, offset): (String, u32)| RandomId::parse(&pack).map(|pack| (pack, offset));
        frames.into_iter().map(|frame| read(frame).ok_or_else(|| de::Error::custom("no pack"))).collect()
    }
}
