//! `pgtend up`: a PostgreSQL under watch with one command.

use super::Global;
use super::output::{self, Table, Tabular};
use crate::up::{self, Options};
use clap::Args;
use pgtend_model::error::Result;
use pgtend_model::up::{Plan, Step};

/// Makes a PostgreSQL, or takes up the one that it made, and looks after it
///
/// Finds the installed programs, makes a cluster sized to this machine, starts it and watches it. Ctrl-C ends both; after a crash of
/// pgtend, PostgreSQL goes on, and the next `pgtend up` takes it up. A directory that pgtend did not make is left alone.
#[derive(Debug, Args)]
pub(super) struct Up {
    #[command(flatten)]
    options: Options,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

impl Up {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        if self.dry_run {
            output::print(&up::dry_run(&self.options)?, global.format)?;
            return Ok(0);
        }
        up::run(&self.options).await
    }
}

impl Tabular for Plan {
    fn tables(&self) -> Vec<Table> {
        let mut steps = Table::new("", &[">step", "what would be done"]);
        let mut notes = Table::new("Notes", &["note"]);
        let mut settings = Table::new("Settings", &["name", "value", "reason"]);
        for (number, step) in (1..).zip(&self.steps) {
            steps.push([number.to_string(), step.to_string()]);
        }
        for note in &self.notes {
            notes.push([note.clone()]);
        }
        for step in &self.steps {
            let Step::Create { settings: wanted, .. } = step else { continue };
            for setting in wanted {
                settings.push([setting.name, &setting.value, &setting.reason]);
            }
        }
        vec![steps, notes, settings]
    }
}
