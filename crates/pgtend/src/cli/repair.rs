//! `pgtend repair`: mends what a verification found.

use super::backup::take;
use super::output::{self, Cell, Format, Table, Tabular, Tone, print};
use super::repository::{From, Surroundings};
use super::until::Place;
use super::{Global, source};
use crate::backup::Progress;
use crate::repair::{Repair as Work, Source};
use clap::Args;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::repair::plan::{Action, Asked};
use pgtend_model::repair::report::Repaired;
use pgtend_model::verify::{Verdict, Verification};
use std::path::{Path, PathBuf};

/// Mends what pgtend verify found, the way that loses nothing first
///
/// An index is built anew; pages of a table come back from the backup, rolled forward, while the server is stopped, or behind a lock with --online; maps
/// are made anew. Without a backup, --salvage copies the rows that can be read, and --zero-pages gives up the rest. Nothing that loses data is
/// done unless that was asked for. Exit code 0: all of it is mended; 1: something is left.
#[derive(Debug, Args)]
pub(super) struct Repair {
    /// The report of pgtend verify --output
    #[arg(long, value_name = "FILE")]
    corruption_report: PathBuf,
    /// Take a backup first; without one, nothing is done
    #[arg(long)]
    backup_first: bool,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
    /// Lock tables while their pages are brought back, instead of wanting the server stopped
    #[arg(long)]
    online: bool,
    /// Where there is no good copy: copy the rows that can be read into a new table beside it
    #[arg(long)]
    salvage: bool,
    /// Where there is no good copy: rewrite the table without its damaged pages. ALL ROWS ON THEM ARE LOST
    #[arg(long)]
    zero_pages: bool,
    /// Do not look for a backup
    #[arg(long)]
    no_repository: bool,
    /// The data directory, where it is another one than the report's
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    from: From,
}

impl Repair {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let report = read(&self.corruption_report)?;
        if report.verdict != Verdict::Damaged {
            output::tell("pgtend: the report tells of no damage: there is nothing to mend");
            return Ok(0);
        }
        let source = self.source(global).await?;
        // Where no backup is known there is no copy either.
        let surroundings = if source.is_some() { self.from.surroundings(global).await? } else { Surroundings::default() };
        let mut work = Work {
            report,
            data: self.data.clone(),
            target: source::target(&Global { server: None, ..global.clone() })?,
            source,
            asked: Asked { online: self.online, salvage: self.salvage, zero: self.zero_pages },
            dry_run: self.dry_run,
            backup: None,
            scratch: self.place.directory(&surroundings),
            user: self.place.user()?,
            bindir: self.place.bindir.clone(),
        };
        if self.backup_first && !self.dry_run {
            let client = source::agent(global)?;
            let taken = take(&client, global.server.as_deref()).await;
            work.backup = Some(taken.map_err(|error| {
                let what = format!("the backup that was to come first failed, so nothing was done: {}", error.what);
                Error { what, ..error }.hint(
                    "a server that does not run cannot be backed up: leave out --backup-first; damaged pages are kept aside in any case",
                )
            })?);
        }
        let quiet = global.format != Format::Table;
        let tell = |step: &str| {
            if !quiet {
                output::progress(step);
            }
        };
        let repaired = Box::pin(work.run(tell, &Progress::new(0))).await?;
        print(&repaired, global.format)?;
        Ok(repaired.exit_code())
    }

    /// Where pages may come from: what was named, or the agent's repository, if there is one.
    async fn source(&self, global: &Global) -> Result<Option<Source>> {
        if self.no_repository {
            return Ok(None);
        }
        match self.from.open(global).await {
            Ok(opened) => Ok(Some(Source { repository: opened.repository, server: opened.server })),
            Err(error) if self.from.is_named() => Err(error),
            Err(error) => {
                output::notice(&format!("no backup is known: {}", error.what));
                Ok(None)
            }
        }
    }
}

fn read(path: &Path) -> Result<Verification> {
    let (shown, how) = (path.display().to_string(), "pgtend verify --output FILE writes one");
    let unread = |error| Error::new(Kind::NotFound, format!("the report cannot be read: {error}")).at(shown.clone()).hint(how);
    let text = std::fs::read(path).map_err(unread)?;
    serde_json::from_slice(&text)
        .map_err(|error| Error::new(Kind::Usage, format!("this is no report of pgtend verify: {error}")).at(shown.clone()).hint(how))
}

impl Tabular for Repaired {
    fn tables(&self) -> Vec<Table> {
        let mut steps = Table::new("Steps", &[">", "what", "database", "how", "why", "risk", "outcome"]);
        for (number, done) in (1..).zip(&self.steps) {
            let step = &done.step;
            let outcome = match (done.good, &step.waits) {
                (Some(true), _) => Cell::new(done.told.clone(), Tone::Good),
                (Some(false), _) => Cell::new(format!("failed: {}", done.told), Tone::Bad),
                (None, Some(waits)) => Cell::new(format!("waits: {waits}"), Tone::Warn),
                (None, None) => Cell::new("would be done", Tone::Dim),
            };
            let fork = if step.hurt.fork == pgtend_model::pgdata::Fork::Main { String::new() } else { format!(" ({})", step.hurt.fork) };
            steps.push::<Cell>([
                number.to_string().into(),
                format!("{}{fork}", step.hurt.relation.as_deref().unwrap_or(&step.hurt.file)).into(),
                step.hurt.database.clone().unwrap_or_default().into(),
                how(&step.action).into(),
                step.why.clone().into(),
                Cell::new(step.risk.clone(), if step.lossy { Tone::Bad } else { Tone::Dim }),
                outcome,
            ]);
        }
        let mut facts = Table::default();
        facts.push(["directory".to_owned(), self.data_directory.clone()]);
        facts.push(["backup taken first".to_owned(), self.backup.clone().unwrap_or_else(|| "none".to_owned())]);
        if let Some(found) = &self.verification {
            let (tone, told) = match found.verdict {
                Verdict::Damaged => (Tone::Bad, format!("{} errors are left in these files", found.errors.len())),
                _ => (Tone::Good, "no damage is left in these files".to_owned()),
            };
            facts.push::<Cell>(["looked again".into(), Cell::new(told, tone)]);
        }
        vec![steps, facts]
    }
}

const fn how(action: &Action) -> &'static str {
    match action {
        Action::Reindex { concurrently: true } => "reindex concurrently",
        Action::Reindex { concurrently: false } => "reindex",
        Action::RebuildVisibilityMap => "rebuild the visibility map",
        Action::RebuildFreeSpaceMap => "rebuild the free space map",
        Action::Refresh => "refresh the view",
        Action::RestorePages { .. } => "pages from the backup",
        Action::Salvage { .. } => "copy readable rows",
        Action::ZeroPages { .. } => "rewrite without the pages",
        Action::ByHand => "by hand",
    }
}
