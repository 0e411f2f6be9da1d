//! `pgtend recover`: a server that does not start.

use super::Global;
use super::output::{self, Cell, Table, Tabular, Tone, print, render};
use super::report_file::{unwritten, writable};
use super::repository::From;
use crate::recover::{Elsewhere, Recovery};
use clap::Args;
use output::{Format, Medium};
use pgtend_model::error::Result;
use pgtend_model::recover::diagnose::Weight;
use pgtend_model::recover::report::{Outcome, Report};
use pgtend_model::units::show_seconds;
use pgtend_postgres::process::os_user::OsUser;
use std::path::PathBuf;

/// Finds out why a server does not start, and brings it back on a copy
///
/// The directory itself is only read: everything is tried on a copy, each step is explained with its risk, and nothing that loses data is done without
/// --aggressive. WAL that is missing is taken from where --wal says. pg_resetwal is never run: where it is the last resort, the command is told with
/// what it costs. Exit code 0: the copy is whole; 1: it runs, but something is lost; 2: it does not run.
#[derive(Debug, Args)]
pub(super) struct Recover {
    /// The data directory of the server that does not start
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where else WAL is: a directory with segments, or the word repository
    #[arg(long, value_name = "DIR|repository")]
    wal: Option<PathBuf>,
    /// Allow steps that lose data, on the copy: WAL that ends at a gap, pages that are not there, states of transactions made up, damaged pages left
    /// out of a dump
    #[arg(long)]
    aggressive: bool,
    /// Where the copy goes; without it, next to the directory
    #[arg(long, value_name = "DIR")]
    copy_to: Option<PathBuf>,
    /// Let the copy take the directory's place when it is whole; the directory is kept under another name
    #[arg(long)]
    swap: bool,
    /// Only tell what is wrong and what would be done
    #[arg(long)]
    dry_run: bool,
    /// Write the report to this file, too: JSON where it ends so, text otherwise
    #[arg(long, value_name = "FILE")]
    output_report: Option<PathBuf>,
    /// The server's log, where it is not in the data directory
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The operating system's user who runs PostgreSQL
    #[arg(long, value_name = "USER")]
    os_user: Option<String>,
    /// Where PostgreSQL's programs are
    #[arg(long, value_name = "DIR")]
    bindir: Option<PathBuf>,
    #[command(flatten)]
    from: From,
}

impl Recover {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        if let Some(path) = &self.output_report {
            writable(path).map_err(|error| unwritten(path, &error))?;
        }
        let recovery = Recovery {
            data: self.data.clone(),
            elsewhere: self.elsewhere(global).await?,
            aggressive: self.aggressive,
            copy_to: self.copy_to.clone(),
            swap: self.swap,
            dry_run: self.dry_run,
            log: self.log.clone(),
            user: OsUser::choose(self.os_user.as_deref())?,
            bindir: self.bindir.clone(),
        };
        let quiet = global.format != Format::Table;
        let tell = |step: &str| {
            if !quiet {
                output::progress(step);
            }
        };
        let report = recovery.run(tell).await?;
        if let Some(path) = &self.output_report {
            let json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
            let format = if json { Format::Json } else { Format::Table };
            let text = render(&report, format, Medium { width: None, colour: false })?;
            std::fs::write(path, text).map_err(|error| unwritten(path, &error))?;
        }
        print(&report, global.format)?;
        Ok(report.outcome.exit_code())
    }

    async fn elsewhere(&self, global: &Global) -> Result<Elsewhere> {
        match &self.wal {
            Some(path) if path.as_os_str() != "repository" => Ok(Elsewhere::Directory(path.clone())),
            None if !self.from.is_named() => Ok(Elsewhere::Nowhere),
            _ => {
                let opened = self.from.open(global).await?;
                Ok(Elsewhere::Repository { repository: opened.repository, server: opened.server })
            }
        }
    }
}

impl Tabular for Report {
    fn tables(&self) -> Vec<Table> {
        vec![findings(self), log(self), steps(self), lost(self), next(self), summary(self)]
    }
}

fn findings(report: &Report) -> Table {
    let mut table =
        Table::new("What was found", &["", "what", "on the directory itself"]).or("Nothing is wrong with the files that were looked at.");
    for finding in &report.findings {
        let weight = match finding.weight {
            Weight::Cause => Cell::new("keeps it from starting", Tone::Bad),
            Weight::Suspect => Cell::new("suspect", Tone::Warn),
            Weight::Note => Cell::new("note", Tone::Dim),
        };
        table.push::<Cell>([weight, finding.what.clone().into(), finding.remedy.clone().into()]);
    }
    table
}

fn log(report: &Report) -> Table {
    let mut table = Table::new("What PostgreSQL said last", &[""]);
    report.log.iter().for_each(|line| table.push([line.clone()]));
    table
}

fn steps(report: &Report) -> Table {
    let mut table = Table::new("Steps", &[">", "step", "risk", "outcome"]);
    for (number, done) in (1..).zip(&report.steps) {
        let outcome = match done.good {
            None => Cell::new("not done", Tone::Dim),
            Some(true) => Cell::new(done.told.clone(), Tone::Good),
            Some(false) => Cell::new(format!("failed: {}", done.told), Tone::Bad),
        };
        let risk = Cell::new(done.step.risk.clone(), if done.step.lossy { Tone::Bad } else { Tone::Dim });
        table.push::<Cell>([number.to_string().into(), done.step.what.clone().into(), risk, outcome]);
    }
    table
}

fn lost(report: &Report) -> Table {
    let mut table = Table::new("Lost or damaged", &["what"]);
    report.lost.iter().for_each(|what| table.push([Cell::new(what.clone(), Tone::Bad)]));
    table
}

fn next(report: &Report) -> Table {
    let mut table = Table::new("What to do now", &[">", "what"]);
    for (number, what) in (1..).zip(&report.next) {
        table.push([number.to_string(), what.clone()]);
    }
    table
}

fn summary(report: &Report) -> Table {
    let mut table = Table::default();
    let tone = match report.outcome {
        Outcome::Recovered => Tone::Good,
        Outcome::Planned => Tone::Plain,
        Outcome::RecoveredWithLoss => Tone::Warn,
        Outcome::NotRecovered => Tone::Bad,
    };
    let facts = [
        ("directory", Some(report.data_directory.clone())),
        ("copy", report.copy.clone()),
        ("replayed to", report.replayed_to.clone()),
        ("last commit", report.last_commit.clone()),
        ("dump", report.salvage.clone()),
        ("took", (report.took_s > 0.0).then(|| show_seconds(report.took_s))),
    ];
    facts.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).for_each(|row| table.push(row));
    table.push::<Cell>(["outcome".into(), Cell::new(report.outcome.text(), tone)]);
    table
}
