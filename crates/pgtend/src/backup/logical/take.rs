//! Taking a logical backup, from the lock to the head.

use super::program::{Running, command};
use super::staging::{Sink, Staging, Stored, store};
use crate::backup::nice::nicely;
use crate::backup::tree::store::Storing;
use crate::backup::{Phase, Progress};
use crate::blocking::blocking;
use jiff::Timestamp;
use pgtend_model::backup::logical::select;
use pgtend_model::backup::{BackupHead, BackupKind, Dump, DumpedDatabase, FileEntry, FileType, Label};
use pgtend_model::error::Result;
use pgtend_postgres::connect::Target;
use pgtend_postgres::dump::{Facts, Sized, look, look_into};
use pgtend_postgres::process::clients::{Clients, clients_for};
use pgtend_store::repo::Repository;
use pgtend_store::repo::backups::Identity;
use pgtend_store::repo::lock::Lock;
use pgtend_store::repo::write::Options;
use std::path::PathBuf;
use std::time::Duration;

/// How a logical backup is taken.
#[derive(Debug, Clone)]
pub struct How {
    /// Databases, by name or with `*`; all where none is named.
    pub databases: Vec<String>,
    /// Databases that are left out.
    pub exclude: Vec<String>,
    /// Tables that are dumped at once.
    pub jobs: usize,
    /// Threads that cut, compress and encrypt.
    pub workers: usize,
    /// The nice value of these threads and of pg_dump.
    pub nice: u8,
    /// How extents are written.
    pub options: Options,
    /// How long pg_dump waits for a lock.
    pub lock_wait: Duration,
    /// Where pg_dump writes first.
    pub staging: PathBuf,
    /// Where pg_dump is, where it is not in the usual places.
    pub bindir: Option<PathBuf>,
    /// What pgtend calls itself at the server.
    pub application_name: String,
}

/// A logical backup to be taken.
#[derive(Debug, Clone)]
pub struct Take {
    /// Name of the server in the configuration.
    pub server: String,
    /// How to reach it.
    pub target: Target,
    /// Where it goes.
    pub repository: Repository,
    /// How.
    pub how: How,
}

/// What the dumps came to.
struct Outcome {
    lock: Lock,
    label: Label,
    files: Vec<FileEntry>,
    databases: Vec<DumpedDatabase>,
    new_bytes: u64,
    stored_bytes: u64,
}

impl Take {
    /// Takes the backup; gives its head.
    ///
    /// # Errors
    /// Whatever stands in the way. Nothing is published then.
    pub async fn run(self, progress: &Progress) -> Result<BackupHead> {
        let started = Timestamp::now();
        let name = self.how.application_name.clone();
        let facts = look(&self.target, &name).await?;
        let clients = clients_for(facts.major(), self.how.bindir.as_deref())?;
        let selected = select(facts.databases.clone(), &self.how.databases, &self.how.exclude)?;
        let mut databases = Vec::new();
        for database in selected.databases {
            databases.push(look_into(&self.target, database, self.how.jobs, &name).await?);
        }
        progress.expect(databases.iter().map(|sized| sized.table_bytes).sum());
        progress.enter(Phase::Copying);
        let (take, watched, server, version) = (self.clone(), progress.clone(), facts.clone(), clients.version.clone());
        let outcome = blocking(move || nicely(take.how.nice, || take.dump(&server, &clients, databases, started, &watched))).await?;
        progress.enter(Phase::Publishing);
        let after = look(&self.target, &name).await?;
        let head = BackupHead {
            system_identifier: facts.system_identifier.to_string(),
            postgresql_version: facts.version,
            finished: Timestamp::now(),
            start_lsn: facts.lsn,
            stop_lsn: after.lsn,
            from_standby: facts.in_recovery,
            bytes: outcome.files.iter().map(|file| file.bytes).sum(),
            new_bytes: outcome.new_bytes,
            stored_bytes: outcome.stored_bytes,
            files: outcome.files.iter().filter(|file| file.file_type == FileType::File).count() as u64,
            notes: [notes(&facts, &version), self.repository.storage().notes()].concat(),
            dump: Some(Dump {
                pg_dump: version,
                role_passwords: facts.superuser,
                databases: outcome.databases,
                left_out: selected.left_out,
            }),
            ..BackupHead::begun(BackupKind::Logical, &self.server, outcome.label, started)
        };
        let (published, repository) = (head.clone(), self.repository);
        blocking(move || {
            outcome.lock.check()?;
            repository.publish(&published, &outcome.files)
        })
        .await?;
        Ok(head)
    }

    fn dump(&self, facts: &Facts, clients: &Clients, databases: Vec<Sized>, now: Timestamp, progress: &Progress) -> Result<Outcome> {
        let identity =
            Identity { system_identifier: facts.system_identifier.to_string(), postgresql_version: facts.version, first_seen: now };
        self.repository.claim_server(&self.server, &identity)?;
        let lock = self.repository.lock(&format!("backup-{}", self.server), &format!("logical backup of {}", self.server), now)?;
        let label = self.repository.free_label(&self.server, now)?;
        let staging = Staging::make(self.how.staging.join(format!("dump-{}-{}", self.server, self.repository.description().id)))?;
        let needed = databases.iter().map(|sized| sized.largest_bytes).max().unwrap_or(0);
        staging.has_room(needed, "the tables that are dumped at once")?;
        let writing = self.repository.write(self.how.options, &self.repository.condemned()?)?;
        let cutter = self.repository.cutter();
        let sink = Sink { writing: &writing, cutter: &cutter, workers: self.how.workers, progress };
        let mut all = self.globals(facts, clients, &staging, &sink)?;
        let mut done = vec![directory("databases")];
        let mut dumped = Vec::new();
        for Sized { database, .. } in databases {
            let stored = self.database(&database.name, &database.path, clients, facts.major(), &staging, &sink)?;
            dumped.push(DumpedDatabase { bytes: stored.files.iter().map(|file| file.bytes).sum(), ..database.clone() });
            done.push(directory(&database.path));
            all.new_bytes += stored.new_bytes;
            all.files.extend(stored.files);
        }
        let stored_bytes = writing.finish()?;
        all.files.extend(done);
        all.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Outcome { lock, label, files: all.files, databases: dumped, new_bytes: all.new_bytes, stored_bytes })
    }

    /// Roles, tablespaces and their settings. Without a superuser, without passwords.
    fn globals(&self, facts: &Facts, clients: &Clients, staging: &Staging, sink: &Sink<'_>) -> Result<Stored> {
        let file = staging.path().join("globals.sql");
        let mut dumpall = command(&clients.program("pg_dumpall"), &self.target, &self.how.application_name);
        dumpall.args(["--globals-only", "--no-password", "--no-sync", "--file"]).arg(&file);
        if !facts.superuser {
            dumpall.arg("--no-role-passwords");
        }
        // It connects to `postgres` or `template1` unless told otherwise.
        dumpall.arg("--database").arg(quoted_conninfo(self.target.database()));
        Running::start("pg_dumpall", &mut dumpall)?.wait("globals", facts.major(), sink.progress)?;
        let mut stored = Stored::default();
        let mut storing = Storing::new(sink.writing.writer()?, sink.cutter, sink.progress);
        store(&file, "globals.sql", &mut storing, &mut stored)?;
        storing.finish()?;
        Ok(stored)
    }

    fn database(&self, name: &str, path: &str, clients: &Clients, major: u16, staging: &Staging, sink: &Sink<'_>) -> Result<Stored> {
        let target = self.target.with_database(name);
        let start = |into: &std::path::Path| {
            let mut dump = command(&clients.program("pg_dump"), &target, &self.how.application_name);
            dump.args(["--format=directory", "--compress=0", "--no-sync", "--no-password"])
                .arg(format!("--jobs={}", self.how.jobs))
                .arg(format!("--lock-wait-timeout={}", self.how.lock_wait.as_millis()))
                .arg("--file")
                .arg(into);
            Running::start("pg_dump", &mut dump)
        };
        staging.dump(start, path, name, major, sink)
    }
}

/// A database as a connection string, whatever its name.
pub(super) fn quoted_conninfo(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', r"\\").replace('\'', r"\'"))
}

fn directory(path: &str) -> FileEntry {
    FileEntry { path: path.to_owned(), file_type: FileType::Directory, mode: 0o700, ..FileEntry::default() }
}

fn notes(facts: &Facts, pg_dump: &str) -> Vec<String> {
    let mut notes = Vec::new();
    if !facts.superuser {
        notes.push("the role is no superuser: passwords of roles are not in globals.sql".to_owned());
    }
    if !pg_dump.starts_with(&format!("{}.", facts.major()))
        && pg_dump.split(|c: char| !c.is_ascii_digit()).next() != Some(&facts.major().to_string())
    {
        notes.push(format!("written by pg_dump {pg_dump}, a later major than the server's: restore with that or a later one"));
    }
    notes
}
