//! A repository, as the doctor sees it.

use super::host::{disk, file};
use super::period;
use crate::agent::Agent;
use crate::agent::backups::Work;
use crate::backup::open::key_file;
use crate::backup::repo_verify::last_report;
use crate::blocking::blocking;
use crate::wal::status;
use jiff::Timestamp;
use pgtend_model::backup::doctor::{ClockFacts, ExpectedFacts, LockFacts, Newest, RepositoryFacts, Sample, Verified, WalFacts};
use pgtend_model::backup::tree::{name_of, owner};
use pgtend_model::backup::{BackupHead, BackupKind};
use pgtend_model::config::{Effective, Encryption, Repository as Configured, Server};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::verify::Verdict;
use pgtend_store::repo::Repository;
use std::time::Instant;

/// Extents of the newest backup that are read.
const SAMPLE: usize = 16;

/// Looks at a repository.
pub async fn look(agent: &Agent, server: Server, configured: Configured) -> RepositoryFacts {
    let agent = agent.clone();
    let config = agent.config();
    let work = agent.backups().work(&server.name);
    let name = configured.name.clone();
    let opened = agent.backups().repository(&configured).await;
    let looked = blocking(move || {
        let mut facts = outside(&configured, &config);
        match opened {
            Ok(repository) => inside(&mut facts, &repository, server.in_repository(), &config, &work),
            Err(error) => facts.probed = Err(error),
        }
        if let (Some(data), Some(service)) = (&server.data_directory, agent.archive()) {
            let waiting =
                agent.server(Some(&server.name)).ok().and_then(|server| server.view().wal.as_ref().and_then(|wal| wal.waiting_segments));
            facts.wal = status::look(service.places(), server.in_repository(), data)
                .into_iter()
                .find(|wal| wal.repository == configured.name)
                .map(|wal| match wal.error {
                    Some(error) => Err(error),
                    None => Ok(WalFacts {
                        last: wal.last_archived_at,
                        gaps: wal.timelines.iter().map(|timeline| timeline.gaps.len() as u64).sum(),
                        broken_by: wal.broken_by.map(|range| range.first),
                        waiting,
                    }),
                });
        }
        Ok(facts)
    });
    looked.await.unwrap_or_else(|error| RepositoryFacts { probed: Err(error), ..blank(&name) })
}

fn blank(name: &str) -> RepositoryFacts {
    let unasked = || Error::new(Kind::Unreachable, "it was not asked");
    RepositoryFacts {
        name: name.to_owned(),
        place: String::new(),
        probed: Err(unasked()),
        clock: Err(unasked()),
        directory: None,
        disk: None,
        key_file: None,
        key_inside: false,
        reads: true,
        backups: Err(unasked()),
        expected: Vec::new(),
        sample: None,
        verified: None,
        wal: None,
        locks: Err(unasked()),
    }
}

/// What the file system tells.
fn outside(configured: &Configured, config: &Effective) -> RepositoryFacts {
    let has_key = matches!(configured.encryption, Encryption::KeyFile | Encryption::Recipients);
    let key = has_key.then(|| key_file(configured, &config.agent.state_directory));
    let report = last_report(&config.agent.state_directory, &configured.name);
    RepositoryFacts {
        place: configured.path.as_ref().map(|path| path.display().to_string()).or_else(|| configured.url.clone()).unwrap_or_default(),
        directory: configured.path.as_deref().map(file),
        disk: configured.path.as_deref().and_then(disk),
        key_inside: key.as_ref().zip(configured.path.as_ref()).is_some_and(|(key, path)| key.starts_with(path)),
        key_file: key.as_deref().map(file),
        verified: report.map(|report| Verified { at: report.finished, sound: report.verdict != Verdict::Damaged }),
        ..blank(&configured.name)
    }
}

/// What the repository itself tells.
fn inside(facts: &mut RepositoryFacts, repository: &Repository, server: &str, config: &Effective, work: &[Work]) {
    facts.place = repository.shown();
    facts.reads = repository.reads();
    let probed = probe(repository);
    facts.clock = probed.as_ref().map(|(_, clock)| *clock).map_err(Clone::clone);
    facts.probed = probed.map(|(seconds, _)| seconds);
    facts.backups = repository.backups(server);
    facts.expected = expected(repository, server, config, work, &facts.name);
    facts.locks = repository.locks().map(|locks| {
        locks.into_iter().map(|(name, holder, left_over)| LockFacts { name, what: holder.what, host: holder.host, left_over }).collect()
    });
    let newest = facts.backups.as_ref().ok().and_then(|(heads, _)| heads.last());
    facts.sample = newest.map(|head| sample(repository, head));
}

/// Writes, lists, reads and removes an object; how long that took, and what the storage's clock said more than ours.
fn probe(repository: &Repository) -> Result<(f64, ClockFacts)> {
    repository.answers()?;
    let storage = repository.storage();
    let began = Instant::now();
    let before = Timestamp::now();
    let key = format!("probe/doctor-{}-{}", std::process::id(), before.as_nanosecond());
    let content = b"pgtend backup doctor";
    storage.replace(&key, content)?;
    let after = Timestamp::now();
    let listed = storage.list("probe")?.into_iter().find(|object| object.key == key);
    let read = storage.get(&key);
    storage.delete(&key)?;
    let wrong = |what: &str| Error::new(Kind::Conflict, what).at(format!("{}: {key}", repository.shown()));
    if read? != content {
        return Err(wrong("what was just written is read back as something else"));
    }
    let modified = listed.ok_or_else(|| wrong("an object that was just written is not listed"))?.modified;
    let ahead = if modified > after {
        modified.duration_since(after)
    } else if modified < before {
        modified.duration_since(before)
    } else {
        jiff::SignedDuration::ZERO
    };
    Ok((began.elapsed().as_secs_f64(), ClockFacts { ahead }))
}

fn expected(repository: &Repository, server: &str, config: &Effective, work: &[Work], name: &str) -> Vec<ExpectedFacts> {
    let mut wanted: Vec<(String, BackupKind, &str)> = Vec::new();
    let beside = config.server.iter().any(|one| one.name == server && one.data_directory.is_some());
    if beside {
        wanted.push((server.to_owned(), BackupKind::Physical, &config.backup.schedule));
    }
    if config.backup.logical.schedule != crate::backup::cron::OFF {
        wanted.push((server.to_owned(), BackupKind::Logical, &config.backup.logical.schedule));
    }
    wanted.extend(config.files.iter().map(|files| (owner(&files.name), BackupKind::Files, files.schedule.as_str())));
    let of = |(owner, kind, schedule): (String, BackupKind, &str)| {
        let heads = repository.backups(&owner).map(|(heads, _)| heads).unwrap_or_default();
        let newest = heads.iter().rev().find(|head| head.kind == kind).map(newest);
        let last = work
            .iter()
            .find(|work| work.server == owner && work.kind == kind && work.repository == name)
            .and_then(|work| work.last.as_ref());
        let what = name_of(&owner).map_or_else(|| kind.word().to_owned(), |tree| format!("files {tree}"));
        ExpectedFacts { what, every: period(schedule), newest, failed: last.and_then(|ended| ended.error.clone()) }
    };
    wanted.into_iter().map(of).collect()
}

fn newest(head: &BackupHead) -> Newest {
    Newest { label: head.label, finished: head.finished, warnings: head.warning_count, wrong_pages: head.checksums.wrong_pages }
}

/// Reads extents that lie evenly over a backup.
fn sample(repository: &Repository, head: &BackupHead) -> Result<Sample> {
    if !repository.reads() {
        return Err(Error::new(Kind::Authentication, "this host writes and does not read")
            .hint("`pgtend repo verify` where the key of a recipient is"));
    }
    let files = repository.files(&head.server, head.label)?;
    let all: Vec<[u8; 32]> = files.iter().flat_map(|file| &file.extents).map(|extent| extent.id).collect();
    let mut reader = repository.extents()?.reader();
    let step = all.len().div_ceil(SAMPLE).max(1);
    let mut extents = 0;
    for id in all.iter().step_by(step) {
        reader.extent(*id)?;
        extents += 1;
    }
    Ok(Sample { label: head.label, extents, of: all.len() as u64 })
}
