//! What damage costs: each backup with its files and the WAL from it on.

use super::objects::{Item, What};
use crate::wal::open_piece;
use pgtend_model::backup::repo_report::{Damage, DamageKind, RepoReport, Unchecked, check_backup, lost_backup, sound_wal};
use pgtend_model::backup::restore_plan::{Archived, Known};
use pgtend_model::backup::{BackupHead, Label};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::wal::{History, SegmentSize, WalFile};
use pgtend_store::repo::Repository;
use pgtend_store::repo::id::RandomId;
use pgtend_store::repo::inspect::Inspection;
use pgtend_store::repo::open_wal::WalPiece;

use std::collections::{BTreeMap, HashSet};

/// The packs that the backups of a server need.
pub(super) fn needed_packs(repository: &Repository, inspection: &Inspection, server: &str) -> Result<HashSet<RandomId>> {
    if !repository.servers()?.iter().any(|known| known == server) {
        return Err(Error::new(Kind::NotFound, format!("the repository has nothing of a server \"{server}\""))
            .at(repository.shown())
            .hint(format!("there are: {}", repository.servers()?.join(", "))));
    }
    let mut needed = HashSet::new();
    for head in repository.backups(server)?.0 {
        for file in repository.files(server, head.label).unwrap_or_default() {
            file.extents.iter().for_each(|extent| needed.extend(inspection.packs_of(&extent.id)));
        }
    }
    Ok(needed)
}

/// Checks every document, and every backup.
pub(super) fn check(
    repository: &Repository,
    inspection: &Inspection,
    heads: Vec<Head>,
    lost: &HashSet<[u8; 32]>,
    wal: &[&Item],
    damaged_wal: &[String],
    report: &mut RepoReport,
) -> Result<()> {
    let is_lost = |id: &[u8; 32]| lost.contains(id) || !inspection.knows(id);
    let damaged: HashSet<&str> = damaged_wal.iter().map(String::as_str).collect();
    let mut known: BTreeMap<(String, String), Known> = BTreeMap::new();
    for (server, label, key) in heads {
        report.checked.documents += 2;
        let head: BackupHead = match repository.get_document(&key) {
            Ok(head) => head,
            Err(error) if error.kind == Kind::NotFound => continue,
            Err(error) if error.kind == Kind::Conflict => {
                report.errors.push(Damage { kind: DamageKind::Head, object: key, detail: error.what.clone(), lost_extents: 0 });
                report.backups.push(lost_backup(&server, label, &error));
                continue;
            }
            Err(error) => return Err(error),
        };
        let of = known.entry((server.clone(), head.system_identifier.clone())).or_insert_with(|| {
            let own = wal.iter().filter(|item| is_of(item, &server, &head.system_identifier));
            wal_known(repository, own.copied(), &head, &damaged, report)
        });
        of.backups = vec![head.clone()];
        let files = repository.files(&server, label);
        let check = match &files {
            Err(error) if error.kind == Kind::NotFound && repository.backup(&server, label).is_err() => continue,
            Err(error) => {
                let object = format!("backups/{server}/{label}/files");
                report.errors.push(Damage { kind: DamageKind::Files, object, detail: error.what.clone(), lost_extents: 0 });
                check_backup(&head, Err(error), of, is_lost)
            }
            Ok(files) => check_backup(&head, Ok(files), of, is_lost),
        };
        report.backups.push(check);
    }
    documents(repository, report)
}

/// Server, label and key of a backup's head.
pub(super) type Head = (String, Label, String);

/// All that are there now.
pub(super) fn heads(repository: &Repository, server: Option<&str>) -> Result<Vec<Head>> {
    let below = server.map_or_else(|| "backups".to_owned(), |server| format!("backups/{server}"));
    let parse = |key: &str| {
        let parts: Vec<&str> = key.split('/').collect();
        let ["backups", server, label, "head"] = parts.as_slice() else { return None };
        Some(((*server).to_owned(), label.parse().ok()?, key.to_owned()))
    };
    Ok(repository.storage().list(&below)?.iter().filter_map(|object| parse(&object.key)).collect())
}

fn is_of(item: &Item, wanted: &str, identifier: &str) -> bool {
    matches!(&item.what, What::Wal { server, system_identifier, .. } if server == wanted && system_identifier == identifier)
}

/// The sound WAL of a cluster.
fn wal_known<'a>(
    repository: &Repository,
    items: impl Iterator<Item = &'a Item>,
    head: &BackupHead,
    damaged: &HashSet<&str>,
    report: &mut RepoReport,
) -> Known {
    let mut known = Known::default();
    let Some(size) = u32::try_from(head.wal_segment_bytes).ok().and_then(SegmentSize::new) else { return known };
    let (mut wal, mut bad) = (Vec::new(), HashSet::new());
    for item in items {
        let What::Wal { name, .. } = &item.what else { continue };
        if let Some(piece) = WalPiece::of_name(name) {
            let sound = !damaged.contains(item.key.as_str());
            known.open.extend(open_piece(&WalPiece { archived: item.modified, ..piece }, size).filter(|_| sound));
            continue;
        }
        match WalFile::of_name(name, size) {
            Some(WalFile::Segment(segment)) => {
                wal.push(Archived { segment, at: item.modified });
                if damaged.contains(item.key.as_str()) {
                    bad.insert(segment);
                }
            }
            Some(WalFile::History(timeline)) => match history(repository, &item.key, timeline) {
                Ok(history) => known.histories.push(history),
                Err(error) => report.unchecked.push(Unchecked {
                    what: format!("how timeline {timeline} of \"{}\" came about", head.server),
                    why: error.what,
                    hint: "WAL is followed along the backup's own timeline only".to_owned(),
                }),
            },
            _ => {}
        }
    }
    known.wal = sound_wal(&wal, &bad);
    known
}

fn history(repository: &Repository, key: &str, timeline: u32) -> Result<History> {
    let text = repository.check_wal(key)?;
    History::parse(timeline, &String::from_utf8_lossy(&text)).map_err(|bad| Error::new(Kind::Conflict, bad.to_string()).at(key))
}

/// The other documents: each must be what was written.
fn documents(repository: &Repository, report: &mut RepoReport) -> Result<()> {
    for below in ["backups", "servers", "gc", "damaged", "wal"] {
        for object in repository.storage().list(below)? {
            let name = object.key.rsplit('/').next().unwrap_or_default();
            let is_document = match below {
                "backups" => name.starts_with("note-"),
                "wal" => object.key.contains("/gaps/"),
                _ => true,
            };
            if !is_document {
                continue;
            }
            report.checked.documents += 1;
            match repository.get_text(&object.key) {
                Ok(_) => {}
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) if error.kind == Kind::Conflict => {
                    report.errors.push(Damage { kind: DamageKind::Document, object: object.key, detail: error.what, lost_extents: 0 });
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
