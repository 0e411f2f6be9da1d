//! `pgtend perf snapshot`: watches for a while, and tells as a report what happened.

use super::awr::{agent, take_snapshot};
use super::output;
use super::report_file::ReportFile;
use super::{Global, source};
use crate::api::awr::{NewSnapshot, REPORT, Why};
use crate::observe::Look;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use pgtend_model::awr::period::{PROBES, Period, Point};
use pgtend_model::awr::report::{Report, TOP};
use pgtend_model::awr::request::{Form, ReportRequest};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::past::Memory;
use pgtend_model::sample::Taken;
use pgtend_model::units::{duration, show_seconds};
use pgtend_postgres::connect::Target;
use std::time::Duration;

/// The longest that is watched without an agent: the samples are kept in memory.
const LONGEST: Duration = Duration::from_secs(3600);
/// Statements whose texts are asked for.
const TEXTS: usize = 500;

/// Watches for a while, and tells what happened
#[derive(Debug, Args)]
pub(super) struct Perf {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Snapshot(Snapshot),
}

/// Takes a snapshot now and one at the end, and reports what happened between them
///
/// Through the agent, or with --connection alone: then this command reads and samples itself, an hour at most, and needs no history.
#[derive(Debug, Args)]
struct Snapshot {
    /// How long to watch: 300, 90s, 5min
    #[arg(long, default_value = "300", value_name = "DURATION", value_parser = |text: &str| duration(text).map_err(|error| error.what))]
    duration: Duration,
    /// Statements in each order
    #[arg(long, default_value_t = TOP)]
    top: usize,
    #[command(flatten)]
    file: ReportFile,
}

impl Perf {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let Command::Snapshot(command) = &self.command;
        if command.duration < Duration::from_secs(1) {
            return Err(Error::new(Kind::Usage, "watch for a second at least"));
        }
        let form = command.file.form(global)?;
        match source::target(global)? {
            Some(target) => command.look(&target, global).await?,
            None => command.ask(form, global).await?,
        }
        Ok(0)
    }
}

impl Snapshot {
    fn announce(&self) {
        output::progress(&format!("watching for {}", show_seconds(self.duration.as_secs_f64())));
    }

    /// Has the agent take both snapshots and make the report.
    async fn ask(&self, form: Form, global: &Global) -> Result<()> {
        let (client, server) = agent(global)?;
        let how = NewSnapshot { reason: Why::Perf };
        let first = take_snapshot(&client, server, how.clone()).await?;
        self.announce();
        tokio::time::sleep(self.duration).await;
        let last = take_snapshot(&client, server, how).await?;
        let mut request = ReportRequest::between(Some(Point::Snapshot(first.id)), Some(Point::Snapshot(last.id)), form);
        request.top = Some(self.top);
        self.file.fetch(&client, REPORT, server, &request, global).await
    }

    /// Reads and samples over a connection of its own.
    async fn look(&self, target: &Target, global: &Global) -> Result<()> {
        if self.duration > LONGEST {
            return Err(Error::new(Kind::Usage, "without an agent an hour is watched at most").hint("an agent remembers: pgtend agent"));
        }
        let mut look = Look::open(target).await?;
        let mut memory = Memory::default();
        let begin = read(&mut look, &mut memory).await?;
        self.announce();
        look.sample(self.duration, Duration::from_secs(1)).await?;
        let end = read(&mut look, &mut memory).await?;
        memory.add_ring(look.ash());
        let ids = busiest(&look);
        for (id, text) in look.statement_texts(&ids).await? {
            memory.add_text(id, text);
        }
        let period = Period::between(&memory, &look.view().name, Point::At(begin), Point::At(end))?;
        self.file.put(&Report::of(&period, self.top, Timestamp::now())?, global)
    }
}

/// Reads everything a report wants, and gives the instant at which all was read.
async fn read(look: &mut Look, memory: &mut Memory) -> Result<Timestamp> {
    look.take(PROBES).await?;
    for probe in PROBES {
        match look.view().readings.taken(*probe) {
            Ok(taken) => memory.put(taken.at(), taken),
            Err(unknown) => memory.fail(Timestamp::now(), *probe, unknown),
        }
    }
    Ok(Timestamp::now())
}

/// The statements that took the most time between both readings.
fn busiest(look: &Look) -> Vec<i64> {
    let Ok(Taken::Statements(newest)) = look.view().readings.taken(pgtend_model::sample::Probe::Statements) else { return Vec::new() };
    let mut rows = newest.rows;
    rows.sort_by(|a, b| b.total_exec_time.total_cmp(&a.total_exec_time));
    rows.iter().take(TEXTS).map(|row| row.queryid).collect()
}
