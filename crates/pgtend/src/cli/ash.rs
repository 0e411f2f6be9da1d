//! `pgtend ash`: the session history, at any time.

mod blocking;
mod chart;
mod report;
mod samples;
mod tables;
mod top;

use super::{Global, filter, output, source, when};
use crate::source::Source;
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pgtend_model::ash::WaitClass;
use pgtend_model::document::ash::{Coverage, report as document};
use pgtend_model::document::{Dated, Unknowns};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::past::Span;
use pgtend_model::query_id::QueryId;
use pgtend_model::sample::Probe;
use std::time::Duration;

/// Tells who was doing what, at any time that is remembered: Active Session History
#[derive(Debug, Args)]
pub(super) struct Ash {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Samples(samples::Samples),
    Top(top::Top),
    Report(report::Report),
    Blocking(blocking::Blocking),
}

impl Ash {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        match &self.command {
            Command::Samples(command) => command.run(global).await,
            Command::Top(command) => command.run(global).await,
            Command::Report(command) => command.run(global).await,
            Command::Blocking(command) => command.run(global).await,
        }
    }
}

/// Which samples: of a period, those that meet every condition.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which samples (all conditions must hold)")]
struct Which {
    /// From when on: "2026-11-21 03:12", 03:12 (today), "yesterday 03:12", -1h, 2026-11-21T03:12:00Z [default: an hour before --to]
    #[arg(long, value_name = "TIME", value_parser = when::when, allow_hyphen_values = true)]
    from: Option<Timestamp>,
    /// Until when [default: now]
    #[arg(long, value_name = "TIME", value_parser = when::when, allow_hyphen_values = true)]
    to: Option<Timestamp>,
    /// Of this process id
    #[arg(long, value_name = "PID")]
    pid: Option<i64>,
    /// Of this role
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// In this database
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Of this application
    #[arg(long, visible_aliases = ["application", "program"], value_name = "NAME")]
    app: Option<String>,
    /// From this address; local for Unix sockets
    #[arg(long, value_name = "ADDRESS")]
    client: Option<String>,
    /// With this statement, by its identifier
    #[arg(long, visible_alias = "query-id", value_name = "ID", allow_hyphen_values = true, value_parser = query_id)]
    sql_id: Option<QueryId>,
    /// Waiting for something of this class: CPU, UserIO, SystemIO, Commit, Application, Concurrency, Network, …
    #[arg(long, value_name = "CLASS", value_parser = wait_class)]
    wait_class: Option<WaitClass>,
    /// The server's own processes too, not only what works for clients
    #[arg(long)]
    background: bool,
    /// At most so many rows of a kind
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// With --connection, where nothing is remembered: how long to sample first [default: 3s]
    #[arg(long, value_name = "DURATION", value_parser = filter::duration)]
    window: Option<Duration>,
}

/// A dimension on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Database
    Database,
    /// Role
    User,
    /// What clients call themselves
    #[value(alias = "app", alias = "application")]
    Program,
    /// The clients' address
    Client,
    /// Wait class
    WaitClass,
    /// Wait event
    WaitEvent,
    /// Statement
    #[value(alias = "sql")]
    Query,
    /// ACTIVE, WAITING or BLOCKED
    State,
    /// Kind of process
    BackendType,
}

impl By {
    fn dimension(self) -> document::By {
        match self {
            Self::Database => document::By::Database,
            Self::User => document::By::User,
            Self::Program => document::By::Program,
            Self::Client => document::By::Client,
            Self::WaitClass => document::By::WaitClass,
            Self::WaitEvent => document::By::WaitEvent,
            Self::Query => document::By::Query,
            Self::State => document::By::State,
            Self::BackendType => document::By::BackendType,
        }
    }
}

impl Which {
    /// As parameters of a report.
    fn of_report(&self, report_type: Option<document::ReportType>, by: Option<By>) -> document::Params {
        document::Params {
            report_type,
            by: by.map(By::dimension),
            start: self.from,
            end: self.to,
            limit: self.limit,
            session_id: self.pid,
            user: self.user.clone(),
            database: self.database.clone(),
            program: self.app.clone(),
            client: self.client.clone(),
            sql_id: self.sql_id,
            wait_class: self.wait_class,
            background: self.background.then_some(true),
        }
    }

    /// A document: from the history of an agent, or from what is sampled first where there is none.
    async fn document<D: Dated>(&self, global: &Global, params: &D::Params) -> Result<D> {
        match source::open(global).await? {
            Source::Direct(mut look) => {
                if self.from.is_some() || self.to.is_some() {
                    return Err(Error::new(Kind::Usage, "a connection alone tells nothing of the past")
                        .hint("ask an agent that watches the server: leave out --connection; pgtend agent and pgtend up remember"));
                }
                let window = self.window.unwrap_or(Duration::from_secs(3));
                look.sample(window, Duration::from_millis(250)).await?;
                look.refresh(&[Probe::Server], Duration::ZERO).await?;
                look.build(params)
            }
            mut source @ Source::Agent { .. } => source.document(params).await,
        }
    }
}

/// Says what the figures do not cover.
fn tell_of_gaps(coverage: &Coverage, unknown: &Unknowns) {
    const MOST: usize = 5;
    for gap in coverage.not_sampled.iter().take(MOST) {
        output::notice(&format!("not sampled {}", period(*gap)));
    }
    if let Some(more) = coverage.not_sampled.len().checked_sub(MOST).filter(|more| *more > 0) {
        output::notice(&format!("not sampled in {more} more stretches"));
    }
    for place in ["others", "samples.others", "executions"] {
        if let Some(why) = unknown.get(place) {
            output::notice(&why.detail);
        }
    }
}

/// A time as people read it, in their zone.
fn time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn period(span: Span) -> String {
    format!("from {} to {}", time(span.start), time(span.end))
}

fn query_id(text: &str) -> Result<QueryId, String> {
    text.parse().map(QueryId).map_err(|_| "the identifier of a statement is a number".to_owned())
}

fn wait_class(text: &str) -> Result<WaitClass, String> {
    let known = WaitClass::ALL.into_iter().find(|class| class.name().eq_ignore_ascii_case(text));
    known.ok_or_else(|| format!("there are {}", WaitClass::ALL.map(WaitClass::name).join(", ")))
}
