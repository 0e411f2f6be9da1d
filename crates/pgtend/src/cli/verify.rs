//! `pgtend verify`: whether a data directory and the server over it are sound.

use super::output::{self, Cell, Table, Tabular, Tone};
use super::progress_bar::{bar, watched};
use super::report_file::{unwritten, writable};
use super::{Global, source};
use crate::api::verify::{HowMuch, NewVerification, PATH};
use crate::client::Client;
use crate::verify::{self, Options};
use clap::Args;
use indicatif::ProgressBar;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::units::{duration, show_seconds};
use pgtend_model::verify::kept::{Ended, Verifications};
use pgtend_model::verify::{Damage, Depth, RelationKind, ServerState, Verdict, Verification};
use pgtend_postgres::files::scan::Progress;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often the bar is moved.
const TICK: Duration = Duration::from_millis(200);

/// Says whether a data directory and the server over it are sound
///
/// Reads every page and compares its checksum, on the server's own machine, whether it runs or not: a page that looks wrong while the
/// server runs is read again, so that one that is just being written is not called damaged. Nothing is written. The agent does it, unless
/// --data or --connection says otherwise. Exit code 0: all of it is sound; 1: something is damaged; 2: nothing was found, but something
/// that was asked for could not be looked at.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The data directory, read without an agent; without it the one of the server that --connection names, or of the agent's server
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Let the server check indexes and tables too (extension amcheck)
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// Look at files and their lengths, and read long files only in part
    #[arg(long)]
    quick: bool,
    /// Threads that read; without it one a processor, four at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: Option<u16>,
    /// Only this relation with its indexes: a name with schema, in the database of the connection, or a path such as base/5/16384
    #[arg(long = "relation", value_name = "NAME")]
    relations: Vec<String>,
    /// With --full: check B-tree indexes from the root down too. Nobody can write to a table while its indexes are checked
    #[arg(long, requires = "full")]
    parent_check: bool,
    /// With --full: how long the check of one relation may take
    #[arg(long, value_name = "TIME", default_value = "1h", requires = "full", value_parser = |text: &str| duration(text).map_err(|error| error.what))]
    timeout: Duration,
    /// Write the report as JSON to this file, for pgtend repair and other programs
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Verify {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        if let Some(path) = &self.output {
            writable(path).map_err(|error| unwritten(path, &error))?;
        }
        let report =
            if self.data.is_none() && global.connection.is_none() { self.by_agent(global).await? } else { self.directly(global).await? };
        if let Some(path) = &self.output {
            let json = output::render(&report, output::Format::Json, output::Medium::stdout())?;
            std::fs::write(path, json).map_err(|error| unwritten(path, &error))?;
        }
        output::print(&report, global.format)?;
        Ok(report.verdict.exit_code())
    }

    /// Reads the files itself.
    async fn directly(&self, global: &Global) -> Result<Verification> {
        if global.server.is_some() {
            return Err(Error::new(Kind::Usage, "--server names a server of an agent; with --data or --connection there is none"));
        }
        let options = Options {
            data: self.data.clone(),
            target: source::target(global)?,
            silence_allowed: false,
            depth: self.depth(),
            threads: self.threads(),
            relations: self.relations.clone(),
            parents: self.parent_check,
            timeout: self.timeout,
        };
        let progress = Arc::new(Progress::default());
        watched(Box::pin(verify::run(&options, &progress)), |bar| show(bar, &progress)).await
    }

    /// Has the agent read them.
    async fn by_agent(&self, global: &Global) -> Result<Verification> {
        let client = source::agent(global).map_err(|error| match error.kind {
            Kind::NotFound => Error::new(Kind::Usage, "verify what? no agent is running here")
                .hint("name a data directory with --data, or a server on this machine with --connection"),
            _ => error,
        })?;
        let server = global.server.as_deref();
        let new = NewVerification {
            depth: self.depth(),
            parallel: self.threads(),
            relations: self.relations.clone(),
            parent_check: self.parent_check,
            timeout_seconds: self.timeout.as_secs().max(1),
        };
        let before = told(&client, server, false).await?.last.map(|ended| ended.at);
        let _: Verifications = client.post(PATH, server, &new).await?;
        let bar = bar();
        while let now = told(&client, server, false).await?
            && (now.running.is_some() || now.last.as_ref().map(|ended| ended.at) == before)
        {
            if let Some(running) = &now.running {
                show_counts(&bar, running.total_bytes, running.done_bytes, running.damaged);
            }
            tokio::time::sleep(TICK).await;
        }
        bar.finish_and_clear();
        let ended = told(&client, server, true).await?.last;
        let none = || Error::new(Kind::Internal, "the agent lost the result of the verification").hint("look into the agent's log");
        match ended.ok_or_else(none)? {
            Ended { report: Some(report), .. } => Ok(report),
            Ended { error, .. } => Err(error.unwrap_or_else(none)),
        }
    }

    fn depth(&self) -> Depth {
        match (self.full, self.quick) {
            (true, _) => Depth::Full,
            (_, true) => Depth::Quick,
            _ => Depth::Pages,
        }
    }

    fn threads(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.parallel.map_or(processors.min(4), usize::from)
    }
}

async fn told(client: &Client, server: Option<&str>, report: bool) -> Result<Verifications> {
    client.get_with(PATH, server, &HowMuch { report: Some(report) }).await
}

/// Brings the bar to where the reading is.
fn show(bar: &ProgressBar, progress: &Progress) {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    show_counts(bar, count(&progress.total_bytes), count(&progress.done_bytes), count(&progress.damaged));
}

fn show_counts(bar: &ProgressBar, total_bytes: u64, done_bytes: u64, damaged: u64) {
    bar.set_length(total_bytes);
    bar.set_position(done_bytes);
    if damaged > 0 {
        bar.set_message(format!("{damaged} damaged"));
    }
}

impl Tabular for Verification {
    fn tables(&self) -> Vec<Table> {
        let mut notes = Table::new("Notes", &["note"]);
        for notice in &self.notices {
            notes.push([notice.text.clone()]);
        }
        vec![damaged(self), unchecked(self), notes, summary(self)]
    }
}

fn damaged(report: &Verification) -> Table {
    let mut table = Table::new("Damage", &["type", "database", "relation", "fork", ">block", "file", ">offset", "detail"]);
    for damage in &report.errors {
        let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
        table.push::<Cell>([
            Cell::new(damage.kind.text(), Tone::Bad),
            database(damage).into(),
            relation(damage).into(),
            damage.fork.name().into(),
            number(damage.block.map(u64::from)).into(),
            damage.file.clone().into(),
            number(damage.offset_bytes).into(),
            damage.detail.clone().into(),
        ]);
    }
    if report.errors_left_out > 0 {
        table.push([Cell::new(format!("and {} more", report.errors_left_out), Tone::Bad)]);
    }
    table
}

fn database(damage: &Damage) -> String {
    match (&damage.database, damage.database_oid) {
        (Some(name), _) => name.clone(),
        (None, 0) => "(shared)".to_owned(),
        (None, oid) => format!("OID {oid}"),
    }
}

fn relation(damage: &Damage) -> String {
    let name = damage.relation.clone().unwrap_or_else(|| format!("filenode {}", damage.relfilenode));
    if damage.relation_kind == Some(RelationKind::Index) { format!("{name} (index)") } else { name }
}

fn unchecked(report: &Verification) -> Table {
    let mut table = Table::new("Not checked", &["what", "why", "what to do"]);
    for unchecked in &report.unchecked {
        table.push::<Cell>([Cell::new(&unchecked.what, Tone::Warn), unchecked.why.detail.clone().into(), unchecked.hint.clone().into()]);
    }
    table
}

/// What it comes to, last, where the eye is.
fn summary(report: &Verification) -> Table {
    let mut table = Table::default();
    let server = match report.server {
        ServerState::Running => "running",
        ServerState::Stopped => "shut down cleanly",
        ServerState::NeedsRecovery => "not running, not shut down cleanly",
    };
    let checked = &report.checked;
    let amcheck = if report.depth == Depth::Full {
        format!("; {} indexes and {} tables by amcheck", checked.indexes, checked.tables)
    } else {
        String::new()
    };
    let checksums = if report.checksums { "with checksums" } else { "without checksums: headers only" };
    let looked = format!("{} pages {checksums} in {} files{amcheck}, in {}", checked.pages, checked.files, show_seconds(report.took_s));
    let damage = report.errors.len() as u64 + report.errors_left_out;
    let verdict = match report.verdict {
        Verdict::Clean => Cell::new("clean: nothing is damaged", Tone::Good),
        Verdict::Incomplete => Cell::new("incomplete: no damage was found, but not everything could be checked", Tone::Warn),
        Verdict::Damaged => Cell::new(format!("damaged: {damage} errors"), Tone::Bad),
    };
    table.push::<Cell>(["server".into(), format!("PostgreSQL {} in {}, {server}", report.version, report.data_directory).into()]);
    table.push::<Cell>(["checked".into(), looked.into()]);
    table.push::<Cell>(["verdict".into(), verdict]);
    table
}
