//! `pgtend restore`: bringing a backup back, with WAL up to where one wants.

use super::Global;
use super::output::{self, Cell, Format, Table, Tabular, Tone, print};
use super::progress_bar::{self, watched};
use super::repository::{From, Opened};
use super::restore_contents::{Asked, Contents};
use super::until::Until;
use crate::backup::Progress;
use crate::backup::restore::recover::Recovered;
use crate::backup::restore::run::{Prepared, Replay, Restore as Run};
use crate::backup::restore::settings::{Action, Purpose};
use crate::backup::restore::wal_source::{WalSource, program, restore_command};
use crate::blocking::blocking;
use clap::{Args, ValueEnum};
use pgtend_model::backup::restore_plan::{Timeline, Wanted};
use pgtend_model::backup::{FileType, Label};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::Lsn;
use pgtend_model::pgdata::wal::SegmentSize;
use pgtend_model::units::{show_bytes, show_seconds};
use pgtend_postgres::backup::BackupSession;
use pgtend_postgres::connect::{Environment, Target};
use pgtend_postgres::process::os_user::OsUser;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Brings a backup back, and replays WAL up to where you want
///
/// Everything that could stand in the way is looked at before a byte is written: whether the target can be reached, whether WAL is missing, whether there
/// is room. Nothing is ever restored over a running server. Without a target the newest state is restored. WAL is replayed by a PostgreSQL that nobody
/// else can reach, and then stopped: start the directory as you like.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The new data directory, or with --delta the damaged one; for a file tree or a whole logical backup, where its files go
    #[arg(long, value_name = "DIR", required_unless_present = "into_db")]
    into: Option<PathBuf>,
    #[command(flatten)]
    until: Until,
    /// From this backup; without it, the newest that can reach the target
    #[arg(long, value_name = "LABEL")]
    backup: Option<Label>,
    /// Along which timeline: latest, current (the backup's own), or a number
    #[arg(long, value_name = "TIMELINE", default_value = "latest", value_parser = timeline)]
    timeline: Timeline,
    /// Go over the copy of this cluster that is in the directory: what is the same stays, what the backup does not have is removed
    #[arg(long)]
    delta: bool,
    /// Where a tablespace goes: OID=DIR or FORMER-DIR=DIR. Without it, next to a new data directory
    #[arg(long = "tablespace-map", value_name = "WHICH=DIR", value_parser = mapping)]
    tablespaces: Vec<(String, PathBuf)>,
    /// Follow this primary instead of ending recovery: its connection string
    #[arg(long, value_name = "CONNINFO", conflicts_with_all = ["where", "as_primary", "target_action", "db"])]
    standby: Option<String>,
    /// The restored cluster takes the place of the one that was lost: it archives as that did. Without it, it is a copy that archives nothing
    #[arg(long, conflicts_with = "db")]
    as_primary: bool,
    /// What happens at the target
    #[arg(long, value_enum, default_value_t = AtTarget::Promote)]
    target_action: AtTarget,
    /// Write the files only: WAL is replayed when somebody starts the directory
    #[arg(long)]
    no_recovery: bool,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
    /// Threads that read and write
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// The operating system's user that owns the files
    #[arg(long, value_name = "USER")]
    os_user: Option<String>,
    /// Where PostgreSQL's programs are
    #[arg(long, value_name = "DIR")]
    bindir: Option<PathBuf>,
    #[command(flatten)]
    contents: Contents,
    #[command(flatten)]
    from: From,
}

/// How long it is tried to reach a primary.
const PRIMARY_PATIENCE: Duration = Duration::from_secs(10);

/// What happens at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AtTarget {
    /// Recovery ends: the cluster goes on on a timeline of its own.
    Promote,
    /// Recovery pauses when somebody starts the directory: one may look and go on (with --no-recovery).
    Pause,
    /// The server stops when it is there (with --no-recovery).
    Shutdown,
}

fn timeline(text: &str) -> Result<Timeline, String> {
    match text {
        "latest" => Ok(Timeline::Latest),
        "current" => Ok(Timeline::Current),
        number => number.parse().map(Timeline::Number).map_err(|_| "latest, current, or a number".to_owned()),
    }
}

fn mapping(text: &str) -> Result<(String, PathBuf), String> {
    let (which, to) = text.split_once('=').ok_or("WHICH=DIR")?;
    if to.starts_with('/') { Ok((which.to_owned(), to.into())) } else { Err("the directory must be absolute".to_owned()) }
}

/// What was decided, as it is shown before and after.
#[derive(serde::Serialize)]
struct Told {
    dry_run: bool,
    backup: Label,
    server: String,
    system_identifier: String,
    into: PathBuf,
    tablespaces: BTreeMap<u32, PathBuf>,
    bytes: u64,
    files: u64,
    timeline: u32,
    wal_segments: usize,
    wal_from: String,
    covered_to: Lsn,
    target: String,
    reasons: Vec<String>,
    notes: Vec<String>,
    next: Vec<String>,
    recovered: Option<Recovered>,
    seconds: Option<f64>,
}

impl Restore {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let asked = Asked {
            from: &self.from,
            into: self.into.as_deref().unwrap_or(Path::new("")),
            backup: self.backup,
            workers: usize::from(self.workers),
            dry_run: self.dry_run,
        };
        if self.contents.run(global, &asked).await? {
            return Ok(0);
        }
        let from = self.from.open(global).await?;
        let user = OsUser::choose(self.os_user.as_deref())?;
        let run = Run {
            repository: from.repository.clone(),
            server: from.server.clone(),
            system_identifier: None,
            wanted: Wanted { target: self.until.target()?, backup: self.backup, timeline: self.timeline },
            into: self.into.clone().unwrap_or_default(),
            delta: self.delta,
            databases: self.contents.databases(),
            tablespace_map: self.tablespaces.iter().cloned().collect(),
            user,
            bindir: self.bindir.clone(),
            workers: usize::from(self.workers),
        };
        let recovers = !self.no_recovery && self.standby.is_none();
        let (prepared, run) = blocking(move || Ok((run.prepare(recovers)?, run))).await?;
        has_all_that_is_wanted(&prepared)?;
        if !recovers && from.wal_socket.is_none() {
            return Err(nobody_serves());
        }
        let mut told = told(&run, &prepared, self.dry_run);
        if let Some(conninfo) = &self.standby {
            told.notes.extend(look_at_primary(conninfo, run.user.name(), &prepared.owner.system_identifier).await?);
        }
        told.next = self.next(&prepared);
        if self.dry_run {
            print(&told, global.format)?;
            return Ok(0);
        }
        tell(global, &format!("Restoring backup {} into {}", told.backup, told.into.display()));
        let started = std::time::Instant::now();
        let recovered = self.carry_out(from, run, prepared, recovers).await?;
        let told = Told { recovered, seconds: Some(started.elapsed().as_secs_f64()), ..told };
        print(&told, global.format)?;
        Ok(0)
    }

    async fn carry_out(&self, from: Opened, run: Run, prepared: Prepared, recovers: bool) -> Result<Option<Recovered>> {
        // While this command runs it serves the WAL itself; afterwards an agent has to.
        let own = tempfile::Builder::new().prefix("pgtend-").tempdir_in("/tmp").map_err(|error| no_directory(&error))?;
        std::fs::set_permissions(own.path(), std::fs::Permissions::from_mode(0o755)).map_err(|error| no_directory(&error))?;
        let source = if recovers { Some(WalSource::start(own.path(), from.repository, &prepared, &run.user, None)?) } else { None };
        let restore_command = match (&source, from.wal_socket) {
            (Some(source), _) => source.restore_command().to_owned(),
            (None, Some(socket)) => restore_command(&program(&run.user, None)?, &socket, &prepared.owner.server),
            (None, None) => return Err(nobody_serves()),
        };
        let replay = Replay {
            restore_command,
            exclusive: self.until.exclusive,
            action: self.action(),
            purpose: self.purpose(),
            primary_conninfo: self.standby.clone(),
            run: recovers,
        };
        let progress = Progress::new(0);
        let seen = progress.clone();
        let work = blocking(move || run.carry_out(&prepared, &replay, &progress));
        let outcome = watched(work, |bar| progress_bar::show(bar, &seen.see())).await;
        drop(source);
        outcome
    }

    /// What is left to be done.
    fn next(&self, prepared: &Prepared) -> Vec<String> {
        let data = prepared.place.data.display();
        let others = prepared.selection.drop_others().map(|sql| {
            format!("the other databases have no contents and cannot be entered: drop them, before autovacuum complains of them, and those that were made of them later: {sql}")
        });
        let start = match (&self.standby, self.no_recovery) {
            (Some(_), _) => vec![format!(
                "start it, for instance pg_ctl -D {data} start: it replays what is in the repository, as long as an agent brings it, then follows its primary; for its own \
                 backups and WAL after a promotion, give it a [[server]] section with cluster = \"{}\"",
                prepared.owner.server
            )],
            (None, true) => {
                // WAL may refer to pages of the databases that are left out.
                let overlook = if prepared.selection.is_everything() { "" } else { " -o '-c ignore_invalid_pages=on'" };
                vec![format!("start it, for instance pg_ctl -D {data}{overlook} start: then it replays WAL, as long as an agent brings it")]
            }
            (None, false) => Vec::new(),
        };
        start.into_iter().chain(others).collect()
    }

    const fn action(&self) -> Action {
        match self.target_action {
            AtTarget::Promote => Action::Promote,
            AtTarget::Pause => Action::Pause,
            AtTarget::Shutdown => Action::Shutdown,
        }
    }

    const fn purpose(&self) -> Purpose {
        match (&self.standby, self.as_primary) {
            (Some(_), _) => Purpose::Standby,
            (None, true) => Purpose::Primary,
            (None, false) => Purpose::Copy,
        }
    }
}

fn no_directory(error: &std::io::Error) -> Error {
    Error::new(Kind::System, format!("a directory for this restore cannot be made: {error}")).at("/tmp")
}

/// A name that the backup does not have is most likely a mistake; one that came later comes with all others.
fn has_all_that_is_wanted(prepared: &Prepared) -> Result<()> {
    let Some(missing) = &prepared.selection.missing else { return Ok(()) };
    let known: Vec<&str> = prepared.selection.known.iter().map(String::as_str).collect();
    Err(Error::new(Kind::NotFound, format!("backup {} has no database \"{missing}\"", prepared.plan.backup.label))
        .hint(format!("it has: {}; one that was made after it comes back without --db, or from a newer backup", known.join(", "))))
}

fn nobody_serves() -> Error {
    Error::new(Kind::Usage, "nobody would bring the WAL after this command has ended")
        .hint("have an agent run over the repository first, and restore from it or by its --config; --no-recovery can be left out instead")
}

/// Whether what a standby is to follow is the primary of its cluster; gives what one should know. One that cannot be asked may come later, or lets
/// its standbys in and nobody else.
async fn look_at_primary(conninfo: &str, user: &str, system_identifier: &str) -> Result<Vec<String>> {
    // The standby connects as the user who runs it, unless the string says otherwise.
    let environment = Environment { user: user.to_owned(), ..Environment::default() };
    let target =
        Target::resolve(Some(conninfo), &environment).map_err(|error| Error { what: format!("--standby: {}", error.what), ..error })?;
    let session = match BackupSession::open(&target, PRIMARY_PATIENCE, "pgtend restore").await {
        Ok(session) => session,
        Err(error) => return Ok(vec![format!("the primary could not be looked at: {}", error.what)]),
    };
    let facts = session.facts().clone();
    session.close().await;
    if facts.system_identifier.to_string() != system_identifier {
        let what = format!("the primary is another cluster: {}, and the backup is of {system_identifier}", facts.system_identifier);
        return Err(Error::new(Kind::Conflict, what)
            .at(target.address())
            .hint("a standby can only follow the cluster that it is a copy of"));
    }
    Ok(if facts.in_recovery { vec![format!("{} is a standby itself", target.address())] } else { Vec::new() })
}

fn told(run: &Run, prepared: &Prepared, dry_run: bool) -> Told {
    let plan = &prepared.plan;
    let size = u32::try_from(plan.backup.wal_segment_bytes).ok().and_then(SegmentSize::new);
    let partly = Some(&prepared.selection.reason).filter(|_| !prepared.selection.is_everything());
    let contents = || prepared.files.iter().filter(|file| file.file_type == FileType::File && prepared.selection.takes(&file.path));
    let first = plan.wal.first().zip(size).map(|(segment, size)| segment.name(size)).unwrap_or_default();
    Told {
        dry_run,
        backup: plan.backup.label,
        server: run.server.clone(),
        system_identifier: prepared.owner.system_identifier.clone(),
        into: prepared.place.data.clone(),
        tablespaces: prepared.place.tablespaces.clone(),
        bytes: contents().map(|file| file.bytes).sum(),
        files: contents().count() as u64,
        timeline: plan.timeline,
        wal_segments: plan.wal.len(),
        wal_from: first,
        covered_to: plan.covered_to,
        target: run.wanted.target.to_string(),
        reasons: plan.reasons.iter().chain(partly).cloned().collect(),
        notes: plan.backup.notes.clone(),
        next: Vec::new(),
        recovered: None,
        seconds: None,
    }
}

impl Tabular for Told {
    fn tables(&self) -> Vec<Table> {
        let title = if self.dry_run { "Would be restored" } else { "Restored" };
        let mut table = Table::new(title, &["what", "value"]);
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let size = format!("{} in {} files", show_bytes(self.bytes as f64), self.files);
        let mut rows = vec![
            ("backup", self.backup.to_string()),
            ("into", self.into.display().to_string()),
            ("size", size),
            ("target", self.target.clone()),
            ("timeline", self.timeline.to_string()),
            ("WAL", format!("{} segments from {}, without a gap up to {}", self.wal_segments, self.wal_from, self.covered_to)),
        ];
        for (oid, path) in &self.tablespaces {
            rows.push(("tablespace", format!("{oid} in {}", path.display())));
        }
        rows.extend(self.reasons.iter().map(|reason| ("because", reason.clone())));
        rows.into_iter().for_each(|(name, value)| table.push([name.to_owned(), value]));
        for note in &self.notes {
            table.push([Cell::new("mind", Tone::Warn), Cell::from(note.clone())]);
        }
        self.next.iter().for_each(|next| table.push(["next".to_owned(), next.clone()]));
        if let Some(seconds) = self.seconds {
            table.push(["took".to_owned(), show_seconds(seconds)]);
        }
        vec![table, recovered(self.recovered.as_ref())]
    }
}

fn recovered(recovered: Option<&Recovered>) -> Table {
    let mut table = Table::new("Recovered", &["what", "value"]);
    let Some(recovered) = recovered else { return table };
    let rows = [
        ("replayed up to", recovered.replayed_to.clone()),
        ("last commit", recovered.last_commit.clone()),
        ("stopped", recovered.stopped.clone()),
        ("goes on as timeline", recovered.timeline.map(|timeline| timeline.to_string())),
        ("replaying took", Some(show_seconds(recovered.seconds))),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            table.push([name.to_owned(), value]);
        }
    }
    table
}

/// Tells something beside a table.
fn tell(global: &Global, text: &str) {
    if global.format == Format::Table {
        output::tell(text);
    }
}
