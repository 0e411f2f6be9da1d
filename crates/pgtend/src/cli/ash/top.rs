//! `pgtend ash top`: what the server was busy with, as a chart over time, with what took most of it.

use super::super::Global;
use super::super::output::{Format, Medium, Table, Tabular, print, write};
use super::{By, Which, chart, tables, tell_of_gaps, time};
use clap::Args;
use pgtend_model::ash::WaitClass;
use pgtend_model::document::ash::top::{Params, Top as Document};
use pgtend_model::error::Result;

/// Shows active sessions over time by wait class, with the top waits, statements and sessions
#[derive(Debug, Args)]
pub(super) struct Top {
    /// Activity by this dimension, in the place of sessions
    #[arg(long, value_enum)]
    by: Option<By>,
    #[command(flatten)]
    which: Which,
}

impl Top {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let which = &self.which;
        let medium = Medium::stdout();
        let params = Params {
            steps: Some(chart::columns(medium)),
            by: self.by.map(By::dimension),
            start: which.from,
            end: which.to,
            limit: Some(which.limit.unwrap_or(10)),
            session_id: which.pid,
            user: which.user.clone(),
            database: which.database.clone(),
            program: which.app.clone(),
            client: which.client.clone(),
            sql_id: which.sql_id,
            wait_class: which.wait_class,
            background: which.background.then_some(true),
        };
        let top: Document = which.document(global, &params).await?;
        tell_of_gaps(&top.coverage, &top.unknown);
        if global.format == Format::Table {
            write(&chart::render(&top, medium))?;
        }
        print(&top, global.format)?;
        Ok(0)
    }
}

impl Tabular for Document {
    fn tables(&self) -> Vec<Table> {
        let last = match self.by {
            Some(by) => tables::groups(Some(by), &self.groups),
            None => tables::sessions(&self.top_sessions),
        };
        vec![tables::waits(&self.top_waits), tables::statements("Top SQL", &self.top_sql, self.executions_of), last]
    }

    fn records(&self) -> Table {
        let classes = WaitClass::ALL.into_iter().filter(|class| *class != WaitClass::Idle);
        let mut columns = vec!["start", "samples_taken", "average_active_sessions"];
        columns.extend(classes.clone().map(WaitClass::name));
        let mut table = Table::new("", &columns);
        for step in &self.load {
            let mut row = vec![time(step.start), step.samples_taken.to_string()];
            row.push(step.average_active_sessions.map(|sessions| format!("{sessions:.4}")).unwrap_or_default());
            row.extend(classes.clone().map(|class| format!("{:.4}", step.wait_classes.get(&class).copied().unwrap_or(0.0))));
            table.push(row);
        }
        table
    }
}
