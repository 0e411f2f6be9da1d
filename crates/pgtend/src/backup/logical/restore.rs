//! Bringing a database back from a logical backup.

use super::program::{Running, command};
use super::staging::Staging;
use super::take::quoted_conninfo;
use crate::backup::tree::restore::Restore as Files;
use crate::backup::{Phase, Progress};
use crate::blocking::blocking;
use pgtend_model::backup::logical::{Plan, plan_restore};
use pgtend_model::backup::{BackupHead, BackupKind, Dump, DumpedDatabase, Label};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_postgres::connect::Target;
use pgtend_postgres::dump::{create_database, look_before_restoring};
use pgtend_postgres::process::clients::{Clients, clients_for};
use pgtend_store::repo::Repository;
use std::path::{Path, PathBuf};

/// How pgtend calls itself at the server.
const APPLICATION_NAME: &str = "pgtend restore";

/// A database to be brought back.
#[derive(Debug, Clone)]
pub struct Restore {
    /// From where.
    pub repository: Repository,
    /// Name of the server in it.
    pub server: String,
    /// Which backup; the newest logical one that has the database when none is named.
    pub label: Option<Label>,
    /// The database in the backup.
    pub database: String,
    /// The database that it goes into.
    pub into: String,
    /// The server.
    pub target: Target,
    /// Whether what the database has of the backup's objects is dropped first.
    pub clean: bool,
    /// Whether owners and rights stay out.
    pub no_owner: bool,
    /// Tables that are restored at once.
    pub jobs: usize,
    /// Where the dump is put meanwhile.
    pub staging: PathBuf,
}

/// What was looked at and decided.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The backup.
    pub head: BackupHead,
    /// The database in it.
    pub database: DumpedDatabase,
    /// What will be done.
    pub plan: Plan,
    clients: Clients,
    major: u16,
}

impl Restore {
    /// Looks at everything that could stand in the way.
    ///
    /// # Errors
    /// `NotFound` when there is no such backup or database; what [`plan_restore`] says; when pg_restore is not here.
    pub async fn prepare(&self) -> Result<Prepared> {
        let restore = self.clone();
        let (head, dump, database) = blocking(move || restore.find()).await?;
        let found = look_before_restoring(&self.target, &self.into, APPLICATION_NAME).await?;
        let mut plan = plan_restore(head.postgresql_version, &dump, &database, &self.into, &found, self.clean)?;
        if self.no_owner {
            plan.owner = None;
            plan.notes.retain(|note| !note.contains("--no-owner"));
        }
        let written_by = dump.pg_dump.split(|c: char| !c.is_ascii_digit()).next().and_then(|major| major.parse().ok()).unwrap_or(0_u16);
        let major = u16::try_from(found.version / 10_000).unwrap_or(0);
        let clients = clients_for(major.max(written_by), None)?;
        Ok(Prepared { head, database, plan, clients, major })
    }

    fn find(&self) -> Result<(BackupHead, Dump, DumpedDatabase)> {
        let (heads, damaged) = self.repository.backups(&self.server)?;
        for error in &damaged {
            tracing::error!(error = error.what, place = error.place, "a backup cannot be read");
        }
        let logical =
            heads.into_iter().rev().filter(|head| head.kind == BackupKind::Logical && self.label.is_none_or(|label| label == head.label));
        let mut others = Vec::new();
        for head in logical {
            let dump = head.dump.clone().unwrap_or_default();
            if let Some(database) = dump.databases.iter().find(|database| database.name == self.database).cloned() {
                return Ok((head, dump, database));
            }
            others.extend(dump.databases.into_iter().map(|database| database.name));
        }
        others.sort_unstable();
        others.dedup();
        let hint = if others.is_empty() {
            "`pgtend backup run --logical` takes a logical backup; a database of a physical one comes back with --into DIR".to_owned()
        } else {
            format!("there are: {}", others.join(", "))
        };
        Err(Error::new(Kind::NotFound, format!("no logical backup has a database \"{}\"", self.database))
            .at(self.repository.shown())
            .hint(hint))
    }

    /// Does it.
    ///
    /// # Errors
    /// What stands in the way. A database that was made stays, so that one can look at it.
    pub async fn carry_out(&self, prepared: &Prepared, progress: &Progress) -> Result<()> {
        let (restore, before, watched) = (self.clone(), prepared.clone(), progress.clone());
        let staging = blocking(move || restore.fetch(&before, &watched)).await?;
        if prepared.plan.creates {
            create_database(&self.target, &self.into, &prepared.database, prepared.plan.owner.as_deref(), APPLICATION_NAME).await?;
        }
        progress.enter(Phase::Restoring);
        let (restore, prepared, progress) = (self.clone(), prepared.clone(), progress.clone());
        blocking(move || restore.run(&staging.path().join("dump"), &prepared, &progress)).await
    }

    /// Brings the dump's directory out of the repository.
    fn fetch(&self, prepared: &Prepared, progress: &Progress) -> Result<Staging> {
        let staging = Staging::make(self.staging.join(format!("pgtend-restore-{}", std::process::id())))?;
        let files = Files {
            into: staging.path().join("dump"),
            below: Some(prepared.database.path.clone()),
            strip: Some(format!("{}/", prepared.database.path)),
            overwrite: false,
            owners: false,
            workers: self.jobs,
        };
        let mut entries = self.repository.files(&self.server, prepared.head.label)?;
        entries.retain(|entry| entry.path != prepared.database.path);
        files.carry_out(&files.prepare(entries)?, &self.repository.extents()?, progress)?;
        Ok(staging)
    }

    fn run(&self, dump: &Path, prepared: &Prepared, progress: &Progress) -> Result<()> {
        let mut program = command(&prepared.clients.program("pg_restore"), &self.target.with_database(&self.into), APPLICATION_NAME);
        program.args(["--format=directory", "--no-password"]).arg(format!("--jobs={}", self.jobs));
        program.arg("--dbname").arg(quoted_conninfo(&self.into));
        if prepared.plan.cleans {
            program.args(["--clean", "--if-exists"]);
        }
        if self.no_owner {
            program.args(["--no-owner", "--no-privileges"]);
        }
        program.arg(dump);
        let done = Running::start("pg_restore", &mut program)?.wait(&self.into, prepared.major, progress);
        done.map_err(|error| {
            let missing_role = error.what.contains("role \"") && error.what.contains("does not exist");
            let hint = match missing_role {
                true => "make the roles first: `pgtend restore --backup LABEL --into DIR` brings globals.sql; or --no-owner".to_owned(),
                false if error.hint.is_empty() => "everything else was restored: look at the database before you use it".to_owned(),
                false => error.hint.clone(),
            };
            Error { hint, ..error }
        })
    }
}
