//! What was proved, and when: verifications of servers and repositories, drills.

use super::single::singles;
use crate::backup::proof::{DrillProof, ServerProof};
use crate::metric::scrape::Subject;

singles! {
    /// The last proofs.
    PROOFS;
    gauge pgtend_verify_last_timestamp_seconds, "When the last verification of the whole server ended, in seconds since 1970; none before the first.",
    |subject, series| series.add(&[], server(subject).map(|proof| proof.at));
    gauge pgtend_verify_clean_timestamp_seconds, "When every page was last looked at and nothing was damaged, in seconds since 1970.",
    |subject, series| series.add(&[], server(subject).and_then(|proof| proof.clean_at));
    gauge pgtend_verify_errors, "What the last verification of the whole server found damaged.",
    |subject, series| series.add(&[], server(subject).and_then(|proof| int(proof.errors)));
    gauge pgtend_repo_verify_last_timestamp_seconds { repository }, "When the last verification of the repository ended, in seconds since 1970; none before the first.",
    |subject, series| for proof in &subject.view.proofs.repositories {
        series.add(&[&proof.repository], proof.at);
    };
    gauge pgtend_repo_verify_errors { repository }, "Objects of the repository that its last verification found damaged.",
    |subject, series| for proof in &subject.view.proofs.repositories {
        series.add(&[&proof.repository], int(proof.errors));
    };
    gauge pgtend_repo_verify_hurt_backups { repository }, "Backups of any server that the damage hurts.",
    |subject, series| for proof in &subject.view.proofs.repositories {
        series.add(&[&proof.repository], int(proof.hurt_backups));
    };
    gauge pgtend_drill_last_timestamp_seconds, "When the last drill began, in seconds since 1970; none before the first.",
    |subject, series| series.add(&[], drill(subject).map(|proof| proof.at));
    gauge pgtend_drill_passed, "Whether the last drill brought the server back: 0 when it failed.",
    |subject, series| series.add(&[], drill(subject).map(|proof| proof.passed));
    gauge pgtend_drill_last_passed_timestamp_seconds, "When the last drill began that brought the server back, in seconds since 1970.",
    |subject, series| series.add(&[], drill(subject).and_then(|proof| proof.passed_at));
    gauge pgtend_drill_rto_seconds, "Time that the last drill took from nothing to the first query.",
    |subject, series| series.add(&[], drill(subject).and_then(|proof| proof.rto_seconds));
    gauge pgtend_drill_rpo_seconds, "Time from the last commit that came back in the last drill to the moment at which the server was taken for lost.",
    |subject, series| series.add(&[], drill(subject).and_then(|proof| proof.rpo_seconds));
}

fn server<'a>(subject: &'a Subject<'_>) -> Option<&'a ServerProof> {
    subject.view.proofs.server.as_ref()
}

fn drill<'a>(subject: &'a Subject<'_>) -> Option<&'a DrillProof> {
    subject.view.proofs.drill.as_ref()
}

fn int(value: u64) -> Option<i64> {
    i64::try_from(value).ok()
}
