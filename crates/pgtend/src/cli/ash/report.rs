//! `pgtend ash report`: reports over the session history.

use super::super::Global;
use super::super::output::{Cell, Table, Tabular, print};
use super::{By, Which, blocking, period, tables, tell_of_gaps, time};
use clap::{Args, ValueEnum};
use pgtend_model::document::ash::report::{ClassWaits, Report as Document, ReportType};
use pgtend_model::document::ash::timeline::Doing;
use pgtend_model::error::Result;
use pgtend_model::units::{one_line, show_count};

/// Reports what the sessions of a period did
#[derive(Debug, Args)]
pub(super) struct Report {
    /// What to tell [default: top-sql, or activity with --by]
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    report_type: Option<Type>,
    /// Activity by this dimension
    #[arg(long, value_enum)]
    by: Option<By>,
    #[command(flatten)]
    which: Which,
}

/// What a report tells, on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Type {
    /// Statements by processor time
    TopSqlByCpu,
    /// Statements by the time that sessions were active in them
    TopSql,
    /// What sessions waited for
    WaitEvents,
    /// What sessions did; with --pid one thing after the other
    SessionActivity,
    /// Who blocked whom
    Blocking,
    /// Activity by a dimension (--by)
    Activity,
}

impl Type {
    fn report_type(self) -> ReportType {
        match self {
            Self::TopSqlByCpu => ReportType::TopSqlByCpu,
            Self::TopSql => ReportType::TopSql,
            Self::WaitEvents => ReportType::WaitEvents,
            Self::SessionActivity => ReportType::SessionActivity,
            Self::Blocking => ReportType::Blocking,
            Self::Activity => ReportType::Activity,
        }
    }
}

impl Report {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let params = self.which.of_report(self.report_type.map(Type::report_type), self.by);
        let report: Document = self.which.document(global, &params).await?;
        tell_of_gaps(&report.coverage, &report.unknown);
        print(&report, global.format)?;
        Ok(0)
    }
}

impl Tabular for Document {
    fn tables(&self) -> Vec<Table> {
        let mut all: Vec<Table> = Vec::new();
        if let Some(statements) = &self.top_sql {
            all.push(tables::statements(&format!("Top SQL {}", period(self.time_range)), statements, self.executions_of));
        }
        if let Some(classes) = &self.wait_classes {
            all.push(wait_classes(classes).titled(&format!("Waits {}", period(self.time_range))));
            all.push(events(classes));
        }
        if let Some(sessions) = &self.sessions {
            all.push(tables::sessions(sessions));
        }
        if let Some(doings) = &self.timeline {
            all.push(timeline(doings));
        }
        if let Some(blocking) = &self.blocking {
            all.extend(blocking::tables(blocking));
        }
        if let Some(groups) = &self.groups {
            all.push(tables::groups(self.by, groups));
        }
        all
    }
}

fn wait_classes(classes: &[ClassWaits]) -> Table {
    let mut table = Table::new("", &["wait class", ">sessions", ">share", ">time", ">samples"]).or(tables::NOTHING);
    for class in classes {
        table.push([
            class.wait_class.name().to_owned(),
            tables::average(class.average_active_sessions),
            tables::percent(class.percent_of_total),
            tables::ms(class.total_wait_time_ms),
            show_count(i64::try_from(class.wait_count).unwrap_or(i64::MAX)),
        ]);
    }
    table
}

fn events(classes: &[ClassWaits]) -> Table {
    let mut table = Table::new("Events", &["wait class", "event", ">sessions", ">time", ">samples"]);
    for class in classes {
        for event in &class.top_events {
            table.push([
                class.wait_class.name().to_owned(),
                event.event.clone(),
                tables::average(event.average_active_sessions),
                tables::ms(event.wait_time_ms),
                show_count(i64::try_from(event.wait_count).unwrap_or(i64::MAX)),
            ]);
        }
    }
    table
}

fn timeline(doings: &[Doing]) -> Table {
    let mut table = Table::new("One thing after the other, newest first", &["from", "to", ">for", "state", "wait", "query"])
        .or("the session did nothing in the period");
    for doing in doings {
        let cells: [Cell; 6] = [
            time(doing.first_seen).into(),
            time(doing.last_seen).into(),
            tables::ms(doing.duration_ms).into(),
            doing.session_state.as_str().into(),
            doing.event.as_deref().unwrap_or(doing.wait_class.name()).into(),
            one_line(doing.sql_text.as_deref().unwrap_or_default()).into(),
        ];
        table.rows.push(cells.into());
    }
    table
}
