//! How a server stands with its backups in one repository: what metrics and alert rules go by.

use super::{BackupHead, BackupKind};
use jiff::Timestamp;

/// How it stands with backups of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The last try became a backup.
    Ok,
    /// The last try failed.
    Failed,
    /// One is being taken.
    Running,
    /// There is none, and none was tried.
    None,
    /// The repository cannot be looked into.
    Unknown,
}

impl Condition {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Ok, Self::Failed, Self::Running, Self::None, Self::Unknown];

    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Running => "running",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known of a server's backups of one kind in one repository.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The repository's name.
    pub repository: String,
    /// Kind of the backups.
    pub kind: BackupKind,
    /// How it stands.
    pub condition: Condition,
    /// Backups that are kept.
    pub count: u64,
    /// Backups whose head cannot be read.
    pub damaged: u64,
    /// The newest.
    pub newest: Option<BackupHead>,
    /// When the oldest was complete.
    pub oldest_finished: Option<Timestamp>,
    /// When the next one is due.
    pub next: Option<Timestamp>,
}

/// What goes on, as the agent knows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doing {
    /// Whether a backup is being taken.
    pub running: bool,
    /// Whether the last one that this agent tried failed.
    pub failed: bool,
    /// When the next one is due.
    pub next: Option<Timestamp>,
}

/// The standing of each kind that there is; of physical backups always. `known` is none where the repository cannot be looked into.
pub fn standings(repository: &str, known: Option<(&[BackupHead], u64)>, doing: Doing) -> Vec<Standing> {
    let kinds = [BackupKind::Physical, BackupKind::Logical, BackupKind::Files];
    let of = |kind: BackupKind| {
        let physical = kind == BackupKind::Physical;
        let heads = || known.into_iter().flat_map(|(heads, _)| heads).filter(move |head| head.kind == kind);
        let newest = heads().max_by_key(|head| head.finished);
        // What the agent does and when are told of the backups that it takes on its schedule.
        let doing = if physical { doing } else { Doing::default() };
        let condition = match (doing, known, newest) {
            (Doing { running: true, .. }, ..) => Condition::Running,
            (Doing { failed: true, .. }, ..) => Condition::Failed,
            (_, None, _) => Condition::Unknown,
            (_, _, None) => Condition::None,
            (_, _, Some(_)) => Condition::Ok,
        };
        (physical || newest.is_some()).then(|| Standing {
            repository: repository.to_owned(),
            kind,
            condition,
            count: heads().count() as u64,
            damaged: known.filter(|_| physical).map_or(0, |(_, damaged)| damaged),
            newest: newest.cloned(),
            oldest_finished: heads().map(|head| head.finished).min(),
            next: doing.next,
        })
    };
    kinds.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::Label;
    use jiff::SignedDuration;

    fn head(kind: BackupKind, day: i64) -> BackupHead {
        let started = Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_hours(24 * day);
        BackupHead { finished: started + SignedDuration::from_mins(1), ..BackupHead::begun(kind, "main", Label::at(started), started) }
    }

    fn conditions(known: Option<&[BackupHead]>, doing: Doing) -> Vec<(BackupKind, Condition, u64)> {
        let told = standings("main", known.map(|heads| (heads, 0)), doing);
        told.into_iter().map(|standing| (standing.kind, standing.condition, standing.count)).collect()
    }

    #[test]
    fn no_backup_a_failed_one_and_a_repository_that_is_away_are_told_apart() {
        use BackupKind::{Logical, Physical};
        let failed = Doing { failed: true, ..Doing::default() };
        let (one, two) = (head(Physical, 0), head(Physical, 1));
        assert_eq!(conditions(Some(&[]), Doing::default()), [(Physical, Condition::None, 0)]);
        assert_eq!(conditions(None, Doing::default()), [(Physical, Condition::Unknown, 0)]);
        assert_eq!(conditions(Some(&[one.clone(), two.clone()]), Doing::default()), [(Physical, Condition::Ok, 2)]);
        assert_eq!(conditions(Some(std::slice::from_ref(&one)), failed), [(Physical, Condition::Failed, 1)]);
        assert_eq!(
            conditions(Some(&[one, head(Logical, 3)]), Doing { running: true, ..failed }),
            [(Physical, Condition::Running, 1), (Logical, Condition::Ok, 1)]
        );
    }

    #[test]
    fn the_newest_is_the_one_that_was_complete_last() {
        let heads = [head(BackupKind::Physical, 2), head(BackupKind::Physical, 0)];
        let told = standings("main", Some((&heads, 1)), Doing::default());
        assert_eq!(told[0].newest.as_ref().unwrap().label, heads[0].label);
        assert_eq!((told[0].oldest_finished, told[0].damaged), (Some(heads[1].finished), 1));
    }
}
