//! `pgtend backup`: taking backups, and what there is of them.

mod care;

use super::output::{Cell, Table, Tabular, Tone, print};
use super::progress_bar;
use super::{Global, source};
use crate::agent::backups::{Ended, Work};
use crate::api::backups::{BACKUPS, BackupList, DOCTOR, EXPIRE, Expire, ExpiredIn, Listed, NewBackup, STOP};
use crate::client::Client;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use pgtend_model::backup::doctor::{Report, State};
use pgtend_model::backup::tree::{name_of, owner};
use pgtend_model::backup::{BackupHead, BackupKind, Label};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::units::{show_bytes, show_seconds};
use std::collections::HashMap;
use std::time::Duration;

/// How often the agent is asked how far it is.
const PAUSE: Duration = Duration::from_millis(250);

/// A backup was taken, and something that should be in it is not.
const INCOMPLETE: u8 = 2;

/// Takes backups, and tells what there is of them
///
/// Every backup restores like a full one and costs what changed since the last. The agent takes them, beside the server; `pgtend restore` brings
/// one back.
#[derive(Debug, Args)]
pub(super) struct Backup {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Run),
    Doctor(Doctor),
    List(List),
    Show(Show),
    Stop(Stop),
    Expire(ExpireOld),
    Delete(Delete),
    Annotate(care::Annotate),
    Check(care::Check),
}

/// Takes a backup now
#[derive(Debug, Args)]
struct Run {
    /// To this repository only
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// A logical one: what pg_dump writes of every database, and roles
    #[arg(long, conflicts_with = "files")]
    logical: bool,
    /// Of this database only; * stands for anything
    #[arg(long = "database", value_name = "NAME", requires = "logical")]
    databases: Vec<String>,
    /// Without this database; * stands for anything
    #[arg(long, value_name = "NAME", requires = "logical")]
    exclude: Vec<String>,
    /// Of this file tree of the configuration instead
    #[arg(long, value_name = "NAME")]
    files: Option<String>,
    /// Do not wait for its end
    #[arg(long)]
    no_wait: bool,
}

/// Says what stands in the way of backups, and of getting back, each with its fix
///
/// Connection, rights, archiving, files, programs, room, storages (an object is written and removed), keys, age and soundness of what is there. Ends with 0 when
/// nothing is wrong, with 1 when something will be (warn), with 2 when something is (fail). What could not be found out is told and counts for nothing.
#[derive(Debug, Args)]
struct Doctor {
    /// Only what is not well
    #[arg(long)]
    quiet: bool,
}

/// Lists the backups there are, and what goes on
#[derive(Debug, Args)]
struct List {}

/// Shows all that is known of a backup
#[derive(Debug, Args)]
struct Show {
    /// Its name, as the list has it
    label: Label,
}

/// Stops a backup that goes on; what was copied is kept for the next
#[derive(Debug, Args)]
struct Stop {}

/// Takes away what the retention does not keep
#[derive(Debug, Args)]
struct ExpireOld {
    /// In this repository only
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// Only tell what would go
    #[arg(long)]
    dry_run: bool,
}

/// Takes one backup away
#[derive(Debug, Args)]
struct Delete {
    /// Its name, as the list has it
    label: Label,
    /// From this repository only
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
}

impl Backup {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        if global.connection.is_some() {
            return Err(
                Error::new(Kind::Usage, "backups are the agent's work: a connection alone takes none").hint("leave out --connection")
            );
        }
        let client = source::agent(global)?;
        let server = global.server.as_deref();
        match &self.command {
            Command::Run(command) => return command.run(&client, server, global).await,
            Command::Annotate(command) => return command.run(&client, server, global).await,
            Command::Check(command) => return command.run(&client, server, global).await,
            Command::Doctor(Doctor { quiet }) => {
                let mut report: Report = client.get_of(DOCTOR, server).await?;
                report.checks.retain(|check| !quiet || check.state != State::Ok);
                print(&report, global.format)?;
                return Ok(report.exit_code());
            }
            Command::List(_) => print(&client.get_of::<BackupList>(BACKUPS, server).await?, global.format)?,
            Command::Show(Show { label }) => print(&show(&client, server, *label).await?, global.format)?,
            Command::Stop(_) => print(&client.post::<BackupList>(STOP, server, &()).await?, global.format)?,
            Command::Expire(command) => {
                let body = Expire { repository: command.repository.clone(), dry_run: command.dry_run };
                print(&Expiry(client.make::<Vec<ExpiredIn>>(EXPIRE, server, &body).await?), global.format)?;
            }
            Command::Delete(command) => {
                let name = command.repository.as_ref().map_or_else(String::new, |name| format!("?repository={name}"));
                let left: BackupList = client.delete_at(&format!("{BACKUPS}/{}{name}", command.label), server).await?;
                print(&left, global.format)?;
            }
        }
        Ok(0)
    }
}

async fn show(client: &Client, server: Option<&str>, label: Label) -> Result<Shown> {
    let list: BackupList = client.get_of(BACKUPS, server).await?;
    let found: Vec<Listed> = list.backups.into_iter().filter(|listed| listed.backup.label == label).collect();
    if found.is_empty() {
        return Err(Error::new(Kind::NotFound, format!("there is no backup {label}")).hint("`pgtend backup list` shows what there is"));
    }
    Ok(Shown(found))
}

/// Takes a backup in every repository and waits for it, for commands that want one before they begin; its name.
pub(super) async fn take(client: &Client, server: Option<&str>) -> Result<String> {
    let run = Run { repository: None, logical: false, databases: Vec::new(), exclude: Vec::new(), files: None, no_wait: false };
    let before: BackupList = client.get_of(BACKUPS, server).await?;
    let _: BackupList = client.post(BACKUPS, server, &NewBackup::default()).await?;
    let ended = run.follow(client, server, &before.work).await?;
    if let Some(error) = ended.iter().find_map(|ended| ended.error.clone()) {
        return Err(error);
    }
    let label = ended.iter().find_map(|ended| ended.backup.as_ref().map(|head| head.label.to_string()));
    label.ok_or_else(|| Error::new(Kind::Conflict, "no backup was taken").hint("`pgtend backup list` tells what went on"))
}

impl Run {
    async fn run(&self, client: &Client, server: Option<&str>, global: &Global) -> Result<u8> {
        let before: BackupList = client.get_of(BACKUPS, server).await?;
        let body = NewBackup {
            repository: self.repository.clone(),
            logical: self.logical,
            databases: self.databases.clone(),
            exclude: self.exclude.clone(),
            files: self.files.clone(),
        };
        let begun: BackupList = client.post(BACKUPS, server, &body).await?;
        if self.no_wait {
            print(&begun, global.format)?;
            return Ok(0);
        }
        let ended = self.follow(client, server, &before.work).await?;
        let failed = ended.iter().find_map(|ended| ended.error.clone());
        let labels: Vec<(String, Label)> =
            ended.iter().filter_map(|ended| ended.backup.as_ref().map(|head| (head.server.clone(), head.label))).collect();
        let list: BackupList = client.get_of(BACKUPS, server).await?;
        let is_ours =
            |listed: &Listed| labels.iter().any(|(server, label)| *server == listed.backup.server && *label == listed.backup.label);
        let taken: Vec<Listed> = list.backups.into_iter().filter(is_ours).collect();
        let is_complete = taken.iter().all(|listed| listed.backup.warning_count == 0);
        if !taken.is_empty() {
            print(&Shown(taken), global.format)?;
        }
        failed.map_or(Ok(if is_complete { 0 } else { INCOMPLETE }), Err)
    }

    /// Whether this is what was asked for.
    fn means(&self, work: &Work) -> bool {
        let here = self.repository.as_ref().is_none_or(|name| *name == work.repository);
        here && match &self.files {
            Some(name) => work.server == owner(name),
            None => work.kind == if self.logical { BackupKind::Logical } else { BackupKind::Physical },
        }
    }

    /// Waits until every repository has its backup, or an error, with a bar where somebody looks.
    async fn follow(&self, client: &Client, server: Option<&str>, before: &[Work]) -> Result<Vec<Ended>> {
        let last = |work: &Work| work.last.as_ref().map(|ended| ended.at);
        let before: HashMap<&str, Option<Timestamp>> =
            before.iter().filter(|work| self.means(work)).map(|work| (work.repository.as_str(), last(work))).collect();
        let bar = progress_bar::bar();
        loop {
            let now: BackupList = client.get_of(BACKUPS, server).await?;
            let ours: Vec<&Work> = now.work.iter().filter(|work| self.means(work)).collect();
            if let Some(seen) = ours.iter().find_map(|work| work.running.as_ref()) {
                progress_bar::show(&bar, seen);
            }
            let is_over = |work: &&Work| work.running.is_none() && last(work) > before.get(work.repository.as_str()).copied().flatten();
            if !ours.is_empty() && ours.iter().all(is_over) {
                bar.finish_and_clear();
                return Ok(ours.iter().filter_map(|work| work.last.clone()).collect());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Backups with all that is known of them.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Shown(Vec<Listed>);

/// What a retention took away.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Expiry(Vec<ExpiredIn>);

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn bytes(bytes: u64) -> String {
    show_bytes(bytes as f64)
}

impl Tabular for BackupList {
    fn tables(&self) -> Vec<Table> {
        let mut going_on = Table::new("Going on", &["server", "repository", "what", ">done", ">of", ">elapsed"]);
        for (work, seen) in self.work.iter().filter_map(|work| Some((work, work.running.as_ref()?))) {
            going_on.push([
                work.server.clone(),
                work.repository.clone(),
                seen.phase.text().to_owned(),
                bytes(seen.done_bytes),
                bytes(seen.total_bytes),
                show_seconds(seen.elapsed_seconds),
            ]);
        }
        let mut failed = Table::new("Failed", &["repository", "at", "why"]);
        for (work, ended, error) in
            self.work.iter().filter_map(|work| Some((work, work.last.as_ref()?, work.last.as_ref()?.error.as_ref()?)))
        {
            failed.push([Cell::from(work.repository.clone()), ended.at.to_string().into(), Cell::new(error.to_string(), Tone::Bad)]);
        }
        let mut damaged = Table::new("Cannot be read", &["what"]);
        for error in &self.damaged {
            damaged.push([Cell::new(error.to_string(), Tone::Bad)]);
        }
        vec![backups(&self.backups), going_on, failed, damaged]
    }
}

fn backups(listed: &[Listed]) -> Table {
    let columns = ["backup", "repository", "kind", ">took", ">size", ">new", ">stored", "WAL from", "to", "checked"];
    let mut table = Table::new("Backups", &columns);
    table.empty = "There is no backup. `pgtend backup run` takes one.".to_owned();
    for Listed { repository, backup, notes } in listed {
        let label = backup.label.to_string();
        table.push::<Cell>([
            if notes.held { Cell::new(format!("{label} held"), Tone::Warn) } else { label.into() },
            repository.clone().into(),
            kind(backup).into(),
            show_seconds(backup.duration_seconds()).into(),
            bytes(backup.bytes).into(),
            bytes(backup.new_bytes).into(),
            bytes(backup.stored_bytes).into(),
            backup.start_wal.clone().into(),
            backup.stop_wal.clone().into(),
            checked(backup),
        ]);
    }
    table
}

fn kind(backup: &BackupHead) -> String {
    match (backup.kind, &backup.dump) {
        (BackupKind::Files, _) => format!("files {}", name_of(&backup.server).unwrap_or(&backup.server)),
        (BackupKind::Logical, Some(dump)) => format!("logical ({})", dump.databases.len()),
        (kind, _) => kind.word().to_owned(),
    }
}

/// What was found wrong on the way.
fn checked(backup: &BackupHead) -> Cell {
    if backup.warning_count > 0 {
        return Cell::new(format!("{} NOT IN IT", backup.warning_count), Tone::Bad);
    }
    if backup.kind != BackupKind::Physical {
        return Cell::new(format!("{} files", backup.files), Tone::Good);
    }
    let checksums = &backup.checksums;
    match (checksums.enabled, checksums.wrong_pages) {
        (false, _) => Cell::new("no checksums", Tone::Dim),
        (true, 0) => Cell::new(format!("{} checked", checksums.checked_pages), Tone::Good),
        (true, wrong) => Cell::new(format!("{wrong} WRONG"), Tone::Bad),
    }
}

impl Tabular for Shown {
    fn tables(&self) -> Vec<Table> {
        let mut tables = vec![backups(&self.0)];
        for Listed { repository, backup, notes } in &self.0 {
            let mut facts = Table::new(&format!("{} in {repository}", backup.label), &["what", "value"]);
            facts_of(backup).into_iter().for_each(|(name, value)| facts.push([name.to_owned(), value]));
            for tablespace in &backup.tablespaces {
                facts.push([format!("tablespace {}", tablespace.oid), tablespace.path.clone()]);
            }
            if let Some(by) = &notes.held_by {
                facts.push([Cell::new("held", Tone::Warn), Cell::from(by.clone())]);
            }
            for (key, value) in &notes.annotations {
                facts.push([format!("annotation {key}"), value.clone()]);
            }
            for database in backup.dump.iter().flat_map(|dump| &dump.databases) {
                let extensions: Vec<&str> = database.extensions.iter().map(|extension| extension.name.as_str()).collect();
                let value = format!(
                    "{}, {}, {}, of {}: {}",
                    bytes(database.bytes),
                    database.encoding,
                    database.collate,
                    database.owner,
                    extensions.join(", ")
                );
                facts.push([format!("database {}", database.name), value]);
            }
            for page in &backup.checksums.wrong {
                facts.push([Cell::new("wrong page", Tone::Bad), Cell::from(page.clone())]);
            }
            for warning in &backup.warnings {
                facts.push([Cell::new("not in it", Tone::Bad), Cell::from(warning.clone())]);
            }
            for note in &backup.notes {
                facts.push(["note".to_owned(), note.clone()]);
            }
            tables.push(facts);
        }
        tables
    }
}

fn facts_of(backup: &BackupHead) -> Vec<(&'static str, String)> {
    let mut rows =
        vec![("started", backup.started.to_string()), ("finished", backup.finished.to_string()), ("files", backup.files.to_string())];
    if backup.kind == BackupKind::Files {
        rows.extend([("host", backup.host.clone()), ("paths", backup.roots.join(", "))]);
        return rows;
    }
    rows.extend([
        ("system identifier", backup.system_identifier.clone()),
        ("PostgreSQL", backup.postgresql_version.to_string()),
        ("taken from", if backup.from_standby { "a standby" } else { "the primary" }.to_owned()),
    ]);
    match &backup.dump {
        None => rows.extend([
            ("timeline", backup.timeline.to_string()),
            ("replay from", backup.start_lsn.to_string()),
            ("consistent at", backup.stop_lsn.to_string()),
        ]),
        Some(dump) => {
            rows.extend([
                ("pg_dump", dump.pg_dump.clone()),
                ("snapshots between", format!("{} and {}", backup.start_lsn, backup.stop_lsn)),
            ]);
            if !dump.left_out.is_empty() {
                rows.push(("left out", dump.left_out.join(", ")));
            }
        }
    }
    rows
}

impl Tabular for Report {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new("Doctor", &["state", "check", "of", "what was found", "what to do"]);
        table.empty = "Nothing is wrong.".to_owned();
        for check in &self.checks {
            let state = match check.state {
                State::Ok => Cell::new("ok", Tone::Good),
                State::Unknown => Cell::new("unknown", Tone::Dim),
                State::Warn => Cell::new("WARN", Tone::Warn),
                State::Fail => Cell::new("FAIL", Tone::Bad),
            };
            table.push::<Cell>([
                state,
                check.id.clone().into(),
                check.subject.clone().into(),
                check.found.clone().into(),
                check.fix.clone().into(),
            ]);
        }
        vec![table]
    }
}

impl Tabular for Expiry {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new("Retention", &["repository", "backup", "what becomes of it", "why"]);
        let mut freed = Table::new("Freed", &["repository", ">WAL files", ">of them", ">packs named", ">packs removed", ">bytes"]);
        for ExpiredIn { repository, expired } in &self.0 {
            for label in &expired.removed {
                let what = if expired.dry_run { "would go" } else { "gone" };
                table.push::<Cell>([repository.clone().into(), label.to_string().into(), Cell::new(what, Tone::Warn), "".into()]);
            }
            for (label, reasons) in &expired.kept {
                let why: Vec<String> = reasons.iter().map(|reason| format!("{reason:?}").to_lowercase()).collect();
                table.push::<Cell>([repository.clone().into(), label.to_string().into(), "stays".into(), why.join(", ").into()]);
            }
            freed.push([
                repository.clone(),
                expired.removed_wal.to_string(),
                bytes(expired.removed_wal_bytes),
                expired.garbage.condemned.to_string(),
                expired.garbage.removed.to_string(),
                bytes(expired.garbage.removed_bytes),
            ]);
        }
        vec![table, freed]
    }
}
