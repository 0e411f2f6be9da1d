//! Which backups stay and which may go, and from where on WAL is needed.

use super::{BackupHead, BackupKind, Label};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use std::collections::{BTreeMap, BTreeSet};

/// How long backups stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The newest so many stay, whatever their age. At least one.
    pub count: usize,
    /// Those of the last so many days stay, and the one before them: without it the first of these days could not be reached.
    pub days: u32,
    /// The last one of each of so many weeks.
    pub weekly: usize,
    /// The last one of each of so many months.
    pub monthly: usize,
    /// The last one of each of so many years.
    pub yearly: usize,
}

/// How long backups of each kind stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// Those of a server's files.
    pub physical: Policy,
    /// Logical ones.
    pub logical: Policy,
    /// Those of a file tree.
    pub files: Policy,
}

impl Policies {
    /// The same for all.
    pub fn same(policy: Policy) -> Self {
        Self { physical: policy.clone(), logical: policy.clone(), files: policy }
    }

    const fn of(&self, kind: BackupKind) -> &Policy {
        match kind {
            BackupKind::Physical => &self.physical,
            BackupKind::Logical => &self.logical,
            BackupKind::Files => &self.files,
        }
    }
}

/// Why a backup stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RetentionReason)]
pub enum Reason {
    /// It is among the newest.
    Count,
    /// It is within the days.
    Days,
    /// It is the last one of its week.
    Weekly,
    /// It is the last one of its month.
    Monthly,
    /// It is the last one of its year.
    Yearly,
    /// Somebody holds it.
    Held,
}

/// What becomes of the backups of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// Those that stay, with why.
    pub kept: BTreeMap<Label, BTreeSet<Reason>>,
    /// Those that go, oldest first.
    pub expired: Vec<Label>,
}

/// What became of extents that no backup needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Garbage {
    /// Packs that were named now, to go after the grace period.
    pub condemned: usize,
    /// Packs that went.
    pub removed: usize,
    /// Bytes of those.
    pub removed_bytes: u64,
}

/// The period that a time is in.
type Period = fn(&Zoned) -> (i16, i8);

/// Decides. `backups` are those of one server in one repository, of any kind: each kind counts by itself. Weeks, months and years are those of
/// the time zone `zone`.
pub fn decide(backups: &[BackupHead], held: &BTreeSet<Label>, policies: &Policies, now: Timestamp, zone: &TimeZone) -> Decision {
    let mut decision = Decision::default();
    for kind in [BackupKind::Physical, BackupKind::Logical, BackupKind::Files] {
        let mut newest_first: Vec<&BackupHead> = backups.iter().filter(|head| head.kind == kind).collect();
        newest_first.sort_by_key(|head| std::cmp::Reverse(head.label));
        keep(&newest_first, policies.of(kind), now, zone, &mut decision.kept);
    }
    for label in held {
        decision.kept.entry(*label).or_default().insert(Reason::Held);
    }
    decision.expired = backups.iter().map(|head| head.label).filter(|label| !decision.kept.contains_key(label)).collect();
    decision.expired.sort_unstable();
    decision
}

fn keep(newest_first: &[&BackupHead], policy: &Policy, now: Timestamp, zone: &TimeZone, kept: &mut BTreeMap<Label, BTreeSet<Reason>>) {
    let mut stays = |head: &BackupHead, reason| {
        kept.entry(head.label).or_default().insert(reason);
    };
    newest_first.iter().take(policy.count.max(1)).for_each(|head| stays(head, Reason::Count));
    let since = now - SignedDuration::from_hours(24 * i64::from(policy.days));
    let within = newest_first.iter().take_while(|head| head.finished >= since).count();
    if policy.days > 0 {
        newest_first.iter().take(within + 1).for_each(|head| stays(head, Reason::Days));
    }
    let periods: [(usize, Reason, Period); 3] = [
        (policy.weekly, Reason::Weekly, |time| (time.date().iso_week_date().year(), time.date().iso_week_date().week())),
        (policy.monthly, Reason::Monthly, |time| (time.year(), time.month())),
        (policy.yearly, Reason::Yearly, |time| (time.year(), 0)),
    ];
    for (count, reason, period) in periods {
        let mut seen = BTreeSet::new();
        for head in newest_first {
            let is_last = seen.insert(period(&head.started.to_zoned(zone.clone())));
            if seen.len() > count {
                break;
            }
            if is_last {
                stays(head, reason);
            }
        }
    }
}

/// The oldest physical backup that stays: WAL before its start is needed by nobody.
pub fn oldest_kept<'a>(backups: &'a [BackupHead], decision: &Decision) -> Option<&'a BackupHead> {
    let kept = backups.iter().filter(|head| head.kind == BackupKind::Physical && decision.kept.contains_key(&head.label));
    kept.min_by_key(|head| head.label)
}

#[cfg(test)]
mod tests {

    use super::*;

    use proptest::prelude::*;

    const NONE: Policy = Policy { count: 1, days: 0, weekly: 0, monthly: 0, yearly: 0 };

    fn backup(started: &str) -> BackupHead {
        let started: Timestamp = started.parse().unwrap();
        let finished = started + SignedDuration::from_mins(5);
        BackupHead { finished, ..BackupHead::begun(BackupKind::Physical, "main", Label::at(started), started) }
    }

    /// One a night, ending on 21 November 2026.
    fn nightly(count: i64) -> Vec<BackupHead> {
        let last: Timestamp = "2026-11-21T03:00:00Z".parse().unwrap();
        (0..count).rev().map(|night| backup(&(last - SignedDuration::from_hours(24 * night)).to_string())).collect()
    }

    fn kept(backups: &[BackupHead], policy: &Policy) -> Vec<String> {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let decision = decide(backups, &BTreeSet::new(), &Policies::same(policy.clone()), now, &TimeZone::UTC);
        assert_eq!(decision.kept.len() + decision.expired.len(), backups.len());
        decision.kept.keys().map(|label| label.to_string()[4..8].to_owned()).collect()
    }

    #[test]
    fn the_newest_stay_whatever_their_age() {
        assert_eq!(kept(&nightly(10), &NONE), ["1121"]);
        assert_eq!(kept(&nightly(10), &Policy { count: 3, ..NONE }), ["1119", "1120", "1121"]);
        assert_eq!(kept(&[backup("2020-01-01T00:00:00Z")], &NONE), ["0101"]);
    }

    #[test]
    fn every_instant_of_the_days_can_be_reached() {
        // Three days back from noon is the 18th at noon: that instant is reached from the backup of the 18th at three.
        assert_eq!(kept(&nightly(10), &Policy { days: 3, ..NONE }), ["1118", "1119", "1120", "1121"]);
    }

    #[test]
    fn the_last_of_each_week_month_and_year_stays() {
        let backups = nightly(400);
        assert_eq!(kept(&backups, &Policy { weekly: 3, ..NONE }), ["1108", "1115", "1121"]);
        assert_eq!(kept(&backups, &Policy { monthly: 3, ..NONE }), ["0930", "1031", "1121"]);
        assert_eq!(kept(&backups, &Policy { yearly: 2, ..NONE }), ["1231", "1121"]);
    }

    #[test]
    fn each_kind_counts_by_itself() {
        let mut backups = nightly(6);
        for head in backups.iter_mut().skip(3) {
            head.kind = BackupKind::Logical;
        }
        let policies = Policies { logical: Policy { count: 2, ..NONE }, ..Policies::same(NONE) };
        let decision = decide(&backups, &BTreeSet::new(), &policies, Timestamp::now(), &TimeZone::UTC);
        let kept: Vec<Label> = decision.kept.keys().copied().collect();
        assert_eq!(kept, [backups[2].label, backups[4].label, backups[5].label]);
    }

    #[test]
    fn what_is_held_stays() {
        let backups = nightly(3);
        let held = BTreeSet::from([backups[0].label]);
        let decision = decide(&backups, &held, &Policies::same(NONE), Timestamp::now(), &TimeZone::UTC);
        assert_eq!(decision.expired, [backups[1].label]);
        assert_eq!(oldest_kept(&backups, &decision).unwrap().label, backups[0].label);
    }

    proptest! {
        #[test]
        fn the_newest_always_stays_and_more_policy_never_keeps_less(
            count in 1_i64..60, days in 0_u32..40, weekly in 0_usize..9, monthly in 0_usize..5, more in 0_usize..5,
        ) {
            let backups = nightly(count);
            let policy = Policy { days, weekly, monthly, ..NONE };
            let now = "2026-11-21T12:00:00Z".parse().unwrap();
            let of = |policy: &Policy| decide(&backups, &BTreeSet::new(), &Policies::same(policy.clone()), now, &TimeZone::UTC).kept;
            let (less, greater) = (of(&policy), of(&Policy { weekly: weekly + more, count: 1 + more, ..policy.clone() }));
            prop_assert!(less.contains_key(&backups.last().unwrap().label));
            prop_assert!(less.keys().all(|label| greater.contains_key(label)));
        }
    }
}
