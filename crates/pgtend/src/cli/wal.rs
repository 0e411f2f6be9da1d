//! `pgtend wal`: what PostgreSQL calls to archive and to recover its WAL.

mod streaming;

use super::output::{Cell, Table, Tabular, Tone, print};
use super::{Global, source};
use crate::api::wal::PATH;
use crate::wal::client::{Call, Client};
use clap::{Args, Subcommand};
use pgtend_model::backup::wal_bounds::WalPressure;
use pgtend_model::backup::wal_status::{Archiving, RepositoryWal, WalStatus};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::units::{show_bytes, show_seconds};
use std::path::PathBuf;

/// Archives WAL for PostgreSQL, and brings it back
///
/// `push` is for archive_command and `get` for restore_command; both hand the work to the agent's WAL service.
#[derive(Debug, Args)]
pub(super) struct Wal {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Push(Push),
    Get(Get),
    Status(Status),
}

/// archive_command: 'pgtend wal push --socket /run/pgtend/pgtend.wal "%p"'
///
/// Ends with 0 when the file is durable in every required repository. --socket is that of the WAL service, not of the API.
#[derive(Debug, Args)]
struct Push {
    /// The file: %p
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// restore_command: 'pgtend wal get --socket /run/pgtend/pgtend.wal "%f" "%p"'
///
/// Ends with 0 when the file is there, with 1 when no repository has it, and with 126, which ends a recovery, when that cannot be
/// told; on a standby, which asks again, with the code of the error.
#[derive(Debug, Args)]
struct Get {
    /// The name of the file: %f
    #[arg(value_name = "NAME")]
    name: String,
    /// Where it shall be: %p
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// How archiving goes, what of the WAL is in each repository, and what is missing
///
/// Ends with 1 when archiving or streaming fails, or when WAL is missing after the newest backup.
#[derive(Debug, Args)]
struct Status {}

impl Wal {
    pub(super) async fn run(self, global: &Global) -> Result<u8> {
        let call = match self.what {
            What::Status(_) => return status(global).await,
            What::Push(push) => Call::Push(push.path),
            What::Get(get) => Call::Get(get.name, get.path),
        };
        let socket = global.socket.clone().ok_or_else(|| {
            Error::new(Kind::Usage, "which WAL service?")
                .hint("name its socket with --socket; the agent's log says where it is at its start")
        })?;
        Ok(Client { socket, server: global.server.clone().unwrap_or_default(), call }.run())
    }
}

async fn status(global: &Global) -> Result<u8> {
    if global.connection.is_some() {
        return Err(Error::new(Kind::Usage, "what is archived is known to the agent, not to PostgreSQL").hint("leave --connection out"));
    }
    let mut status: WalStatus = source::agent(global)?.get(PATH).await?;
    if let Some(name) = &global.server {
        status.servers.retain(|server| server.server == *name);
    }
    print(&status, global.format)?;
    let broken = |repository: &RepositoryWal| repository.broken_by.is_some() || repository.error.is_some();
    let fails = |archiving: &Archiving| archiving.failing_since.is_some() || streaming::is_wrong(archiving.streaming.as_ref());
    let wrong = status.servers.iter().any(|server| fails(&server.archiving) || server.repositories.iter().any(broken));
    Ok(u8::from(wrong))
}

impl Tabular for WalStatus {
    fn tables(&self) -> Vec<Table> {
        let streams = self.servers.iter().any(|server| server.archiving.streaming.is_some());
        let streaming = streams.then(|| streaming::table(self));
        [repositories(self), archiving(self)].into_iter().chain(streaming).chain([missing(self)]).collect()
    }
}

fn repositories(status: &WalStatus) -> Table {
    let columns = ["server", "repository", "timeline", "oldest", "newest", ">segments", ">gaps", ">stored", "last archived", "state"];
    let mut table = Table::new("WAL in the repositories", &columns).or("no server is archived");
    for server in &status.servers {
        for repository in &server.repositories {
            let state = state(repository);
            let last = repository.last_archived_at.map_or_else(|| "never".to_owned(), |at| format!("{at:.0}"));
            let head = [server.server.clone(), repository.repository.clone()];
            if repository.timelines.is_empty() {
                let rest = ["", "", "", "0", "0"].map(str::to_owned);
                table.push(head.clone().into_iter().chain(rest).map(Cell::from).chain([
                    Cell::from(stored(repository)),
                    last.clone().into(),
                    state.clone(),
                ]));
            }
            for timeline in &repository.timelines {
                let ends = |first: bool| {
                    let range = if first {
                        timeline.ranges.first().map(|range| &range.first)
                    } else {
                        timeline.ranges.last().map(|range| &range.last)
                    };
                    range.cloned().unwrap_or_default()
                };
                let gaps = timeline.gaps.len();
                let row =
                    head.clone().into_iter().chain([timeline.timeline.to_string(), ends(true), ends(false), timeline.segments.to_string()]);
                let tone = if gaps > 0 { Tone::Bad } else { Tone::Plain };
                let rest = [Cell::new(gaps.to_string(), tone), stored(repository).into(), last.clone().into(), state.clone()];
                table.push(row.map(Cell::from).chain(rest));
            }
        }
    }
    table
}

fn state(repository: &RepositoryWal) -> Cell {
    match (&repository.error, &repository.broken_by) {
        (Some(error), _) => Cell::new(error.what.clone(), Tone::Bad),
        (None, Some(gap)) => Cell::new(format!("broken by {} until the next backup", gap.first), Tone::Bad),
        (None, None) if repository.last_archived_at.is_none() => Cell::new("nothing yet", Tone::Warn),
        (None, None) => Cell::new("ok", Tone::Good),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn size(bytes: u64) -> String {
    show_bytes(bytes as f64)
}

fn stored(repository: &RepositoryWal) -> String {
    size(repository.stored_bytes)
}

fn archiving(status: &WalStatus) -> Table {
    let columns = ["server", ">archived", ">ahead", "last", "rate", ">waiting", ">bytes", "for", "free", "state"];
    let mut table = Table::new("Archiving since the agent started", &columns);
    for server in &status.servers {
        let told = &server.archiving;
        let unknown = || "unknown".to_owned();
        table.push([
            Cell::from(server.server.clone()),
            told.archived_files.to_string().into(),
            told.ahead_files.to_string().into(),
            told.last_archived.clone().unwrap_or_default().into(),
            told.bytes_per_second.map_or_else(unknown, |rate| format!("{}/s", show_bytes(rate))).into(),
            told.waiting_segments.map_or_else(unknown, |segments| segments.to_string()).into(),
            told.waiting_bytes.map_or_else(unknown, size).into(),
            told.waiting_seconds.map_or_else(unknown, show_seconds).into(),
            told.free_bytes.map_or_else(unknown, size).into(),
            how_it_goes(told),
        ]);
    }
    table
}

fn how_it_goes(told: &Archiving) -> Cell {
    if let (Some(since), Some(error)) = (told.failing_since, &told.error) {
        return Cell::new(format!("failing since {since:.0}: {}", error.what), Tone::Bad);
    }
    match (told.pressure, &told.pressure_reason) {
        (WalPressure::Fine, _) if told.dropped_files > 0 => Cell::new(format!("{} dropped", told.dropped_files), Tone::Bad),
        (WalPressure::Fine, _) if told.archived_files == 0 => {
            Cell::new("nothing yet: does archive_command call pgtend wal push?", Tone::Warn)
        }
        (WalPressure::Fine, _) => Cell::new("ok", Tone::Good),
        (_, reason) => Cell::new(reason.clone().unwrap_or_default(), Tone::Warn),
    }
}

fn missing(status: &WalStatus) -> Table {
    let mut table = Table::new("What is missing", &["server", "repository", ">timeline", "from", "to", ">segments", "why"]);
    for server in &status.servers {
        for repository in &server.repositories {
            for gap in repository.timelines.iter().flat_map(|timeline| &timeline.gaps) {
                let was_dropped = repository.dropped.iter().any(|name| *name >= gap.first && *name <= gap.last);
                let why = if was_dropped { "dropped: too much waited" } else { "never came, or is lost" };
                let (timeline, segments) = (gap.timeline.to_string(), gap.segments.to_string());
                let row = [server.server.clone(), repository.repository.clone(), timeline, gap.first.clone(), gap.last.clone(), segments];
                table.push(row.into_iter().chain([why.to_owned()]));
            }
            for gap in repository.timelines.iter().flat_map(|timeline| &timeline.expected) {
                let (range, why) = (&gap.range, format!("expected: {}", gap.why));
                let (timeline, segments) = (range.timeline.to_string(), range.segments.to_string());
                let row = [
                    server.server.clone(),
                    repository.repository.clone(),
                    timeline,
                    range.first.clone(),
                    range.last.clone(),
                    segments,
                    why,
                ];
                table.push(row.map(|text| Cell::new(text, Tone::Dim)));
            }
        }
    }
    table
}
