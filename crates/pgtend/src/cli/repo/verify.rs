//! `pgtend repo verify`: whether a repository is whole, and which backups are not.

use crate::agent::repo_verify::Verification;
use crate::api::repositories::{NewVerification, STOP_VERIFY, VERIFY};
use crate::backup::Progress;
use crate::backup::repo_verify::{Job, Request, progress_file, remember, run};
use crate::blocking::blocking;
use crate::cli::output::{self, Cell, Table, Tabular, Tone, print};
use crate::cli::progress_bar;
use crate::cli::report_file::{unwritten, writable};
use crate::cli::repository::From;
use crate::cli::{Global, source};
use crate::client::Client;
use clap::Args;
use pgtend_model::backup::repo_report::{BackupCheck, BackupState, RepoReport};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::units::{show_bytes, show_seconds};
use pgtend_model::verify::Verdict;
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

/// How often the agent is asked how far it is.
const PAUSE: Duration = Duration::from_millis(250);

/// Says whether a repository is whole, and which backups are not
///
/// Reads every object, proves every piece of it, and follows the WAL from each backup to now; names the backups and the files in them that a damaged or missing object hurts, and
/// what to do. What is damaged is noted in the repository: the next backup writes again what the server still has of it. The agent does it, or this
/// command by itself with --from or --config. Exit code 0: whole; 1: something is damaged; 2: nothing was found, but something could not be looked at.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(super) struct Verify {
    #[command(flatten)]
    from: From,
    /// Read only so many percent of the packs and WAL files, chosen by chance: 5%
    #[arg(long, value_name = "PERCENT", value_parser = percent, conflicts_with = "full")]
    sample: Option<f64>,
    /// By which the sample is chosen: the same number chooses the same objects
    #[arg(long, value_name = "NUMBER", requires = "sample", value_parser = clap::value_parser!(u64).range(0..(1 << 53)))]
    seed: Option<u64>,
    /// Read everything; that is so without --sample, too
    #[arg(long)]
    full: bool,
    /// Threads that read
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// Go on where the last one was stopped
    #[arg(long)]
    resume: bool,
    /// Where progress is written down; without it in the agent's state directory
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// First make indexes anew, of packs that no readable index tells of
    #[arg(long)]
    rebuild_index: bool,
    /// Do not wait for its end
    #[arg(long, conflicts_with_all = ["status", "stop"])]
    no_wait: bool,
    /// Only show how far it is, and what the last one found
    #[arg(long, conflicts_with = "stop")]
    status: bool,
    /// Stop the one that goes on
    #[arg(long)]
    stop: bool,
    /// Write the report as JSON to this file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end();
    number.parse().ok().filter(|percent| *percent > 0.0 && *percent <= 100.0).ok_or_else(|| "a share such as 5%".to_owned())
}

/// What was found, a report a repository.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Reports(Vec<RepoReport>);

impl Verify {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        if let Some(path) = &self.output {
            writable(path).map_err(|error| unwritten(path, &error))?;
        }
        let reports = match self.from.by_itself() {
            true => vec![self.here(global).await?],
            false => match self.by_agent(global).await? {
                Some(reports) => reports,
                None => return Ok(0),
            },
        };
        let code = reports.iter().map(|report| report.verdict).max_by_key(|verdict| worse(*verdict)).map_or(0, Verdict::exit_code);
        let reports = Reports(reports);
        if let Some(path) = &self.output {
            let json = output::render(&reports, output::Format::Json, output::Medium::stdout())?;
            std::fs::write(path, json).map_err(|error| unwritten(path, &error))?;
        }
        print(&reports, global.format)?;
        Ok(code)
    }

    fn request(&self, global: &Global) -> Request {
        Request {
            server: global.server.clone(),
            sample_percent: self.sample,
            seed: self.seed,
            parallel: Some(usize::from(self.parallel)),
            resume: self.resume,
            rebuild_index: self.rebuild_index,
        }
    }

    /// Without an agent.
    async fn here(&self, global: &Global) -> Result<RepoReport> {
        if self.status || self.stop || self.no_wait {
            return Err(Error::new(Kind::Usage, "--status, --stop and --no-wait are about an agent's work")
                .hint("leave out --from and --config, or leave out these"));
        }
        let (repository, name, directory) = self.from.open_by_itself(global).await?;
        // A directory alone has no configuration that would name a place for state.
        let has_directory = directory.components().count() > 1;
        let state = self.state.clone().or_else(|| has_directory.then(|| progress_file(&directory, &name)));
        let server = match &global.server {
            Some(_) => Some(self.from.server(global, &repository).await?),
            None => None,
        };
        let job = Job { repository, name, request: Request { server, ..self.request(global) }, state, again: HashSet::new() };
        let progress = Progress::new(0);
        let seen = progress.clone();
        let work = blocking(move || run(&job, &progress));
        let report = progress_bar::watched(work, |bar| progress_bar::show(bar, &seen.see())).await?;
        if has_directory {
            remember(&directory, &report)?;
        }
        Ok(report)
    }

    /// By the agent; none when nobody waits.
    async fn by_agent(&self, global: &Global) -> Result<Option<Vec<RepoReport>>> {
        if self.state.is_some() {
            return Err(Error::new(Kind::Usage, "the agent keeps its own state").hint("--state goes with --from or --config"));
        }
        let client = source::agent(global)?;
        if self.stop {
            let told: Vec<Verification> = client.post(STOP_VERIFY, None, &()).await?;
            print(&Going(told), global.format)?;
            return Ok(None);
        }
        let told: Vec<Verification> = client.get(VERIFY).await?;
        if self.status {
            return self.status(told, global).map(Some);
        }
        let before = told;
        let new = NewVerification { repository: self.from.wanted().map(str::to_owned), request: self.request(global) };
        let begun: Vec<Verification> = client.post(VERIFY, None, &new).await?;
        if self.no_wait {
            print(&Going(begun), global.format)?;
            return Ok(None);
        }
        self.follow(&client, &before).await.map(Some)
    }

    fn status(&self, told: Vec<Verification>, global: &Global) -> Result<Vec<RepoReport>> {
        if told.iter().any(|one| one.running.is_some() || one.error.is_some()) && global.format == output::Format::Table {
            print(&Going(told.clone()), global.format)?;
        }
        let wanted = |one: &Verification| self.from.wanted().is_none_or(|name| name == one.repository);
        let last: Vec<RepoReport> = told.into_iter().filter(wanted).filter_map(|one| one.last).collect();
        if last.is_empty() {
            return Err(Error::new(Kind::NotFound, "no repository was verified to the end yet").hint("leave out --status"));
        }
        Ok(last)
    }

    async fn follow(&self, client: &Client, before: &[Verification]) -> Result<Vec<RepoReport>> {
        let bar = progress_bar::bar();
        let told = loop {
            tokio::time::sleep(PAUSE).await;
            let told: Vec<Verification> = client.get(VERIFY).await?;
            match told.iter().find_map(|one| one.running.as_ref()) {
                Some(seen) => progress_bar::show(&bar, seen),
                None => break told,
            }
        };
        bar.finish_and_clear();
        let started = |all: &[Verification], name: &str| {
            all.iter().find(|one| one.repository == name).and_then(|one| one.last.as_ref()).map(|report| report.finished)
        };
        let wanted = |one: &&Verification| self.from.wanted().is_none_or(|name| name == one.repository);
        if let Some(error) = told.iter().filter(wanted).find_map(|one| one.error.clone()) {
            return Err(error);
        }
        let is_new = |one: &&Verification| started(&told, &one.repository) > started(before, &one.repository);
        Ok(told.iter().filter(wanted).filter(is_new).filter_map(|one| one.last.clone()).collect())
    }
}

const fn worse(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Clean => 0,
        Verdict::Incomplete => 1,
        Verdict::Damaged => 2,
    }
}

/// What goes on.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Going(Vec<Verification>);

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn bytes(bytes: u64) -> String {
    show_bytes(bytes as f64)
}

impl Tabular for Going {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new("Verification of repositories", &["repository", "now", ">read", ">of", "last", "verdict"]);
        for one in &self.0 {
            let (now, read, of) = match (&one.running, &one.error) {
                (Some(seen), _) => ("goes on".to_owned(), bytes(seen.done_bytes), bytes(seen.total_bytes)),
                (None, Some(error)) => (error.to_string(), String::new(), String::new()),
                (None, None) => ("nothing".to_owned(), String::new(), String::new()),
            };
            let last = one.last.as_ref();
            table.push::<Cell>([
                one.repository.clone().into(),
                now.into(),
                read.into(),
                of.into(),
                last.map_or_else(|| "never".to_owned(), |report| report.finished.to_string()).into(),
                last.map_or_else(|| "".into(), verdict),
            ]);
        }
        vec![table]
    }
}

impl Tabular for Reports {
    fn tables(&self) -> Vec<Table> {
        self.0.iter().flat_map(|report| [damage(report), hurt(report), notes(report), summary(report)]).collect()
    }
}

fn damage(report: &RepoReport) -> Table {
    let mut table = Table::new("Damage", &["what", "object", "detail"]);
    for error in &report.errors {
        table.push::<Cell>([Cell::new(error.kind.text(), Tone::Bad), error.object.clone().into(), error.detail.clone().into()]);
    }
    if report.errors_left_out > 0 {
        table.push([Cell::new(format!("and {} more", report.errors_left_out), Tone::Bad)]);
    }
    table
}

/// One line for each thing that is wrong with a backup, and each thing to do.
fn hurt(report: &RepoReport) -> Table {
    let mut table = Table::new("Backups that are hurt", &["backup", "server", "how", "what"]);
    for check in report.backups.iter().filter(|check| check.state != BackupState::Whole) {
        let files =
            check.files.iter().map(|file| format!("{}: {} lost from byte {}", file.path, bytes(file.lost_bytes), file.first_offset));
        let more = (check.files_left_out > 0).then(|| format!("and {} more files", check.files_left_out));
        let what = check.problems.iter().cloned().chain(files).chain(more);
        let advice = check.advice.iter().map(|advice| format!("→ {advice}"));
        for (index, line) in what.chain(advice).enumerate() {
            let (label, server, how) = if index == 0 { first(check) } else { ("".into(), "".into(), "".into()) };
            table.push::<Cell>([label, server, how, line.into()]);
        }
    }
    table
}

fn first(check: &BackupCheck) -> (Cell, Cell, Cell) {
    let how = match check.state {
        BackupState::Whole => Cell::new("whole", Tone::Good),
        BackupState::EndsEarly => Cell::new("WAL ends early", Tone::Warn),
        BackupState::Damaged => Cell::new("damaged", Tone::Bad),
        BackupState::Lost => Cell::new("LOST", Tone::Bad),
    };
    (check.label.to_string().into(), check.server.clone().into(), how)
}

fn notes(report: &RepoReport) -> Table {
    let mut table = Table::new("Notes", &["what", "why", "what to do"]);
    for unchecked in &report.unchecked {
        table.push::<Cell>([
            Cell::new(format!("not checked: {}", unchecked.what), Tone::Warn),
            unchecked.why.clone().into(),
            unchecked.hint.clone().into(),
        ]);
    }
    for notice in &report.notices {
        table.push([notice.clone()]);
    }
    if let Some(rebuilt) = &report.rebuilt {
        let gone = rebuilt.removed_indexes.len();
        table.push([format!(
            "indexes were made anew of {} packs with {} extents; {gone} damaged ones are gone",
            rebuilt.packs, rebuilt.extents
        )]);
        for pack in &rebuilt.damaged_packs {
            table.push([Cell::new(format!("{pack} is damaged: what could be read of it is in the index"), Tone::Bad)]);
        }
        for pack in &rebuilt.missing_packs {
            table.push([Cell::new(format!("{pack} is not there: no index tells of it any more"), Tone::Bad)]);
        }
    }
    table
}

/// What it comes to, last, where the eye is.
fn summary(report: &RepoReport) -> Table {
    let mut table = Table::default();
    let checked = &report.checked;
    let took = report.finished.duration_since(report.started).as_secs_f64();
    let looked = format!(
        "{} of {} packs with {} extents, {} of {} WAL files, {} documents; {} in {}",
        checked.packs,
        checked.packs_there,
        checked.extents,
        checked.wal_files,
        checked.wal_files_there,
        checked.documents,
        bytes(checked.bytes),
        show_seconds(took)
    );
    let whole = report.backups.iter().filter(|check| check.state == BackupState::Whole).count();
    table.push::<Cell>(["repository".into(), format!("{} in {}", report.repository, report.place).into()]);
    if let (Some(percent), Some(seed)) = (report.sample_percent, report.seed) {
        table.push::<Cell>(["sample".into(), format!("{percent} %, seed {seed}").into()]);
    }
    table.push::<Cell>(["checked".into(), looked.into()]);
    table.push::<Cell>(["backups".into(), format!("{whole} of {} whole", report.backups.len()).into()]);
    table.push::<Cell>(["verdict".into(), verdict(report)]);
    table
}

fn verdict(report: &RepoReport) -> Cell {
    let hurt = report.backups.iter().filter(|check| check.state != BackupState::Whole).count();
    match report.verdict {
        Verdict::Clean if report.sample_percent.is_some() => Cell::new("clean: nothing in the sample is damaged", Tone::Good),
        Verdict::Clean => Cell::new("clean: nothing is damaged", Tone::Good),
        Verdict::Incomplete => Cell::new("incomplete: no damage was found, but not everything could be looked at", Tone::Warn),
        Verdict::Damaged => {
            let objects = report.errors.len() as u64 + report.errors_left_out;
            Cell::new(format!("damaged: {objects} objects, {hurt} backups are hurt"), Tone::Bad)
        }
    }
}
