//! A drill: a backup is restored to scratch and replayed as after the loss of the server, and what came back is checked and compared with the live server.

mod checks;
mod live;

use crate::backup::Progress;
use crate::blocking::blocking;
use crate::psql::Programs;
use crate::scratch::{Request, Scratch};
use checks::Checks;
use jiff::Timestamp;
use live::Live;
use pgtend_model::backup::restore_plan::{Target, Timeline, Wanted as State};
use pgtend_model::backup::{BackupKind, Label};
use pgtend_model::config::Drill as Config;
use pgtend_model::drill::{Drill, Kind, Meanwhile, Phase, Rpo, Verdict, Which};
use pgtend_model::error::{Error, Kind as ErrorKind, Result};
use pgtend_model::units::show_bytes;
use pgtend_postgres::connect::Target as Server;
use pgtend_postgres::process::clients::clients_for;
use pgtend_postgres::process::machine::free_bytes;
use pgtend_postgres::process::os_user::OsUser;
use pgtend_store::repo::Repository;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What a drill is of.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Name of the server.
    pub server: String,
    /// The live server.
    pub live: Server,
    /// The repository.
    pub repository: Repository,
    /// Its name.
    pub repository_name: String,
    /// How drills are done.
    pub config: Config,
    /// Where the copy is made.
    pub directory: PathBuf,
    /// Who runs it.
    pub user: OsUser,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which backup.
    pub which: Which,
    /// The one that is named.
    pub label: Option<Label>,
    /// How much is done.
    pub kind: Kind,
    /// To what state.
    pub target: Target,
    /// Whether room is to be left on the disk.
    pub spares_room: bool,
}

/// How far it is. Clones share it.
#[derive(Debug, Clone)]
pub struct Doing {
    /// How far the restore is.
    pub progress: Progress,
    what: Arc<Mutex<String>>,
}

impl Default for Doing {
    fn default() -> Self {
        Self { progress: Progress::new(0), what: Arc::new(Mutex::new("looking at the repository".to_owned())) }
    }
}

impl Doing {
    /// Says what is being done.
    pub(crate) fn set(&self, what: impl Into<String>) {
        *self.what.lock().unwrap_or_else(PoisonError::into_inner) = what.into();
    }

    /// What is being done.
    pub fn what(&self) -> String {
        self.what.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Does a drill. What goes wrong is in the report: a drill that cannot be finished has found something.
pub async fn run(ground: &Ground, wanted: &Wanted, id: Label, doing: &Doing) -> Drill {
    let (began, started_at) = (Instant::now(), Timestamp::now());
    let mut drill = Drill {
        id: id.to_string(),
        server: ground.server.clone(),
        repository: ground.repository_name.clone(),
        started_at,
        seconds: 0.0,
        kind: wanted.kind,
        which: wanted.which,
        backup: None,
        target: wanted.target.to_string(),
        verdict: Verdict::Failed,
        conclusion: String::new(),
        bytes: 0,
        wal_segments: 0,
        replayed_to: None,
        phases: Vec::new(),
        rto_seconds: None,
        rpo: None,
        checks: Vec::new(),
        tables: Vec::new(),
        error: None,
    };
    if let Err(error) = Box::pin(carry_out(ground, wanted, &mut drill, doing)).await {
        drill.error = Some(error);
    }
    drill.seconds = began.elapsed().as_secs_f64();
    drill.conclude();
    drill
}

async fn carry_out(ground: &Ground, wanted: &Wanted, drill: &mut Drill, doing: &Doing) -> Result<()> {
    let live = Live::look(&ground.live).await;
    let began = Instant::now();
    let request = request(ground, wanted)?;
    let (spares, directory) = (wanted.spares_room.then_some(ground.config.min_free_bytes), ground.directory.clone());
    let planned = blocking(move || {
        let request = with_oldest(request)?;
        let planned = request.prepare()?;
        spares.map_or(Ok(()), |spare| room(&directory, planned.bytes(), spare))?;
        Ok(planned)
    })
    .await?;
    drill.backup = Some(planned.plan().backup.label);
    drill.bytes = planned.bytes();
    drill.wal_segments = planned.plan().wal.len();
    let looked = began.elapsed().as_secs_f64();
    doing.set("restoring");
    let scratch = planned.bring(&doing.progress).await?;
    measure(drill, &scratch, looked, &live);
    let meanwhile = Meanwhile {
        lost_wal_bytes: drill.rpo.as_ref().and_then(|rpo| rpo.lost_wal_bytes),
        tolerance_percent: ground.config.row_count_tolerance,
    };
    let installation = scratch.planned().installation()?.clone();
    let clients = clients_for(installation.major, Some(&installation.bindir)).or_else(|_| clients_for(installation.major, None));
    let programs = clients.map(|clients| Programs::new(&clients, &scratch.target("template1"), None));
    let checks = Checks { scratch: &scratch, programs: programs.as_ref(), config: &ground.config, kind: wanted.kind, doing };
    checks.run(drill).await?;
    if wanted.target == Target::Latest {
        checks.rows(drill, &live, meanwhile).await;
    } else {
        checks.rows_of_another_time(drill);
    }
    tokio::task::spawn_blocking(move || drop(scratch))
        .await
        .map_err(|error| Error::new(ErrorKind::Internal, format!("a thread ended: {error}")))
}

fn request(ground: &Ground, wanted: &Wanted) -> Result<(Request, Which)> {
    if wanted.which == Which::Named && wanted.label.is_none() {
        return Err(Error::new(ErrorKind::Usage, "which backup?").hint("newest, oldest, or a name that `pgtend backup list` shows"));
    }
    let request = Request {
        repository: ground.repository.clone(),
        server: ground.server.clone(),
        wanted: State { target: wanted.target.clone(), backup: wanted.label, timeline: Timeline::Latest },
        exclusive: false,
        databases: BTreeSet::new(),
        directory: ground.directory.clone(),
        user: ground.user.clone(),
        bindir: None,
        workers: ground.config.workers,
        preload: ground.config.preload.clone(),
        client: None,
        purpose: "drill",
    };
    Ok((request, wanted.which))
}

/// Names the oldest backup where that is meant.
fn with_oldest((mut request, which): (Request, Which)) -> Result<Request> {
    if which == Which::Oldest {
        let (heads, damaged) = request.repository.backups(&request.server)?;
        if let Some(error) = damaged.into_iter().next() {
            return Err(error);
        }
        request.wanted.backup = heads.iter().find(|head| head.kind == BackupKind::Physical).map(|head| head.label);
    }
    Ok(request)
}

/// A drill on schedule must not fill the disk that others need.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn room(directory: &std::path::Path, bytes: u64, spare: u64) -> Result<()> {
    match free_bytes(directory) {
        Some(free) if free < bytes.saturating_add(spare) => Err(Error::new(
            ErrorKind::System,
            format!(
                "the drill needs {} and is to leave {} free, and {} are free",
                show_bytes(bytes as f64),
                show_bytes(spare as f64),
                show_bytes(free as f64)
            ),
        )
        .at(directory.display().to_string())
        .hint("name a directory on another disk: scratch_directory in [drill]; or lower min_free_bytes there")),
        _ => Ok(()),
    }
}

/// The figures of the way back.
fn measure(drill: &mut Drill, scratch: &Scratch, looked: f64, live: &Live) {
    let (took, recovered) = (scratch.took(), scratch.recovered());
    let phase = |name: &str, seconds| Phase { name: name.to_owned(), seconds };
    drill.phases = vec![
        phase("looking at the repository, and deciding", looked),
        phase("files from the repository", took.copy_seconds),
        phase("replaying WAL", took.replay_seconds),
        phase("the first query", took.first_query_seconds),
    ];
    drill.rto_seconds = Some(looked + took.seconds());
    drill.replayed_to.clone_from(&recovered.replayed_to);
    let last_commit = recovered.last_commit.as_deref().and_then(commit_time);
    // Segments come whole: what is in the repository is replayed, and what lies after it would be lost.
    let covered = scratch.planned().plan().covered_to;
    let lost = live.lsn.map(|written| written.0.saturating_sub(covered.0));
    drill.rpo = Some(Rpo {
        incident_at: drill.started_at,
        last_commit,
        seconds: last_commit.map(|commit| drill.started_at.duration_since(commit).as_secs_f64().max(0.0)),
        lost_wal_bytes: lost,
    });
}

/// `2026-11-21 07:15:45.123456+00`, as PostgreSQL's log has it.
fn commit_time(text: &str) -> Option<Timestamp> {
    text.replacen(' ', "T", 1).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_log_are_read() {
        let expected: Timestamp = "2026-11-21T07:15:45.5Z".parse().unwrap();
        for text in ["2026-11-21 07:15:45.5+00", "2026-11-21 08:15:45.5+01", "2026-11-21 12:45:45.5+05:30"] {
            assert_eq!(commit_time(text), Some(expected), "{text}");
        }
        assert_eq!(commit_time("yesterday"), None);
    }
}
