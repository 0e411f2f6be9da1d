//! `pgtend restore` of what is no cluster: a database of a logical backup, its files, or a file tree.

use super::Global;
use super::output::{Cell, Table, Tabular, Tone, print};
use super::progress_bar::{self, watched};
use super::repository::{From, readable};
use crate::backup::Progress;
use crate::backup::logical::restore::Restore as Database;
use crate::backup::tree::restore::Restore as Tree;
use crate::blocking::blocking;
use clap::Args;
use pgtend_model::backup::tree::{PREFIX, owner};
use pgtend_model::backup::{BackupHead, BackupKind, Label};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::units::{show_bytes, show_seconds};
use pgtend_store::repo::Repository;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What of a logical backup, or of a file tree.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logical backups and file trees")]
pub(super) struct Contents {
    /// The file tree of this name; the newest backup of it unless --backup says otherwise
    #[arg(long, value_name = "NAME", conflicts_with = "db")]
    files: Option<String>,
    /// Only this file or directory of the backup
    #[arg(long, value_name = "SUBTREE", conflicts_with = "db")]
    path: Option<String>,
    /// Replace files of the same names; others stay
    #[arg(long, conflicts_with = "db")]
    overwrite: bool,
    /// Only these databases, in a cluster of their own in which the others are empty; with --into-db the one of a logical backup, the newest that has it
    /// unless --backup says otherwise; with --into and a logical --backup its dump
    #[arg(long, value_name = "NAME[,NAME…]")]
    db: Vec<String>,
    /// Into this database, which is made where it is not there
    #[arg(long, value_name = "NEW", requires = "db", conflicts_with = "into")]
    into_db: Option<String>,
    /// Drop what the database has of the backup's objects, and put those of the backup in their place
    #[arg(long, requires = "into_db")]
    clean: bool,
    /// Leave out owners and rights, of files too
    #[arg(long)]
    no_owner: bool,
    /// Where the dump is put meanwhile
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    staging: PathBuf,
}

/// What the other options say.
pub(super) struct Asked<'a> {
    pub(super) from: &'a From,
    pub(super) into: &'a Path,
    pub(super) backup: Option<Label>,
    pub(super) workers: usize,
    pub(super) dry_run: bool,
}

/// What was restored, or would be.
#[derive(serde::Serialize)]
struct Told {
    dry_run: bool,
    backup: Label,
    #[serde(rename = "of")]
    owner: String,
    kind: BackupKind,
    into: String,
    bytes: u64,
    files: u64,
    notes: Vec<String>,
    seconds: Option<f64>,
}

impl Contents {
    /// Restores, where that is what was asked for; false when a cluster was meant.
    pub(super) async fn run(&self, global: &Global, asked: &Asked<'_>) -> Result<bool> {
        if self.into_db.is_none() && self.files.is_none() && asked.backup.is_none() {
            return if self.path.is_some() || self.overwrite { Err(which()) } else { Ok(false) };
        }
        let (repository, _) = asked.from.repository(global).await?;
        readable(&repository)?;
        if let Some(into) = &self.into_db {
            self.database(global, asked, repository, self.only_one()?, into).await?;
            return Ok(true);
        }
        let tree = self.files.as_ref().map(|name| owner(name));
        let (label, of) = (asked.backup, tree.or_else(|| global.server.clone()));
        let looked = repository.clone();
        let head = blocking(move || find(&looked, of.as_deref(), label)).await?;
        if head.kind == BackupKind::Physical {
            return if self.path.is_some() || self.overwrite { Err(which()) } else { Ok(false) };
        }
        self.tree(global, asked, repository, head).await?;
        Ok(true)
    }

    /// The databases of a physical backup that are wanted; all where none is named.
    pub(super) fn databases(&self) -> BTreeSet<String> {
        self.db.iter().flat_map(|names| names.split(',')).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    fn only_one(&self) -> Result<&str> {
        let [database] = self.db.as_slice() else {
            return Err(Error::new(Kind::Usage, "one database of a logical backup at a time").hint("name one with --db"));
        };
        Ok(database)
    }

    /// Which part of a backup's files: a path, or the dump of a database.
    fn below(&self, head: &BackupHead) -> Result<Option<String>> {
        if self.db.is_empty() {
            return Ok(self.path.clone());
        }
        let database = self.only_one()?;
        let dumped = head.dump.iter().flat_map(|dump| &dump.databases);
        let Some(found) = dumped.clone().find(|dumped| dumped.name == database) else {
            let names: Vec<&str> = dumped.map(|dumped| dumped.name.as_str()).collect();
            return Err(Error::new(Kind::NotFound, format!("backup {} has no database \"{database}\"", head.label))
                .hint(format!("it has: {}", names.join(", "))));
        };
        Ok(Some(found.path.clone()))
    }

    async fn tree(&self, global: &Global, asked: &Asked<'_>, repository: Repository, head: BackupHead) -> Result<()> {
        let restore = Tree {
            into: std::path::absolute(asked.into).unwrap_or_else(|_| asked.into.to_owned()),
            below: self.below(&head)?,
            strip: None,
            overwrite: self.overwrite,
            owners: !self.no_owner && head.kind == BackupKind::Files,
            workers: asked.workers,
        };
        let (looked, of, label) = (repository.clone(), head.server.clone(), head.label);
        let (restore, prepared) = blocking(move || {
            let prepared = restore.prepare(looked.files(&of, label)?)?;
            Ok((restore, prepared))
        })
        .await?;
        let told = Told {
            dry_run: asked.dry_run,
            backup: head.label,
            owner: head.server.clone(),
            kind: head.kind,
            into: restore.into.display().to_string(),
            bytes: prepared.bytes,
            files: prepared.files,
            notes: [notes(&head), prepared.notes.clone()].concat(),
            seconds: None,
        };
        if asked.dry_run {
            return print(&told, global.format);
        }
        let (began, progress) = (Instant::now(), Progress::new(0));
        let seen = progress.clone();
        let work = blocking(move || restore.carry_out(&prepared, &repository.extents()?, &progress));
        watched(work, |bar| progress_bar::show(bar, &seen.see())).await?;
        print(&Told { seconds: Some(began.elapsed().as_secs_f64()), ..told }, global.format)
    }

    async fn database(&self, global: &Global, asked: &Asked<'_>, repository: Repository, database: &str, into: &str) -> Result<()> {
        let server = asked.from.server(global, &repository).await?;
        let target = asked.from.target(global, &server).await?;
        let restore = Database {
            server,
            repository,
            label: asked.backup,
            database: database.to_owned(),
            into: into.to_owned(),
            target,
            clean: self.clean,
            no_owner: self.no_owner,
            jobs: asked.workers,
            staging: self.staging.clone(),
        };
        let prepared = restore.prepare().await?;
        let told = Told {
            dry_run: asked.dry_run,
            backup: prepared.head.label,
            owner: prepared.head.server.clone(),
            kind: prepared.head.kind,
            into: format!("database {into} at {}", restore.target.address()),
            bytes: prepared.database.bytes,
            files: 0,
            notes: [notes(&prepared.head), prepared.plan.notes.clone()].concat(),
            seconds: None,
        };
        if asked.dry_run {
            return print(&told, global.format);
        }
        let (began, progress) = (Instant::now(), Progress::new(0));
        watched(Box::pin(restore.carry_out(&prepared, &progress)), |bar| progress_bar::show(bar, &progress.see())).await?;
        print(&Told { seconds: Some(began.elapsed().as_secs_f64()), ..told }, global.format)
    }
}

/// The backup of this name, or the newest of a file tree.
fn find(repository: &Repository, of: Option<&str>, label: Option<Label>) -> Result<BackupHead> {
    let owners = match of {
        Some(of) => vec![of.to_owned()],
        None => repository.servers()?,
    };
    let mut found = Vec::new();
    for owner in &owners {
        let (heads, damaged) = repository.backups(owner)?;
        for error in &damaged {
            tracing::error!(error = error.what, place = error.place, "a backup cannot be read");
        }
        found.extend(heads.into_iter().filter(|head| label.is_none_or(|label| label == head.label)));
    }
    let shown = of.map(|of| format!(" of {}", of.replacen(PREFIX, "the files ", 1))).unwrap_or_default();
    let none = || {
        let what = label.map_or_else(|| format!("there is no backup{shown}"), |label| format!("there is no backup {label}{shown}"));
        Error::new(Kind::NotFound, what).at(repository.shown()).hint("`pgtend backup list` shows what there is")
    };
    if label.is_some() && found.len() > 1 {
        let owners: Vec<&str> = found.iter().map(|head| head.server.as_str()).collect();
        return Err(Error::new(Kind::Usage, format!("several backups have that name: of {}", owners.join(", ")))
            .hint("add --files NAME or --server NAME"));
    }
    found.pop().ok_or_else(none)
}

fn notes(head: &BackupHead) -> Vec<String> {
    let warnings = (head.warning_count > 0)
        .then(|| format!("{} things are not in this backup: `pgtend backup show {}`", head.warning_count, head.label));
    head.notes.iter().cloned().chain(warnings).collect()
}

fn which() -> Error {
    Error::new(Kind::Usage, "--path and --overwrite are for file trees and logical backups")
        .hint("name one: --files NAME, or --backup LABEL")
}

impl Tabular for Told {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new(if self.dry_run { "Would be restored" } else { "Restored" }, &["what", "value"]);
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let size = show_bytes(self.bytes as f64);
        let size = if self.files > 0 { format!("{size} in {} files", self.files) } else { size };
        let rows = [
            ("backup", format!("{} ({})", self.backup, self.kind.word())),
            ("of", self.owner.clone()),
            ("into", self.into.clone()),
            ("size", size),
        ];
        rows.into_iter().for_each(|(name, value)| table.push([name.to_owned(), value]));
        for note in &self.notes {
            table.push([Cell::new("mind", Tone::Warn), Cell::from(note.clone())]);
        }
        if let Some(seconds) = self.seconds {
            table.push(["took".to_owned(), show_seconds(seconds)]);
        }
        vec![table]
    }
}
