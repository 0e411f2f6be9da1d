//! What a restore would do: which backup, along which timeline, with which WAL, and whether that reaches what was asked for. Everything is
//! decided here, before a byte is written.

use super::wal_open::{OpenEnd, OpenPiece, ends};
use super::{BackupHead, BackupKind, Label};
use crate::error::{Error, Kind, Result, Retry};
use crate::pgdata::Lsn;
use crate::pgdata::wal::{History, Segment, SegmentSize};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;

/// Where recovery is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// At the end of the WAL there is.
    Latest,
    /// As soon as the data is consistent.
    Immediate,
    /// At the last commit before this instant.
    Time(Timestamp),
    /// At this position.
    Lsn(Lsn),
    /// At the commit of this transaction.
    Xid(u64),
    /// At a restore point that was made with `pg_create_restore_point`.
    Name(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("the end of the WAL"),
            Self::Immediate => f.write_str("the backup's own consistent state"),
            Self::Time(time) => write!(f, "{time}"),
            Self::Lsn(lsn) => write!(f, "position {lsn}"),
            Self::Xid(xid) => write!(f, "transaction {xid}"),
            Self::Name(name) => write!(f, "restore point \"{name}\""),
        }
    }
}

/// Along which timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeline {
    /// The newest that comes from the backup's.
    Latest,
    /// The backup's own.
    Current,
    /// This one.
    Number(u32),
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where recovery ends.
    pub target: Target,
    /// Which backup; the best one for the target when none is named.
    pub backup: Option<Label>,
    /// Along which timeline.
    pub timeline: Timeline,
}

/// A segment in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archived {
    /// Which.
    pub segment: Segment,
    /// When it came: what it holds was written before.
    pub at: Timestamp,
}

/// What is in the repository of one cluster.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its backups, oldest first.
    pub backups: Vec<BackupHead>,
    /// Its WAL.
    pub wal: Vec<Archived>,
    /// Pieces of segments that are not whole.
    pub open: Vec<OpenPiece>,
    /// Histories of its timelines.
    pub histories: Vec<History>,
}

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The backup.
    pub backup: BackupHead,
    /// The timeline that recovery follows to its end.
    pub timeline: u32,
    /// Segments that are there from the backup's start on, without a gap, along that timeline.
    pub wal: Vec<Segment>,
    /// Up to where that is.
    pub covered_to: Lsn,
    /// When the last of it came.
    pub covered_until: Option<Timestamp>,
    /// The segment after the last whole one, where a part of it was streamed: up to `covered_to`.
    pub open: Option<Segment>,
    /// Why this and not something else.
    pub reasons: Vec<String>,
}

/// Decides.
///
/// # Errors
/// `NotFound` when there is no backup that could reach the target; `Conflict` when WAL is missing on the way to it.
pub fn plan(known: &Known, wanted: &Wanted) -> Result<Plan> {
    let backup = choose(known, wanted)?;
    let (timeline, why_timeline) = choose_timeline(known, backup, wanted.timeline)?;
    let covered = Coverage::of(known, backup, timeline)?;
    let mut reasons = vec![why_backup(backup, wanted), why_timeline];
    covered.check(backup, &wanted.target)?;
    if let Some(gap) = covered.gap {
        reasons.push(format!("WAL is missing at {}: recovery ends before it", gap.name(covered.size)));
    }
    if let Some((segment, end)) = covered.open {
        reasons.push(format!("{} is not whole: it was streamed up to {}, at {:.0}", segment.name(covered.size), end.lsn, end.at));
    }
    Ok(Plan {
        open: covered.open.map(|(segment, _)| segment),
        backup: backup.clone(),
        timeline,
        covered_to: covered.to(backup),
        covered_until: covered.until,
        wal: covered.segments,
        reasons,
    })
}

fn choose<'a>(known: &'a Known, wanted: &Wanted) -> Result<&'a BackupHead> {
    let mut physical = known.backups.iter().filter(|head| head.kind == BackupKind::Physical);
    if let Some(label) = wanted.backup {
        let found = physical.find(|head| head.label == label).ok_or_else(|| {
            Error::new(Kind::NotFound, format!("there is no backup {label} of this server's files"))
                .hint("`pgtend backup list` shows what there is")
        })?;
        return if reaches(found, &wanted.target) { Ok(found) } else { Err(too_early(found, &wanted.target)) };
    }
    let all: Vec<&BackupHead> = physical.collect();
    let oldest = all.first().ok_or_else(|| Error::new(Kind::NotFound, "there is no backup").hint("`pgtend backup run` takes one"))?;
    all.iter().rev().find(|head| reaches(head, &wanted.target)).copied().ok_or_else(|| too_early(oldest, &wanted.target))
}

/// Whether the backup is consistent before the target.
fn reaches(head: &BackupHead, target: &Target) -> bool {
    match target {
        Target::Time(time) => head.finished <= *time,
        Target::Lsn(lsn) => head.stop_lsn <= *lsn,
        Target::Latest | Target::Immediate | Target::Xid(_) | Target::Name(_) => true,
    }
}

fn too_early(head: &BackupHead, target: &Target) -> Error {
    Error::new(Kind::NotFound, format!("{target} is before backup {} was complete ({}, at {})", head.label, head.finished, head.stop_lsn))
        .hint("a backup can only be rolled forward: choose a later target, or an older backup if another repository has one")
}

fn why_backup(head: &BackupHead, wanted: &Wanted) -> String {
    match (&wanted.backup, &wanted.target) {
        (Some(_), _) => format!("backup {} as asked", head.label),
        (None, Target::Time(_) | Target::Lsn(_)) => format!("backup {} is the newest that was complete before the target", head.label),
        (None, Target::Xid(_) | Target::Name(_)) => {
            format!("backup {} is the newest; where the target is older, name an older backup with --backup", head.label)
        }
        (None, _) => format!("backup {} is the newest", head.label),
    }
}

fn choose_timeline(known: &Known, backup: &BackupHead, wanted: Timeline) -> Result<(u32, String)> {
    let own = backup.timeline;
    let comes_from = |history: &&History| history.passes(own, backup.stop_lsn);
    match wanted {
        Timeline::Current => Ok((own, format!("timeline {own}, the backup's own, as asked"))),
        Timeline::Number(number) if number == own => Ok((own, format!("timeline {own} as asked"))),
        Timeline::Number(number) => {
            let history = known.histories.iter().find(|history| history.timeline == number).ok_or_else(|| {
                Error::new(Kind::NotFound, format!("the repository has no history of timeline {number}"))
                    .hint(format!("there are: {}", timelines(known, own)))
            })?;
            if comes_from(&history) {
                return Ok((number, format!("timeline {number} as asked")));
            }
            Err(Error::new(
                Kind::Conflict,
                format!("timeline {number} does not go through the backup, which was taken on timeline {own} up to {}", backup.stop_lsn),
            )
            .hint("choose a backup that was taken before that timeline was left")
            .retry(Retry::Never))
        }
        Timeline::Latest => {
            let newest = known.histories.iter().filter(comes_from).map(|history| history.timeline).max().unwrap_or(own);
            Ok(match newest {
                same if same == own => (own, format!("timeline {own}: no later one comes from it")),
                newest => (newest, format!("timeline {newest}: the newest that comes from the backup's, {own}")),
            })
        }
    }
}

fn timelines(known: &Known, own: u32) -> String {
    let mut numbers: Vec<u32> = known.histories.iter().map(|history| history.timeline).chain([own]).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The WAL from a backup on.
struct Coverage {
    size: SegmentSize,
    segments: Vec<Segment>,
    /// The one after them, and how far it reaches.
    open: Option<(Segment, OpenEnd)>,
    until: Option<Timestamp>,
    /// The first segment that is missing although later ones are there.
    gap: Option<Segment>,
}

impl Coverage {
    fn of(known: &Known, backup: &BackupHead, timeline: u32) -> Result<Self> {
        let bytes = u32::try_from(backup.wal_segment_bytes).unwrap_or(0);
        let size = SegmentSize::new(bytes)
            .ok_or_else(|| Error::new(Kind::Conflict, format!("backup {} says that its WAL segments have {bytes} bytes", backup.label)))?;
        let history = known.histories.iter().find(|history| history.timeline == timeline);
        let there: BTreeMap<Segment, Timestamp> = known.wal.iter().map(|archived| (archived.segment, archived.at)).collect();
        let open = ends(&known.open, size);
        let mut covered = Self { size, segments: Vec::new(), open: None, until: None, gap: None };
        let mut number = Segment::holding(backup.timeline, backup.start_lsn, size).number;
        let last = there.keys().filter(|segment| segment.timeline == timeline).map(|segment| segment.number).max();
        loop {
            let end = on_path(history, timeline, backup.timeline, number, size).find_map(|segment| {
                let whole = there.get(&segment).map(|at| OpenEnd { lsn: segment.end(size), at: *at });
                whole.or_else(|| open.get(&segment).copied()).map(|end| (segment, end))
            });
            covered.until = covered.until.max(end.map(|(_, end)| end.at));
            match end {
                Some((segment, end)) if end.lsn == segment.end(size) => covered.segments.push(segment),
                end => {
                    covered.open = end;
                    covered.gap = last.filter(|last| *last > number).map(|_| begins_on(history, timeline, number, size));
                    return Ok(covered);
                }
            }
            number += 1;
        }
    }

    /// The end of what is covered; at least the end of the backup, without which there is none.
    fn to(&self, backup: &BackupHead) -> Lsn {
        if let Some((_, end)) = self.open {
            return end.lsn;
        }
        self.segments.last().map_or(backup.start_lsn, |segment| segment.end(self.size))
    }

    fn check(&self, backup: &BackupHead, target: &Target) -> Result<()> {
        let to = self.to(backup);
        let missing = |what: String| {
            let first = self.gap.map_or_else(|| "WAL ends there".to_owned(), |gap| format!("{} is missing", gap.name(self.size)));
            Error::new(Kind::Conflict, format!("{what}: the repository has WAL without a gap from the backup to {to} only; {first}"))
                .retry(Retry::Never)
        };
        let elsewhere = "restore to a target before that, or from another repository or a newer backup";
        if to < backup.stop_lsn {
            return Err(missing(format!("backup {} cannot be made consistent, which needs WAL up to {}", backup.label, backup.stop_lsn))
                .hint(elsewhere));
        }
        match target {
            Target::Lsn(lsn) if *lsn > to => Err(missing(format!("{target} cannot be reached")).hint(elsewhere)),
            Target::Time(time) if self.until.is_none_or(|until| until < *time) => {
                let until = self.until.map_or_else(|| "nothing".to_owned(), |until| format!("the last of it came at {until}"));
                Err(missing(format!("{time} cannot be reached ({until})")).hint(elsewhere))
            }
            Target::Latest if self.gap.is_some() => {
                Err(missing("the end of the WAL cannot be reached".to_owned()).hint(format!("--lsn {to} restores what can be reached")))
            }
            _ => Ok(()),
        }
    }
}

/// The files that may hold the segment with this number on a timeline's way, in the order in which PostgreSQL asks for them. A timeline begins within a
/// segment: then the file of the later timeline holds the earlier one's bytes too, and where it is not there yet, the earlier one's file is read.
fn on_path(history: Option<&History>, timeline: u32, first: u32, number: u64, size: SegmentSize) -> impl Iterator<Item = Segment> {
    let last_byte = Lsn(Segment { timeline, number }.end(size).0 - 1);
    let first_byte = Segment { timeline, number }.start(size);
    let at = |lsn| history.map_or(timeline, |history| history.timeline_at(lsn)).max(first);
    [at(last_byte), at(first_byte)].into_iter().map(move |timeline| Segment { timeline, number })
}

fn begins_on(history: Option<&History>, timeline: u32, number: u64, size: SegmentSize) -> Segment {
    let start = Segment { timeline, number }.start(size);
    Segment { timeline: history.map_or(timeline, |history| history.timeline_at(start)), number }
}

#[cfg(test)]
mod tests {

    use super::*;

    const MIB: u64 = 1 << 20;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    /// A backup that needs segments `first` to `last` of timeline 1, complete at that minute.
    fn backup(minute: i64, timeline: u32, first: u64, last: u64) -> BackupHead {
        let started = at(minute - 1);
        BackupHead {
            finished: at(minute),
            start_lsn: Lsn(first * 16 * MIB + 0x28),
            stop_lsn: Lsn(last * 16 * MIB + 0x100),
            timeline,
            wal_segment_bytes: 16 * MIB,
            system_identifier: "1".into(),
            postgresql_version: 150_018,
            ..BackupHead::begun(BackupKind::Physical, "main", Label::at(started), started)
        }
    }

    /// Segments of a timeline, one a minute.
    fn wal(timeline: u32, numbers: impl IntoIterator<Item = u64>) -> Vec<Archived> {
        let archived = |number: u64| Archived { segment: Segment { timeline, number }, at: at(i64::try_from(number).unwrap()) };
        numbers.into_iter().map(archived).collect()
    }

    fn wanted(target: Target) -> Wanted {
        Wanted { target, backup: None, timeline: Timeline::Latest }
    }

    #[test]
    fn the_newest_backup_before_the_target_is_taken() {
        let known = Known { backups: vec![backup(3, 1, 2, 2), backup(8, 1, 7, 7)], wal: wal(1, 1..=20), ..Known::default() };
        let label = |target| plan(&known, &wanted(target)).unwrap().backup.finished;
        assert_eq!(label(Target::Latest), at(8));
        assert_eq!(label(Target::Time(at(9))), at(8));
        assert_eq!(label(Target::Time(at(7))), at(3));
        assert_eq!(label(Target::Lsn(Lsn(5 * 16 * MIB))), at(3));
        let error = plan(&known, &wanted(Target::Time(at(2)))).unwrap_err();
        assert!(error.what.contains("is before backup"), "{error}");
    }

    #[test]
    fn a_target_beyond_the_wal_is_refused_before_anything_is_written() {
        let known = Known { backups: vec![backup(3, 1, 2, 2)], wal: wal(1, 2..=6), ..Known::default() };
        let plan_of = |target| plan(&known, &wanted(target));
        assert_eq!(plan_of(Target::Latest).unwrap().covered_to, Lsn(7 * 16 * MIB));
        assert!(plan_of(Target::Time(at(6))).is_ok());
        assert!(plan_of(Target::Time(at(7))).unwrap_err().what.contains("cannot be reached"));
        assert!(plan_of(Target::Lsn(Lsn(7 * 16 * MIB))).is_ok());
        assert!(plan_of(Target::Lsn(Lsn(7 * 16 * MIB + 1))).is_err());
    }

    #[test]
    fn a_gap_is_found_and_named() {
        let known = Known { backups: vec![backup(3, 1, 2, 2)], wal: wal(1, [2, 3, 4, 6, 7]), ..Known::default() };
        let error = plan(&known, &wanted(Target::Latest)).unwrap_err();
        assert!(error.what.contains("000000010000000000000005 is missing") && error.hint.contains("--lsn 0/5000000"), "{error}");
        assert!(plan(&known, &wanted(Target::Lsn(Lsn(4 * 16 * MIB)))).is_ok());
        assert!(plan(&known, &wanted(Target::Lsn(Lsn(6 * 16 * MIB)))).is_err());
    }

    #[test]
    fn a_backup_whose_own_wal_is_missing_is_worth_nothing() {
        let known = Known { backups: vec![backup(3, 1, 2, 4)], wal: wal(1, [2, 3, 5]), ..Known::default() };
        for target in [Target::Immediate, Target::Latest] {
            assert!(plan(&known, &wanted(target)).unwrap_err().what.contains("cannot be made consistent"));
        }
    }

    #[test]
    fn the_way_leads_over_the_switch_of_timelines() {
        let history = History::parse(2, "1\t0/5000100\tno recovery target specified\n").unwrap();
        let both = [wal(1, 2..=4), wal(2, 5..=9)].concat();
        let known = Known { backups: vec![backup(3, 1, 2, 2)], wal: both, histories: vec![history.clone()], ..Known::default() };
        let found = plan(&known, &wanted(Target::Latest)).unwrap();
        assert_eq!((found.timeline, found.covered_to), (2, Lsn(10 * 16 * MIB)));
        assert_eq!(found.wal.iter().map(|segment| segment.timeline).collect::<Vec<_>>(), [1, 1, 1, 2, 2, 2, 2, 2]);
        // A backup taken after the switch on the timeline that was left cannot follow the new one.
        let late = Known { backups: vec![backup(9, 1, 6, 6)], wal: wal(1, 2..=9), histories: vec![history], ..Known::default() };
        assert_eq!(plan(&late, &wanted(Target::Latest)).unwrap().timeline, 1);
        let asked = Wanted { timeline: Timeline::Number(2), ..wanted(Target::Latest) };
        assert!(plan(&late, &asked).unwrap_err().what.contains("does not go through the backup"));
    }

    fn piece(timeline: u32, number: u64, from_byte: u32, to_byte: u32) -> OpenPiece {
        OpenPiece { segment: Segment { timeline, number }, from_byte, to_byte, at: at(30) }
    }

    #[test]
    fn what_was_streamed_of_the_open_segment_counts() {
        let open = vec![piece(1, 5, 0, 100), piece(1, 5, 100, 300), piece(1, 4, 0, 50)];
        let known = Known { backups: vec![backup(3, 1, 2, 2)], wal: wal(1, 2..=4), open, ..Known::default() };
        let found = plan(&known, &wanted(Target::Latest)).unwrap();
        let to = Lsn(5 * 16 * MIB + 300);
        assert_eq!((found.covered_to, found.covered_until, found.wal.len()), (to, Some(at(30)), 3));
        assert_eq!(found.open, Some(Segment { timeline: 1, number: 5 }));
        assert!(plan(&known, &wanted(Target::Time(at(29)))).is_ok());
        assert!(plan(&known, &wanted(Target::Lsn(to))).is_ok());
        assert!(plan(&known, &wanted(Target::Lsn(Lsn(to.0 + 1)))).is_err());
        // One that is all there in pieces is whole; one that is not whole, with WAL after it, is a gap.
        let whole = Known { open: vec![piece(1, 5, 0, 16 << 20), piece(1, 6, 0, 7)], ..known.clone() };
        assert_eq!(plan(&whole, &wanted(Target::Latest)).unwrap().covered_to, Lsn(6 * 16 * MIB + 7));
        let gap = Known { wal: wal(1, [2, 3, 4, 6]), ..known };
        let error = plan(&gap, &wanted(Target::Latest)).unwrap_err();
        assert!(error.hint.contains("--lsn 0/500012C"), "{error}");
    }

    #[test]
    fn a_piece_of_the_timeline_that_was_left_hides_nothing() {
        let history = History::parse(2, "1\t0/5000100\tno recovery target specified\n").unwrap();
        let both = [wal(1, 2..=4), wal(2, 5..=6)].concat();
        let open = vec![piece(1, 5, 0, 0x180), piece(2, 7, 0, 9)];
        let known = Known { backups: vec![backup(3, 1, 2, 2)], wal: both, open, histories: vec![history] };
        assert_eq!(plan(&known, &wanted(Target::Latest)).unwrap().covered_to, Lsn(7 * 16 * MIB + 9));
        let own = Wanted { timeline: Timeline::Current, ..wanted(Target::Latest) };
        assert_eq!(plan(&known, &own).unwrap().covered_to, Lsn(5 * 16 * MIB + 0x180));
    }

    #[test]
    fn without_a_backup_that_is_said() {
        let error = plan(&Known::default(), &wanted(Target::Latest)).unwrap_err();
        assert_eq!(error.what, "there is no backup");
    }
}
