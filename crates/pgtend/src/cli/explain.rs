//! `pgtend explain`: the plan of a statement, and what is wrong with it.

use super::output::{self, Cell, Format, Medium, Table, Tabular};
use super::{Global, plan_text, source};
use clap::Args;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::plan::ask::Request;
use pgtend_model::plan::{Explained, Source};
use pgtend_model::units::{duration, show_count};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

/// Shows the plan of a statement, what is wrong with it, and what to do about it
///
/// Without --analyze the statement is planned and not executed. Either way it happens on a connection of its own, in a read-only transaction
/// that is always rolled back, with time limits for the statement and for every lock.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The statement; - reads it from standard input. Parameters may be written as $1
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    sql: Option<String>,
    /// Read the statement from a file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    manner: Manner,
    /// Plan without regard to values, as a prepared statement may be planned
    #[arg(long, conflicts_with = "analyze")]
    generic: bool,
    /// With --analyze: execute a statement that writes, and roll it back
    ///
    /// Sequences stay advanced, what triggers and functions did outside of the database stays done, and dead rows wait for VACUUM. Over
    /// an agent it needs the role admin.
    #[arg(long, requires = "analyze")]
    allow_writes: bool,
}

/// How a plan is made.
#[derive(Debug, Clone, Args)]
pub(super) struct Manner {
    /// Execute the statement and measure
    #[arg(long)]
    pub(super) analyze: bool,
    /// Count the blocks that planning uses too; those of execution are always counted
    #[arg(long)]
    buffers: bool,
    /// Tell planner settings that are not at their defaults
    #[arg(long)]
    settings: bool,
    /// How long it may take: 5s, or 25s with --analyze, unless said otherwise
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// The database
    #[arg(long, value_name = "NAME")]
    dbname: Option<String>,
}

impl Manner {
    /// What is asked for of this statement.
    pub(super) fn request(&self, sql: String) -> Request {
        Request {
            sql,
            analyze: self.analyze,
            buffers: self.buffers,
            settings: self.settings,
            timeout_ms: self.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            database: self.dbname.clone(),
            ..Request::default()
        }
    }
}

impl Explain {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let request = Request { generic: self.generic, allow_writes: self.allow_writes, ..self.manner.request(self.statement()?) };
        request.check()?;
        let explained = source::explain(global, &request).await?;
        explained.notes.iter().for_each(output::notice);
        show(&explained, global.format)?;
        Ok(0)
    }

    fn statement(&self) -> Result<String> {
        match (self.sql.as_deref(), &self.file) {
            (_, Some(path)) => std::fs::read_to_string(path)
                .map_err(|error| Error::new(Kind::Usage, format!("--file cannot be read: {error}")).at(path.display().to_string())),
            (Some("-"), None) => from_stdin(),
            (sql, None) => Ok(sql.unwrap_or_default().to_owned()),
        }
    }
}

/// A statement on standard input.
pub(super) fn from_stdin() -> Result<String> {
    let mut sql = String::new();
    let read = std::io::stdin().lock().read_to_string(&mut sql);
    read.map_err(|error| Error::new(Kind::Usage, format!("standard input cannot be read: {error}")))?;
    Ok(sql)
}

fn show(explained: &Explained, format: Format) -> Result<()> {
    if format == Format::Table {
        return output::write(&text(explained, Medium::stdout()));
    }
    output::print(&Rows(explained), format)
}

/// The plan and what is wrong with it, for people.
pub(super) fn text(explained: &Explained, medium: Medium) -> String {
    let tree = plan_text::tree(&explained.plan, &explained.findings, medium);
    let how = match explained.source {
        Source::AutoExplain => "captured by auto_explain",
        Source::Executed => "executed, rolled back",
        Source::Planned => "planned, not executed",
        Source::Generic => "planned without values (GENERIC_PLAN)",
        Source::ForcedGeneric => "planned without values (force_generic_plan)",
    };
    let id = explained.query_id.map(|id| format!(", query id {id}")).unwrap_or_default();
    let about = format!("plan {} in {} as {}: {how}{id}", explained.plan_hash, explained.database, explained.user);
    let wrong = match explained.findings.is_empty() {
        true => "nothing stands out\n".to_owned(),
        false => plan_text::wrong(&explained.findings, medium),
    };
    format!("{}\n\n{tree}\n{wrong}", output::paint(&about, output::Tone::Strong, medium))
}

/// A row a step, for spreadsheets; the whole for programs.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Rows<'a>(&'a Explained);

impl Tabular for Rows<'_> {
    fn tables(&self) -> Vec<Table> {
        let columns = [">step", "operation", ">self_ms", ">total_ms", ">rows", ">expected", ">runs", ">cost", "findings"];
        let mut table = Table::new("", &columns);
        let figure = |figure: Option<f64>| figure.map_or_else(String::new, |figure| format!("{figure:.3}"));
        for (place, step) in self.0.plan.steps().into_iter().enumerate() {
            let found = self.0.findings.iter().filter(|finding| finding.step == Some(place + 1));
            table.push::<Cell>([
                show_count(i64::try_from(place + 1).unwrap_or(i64::MAX)).into(),
                step.label().into(),
                figure(step.self_time_ms).into(),
                figure(step.execution_time_ms).into(),
                figure(step.rows_returned).into(),
                figure(Some(step.estimated_rows)).into(),
                figure(step.loops()).into(),
                figure(Some(step.estimated_cost)).into(),
                found.map(|finding| finding.what.clone()).collect::<Vec<_>>().join("; ").into(),
            ]);
        }
        vec![table]
    }
}
