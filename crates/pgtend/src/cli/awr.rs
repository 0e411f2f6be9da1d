//! `pgtend awr`: snapshots, reports over any period, baselines, comparisons, trends.

mod tables;
mod trends;

use super::output::{self, Format, print};
use super::report_file::ReportFile;
use super::when::when;
use super::{Global, source};
use crate::api::awr::{COMPARE, NewSnapshot, REPORT};
use crate::client::Client;
use clap::{Args, Subcommand};
use pgtend_model::awr::compare::CompareRequest;
use pgtend_model::awr::lists::{BASELINES, BaselineList, ListParams, NewBaseline, SNAPSHOTS, SnapshotDetails, SnapshotList};
use pgtend_model::awr::period::Point;
use pgtend_model::awr::request::{ReportRequest, parts};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::past::{Baseline, Snapshot};

/// Snapshots, and reports of what the server did between two of them or between any two times
///
/// A report says what the load was, what sessions waited for, who held up whom, which statements took the time, and what tables, disks
/// and settings went through: what Oracle's DBAs know as AWR. It is made from the agent's history.
#[derive(Debug, Args)]
pub(super) struct Awr {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Snapshot(Take),
    List(List),
    Show(Show),
    Report(Report),
    Compare(Compare),
    Baseline(Baselines),
    Trends(trends::Trends),
}

/// Reads everything now and keeps it as a snapshot
#[derive(Debug, Args)]
struct Take {}

/// Lists the snapshots
#[derive(Debug, Args)]
struct List {
    /// The newest so many
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

/// Shows what was read for a snapshot
#[derive(Debug, Args)]
struct Show {
    /// Its number
    id: i64,
}

/// Makes the report of a period
///
/// --format html gives one file with everything in it; without --format the ending of --output decides.
#[derive(Debug, Args)]
struct Report {
    /// Its begin: a snapshot's number, or a time such as 2026-11-21T03:12:00Z, "2026-11-21 03:12", 03:12, -1h [default: the last
    /// snapshot before its end]
    #[arg(long, value_name = "ID|TIME", value_parser = point, allow_hyphen_values = true)]
    from: Option<Point>,
    /// Its end, in the same way [default: now; without --from the newest snapshot]
    #[arg(long, value_name = "ID|TIME", value_parser = point, allow_hyphen_values = true)]
    to: Option<Point>,
    /// Statements in each order
    #[arg(long, default_value_t = pgtend_model::awr::report::TOP)]
    top: usize,
    #[command(flatten)]
    file: ReportFile,
}

/// Compares a period with a baseline, or with another period
///
/// What changed most comes first; amounts are those of a second, so that the periods need not be equally long.
#[derive(Debug, Args)]
struct Compare {
    /// The baseline to compare with
    #[arg(long, value_name = "NAME", conflicts_with_all = ["with_from", "with_to"], required_unless_present_all = ["with_from", "with_to"])]
    baseline: Option<String>,
    /// Instead of a baseline: the begin of the period to compare with
    #[arg(long, value_name = "ID|TIME", value_parser = point, allow_hyphen_values = true)]
    with_from: Option<Point>,
    /// Its end
    #[arg(long, value_name = "ID|TIME", value_parser = point, allow_hyphen_values = true)]
    with_to: Option<Point>,
    #[command(flatten)]
    period: Period,
    #[command(flatten)]
    file: ReportFile,
}

/// A period: from one end to the other.
#[derive(Debug, Clone, Args)]
struct Period {
    /// Its begin: a snapshot's number, or a time such as 2026-11-21T03:12:00Z, "2026-11-21 03:12", 03:12, -1h
    #[arg(long, value_name = "ID|TIME", value_parser = point, allow_hyphen_values = true)]
    from: Point,
    /// Its end, in the same way [default: now]
    #[arg(long, value_name = "ID|TIME", value_parser = point, allow_hyphen_values = true)]
    to: Option<Point>,
}

/// Periods that are kept longer, to compare others with
#[derive(Debug, Args)]
struct Baselines {
    #[command(subcommand)]
    command: BaselineCommand,
}

#[derive(Debug, Subcommand)]
enum BaselineCommand {
    Create(Create),
    List(ListBaselines),
    Delete(Delete),
}

/// Keeps the period between two snapshots under a name
#[derive(Debug, Args)]
struct Create {
    /// What to call it: up to 63 letters, digits, `.`, `_` and `-`
    name: String,
    /// The first snapshot
    #[arg(long, value_name = "ID")]
    from: i64,
    /// The last snapshot
    #[arg(long, value_name = "ID")]
    to: i64,
    /// What it is, in your words
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
}

/// Lists the baselines
#[derive(Debug, Args)]
struct ListBaselines {}

/// Gives up a baseline; its snapshots go when their time comes
#[derive(Debug, Args)]
struct Delete {
    /// Its name
    name: String,
}

/// A snapshot's number, or a time.
fn point(text: &str) -> Result<Point, String> {
    match text.trim().parse::<u32>() {
        Ok(id) => Ok(Point::Snapshot(i64::from(id))),
        Err(_) => when(text).map(Point::At).map_err(|error| format!("{}: {}", error.what, error.hint)),
    }
}

/// The agent, and which of its servers: history is the agent's.
pub(super) fn agent(global: &Global) -> Result<(Client, Option<&str>)> {
    if global.connection.is_some() {
        return Err(Error::new(Kind::Usage, "a connection alone tells nothing of the past")
            .hint("ask an agent that watches the server: leave out --connection. pgtend perf snapshot needs no agent"));
    }
    Ok((source::agent(global)?, global.server.as_deref()))
}

impl Awr {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let (client, server) = agent(global)?;
        match &self.command {
            Command::Snapshot(_) => {
                let taken: Snapshot = take_snapshot(&client, server, NewSnapshot::default()).await?;
                print(&SnapshotList { snapshots: vec![taken], total: 1 }, global.format)?;
            }
            Command::List(List { limit }) => {
                let list: SnapshotList = client.retrospect(server, &ListParams { limit: Some(*limit) }).await?;
                print(&list, global.format)?;
            }
            Command::Show(Show { id }) => {
                let details: SnapshotDetails = client.get_of(&format!("{SNAPSHOTS}/{id}"), server).await?;
                print(&details, global.format)?;
            }
            Command::Report(command) => command.run(&client, server, global).await?,
            Command::Compare(command) => command.run(&client, server, global).await?,
            Command::Trends(command) => command.run(&client, server, global).await?,
            Command::Baseline(Baselines { command }) => command.run(&client, server, global).await?,
        }
        Ok(0)
    }
}

/// Has the agent take a snapshot.
///
/// # Errors
/// As [`Client::post`].
pub(super) async fn take_snapshot(client: &Client, server: Option<&str>, how: NewSnapshot) -> Result<Snapshot> {
    let reason = serde_json::to_value(how.reason).ok().and_then(|reason| reason.as_str().map(str::to_owned)).unwrap_or_default();
    client.make(&format!("{SNAPSHOTS}?reason={reason}"), server, &()).await
}

impl Report {
    async fn run(&self, client: &Client, server: Option<&str>, global: &Global) -> Result<()> {
        let mut request = ReportRequest::between(self.from, self.to, self.file.form(global)?);
        request.top = Some(self.top);
        self.file.fetch(client, REPORT, server, &request, global).await
    }
}

impl Compare {
    async fn run(&self, client: &Client, server: Option<&str>, global: &Global) -> Result<()> {
        let mut request =
            CompareRequest { baseline_name: self.baseline.clone(), format: self.file.form(global)?, ..CompareRequest::default() };
        (request.baseline_start_snapshot_id, request.baseline_start_time) = parts(self.with_from);
        (request.baseline_end_snapshot_id, request.baseline_end_time) = parts(self.with_to);
        (request.current_start_snapshot_id, request.current_start_time) = parts(Some(self.period.from));
        (request.current_end_snapshot_id, request.current_end_time) = parts(self.period.to);
        self.file.fetch(client, COMPARE, server, &request, global).await
    }
}

impl BaselineCommand {
    async fn run(&self, client: &Client, server: Option<&str>, global: &Global) -> Result<()> {
        match self {
            Self::Create(new) => {
                let Create { name, from, to, description } = new;
                let (name, description) = (name.clone(), description.clone());
                let body = NewBaseline { name, start_snapshot_id: *from, end_snapshot_id: *to, description };
                let made: Baseline = client.post(BASELINES, server, &body).await?;
                print(&BaselineList { baselines: vec![made] }, global.format)
            }
            Self::List(_) => {
                let list: BaselineList = client.get_of(BASELINES, server).await?;
                print(&list, global.format)
            }
            Self::Delete(Delete { name }) => {
                let left: BaselineList = client.delete_of(BASELINES, server, name).await?;
                if global.format == Format::Table {
                    output::tell(&format!("The baseline {name} is gone."));
                    return Ok(());
                }
                print(&left, global.format)
            }
        }
    }
}
