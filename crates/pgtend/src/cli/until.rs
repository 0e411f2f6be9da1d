//! Up to when a copy is restored, and where it is meanwhile: what the commands have in common that restore one for a while.

use super::repository::{Opened, Surroundings};
use super::when::when;
use crate::scratch::{DEFAULT_DIRECTORY, Request};
use clap::Args;
use pgtend_model::backup::Label;
use pgtend_model::backup::restore_plan::{Target, Timeline, Wanted};
use pgtend_model::error::Result;
use pgtend_model::pgdata::Lsn;
use pgtend_postgres::process::os_user::OsUser;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Up to when: the newest state unless said otherwise.
#[derive(Debug, Args)]
#[command(next_help_heading = "Up to when")]
pub(super) struct Until {
    /// Up to the last commit before this instant: 2026-11-21T03:12:00Z, "2026-11-21 03:12", 03:12, -1h
    #[arg(long, value_name = "TIME", group = "where", allow_hyphen_values = true)]
    to: Option<String>,
    /// Up to this position of the WAL
    #[arg(long, value_name = "LSN", group = "where")]
    lsn: Option<Lsn>,
    /// Up to the commit of this transaction
    #[arg(long, value_name = "XID", group = "where")]
    xid: Option<u64>,
    /// Up to a restore point that was made with `pg_create_restore_point`
    #[arg(long, value_name = "NAME", group = "where")]
    name: Option<String>,
    /// Only until the data is consistent
    #[arg(long, group = "where")]
    immediate: bool,
    /// End before the target instead of after it
    #[arg(long)]
    pub(super) exclusive: bool,
}

/// On which disk a copy is, and who runs it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where the copy is meanwhile")]
pub(super) struct Place {
    /// On which disk: a directory is made in this one, and removed; without it, backup.scratch_directory, or /var/tmp
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// The operating system's user that runs it
    #[arg(long, value_name = "USER")]
    os_user: Option<String>,
    /// Where PostgreSQL's programs are
    #[arg(long, value_name = "DIR")]
    pub(super) bindir: Option<PathBuf>,
}

/// How a copy is made and run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where the copy is meanwhile")]
pub(super) struct Meanwhile {
    #[command(flatten)]
    pub(super) place: Place,
    /// Libraries that the copy cannot do without, as shared_preload_libraries has them
    #[arg(long, value_name = "LIBRARIES", default_value = "")]
    preload: String,
    /// Threads that restore
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
}

impl Until {
    /// The target.
    pub(super) fn target(&self) -> Result<Target> {
        Ok(match (&self.to, self.lsn, self.xid, &self.name, self.immediate) {
            (Some(text), ..) => Target::Time(when(text)?),
            (_, Some(lsn), ..) => Target::Lsn(lsn),
            (_, _, Some(xid), ..) => Target::Xid(xid),
            (_, _, _, Some(name), _) => Target::Name(name.clone()),
            (.., true) => Target::Immediate,
            _ => Target::Latest,
        })
    }
}

impl Place {
    /// The directory in which one is made for the copy.
    pub(super) fn directory(&self, surroundings: &Surroundings) -> PathBuf {
        let directory = self.scratch.clone().or_else(|| surroundings.scratch.clone()).unwrap_or_else(|| DEFAULT_DIRECTORY.into());
        std::path::absolute(&directory).unwrap_or(directory)
    }

    /// Who runs it.
    pub(super) fn user(&self) -> Result<OsUser> {
        OsUser::choose(self.os_user.as_deref())
    }
}

impl Meanwhile {
    /// What is asked for.
    pub(super) fn request(
        &self,
        opened: &Opened,
        surroundings: &Surroundings,
        until: &Until,
        backup: Option<Label>,
        databases: BTreeSet<String>,
        purpose: &'static str,
    ) -> Result<Request> {
        Ok(Request {
            repository: opened.repository.clone(),
            server: opened.server.clone(),
            wanted: Wanted { target: until.target()?, backup, timeline: Timeline::Latest },
            exclusive: until.exclusive,
            databases,
            directory: self.place.directory(surroundings),
            user: self.place.user()?,
            bindir: self.place.bindir.clone(),
            workers: usize::from(self.workers),
            preload: self.preload.clone(),
            client: None,
            purpose,
        })
    }
}
