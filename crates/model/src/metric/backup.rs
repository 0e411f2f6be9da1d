//! Backups, as far as this agent takes them.

use super::about::seconds;
use super::single::singles;
use crate::backup::standing::{Condition, Standing};
use crate::backup::{BackupHead, BackupKind};
use crate::metric::scrape::Subject;

singles! {
    /// Backups by repository and kind.
    BACKUPS;
    gauge backup_status { repository, kind, status }, "1 for how it stands with the backups: ok, failed (the last try), running, none, or unknown (the repository cannot be looked into); 0 for the others.",
    |subject, series| for (standing, kind) in of(subject) {
        for condition in Condition::ALL {
            series.add(&[&standing.repository, kind, condition.word()], standing.condition == condition);
        }
    };
    gauge backup_last_success_timestamp { repository, kind }, "When the newest backup was complete, in seconds since 1970; none without one.",
    |subject, series| for (standing, kind) in of(subject) {
        series.add(&[&standing.repository, kind], standing.newest.as_ref().map(|head| head.finished));
    };
    gauge pgtend_backup_age_seconds { repository, kind }, "Time since the newest backup was complete; none without one.",
    |subject, series| for (standing, kind) in of(subject) {
        series.add(&[&standing.repository, kind], standing.newest.as_ref().map(|head| seconds(head.finished, subject.now)));
    };
    gauge pgtend_backup_duration_seconds { repository, kind }, "Time that the newest backup took.",
    |subject, series| for (standing, kind) in of(subject) {
        series.add(&[&standing.repository, kind], standing.newest.as_ref().map(BackupHead::duration_seconds));
    };
    gauge pgtend_backup_bytes { repository, kind }, "Bytes of all files of the newest backup.",
    |subject, series| for (standing, kind) in of(subject) {
        series.add(&[&standing.repository, kind], newest(standing, |head| head.bytes));
    };
    gauge pgtend_backup_new_bytes { repository, kind }, "Bytes of the newest backup that the repository did not have.",
    |subject, series| for (standing, kind) in of(subject) {
        series.add(&[&standing.repository, kind], newest(standing, |head| head.new_bytes));
    };
    gauge pgtend_backup_stored_bytes { repository, kind }, "Bytes that the newest backup added to the repository.",
    |subject, series| for (standing, kind) in of(subject) {
        series.add(&[&standing.repository, kind], newest(standing, |head| head.stored_bytes));
    };
    gauge pgtend_backup_wrong_pages { repository, kind }, "Pages with a wrong checksum that the newest backup met; none where pages have no checksums.",
    |subject, series| for (standing, kind) in of(subject) {
        let checked = standing.newest.as_ref().filter(|head| head.checksums.enabled);
        series.add(&[&standing.repository, kind], checked.and_then(|head| int(head.checksums.wrong_pages)));
    };
    gauge pgtend_backups { repository, kind }, "Backups that are kept.",
    |subject, series| for (standing, kind) in of(subject) {
        let known = standing.condition != Condition::Unknown;
        series.add(&[&standing.repository, kind], int(standing.count).filter(|_| known));
    };
    gauge pgtend_backups_damaged { repository }, "Backups whose head cannot be read.",
    |subject, series| for (standing, _) in of(subject).filter(|(standing, _)| standing.kind == BackupKind::Physical) {
        series.add(&[&standing.repository], int(standing.damaged));
    };
    gauge pgtend_backup_oldest_timestamp_seconds { repository, kind }, "When the oldest backup that is kept was complete, in seconds since 1970: nothing before it can be restored.",
    |subject, series| for (standing, kind) in of(subject) {
        series.add(&[&standing.repository, kind], standing.oldest_finished);
    };
    gauge pgtend_backup_next_timestamp_seconds { repository, kind }, "When the next backup is due, in seconds since 1970; none without a schedule.",
    |subject, series| for (standing, kind) in of(subject) {
        series.add(&[&standing.repository, kind], standing.next);
    };
}

fn of<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = (&'a Standing, &'static str)> {
    subject.view.backups.iter().map(|standing| (standing, standing.kind.word()))
}

fn newest(standing: &Standing, figure: fn(&BackupHead) -> u64) -> Option<i64> {
    standing.newest.as_ref().map(figure).and_then(int)
}

fn int(value: u64) -> Option<i64> {
    i64::try_from(value).ok()
}
