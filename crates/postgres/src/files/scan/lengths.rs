//! Looks for files of relations that are missing, too short, or end within a page.

use super::{Manner, Outcome, Progress, Subject};
use pgtend_model::pgdata::relation::Locator;
use pgtend_model::pgdata::{Fork, RelationFile};
use pgtend_model::verify::segments::{Fault, faults};
use pgtend_model::verify::{Damage, DamageKind};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How long to wait before a fault is believed of a server that runs: it may be just making, cutting or removing the file.
const PAUSE: Duration = Duration::from_millis(500);

/// Checks the lengths of all files, and says what is damaged.
pub(super) fn check(manner: &Manner<'_>, subjects: &[Subject], outcome: &mut Outcome, progress: &Progress) {
    let mut forks: BTreeMap<Locator, Vec<&Subject>> = BTreeMap::new();
    for subject in subjects {
        forks.entry(subject.relation.locator).or_default().push(subject);
    }
    let mut suspicious: Vec<Vec<&Subject>> = forks.into_values().filter(|files| !fork(manner, files, listed).is_empty()).collect();
    if suspicious.is_empty() {
        return;
    }
    if (manner.server_runs)() {
        // Once to let it finish, and once more to see that nothing moves.
        for _ in 0..2 {
            std::thread::sleep(PAUSE);
            suspicious.retain(|files| !fork(manner, files, |subject| now(manner.data, subject)).is_empty());
        }
    }
    for files in suspicious {
        for damage in fork(manner, &files, |subject| now(manner.data, subject)) {
            outcome.damaged(damage, progress);
        }
    }
}

fn listed(subject: &Subject) -> Option<u64> {
    Some(subject.size_bytes)
}

fn now(data: &Path, subject: &Subject) -> Option<u64> {
    fs::symlink_metadata(data.join(&subject.path)).ok().map(|metadata| metadata.len())
}

/// What is wrong with the files of one fork, by their lengths.
fn fork(manner: &Manner<'_>, files: &[&Subject], length: impl Fn(&Subject) -> Option<u64>) -> Vec<Damage> {
    let block_bytes = u64::from(manner.control.block_bytes);
    let full = block_bytes * u64::from(manner.control.relation_segment_blocks);
    let mut lengths: Vec<(u32, u64, &Subject)> =
        files.iter().filter_map(|subject| Some((subject.relation.segment, length(subject)?, *subject))).collect();
    lengths.sort_unstable_by_key(|(segment, ..)| *segment);
    let numbers: Vec<(u32, u64)> = lengths.iter().map(|(segment, bytes, _)| (*segment, *bytes)).collect();
    let mut found: Vec<Damage> =
        lengths.first().map_or_else(Vec::new, |(_, _, any)| faults(&numbers, full).into_iter().map(|fault| of_fault(fault, any)).collect());
    found.extend(
        lengths.iter().filter(|(_, bytes, _)| bytes % block_bytes != 0).map(|(_, bytes, subject)| partial(subject, *bytes, block_bytes)),
    );
    found
}

fn of_fault(fault: Fault, any: &Subject) -> Damage {
    let at = |segment| {
        let relation = RelationFile { segment, ..any.relation };
        let path = any.path.with_file_name(relation.name());
        (relation, path.to_string_lossy().into_owned())
    };
    match fault {
        Fault::Missing { segment } => {
            let (relation, path) = at(segment);
            Damage::in_file(DamageKind::MissingSegment, &path, &relation, "the file is not there, although a later one of the relation is")
        }
        Fault::Short { segment, found_bytes, expected_bytes } => {
            let (relation, path) = at(segment);
            let detail =
                format!("the file has {found_bytes} bytes; as a later one of the relation holds something, it must have {expected_bytes}");
            let mut damage = Damage::in_file(DamageKind::ShortSegment, &path, &relation, detail);
            (damage.expected, damage.found) = (Some(expected_bytes), Some(found_bytes));
            damage
        }
    }
}

fn partial(subject: &Subject, bytes: u64, block_bytes: u64) -> Damage {
    let whole = bytes / block_bytes * block_bytes;
    let what = if subject.relation.locator.fork == Fork::Main { "rows may be lost" } else { "no rows are lost: VACUUM makes it anew" };
    let detail = format!("the file ends {} bytes into a page, which PostgreSQL ignores; {what}", bytes - whole);
    let mut damage = Damage::in_file(DamageKind::PartialPage, &subject.path.to_string_lossy(), &subject.relation, detail);
    (damage.expected, damage.found, damage.offset_bytes) = (Some(whole), Some(bytes), Some(whole));
    damage
}
