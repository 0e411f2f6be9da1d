//! `pgtend profile`: what a statement costs, where its time goes, how it is executed, who runs it.

use super::explain::{self, Manner};
use super::output::{self, Cell, Format, Medium, Table, Tabular, Tone};
use super::when::{FORMS, when};
use super::{Global, plan_text, source};
use crate::observe::Look;
use clap::Args;
use jiff::Timestamp;
use pgtend_model::document::profiler::{self, Materials, Params, Profile as Document, Request, Statistics};
use pgtend_model::error::Result;
use pgtend_model::past::Memory;
use pgtend_model::plan::Plan;
use pgtend_model::plan::ask::Request as ExplainRequest;
use pgtend_model::query_id::QueryId;
use pgtend_model::sample::{Reason, Text, Unknown};
use pgtend_model::units::{harmless, one_line, show_bytes, show_count, show_seconds};
use pgtend_postgres::connect::{Limits, Target};

/// Shows what a statement costs, what it waits for, its plan, and who runs it
///
/// The statement is planned, and executed only with --analyze. With --connection there is no history: only what the server counted since
/// its counters began.
#[derive(Debug, Args)]
pub(super) struct Profile {
    /// The statement, whatever its constants; - reads it from standard input
    #[arg(long, value_name = "SQL", required_unless_present = "id", conflicts_with = "id")]
    query: Option<String>,
    /// The statement's identifier, as pgtend top and AWR reports show it
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    id: Option<i64>,
    /// Begin of the period: an hour before its end unless said otherwise
    #[arg(long, value_name = "TIME", value_parser = when, allow_hyphen_values = true, long_help = format!("Begin of the period: an hour before its end unless said otherwise\n\nTimes are written as {FORMS}."))]
    from: Option<Timestamp>,
    /// End of the period: now unless said otherwise
    #[arg(long, value_name = "TIME", value_parser = when, allow_hyphen_values = true)]
    to: Option<Timestamp>,
    /// Show everything: each reading of the period, all clients, the whole text
    #[arg(long)]
    detailed: bool,
    #[command(flatten)]
    manner: Manner,
}

impl Profile {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let params = Params { from: self.from, to: self.to, plan: None };
        let asked = match self.query.as_deref() {
            Some("-") => Some(self.manner.request(explain::from_stdin()?)),
            Some(sql) => Some(self.manner.request(sql.to_owned())),
            None => None,
        };
        if let Some(asked) = &asked {
            asked.check()?;
        }
        let profile = match source::target(global)? {
            Some(target) => Box::pin(self.direct(&target, asked, &params)).await?,
            None => self.of_agent(global, asked, &params).await?,
        };
        profile.notes.iter().for_each(output::notice);
        if global.format == Format::Table {
            output::write(&text(&profile, self.detailed, Medium::stdout())?)?;
        } else {
            output::print(&Told(&profile), global.format)?;
        }
        Ok(0)
    }

    async fn of_agent(&self, global: &Global, asked: Option<ExplainRequest>, params: &Params) -> Result<Document> {
        let (agent, server) = (source::agent(global)?, global.server.as_deref());
        match asked {
            Some(explain) => {
                let request = Request { explain, from: params.from, to: params.to };
                agent.make(crate::api::profiler::PATH, server, &request).await
            }
            None => {
                let path = format!("{}/{}", crate::api::profiler::PATH, self.id.unwrap_or_default());
                agent.get_with(&path, server, params).await
            }
        }
    }

    /// Without an agent: what the server itself counted.
    async fn direct(&self, target: &Target, asked: Option<ExplainRequest>, params: &Params) -> Result<Document> {
        let mut look = Look::open(target).await?;
        look.take(profiler::PROBES).await?;
        let application = pgtend_model::signal::APPLICATION_NAME;
        let patience = Limits::default().connect_timeout;
        let plan = match &asked {
            Some(asked) => Some(pgtend_postgres::explain::explain(target, asked, patience, application).await?),
            None => None,
        };
        let rows = look.view().readings.statements.latest.as_ref().map_or_else(Vec::new, |sample| sample.rows.clone());
        let wanted: Vec<i64> = self.id.map_or_else(|| rows.iter().map(|row| row.queryid).collect(), |id| vec![id]);
        let texts: Vec<(i64, Text)> = look.statement_texts(&wanted).await?;
        let sql = asked.as_ref().map(|asked| asked.sql.as_str()).unwrap_or_default();
        let computed = plan.as_ref().and_then(|explained| explained.query_id);
        let by_text = || profiler::find(computed, sql, &rows, texts.iter().map(|(id, text)| (*id, text)));
        let id = self.id.map_or_else(by_text, QueryId);
        let text = texts.into_iter().find(|(of, _)| *of == id.0).map(|(_, text)| text);
        let plan = match (plan, &text) {
            (Some(plan), _) => Ok(plan),
            (None, Some(text)) => {
                let request = ExplainRequest { database: profiler::database(look.view(), id), ..ExplainRequest::of(&**text) };
                let planned = pgtend_postgres::explain::explain(target, &request, patience, application).await;
                planned.map_err(|error| Unknown::new(Reason::Failed, error.what))
            }
            (None, None) => Err(Unknown::new(Reason::Absent, "the text of the statement is not known")),
        };
        let past = Memory::default();
        let materials = Materials { view: look.view(), past: &past, text, plan, now: Timestamp::now() };
        Document::build(materials, id, params)
    }
}

fn text(profile: &Document, detailed: bool, medium: Medium) -> Result<String> {
    let mut parts = vec![heading(profile, detailed, medium)];
    parts.push(output::render(&Told(profile), Format::Table, medium)?);
    if detailed {
        parts.push(output::render(&Details(profile), Format::Table, medium)?);
    }
    if let Some(plan) = &profile.execution_plan {
        let whole = Plan { root: plan.root.clone(), planning_time_ms: plan.planning_time_ms, ..Plan::default() };
        let title = output::paint(&format!("Plan {}", plan.plan_hash), Tone::Strong, medium);
        parts.push(format!("{title}\n{}", plan_text::tree(&whole, &profile.findings, medium)));
    }
    if !profile.findings.is_empty() {
        parts.push(plan_text::wrong(&profile.findings, medium));
    }
    Ok(parts.join("\n"))
}

fn heading(profile: &Document, detailed: bool, medium: Medium) -> String {
    let sql = profile.sql.as_deref().unwrap_or("(text not known)");
    let sql = if detailed { sql.lines().map(harmless).collect::<Vec<_>>().join("\n") } else { one_line(sql) };
    let width = medium.width.map_or(200, usize::from);
    let sql: String =
        if detailed || sql.chars().count() <= width { sql } else { sql.chars().take(width.saturating_sub(1)).chain(['…']).collect() };
    let place = profile.database.as_ref().map(|database| format!(" in {database}")).unwrap_or_default();
    let title = format!("Statement {}{place}, from {:.0} to {:.0}", profile.query_id, profile.period.start, profile.period.end);
    format!("{}\n{sql}\n", output::paint(&title, Tone::Strong, medium))
}

/// A profile as tables; the whole for programs.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Told<'a>(&'a Document);

impl Tabular for Told<'_> {
    fn tables(&self) -> Vec<Table> {
        vec![costs(self.0), waits(self.0), users(self.0), plans(self.0), changes(self.0), unknown(self.0)]
    }
}

fn costs(profile: &Document) -> Table {
    let mut table = Table::new("What it costs", &["", ">in the period", ">since its counters began"]);
    let (period, overall) = (profile.execution_stats.as_ref(), profile.overall.as_ref());
    let mut row = |name: &str, of: &dyn Fn(&Statistics) -> Option<String>| {
        let cell = |statistics: Option<&Statistics>| statistics.and_then(of).map_or_else(|| Cell::new("–", Tone::Dim), Cell::from);
        table.push::<Cell>([name.into(), cell(period), cell(overall.map(|overall| &overall.totals))]);
    };
    row("executions", &|s| Some(show_count(s.calls)));
    row("time", &|s| Some(ms(s.total_execution_time_ms)));
    row("mean", &|s| s.mean_execution_time_ms.map(ms));
    row("planning", &|s| s.planning_time_ms.map(ms));
    row("processor", &|s| s.cpu_time_ms.map(ms));
    row("reading and writing", &|s| s.io_time_ms.map(ms));
    row("rows", &|s| Some(show_count(s.rows_returned)));
    row("blocks found", &|s| Some(show_count(s.cache_hits)));
    row("blocks read", &|s| Some(format!("{} ({})", show_count(s.cache_misses), show_bytes(s.bytes_read))));
    row("temporary blocks written", &|s| Some(show_count(s.temp_blocks_written)));
    row("WAL", &|s| {
        #[expect(clippy::cast_precision_loss, reason = "sizes are shown rounded")]
        let bytes = s.wal_bytes as f64;
        Some(show_bytes(bytes))
    });
    if let Some(overall) = overall {
        let spread = overall.stddev_execution_time_ms.map(|stddev| format!(", deviation {}", ms(stddev))).unwrap_or_default();
        let range = format!("{} to {}{spread}", ms(overall.min_execution_time_ms), ms(overall.max_execution_time_ms));
        table.push::<Cell>(["shortest to longest".into(), Cell::new("–", Tone::Dim), range.into()]);
    }
    table
}

fn waits(profile: &Document) -> Table {
    let mut table = Table::new("Where its time goes, as sessions were seen", &[">time", ">share", "event", "class"]);
    for wait in &profile.wait_events {
        table.push::<Cell>([
            ms(wait.wait_time_ms).into(),
            format!("{:.0} %", wait.percent).into(),
            wait.event.as_str().into(),
            wait.wait_class.as_str().into(),
        ]);
    }
    table
}

fn users(profile: &Document) -> Table {
    let mut table = Table::new("Who runs it", &["user", "database", ">executions", ">time"]);
    for who in &profile.users {
        table.push::<Cell>([
            who.user.as_str().into(),
            who.database.as_str().into(),
            show_count(who.calls).into(),
            ms(who.total_execution_time_ms).into(),
        ]);
    }
    table
}

fn plans(profile: &Document) -> Table {
    let mut table = Table::new("Plans that it was seen with", &["hash", "from", "to", ">times", ">mean", "seen by", "plan"]);
    for seen in &profile.plans {
        table.push::<Cell>([
            seen.plan_hash.as_str().into(),
            format!("{:.0}", seen.first_seen).into(),
            format!("{:.0}", seen.last_seen).into(),
            show_count(seen.times_seen).into(),
            seen.mean_duration_ms.map_or_else(|| "–".to_owned(), ms).into(),
            seen.origin.word().into(),
            seen.plan.as_str().into(),
        ]);
    }
    table
}

fn changes(profile: &Document) -> Table {
    let columns = ["at", ">mean before", ">mean since", "hash before", "hash since"];
    let mut table = Table::new("Plan changes in the period", &columns);
    let shown = |mean: Option<f64>| mean.map_or_else(|| "–".to_owned(), ms);
    for change in &profile.plan_changes {
        table.push::<Cell>([
            format!("{:.0}", change.at).into(),
            shown(change.mean_before_ms).into(),
            shown(change.mean_after_ms).into(),
            change.before_hash.as_str().into(),
            change.after_hash.as_str().into(),
        ]);
    }
    table
}

fn unknown(profile: &Document) -> Table {
    let mut table = Table::new("Unknown", &[]);
    let told = profile.unknown.iter().filter(|(place, _)| *place != "execution_plan.actual_cost");
    table.rows = told.map(|(place, why)| vec![place.into(), Cell::new(why.detail.clone(), Tone::Dim)]).collect();
    table
}

/// What only those want who look closely.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Details<'a>(&'a Document);

impl Tabular for Details<'_> {
    fn tables(&self) -> Vec<Table> {
        let mut series = Table::new("From reading to reading", &["until", ">executions", ">time", ">mean", ">rows", ">blocks read"]);
        for point in &self.0.series {
            series.push::<Cell>([
                format!("{:.0}", point.to).into(),
                show_count(point.calls).into(),
                ms(point.total_execution_time_ms).into(),
                point.mean_execution_time_ms.map_or_else(|| "–".to_owned(), ms).into(),
                show_count(point.rows).into(),
                show_count(point.cache_misses).into(),
            ]);
        }
        let mut clients = Table::new("Clients, as sessions were seen", &[">time", "user", "database", "application", "client"]);
        for runner in &self.0.run_by {
            let shown = |text: &Option<String>| Cell::from(text.clone().unwrap_or_default());
            clients.push::<Cell>([
                ms(runner.active_time_ms).into(),
                shown(&runner.user),
                shown(&runner.database),
                shown(&runner.application),
                shown(&runner.client),
            ]);
        }
        vec![series, clients]
    }
}

/// Milliseconds with as many digits as tell something.
fn ms(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.3} ms"),
        ms if ms < 1000.0 => format!("{ms:.1} ms"),
        ms => show_seconds(ms / 1000.0),
    }
}
