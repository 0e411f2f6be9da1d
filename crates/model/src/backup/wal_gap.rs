//! Which WAL a repository has, and where something is missing: from the names that are there and the histories of timelines.

use super::BackupHead;
use crate::pgdata::Lsn;
use crate::pgdata::wal::{History, Segment, SegmentSize};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Segments that follow each other on one timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WalRange {
    /// The timeline.
    pub timeline: u32,
    /// The first segment.
    pub first: String,
    /// The last one.
    pub last: String,
    /// Where the first begins.
    #[schema(value_type = String)]
    pub start_lsn: Lsn,
    /// Where the last ends.
    #[schema(value_type = String)]
    pub end_lsn: Lsn,
    /// How many they are.
    pub segments: u64,
}

/// What is there of one timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimelineWal {
    /// The timeline.
    pub timeline: u32,
    /// What is there, in order.
    pub ranges: Vec<WalRange>,
    /// What is missing between, before, and after it. Recovery along this timeline stops at the first.
    pub gaps: Vec<WalRange>,
    /// What is missing because it never was to be there, with why.
    #[serde(default)]
    pub expected: Vec<ExpectedGap>,
    /// Segments that are there.
    pub segments: u64,
}

/// WAL that is missing, and that nobody expects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExpectedGap {
    /// What is missing.
    #[serde(flatten)]
    pub range: WalRange,
    /// Why.
    pub why: String,
}

/// Tells gaps that are expected from others. A backup of a server that nobody archived brings what it needs itself, and nothing after it: what follows
/// was never to be there, up to the next backup. What is missing after the newest backup is never expected: nothing leads to the present then.
pub fn set_apart(timelines: &mut [TimelineWal], backups: &[BackupHead]) {
    let Some(newest) = backups.iter().map(|head| head.start_lsn).max() else { return };
    for timeline in timelines {
        let (expected, gaps) = std::mem::take(&mut timeline.gaps)
            .into_iter()
            .partition(|gap| gap.end_lsn <= newest && follows_unarchived(gap, backups).is_some());
        timeline.gaps = gaps;
        timeline.expected = expected
            .into_iter()
            .filter_map(|range: WalRange| follows_unarchived(&range, backups).map(|why| ExpectedGap { why, range }))
            .collect();
    }
}

/// Why a gap right after a backup of this kind is expected.
fn follows_unarchived(gap: &WalRange, backups: &[BackupHead]) -> Option<String> {
    let ends_there = |head: &&BackupHead| {
        head.is_unarchived() && head.stop_lsn <= gap.start_lsn && gap.start_lsn.0 - head.stop_lsn.0 < head.wal_segment_bytes
    };
    let head = backups.iter().find(ends_there)?;
    Some(format!("nobody archived after backup {}: it can be restored, but not rolled forward", head.label))
}

/// What is there of all timelines.
pub fn coverage<'a>(names: impl IntoIterator<Item = &'a str>, histories: &[History], size: SegmentSize) -> Vec<TimelineWal> {
    let mut timelines: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
    for segment in names.into_iter().filter_map(|name| Segment::of_name(name, size)) {
        timelines.entry(segment.timeline).or_default().insert(segment.number);
    }
    let of = |(timeline, numbers): (&u32, &BTreeSet<u64>)| {
        let present = runs(numbers.iter().copied());
        let mut missing: Vec<(u64, u64)> = present.windows(2).filter_map(|pair| Some((pair.first()?.1 + 1, pair.get(1)?.0 - 1))).collect();
        missing.extend(before(*timeline, numbers, &timelines, histories, size));
        missing.extend(after(*timeline, numbers, &timelines, histories, size));
        missing.sort_unstable();
        let range = |(first, last): &(u64, u64)| range(*timeline, *first, *last, size);
        TimelineWal {
            timeline: *timeline,
            ranges: present.iter().map(range).collect(),
            gaps: missing.iter().map(range).collect(),
            expected: Vec::new(),
            segments: numbers.len() as u64,
        }
    };
    timelines.iter().map(of).collect()
}

/// The first gap after this position: what keeps a backup that starts there from being rolled forward to the present.
pub fn first_gap_after(timelines: &[TimelineWal], lsn: Lsn) -> Option<&WalRange> {
    let newest = timelines.iter().map(|timeline| timeline.timeline).max();
    let counts = |gap: &&WalRange| gap.end_lsn > lsn && (Some(gap.timeline) == newest || gap.end_lsn <= begins(timelines, newest));
    timelines.iter().flat_map(|timeline| &timeline.gaps).filter(counts).min_by_key(|gap| gap.start_lsn)
}

/// Where the WAL of a timeline begins.
fn begins(timelines: &[TimelineWal], wanted: Option<u32>) -> Lsn {
    let found = timelines.iter().find(|timeline| Some(timeline.timeline) == wanted);
    found.and_then(|timeline| timeline.ranges.first()).map_or(Lsn(0), |range| range.start_lsn)
}

/// Numbers that follow each other, as first and last.
fn runs(numbers: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

/// A timeline begins in the segment in which it left the one before. What is missing there counts only where WAL from before is kept:
/// otherwise it was taken away with the backups that needed it.
fn before(
    timeline: u32,
    numbers: &BTreeSet<u64>,
    timelines: &BTreeMap<u32, BTreeSet<u64>>,
    histories: &[History],
    size: SegmentSize,
) -> Option<(u64, u64)> {
    let history = histories.iter().find(|history| history.timeline == timeline)?;
    let switch = history.switches.last()?;
    let begins = Segment::holding(timeline, switch.at, size).number;
    let older = timelines.get(&switch.timeline)?.first()?;
    let first = numbers.first()?;
    (*older < begins && *first > begins).then(|| (begins, first - 1))
}

/// Where a later timeline left this one, this one must reach up to the segment in which that happened; that segment itself is also the
/// later timeline's first.
fn after(
    timeline: u32,
    numbers: &BTreeSet<u64>,
    timelines: &BTreeMap<u32, BTreeSet<u64>>,
    histories: &[History],
    size: SegmentSize,
) -> Option<(u64, u64)> {
    let leaves = |history: &History| {
        let switch = history.switches.iter().find(|switch| switch.timeline == timeline)?;
        timelines.contains_key(&history.timeline).then(|| Segment::holding(timeline, switch.at, size).number)
    };
    let left = histories.iter().filter_map(leaves).max()?;
    let last = numbers.last()?;
    (last + 1 < left).then(|| (last + 1, left - 1))
}

fn range(timeline: u32, first: u64, last: u64, size: SegmentSize) -> WalRange {
    let segment = |number| Segment { timeline, number };
    WalRange {
        timeline,
        first: segment(first).name(size),
        last: segment(last).name(size),
        start_lsn: segment(first).start(size),
        end_lsn: segment(last).end(size),
        segments: last - first + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size() -> SegmentSize {
        SegmentSize::new(16 << 20).unwrap()
    }

    fn names(timeline: u32, numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
        numbers.into_iter().map(|number| Segment { timeline, number }.name(size())).collect()
    }

    fn told(names: &[String], histories: &[&str]) -> String {
        let histories: Vec<History> = (2..).zip(histories).map(|(timeline, text)| History::parse(timeline, text).unwrap()).collect();
        let mut lines = Vec::new();
        for timeline in coverage(names.iter().map(String::as_str), &histories, size()) {
            let show = |range: &WalRange| format!("{}..{}", &range.first[16..], &range.last[16..]);
            let ranges: Vec<String> = timeline.ranges.iter().map(show).collect();
            let gaps: Vec<String> = timeline.gaps.iter().map(show).collect();
            lines.push(format!("{}: {} gaps: {}", timeline.timeline, ranges.join(" "), gaps.join(" ")));
        }
        lines.join("\n")
    }

    #[test]
    fn what_is_missing_in_between_is_a_gap() {
        let all = names(1, [1, 2, 3, 6, 9, 10]);
        assert_eq!(
            told(&all, &[]),
            "1: 00000001..00000003 00000006..00000006 00000009..0000000A gaps: 00000004..00000005 00000007..00000008"
        );
        let range = &coverage(all.iter().map(String::as_str), &[], size())[0].gaps[0];
        assert_eq!((range.segments, range.start_lsn, range.end_lsn), (2, Lsn(4 << 24), Lsn(6 << 24)));
        assert_eq!(told(&[], &[]), "");
    }

    #[test]
    fn a_gap_before_the_backup_breaks_nothing() {
        let all = names(1, [1, 2, 5, 6]);
        let timelines = coverage(all.iter().map(String::as_str), &[], size());
        assert_eq!(first_gap_after(&timelines, Lsn(2 << 24)).map(|gap| gap.segments), Some(2));
        assert_eq!(first_gap_after(&timelines, Lsn(5 << 24)), None);
    }

    #[test]
    fn what_follows_a_backup_that_nobody_archived_is_no_loss() {
        use crate::backup::{BackupKind, Label};
        let backup = |first: u64, last: u64, note: &str| BackupHead {
            start_lsn: Lsn((first << 24) + 0x28),
            stop_lsn: Lsn((last << 24) + 0x100),
            timeline: 1,
            wal_segment_bytes: 16 << 20,
            notes: vec![note.to_owned()],
            ..BackupHead::begun(BackupKind::Physical, "main", Label::at(jiff::Timestamp::UNIX_EPOCH), jiff::Timestamp::UNIX_EPOCH)
        };
        let told = |wal: &[u64], backups: &[BackupHead]| {
            let all = names(1, wal.iter().copied());
            let mut timelines = coverage(all.iter().map(String::as_str), &[], size());
            set_apart(&mut timelines, backups);
            (timelines[0].gaps.len(), timelines[0].expected.len())
        };
        let unarchived = BackupHead::UNARCHIVED;
        assert_eq!(told(&[2, 3, 6, 7], &[backup(2, 3, unarchived), backup(6, 6, "")]), (0, 1));
        // An archived one loses something, and so does one that nothing follows.
        assert_eq!(told(&[2, 3, 6, 7], &[backup(2, 3, ""), backup(6, 6, "")]), (1, 0));
        assert_eq!(told(&[2, 3, 6, 7], &[backup(2, 3, unarchived)]), (1, 0));
        assert_eq!(told(&[2, 4, 6, 7], &[backup(2, 2, unarchived), backup(6, 6, "")]), (1, 1));
    }

    #[test]
    fn the_number_goes_on_where_the_name_turns_over() {
        let over = coverage(["0000000100000000000000FF", "000000010000000100000000"], &[], size());
        assert_eq!((over[0].ranges.len(), over[0].gaps.len()), (1, 0));
    }

    #[test]
    fn other_files_are_no_segments() {
        let other = ["00000002.history", "000000010000000000000002.partial", "000000010000000000000002.00000028.backup"];
        assert_eq!(coverage(other, &[], size()), []);
    }

    #[test]
    fn a_timeline_goes_on_from_the_one_that_it_left() {
        // Timeline 2 left timeline 1 in its segment 5, which may be on either.
        let left = ["1\t0/5000100\tno recovery target specified\n"];
        let whole = [names(1, 1..=4), names(2, 5..=7)].concat();
        assert_eq!(told(&whole, &left), "1: 00000001..00000004 gaps: \n2: 00000005..00000007 gaps: ");
        let late = [names(1, 1..=3), names(2, 6..=7)].concat();
        assert_eq!(told(&late, &left), "1: 00000001..00000003 gaps: 00000004..00000004\n2: 00000006..00000007 gaps: 00000005..00000005");
        // The old server went on for a while: that is another way, not a gap.
        let both = [names(1, 1..=9), names(2, 5..=7)].concat();
        assert_eq!(told(&both, &left), "1: 00000001..00000009 gaps: \n2: 00000005..00000007 gaps: ");
        // What is older went with the backups that needed it.
        assert_eq!(told(&names(2, 6..=7), &left), "2: 00000006..00000007 gaps: ");
    }
}
