//! Verifying a repository: every object, or a sample of them, and which backups a damaged one hurts.
//!
//! What is found damaged is noted in the repository, so that the next backup writes it again (`docs/repository-format.md`).

mod backups;
mod objects;
mod state;

pub use state::{last_report, progress_file, remember};

use super::progress::{Phase, Progress};
use backups::Head;
use jiff::Timestamp;
use objects::{Found, Item, What};
use pgtend_model::backup::repo_report::{
    BackupState, Checked, Damage, DamageKind, ERRORS_AT_MOST, Rebuilt, RepoReport, Unchecked, advise, is_sampled,
};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::verify::Verdict;
use pgtend_store::repo::Repository;
use pgtend_store::repo::id::RandomId;
use pgtend_store::repo::inspect::Inspection;
use state::Progressed;
use std::collections::HashSet;
use std::path::PathBuf;

/// Objects after which the progress is written down: some hundred megabytes.
const OBJECTS_A_ROUND: usize = 32;

/// What is to be verified, and how.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = RepoVerifyRequest)]
pub struct Request {
    /// Only what this server needs.
    #[serde(default)]
    pub server: Option<String>,
    /// Share of the packs and WAL files that are read, in percent; none: all of them.
    #[serde(default)]
    pub sample_percent: Option<f64>,
    /// By which the sample is chosen; none: by chance.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Threads that read; none: two.
    #[serde(default)]
    pub parallel: Option<usize>,
    /// Whether to go on where the last one was stopped.
    #[serde(default)]
    pub resume: bool,
    /// Whether indexes are made anew first, of packs that no readable index tells of.
    #[serde(default)]
    pub rebuild_index: bool,
}

/// A repository to be verified.
#[derive(Debug)]
pub struct Job {
    /// It.
    pub repository: Repository,
    /// What it is called.
    pub name: String,
    /// How.
    pub request: Request,
    /// Where progress is written down; without it nothing can be resumed.
    pub state: Option<PathBuf>,
    /// Keys of objects that are read even where the sample does not have them.
    pub again: HashSet<String>,
}

/// Verifies. What is found is noted in the repository, where it can be written.
///
/// # Errors
/// What the storage says; damage is no error. `Conflict` when it was stopped.
pub fn run(job: &Job, progress: &Progress) -> Result<RepoReport> {
    progress.enter(Phase::Verifying);
    let begun = Timestamp::now();
    let repository = &job.repository;
    let rebuilt = job.request.rebuild_index.then(|| rebuild(repository, begun, progress)).transpose()?;
    let before = if job.request.resume { state::read(job, repository)? } else { None };
    let mut progressed = before.unwrap_or_else(|| Progressed::new(repository, &job.request, begun));
    // A backup that is published from here on is the next verification's: the indexes and the WAL that are looked at do not tell of it.
    let heads = backups::heads(repository, job.request.server.as_deref())?;
    let inspection = repository.inspect()?;
    let needed = job.request.server.as_deref().map(|server| backups::needed_packs(repository, &inspection, server)).transpose()?;
    let all = objects::list(repository, &inspection, job.request.server.as_deref(), needed.as_ref())?;
    let noted = repository.damaged_packs()?;
    let chosen: Vec<&Item> = all.iter().filter(|item| job.again.contains(&item.key) || is_chosen(item, &progressed, &noted)).collect();
    let wanted = wanted(&chosen, &progressed);
    progress.expect(chosen.iter().map(|item| item.bytes).sum());
    progress.done(progressed.found.checked.bytes);
    let threads = job.request.parallel.unwrap_or(2).max(1);
    for round in wanted.chunks(OBJECTS_A_ROUND) {
        let found = objects::look(repository, &inspection, round, threads, progress)?;
        progressed.found.add(found);
        progressed.after = round.last().map(|item| item.key.clone());
        state::write(job, &progressed)?;
    }
    let report = conclude(job, &inspection, heads, &all, progressed, begun)?;
    state::forget(job);
    Ok(RepoReport { rebuilt, ..report })
}

fn rebuild(repository: &Repository, now: Timestamp, progress: &Progress) -> Result<Rebuilt> {
    repository.rebuild_index(now, |_| progress.check().map_err(|_| stopped()))
}

/// A pack that was found damaged before belongs to every sample.
fn is_chosen(item: &Item, progressed: &Progressed, noted: &HashSet<RandomId>) -> bool {
    matches!(item.what, What::Pack(id) if noted.contains(&id))
        || progressed.sample_percent.is_none_or(|percent| is_sampled(progressed.seed, &item.key, percent))
}

/// What is still to be read: also what came since, wherever its key is.
fn wanted<'a>(chosen: &[&'a Item], progressed: &Progressed) -> Vec<&'a Item> {
    let done = |item: &Item| progressed.after.as_ref().is_some_and(|after| item.key <= *after) && item.modified < progressed.started;
    chosen.iter().filter(|item| !done(item)).copied().collect()
}

fn conclude(
    job: &Job,
    inspection: &Inspection,
    heads: Vec<Head>,
    all: &[Item],
    progressed: Progressed,
    begun: Timestamp,
) -> Result<RepoReport> {
    let repository = &job.repository;
    let mut found = progressed.found;
    found.missing = still_missing(repository, &found.missing)?;
    let mut report = RepoReport {
        repository: job.name.clone(),
        place: repository.shown(),
        id: repository.description().id.clone(),
        started: progressed.started,
        finished: begun,
        server: job.request.server.clone(),
        sample_percent: progressed.sample_percent,
        seed: progressed.sample_percent.map(|_| progressed.seed),
        verdict: Verdict::Clean,
        checked: Checked { packs_there: count(all, true), wal_files_there: count(all, false), ..found.checked },
        errors: found.errors.clone(),
        errors_left_out: 0,
        rebuilt: None,
        backups: Vec::new(),
        unchecked: unchecked(&found),
        notices: Vec::new(),
    };
    for (_, key) in inspection.packs().filter(|(id, _)| found.missing.contains(id)) {
        let detail = "an index tells of it, and it is not there".to_owned();
        report.errors.push(Damage { kind: DamageKind::MissingPack, object: key, detail, lost_extents: 0 });
    }
    for error in inspection.damaged_indexes() {
        report.errors.push(Damage { kind: DamageKind::Index, object: error.place.clone(), detail: error.what.clone(), lost_extents: 0 });
    }
    for error in repository.check_keys()? {
        report.errors.push(Damage { kind: DamageKind::Key, object: error.place.clone(), detail: error.what, lost_extents: 0 });
    }
    let wrong: HashSet<_> = found.wrong.iter().copied().collect();
    let lost = inspection.lost(&wrong, &found.missing);
    let wal: Vec<&Item> = all.iter().filter(|item| !item.is_pack()).collect();
    backups::check(repository, inspection, heads, &lost, &wal, &found.damaged_wal, &mut report)?;
    if found.unindexed_packs > 0 {
        report.notices.push(format!(
            "{} packs have extents that no index tells of: a backup that goes on, or was cut short; --rebuild-index brings them in",
            found.unindexed_packs
        ));
    }
    note(repository, &found, progressed.started, &mut report);
    advise(&mut report.backups, &[], !inspection.damaged_indexes().is_empty());
    report.errors_left_out = report.errors.len().saturating_sub(ERRORS_AT_MOST) as u64;
    report.errors.truncate(ERRORS_AT_MOST);
    report.finished = Timestamp::now();
    report.judge();
    Ok(report)
}

fn count(all: &[Item], packs: bool) -> u64 {
    all.iter().filter(|item| item.is_pack() == packs).count() as u64
}

/// Packs that are missing and that an index still tells of. What is condemned may have gone meanwhile, and nobody needs it.
fn still_missing(repository: &Repository, missing: &HashSet<RandomId>) -> Result<HashSet<RandomId>> {
    if missing.is_empty() {
        return Ok(HashSet::new());
    }
    let indexed: HashSet<_> = repository.inspect()?.packs().map(|(id, _)| id).collect();
    let condemned = repository.condemned()?;
    Ok(missing.iter().filter(|id| indexed.contains(id) && !condemned.contains(id)).copied().collect())
}

fn unchecked(found: &Found) -> Vec<Unchecked> {
    let mut unchecked = Vec::new();
    if found.sealed > 0 {
        unchecked.push(Unchecked {
            what: format!("the content of {} packs and WAL files", found.sealed),
            why: "this host writes without being able to read (encryption = \"recipients\"): their form was looked at, and their sizes"
                .to_owned(),
            hint: "run pgtend repo verify where a recipient's key file is: --from DIR --key-file FILE".to_owned(),
        });
    }
    unchecked
}

/// Writes down what is damaged, so that the next backup does not count on it; takes notes away that are not true any more.
fn note(repository: &Repository, found: &Found, at: Timestamp, report: &mut RepoReport) {
    let damaged: HashSet<_> = found.wrong.iter().map(|(pack, _)| *pack).chain(found.missing.iter().copied()).collect();
    let noted = || -> Result<()> {
        for pack in &damaged {
            repository.note_damage(*pack, at, "found by pgtend repo verify")?;
        }
        for pack in repository.damaged_packs()?.difference(&damaged) {
            if found.sound.contains(pack) {
                repository.forget_damage(*pack)?;
            }
        }
        Ok(())
    };
    match noted() {
        Ok(()) if damaged.is_empty() => {}
        Ok(()) => report.notices.push(format!(
            "{} damaged packs are noted: the next backup writes again what the server still has of them (pgtend backup run)",
            damaged.len()
        )),
        Err(error) => report.unchecked.push(Unchecked {
            what: "the damage could not be noted in the repository".to_owned(),
            why: error.what,
            hint: "until it is, backups count on the damaged packs: make the repository writable, and verify again".to_owned(),
        }),
    }
}

/// Names, for each damaged backup, what is whole in the other repositories.
pub fn advise_all(reports: &mut [RepoReport]) {
    let all: Vec<_> =
        reports.iter().flat_map(|report| report.backups.iter().map(|check| (report.repository.clone(), check.clone()))).collect();
    for report in reports.iter_mut() {
        let others: Vec<_> = all.iter().filter(|(name, _)| *name != report.repository).cloned().collect();
        let index = report.errors.iter().any(|error| error.kind == DamageKind::Index);
        if report.backups.iter().any(|check| check.state != BackupState::Whole) {
            advise(&mut report.backups, &others, index);
        }
    }
}

/// The error of somebody who stopped it.
fn stopped() -> Error {
    Error::new(Kind::Conflict, "the verification was stopped on request").hint("--resume goes on from there")
}
