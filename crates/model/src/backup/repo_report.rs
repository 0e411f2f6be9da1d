//! What verifying a repository found, and which backups that hurts.

use super::restore_plan::{Archived, Known, Target, Timeline, Wanted, plan};
use super::{BackupHead, BackupKind, FileEntry, Label};
use crate::error::Error;
use crate::pgdata::Lsn;
use crate::pgdata::wal::Segment;
use crate::verify::Verdict;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use utoipa::ToSchema;

/// Damaged objects that a report lists; more are counted.
pub const ERRORS_AT_MOST: usize = 1000;
/// Files of a backup that a report names.
const FILES_AT_MOST: usize = 50;

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RepoReport {
    /// Name of the repository.
    pub repository: String,
    /// Where it is.
    pub place: String,
    /// Its own id.
    pub id: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// Only what this server needs, where one was named.
    #[serde(default)]
    pub server: Option<String>,
    /// Share of the packs and WAL files that were read, in percent; none: all of them.
    #[serde(default)]
    pub sample_percent: Option<f64>,
    /// By which the sample was chosen: the same seed chooses the same objects.
    #[serde(default)]
    pub seed: Option<u64>,
    /// What it comes to: `clean`, `incomplete` or `damaged`.
    #[schema(value_type = String)]
    pub verdict: Verdict,
    /// What was read.
    pub checked: Checked,
    /// What is damaged.
    pub errors: Vec<Damage>,
    /// Damaged objects that are not listed.
    #[serde(default)]
    pub errors_left_out: u64,
    /// What came of making indexes anew, where that was asked for.
    #[serde(default)]
    pub rebuilt: Option<Rebuilt>,
    /// Every backup, and what is wrong with it.
    pub backups: Vec<BackupCheck>,
    /// What could not be looked at.
    #[serde(default)]
    pub unchecked: Vec<Unchecked>,
    /// What else somebody should know.
    #[serde(default)]
    pub notices: Vec<String>,
}

/// How much was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RepoChecked)]
pub struct Checked {
    /// Packs that were read, of those there are.
    pub packs: u64,
    /// Packs there are.
    pub packs_there: u64,
    /// Extents in them.
    pub extents: u64,
    /// WAL files that were read.
    pub wal_files: u64,
    /// WAL files there are.
    pub wal_files_there: u64,
    /// Indexes, heads, lists of files and other documents; all of them are read always.
    pub documents: u64,
    /// Bytes that were read.
    pub bytes: u64,
}

/// What is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RepoDamageKind)]
pub enum DamageKind {
    /// A pack: some of its extents are lost.
    Pack,
    /// A pack that an index tells of is not there.
    MissingPack,
    /// An index: it can be made anew.
    Index,
    /// A backup's head: without it there is no backup.
    Head,
    /// A backup's list of files.
    Files,
    /// A WAL file.
    Wal,
    /// A WAL file that is not what its name says.
    ForeignWal,
    /// A key that this host's key file should open.
    Key,
    /// Another document.
    Document,
}

impl DamageKind {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Pack => "pack damaged",
            Self::MissingPack => "pack missing",
            Self::Index => "index damaged",
            Self::Head => "head of a backup damaged",
            Self::Files => "list of files damaged",
            Self::Wal => "WAL file damaged",
            Self::ForeignWal => "WAL file is another's",
            Self::Key => "key damaged",
            Self::Document => "document damaged",
        }
    }
}

/// A damaged object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RepoDamage)]
pub struct Damage {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: DamageKind,
    /// Its key: the path below the repository's root.
    pub object: String,
    /// What is wrong with it.
    pub detail: String,
    /// Extents of it that cannot be read.
    #[serde(default)]
    pub lost_extents: u64,
}

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RepoUnchecked)]
pub struct Unchecked {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do.
    pub hint: String,
}

/// How a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupState {
    /// Nothing is wrong with what was looked at.
    Whole,
    /// It can be restored, but not rolled forward to the present.
    EndsEarly,
    /// Files of it are lost in part.
    Damaged,
    /// It cannot be restored.
    Lost,
}

/// A backup, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupCheck {
    /// Name of the server.
    pub server: String,
    /// The backup's.
    #[schema(value_type = String)]
    pub label: Label,
    /// What was backed up; unknown where its head cannot be read.
    pub kind: Option<BackupKind>,
    /// How it is.
    pub state: BackupState,
    /// What is wrong, in words.
    pub problems: Vec<String>,
    /// Files that are hurt.
    #[serde(default)]
    pub files: Vec<HurtFile>,
    /// Hurt files that are not named.
    #[serde(default)]
    pub files_left_out: u64,
    /// Up to where WAL is there without a gap.
    #[schema(value_type = Option<String>)]
    pub covered_to: Option<Lsn>,
    /// What to do.
    #[serde(default)]
    pub advice: Vec<String>,
}

/// A file of a backup of which something is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HurtFile {
    /// Its path.
    pub path: String,
    /// Bytes of it that are lost.
    pub lost_bytes: u64,
    /// Where the first of them are.
    pub first_offset: u64,
}

/// What came of making indexes anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rebuilt {
    /// Packs that are in an index again.
    pub packs: usize,
    /// Extents in them.
    pub extents: usize,
    /// Indexes that could not be read and are gone now.
    pub removed_indexes: Vec<String>,
    /// Packs that an index told of, and that are not there.
    pub missing_packs: Vec<String>,
    /// Packs that cannot be read, or only in part.
    pub damaged_packs: Vec<String>,
}

/// Whether an object belongs to a sample of so many percent.
pub fn is_sampled(seed: u64, key: &str, percent: f64) -> bool {
    // FNV-1a, then a mix, so that keys that differ in one digit are chosen independently.
    let mut hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64 ^ seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than a double's precision")]
    let share = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    share * 100.0 < percent
}

/// A backup whose head could be read.
pub fn check_backup(
    head: &BackupHead,
    files: Result<&[FileEntry], &Error>,
    known: &Known,
    is_lost: impl Fn(&[u8; 32]) -> bool,
) -> BackupCheck {
    let mut check = BackupCheck {
        server: head.server.clone(),
        label: head.label,
        kind: Some(head.kind),
        state: BackupState::Whole,
        problems: Vec::new(),
        files: Vec::new(),
        files_left_out: 0,
        covered_to: None,
        advice: Vec::new(),
    };
    if head.kind == BackupKind::Physical {
        check_replay(&mut check, head, known);
    }
    match files {
        Ok(files) => check_files(&mut check, files, is_lost),
        Err(error) => {
            check.state = BackupState::Lost;
            check.problems.push(format!("its list of files cannot be read: {}", error.what));
        }
    }
    check
}

/// A backup whose head cannot be read.
pub fn lost_backup(server: &str, label: Label, error: &Error) -> BackupCheck {
    BackupCheck {
        server: server.to_owned(),
        label,
        kind: None,
        state: BackupState::Lost,
        problems: vec![format!("its head cannot be read: {}", error.what)],
        files: Vec::new(),
        files_left_out: 0,
        covered_to: None,
        advice: Vec::new(),
    }
}

fn check_files(check: &mut BackupCheck, files: &[FileEntry], is_lost: impl Fn(&[u8; 32]) -> bool) {
    let mut lost_bytes = 0;
    for file in files {
        let mut hurt: Option<HurtFile> = None;
        for (offset, bytes, _) in file.pieces().filter(|(_, _, extent)| is_lost(&extent.id)) {
            let hurt = hurt.get_or_insert_with(|| HurtFile { path: file.path.clone(), lost_bytes: 0, first_offset: offset });
            hurt.lost_bytes += u64::from(bytes);
            lost_bytes += u64::from(bytes);
        }
        match hurt {
            Some(hurt) if check.files.len() < FILES_AT_MOST => check.files.push(hurt),
            Some(_) => check.files_left_out += 1,
            None => {}
        }
    }
    if lost_bytes > 0 {
        check.state = if check.state == BackupState::Lost { BackupState::Lost } else { BackupState::Damaged };
        let count = check.files.len() as u64 + check.files_left_out;
        check.problems.push(format!("{lost_bytes} bytes of {count} files are lost"));
    }
}

fn check_replay(check: &mut BackupCheck, head: &BackupHead, known: &Known) {
    let wanted = |target| Wanted { target, backup: Some(head.label), timeline: Timeline::Latest };
    match plan(known, &wanted(Target::Immediate)) {
        Ok(plan) => check.covered_to = Some(plan.covered_to),
        Err(error) => {
            check.state = BackupState::Lost;
            check.problems.push(error.what);
            return;
        }
    }
    if let Err(error) = plan(known, &wanted(Target::Latest)) {
        check.state = BackupState::EndsEarly;
        check.problems.push(error.what);
    }
}

/// The WAL that is there, without the files that are damaged.
pub fn sound_wal(wal: &[Archived], damaged: &HashSet<Segment>) -> Vec<Archived> {
    wal.iter().filter(|archived| !damaged.contains(&archived.segment)).copied().collect()
}

/// Says what to do about each backup. `elsewhere` are the backups of other repositories, with the repositories' names.
pub fn advise(checks: &mut [BackupCheck], elsewhere: &[(String, BackupCheck)], index_is_damaged: bool) {
    let whole: Vec<(String, Label, Option<BackupKind>)> = checks
        .iter()
        .filter(|check| check.state == BackupState::Whole)
        .map(|check| (check.server.clone(), check.label, check.kind))
        .collect();
    for check in checks.iter_mut().filter(|check| check.state != BackupState::Whole) {
        let same = |server: &String, kind: Option<BackupKind>| *server == check.server && (check.kind.is_none() || kind == check.kind);
        let here = whole.iter().filter(|(server, _, kind)| same(server, *kind)).map(|(_, label, _)| *label).max();
        let there = elsewhere
            .iter()
            .filter(|(_, other)| other.state == BackupState::Whole && same(&other.server, other.kind))
            .map(|(repository, other)| (other.label, repository))
            .max();
        let mut advice = Vec::new();
        if index_is_damaged && check.state == BackupState::Damaged {
            advice.push("make the index anew first, the packs may be whole: pgtend repo verify --rebuild-index".to_owned());
        }
        if let Some(label) = here {
            advice.push(format!("backup {label} of the same repository is whole: restore from it with --backup {label}"));
        }
        if let Some((label, repository)) = there {
            advice.push(format!(
                "backup {label} in repository \"{repository}\" is whole: restore from it with --repository {repository} --backup {label}"
            ));
        }
        advice.push(match check.state {
            BackupState::Damaged | BackupState::Lost if here.is_some_and(|label| label > check.label) => {
                format!("newer backups do not need what it lost: keep it for what is not damaged, or pgtend backup delete {}", check.label)
            }
            BackupState::EndsEarly if here.is_some_and(|label| label > check.label) => {
                "newer backups reach the present: only moments between it and the next backup are lost".to_owned()
            }
            BackupState::EndsEarly => {
                "take a backup now: what lies after the gap can be reached from it only: pgtend backup run".to_owned()
            }
            _ => "take a backup now: it writes again what the server still has: pgtend backup run; then verify again".to_owned(),
        });
        if here.is_none() && there.is_none() {
            advice.push("no whole backup of it was found: keep this one, what is not damaged in it can still be restored".to_owned());
        }
        check.advice = advice;
    }
}

impl RepoReport {
    /// What it comes to.
    pub fn judge(&mut self) {
        let hurt = self.backups.iter().any(|check| check.state != BackupState::Whole);
        self.verdict = match (self.errors.is_empty() && !hurt, self.unchecked.is_empty()) {
            (false, _) => Verdict::Damaged,
            (true, false) => Verdict::Incomplete,
            (true, true) => Verdict::Clean,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{Extent, FileType};
    use crate::pgdata::wal::SegmentSize;

    fn size() -> SegmentSize {
        SegmentSize::new(16 << 20).unwrap()
    }

    fn backup(second: i64, first: u64, last: u64) -> BackupHead {
        let segment = |number| Segment { timeline: 1, number };
        let started = Timestamp::from_second(second).unwrap();
        BackupHead {
            system_identifier: "1".into(),
            start_lsn: Lsn(segment(first).start(size()).0 + 0x28),
            stop_lsn: Lsn(segment(last).start(size()).0 + 0x100),
            finished: started,
            timeline: 1,
            wal_segment_bytes: 16 << 20,
            ..BackupHead::begun(BackupKind::Physical, "main", Label::at(started), started)
        }
    }

    fn known(backups: &[BackupHead], wal: impl IntoIterator<Item = u64>) -> Known {
        let archived = |number| Archived { segment: Segment { timeline: 1, number }, at: Timestamp::UNIX_EPOCH };
        Known { backups: backups.to_vec(), wal: wal.into_iter().map(archived).collect(), ..Known::default() }
    }

    fn file(path: &str, ids: &[u8]) -> FileEntry {
        FileEntry {
            path: path.into(),
            file_type: FileType::File,
            mode: 0o600,
            bytes: ids.len() as u64 * 1000,
            extents: ids.iter().map(|id| Extent { id: [*id; 32], crc32c: 0 }).collect(),
            sizes: vec![1000; ids.len()],
            ..FileEntry::default()
        }
    }

    #[test]
    fn a_lost_extent_hurts_the_files_that_have_it() {
        let head = backup(100, 2, 3);
        let files = [file("base/5/1259", &[1, 2, 3]), file("base/5/2662", &[4]), file("global/1262", &[3])];
        let known = known(std::slice::from_ref(&head), 2..=9);
        let check = check_backup(&head, Ok(&files), &known, |id| id[0] == 3);
        assert_eq!(check.state, BackupState::Damaged);
        let hurt = |path: &str, first_offset| HurtFile { path: path.into(), lost_bytes: 1000, first_offset };
        assert_eq!(check.files, [hurt("base/5/1259", 2000), hurt("global/1262", 0)]);
        assert_eq!(check.problems, ["2000 bytes of 2 files are lost"]);
        assert_eq!(check_backup(&head, Ok(&files), &known, |_| false).state, BackupState::Whole);
    }

    #[test]
    fn missing_wal_ends_the_way_to_the_present_or_costs_the_backup() {
        let head = backup(100, 2, 3);
        let of = |wal: &[u64]| check_backup(&head, Ok(&[]), &known(std::slice::from_ref(&head), wal.iter().copied()), |_| false);
        assert_eq!(of(&[2, 3, 4, 5]).state, BackupState::Whole);
        let early = of(&[2, 3, 5]);
        assert_eq!((early.state, early.covered_to), (BackupState::EndsEarly, Some(Lsn(4 << 24))));
        assert!(early.problems[0].contains("000000010000000000000004 is missing"), "{early:?}");
        assert_eq!(of(&[3, 4, 5]).state, BackupState::Lost);
    }

    #[test]
    fn a_whole_backup_elsewhere_is_named() {
        let (old, new) = (backup(100, 2, 3), backup(200, 5, 6));
        let both = known(&[old.clone(), new.clone()], 2..=9);
        let files = [file("base/5/1259", &[1])];
        let mut checks = [check_backup(&old, Ok(&[]), &both, |_| false), check_backup(&new, Ok(&files), &both, |_| true)];
        let other = check_backup(&new, Ok(&files), &both, |_| false);
        advise(&mut checks, &[("second".into(), other)], false);
        assert!(checks[0].advice.is_empty());
        let advice = checks[1].advice.join("\n");
        assert!(
            advice.contains("--backup 19700101T000140Z") && advice.contains("--repository second --backup 19700101T000320Z"),
            "{advice}"
        );
    }

    #[test]
    fn a_sample_is_as_large_as_asked_and_the_same_for_the_same_seed() {
        let keys: Vec<String> = (0..10_000).map(|n| format!("packs/{:02x}/{n:032x}", n % 256)).collect();
        let chosen = |seed| keys.iter().filter(|key| is_sampled(seed, key, 5.0)).count();
        assert!((400..600).contains(&chosen(1)) && chosen(1) == chosen(1));
        assert!(keys.iter().all(|key| is_sampled(7, key, 100.0) && !is_sampled(7, key, 0.0)));
        let both = keys.iter().filter(|key| is_sampled(1, key, 50.0) && is_sampled(2, key, 50.0)).count();
        assert!((2200..2800).contains(&both), "{both}");
    }
}
