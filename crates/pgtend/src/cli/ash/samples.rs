//! `pgtend ash samples`: the samples themselves.

use super::super::Global;
use super::super::output::{Cell, Table, Tabular, Tone, notice, print};
use super::{Which, time};
use clap::{Args, ValueEnum};
use pgtend_model::ash::State as Known;
use pgtend_model::document::ash::samples::{AshSample, Params, Samples as Document};
use pgtend_model::error::Result;
use pgtend_model::units::one_line;

/// Shows samples of sessions, newest first
#[derive(Debug, Args)]
pub(super) struct Samples {
    #[command(flatten)]
    which: Which,
    /// In this state
    #[arg(long, value_enum)]
    state: Option<State>,
}

/// States on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// Runs a statement and does not wait
    Active,
    /// Waits for something other than a lock
    Waiting,
    /// Waits for a lock
    Blocked,
    /// Waits for its client in an open transaction
    #[value(alias = "idle-in-transaction")]
    Idle,
}

impl State {
    fn known(self) -> Known {
        match self {
            Self::Active => Known::Active,
            Self::Waiting => Known::Waiting,
            Self::Blocked => Known::Blocked,
            Self::Idle => Known::Idle,
        }
    }
}

impl Samples {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let which = &self.which;
        let params = Params {
            limit: which.limit,
            session_id: which.pid,
            start: which.from,
            end: which.to,
            user: which.user.clone(),
            database: which.database.clone(),
            program: which.app.clone(),
            client: which.client.clone(),
            sql_id: which.sql_id,
            state: self.state.map(State::known),
            wait_class: which.wait_class,
        };
        let samples: Document = which.document(global, &params).await?;
        if let Some(end) = samples.next_end {
            notice(&format!("there are more: --to {end}"));
        }
        print(&samples, global.format)?;
        Ok(0)
    }
}

impl Tabular for Document {
    fn tables(&self) -> Vec<Table> {
        let columns = ["time", ">pid", "user", "database", "app", "client", "state", "wait", "blocked by", ">cpu ms", "query"];
        let nothing = self.unknown.get("samples").map_or("no sample meets the conditions", |why| &why.detail);
        let mut table = Table::new("", &columns).or(nothing);
        table.rows = self.samples.iter().map(row).collect();
        vec![table]
    }
}

fn row(sample: &AshSample) -> Vec<Cell> {
    let text = |text: &Option<String>| Cell::from(text.clone().unwrap_or_default());
    let tone = match sample.session_state {
        Known::Blocked => Tone::Bad,
        Known::Idle => Tone::Warn,
        Known::Active => Tone::Good,
        Known::Waiting => Tone::Plain,
    };
    let wait = sample.wait_event_type.as_ref().zip(sample.wait_event.as_ref());
    let blockers: Vec<String> = sample.blocking_sessions.iter().map(ToString::to_string).collect();
    vec![
        time(sample.sample_time).into(),
        sample.session_id.to_string().into(),
        text(&sample.user),
        text(&sample.database),
        text(&sample.program),
        text(&sample.client),
        Cell::new(sample.session_state.word(), tone),
        wait.map_or_else(|| sample.wait_class.name().to_owned(), |(wait_type, event)| format!("{wait_type}:{event}")).into(),
        blockers.join(" ").into(),
        sample.cpu_time_ms.map(|ms| format!("{ms:.0}")).unwrap_or_default().into(),
        one_line(sample.sql_text.as_deref().unwrap_or_default()).into(),
    ]
}
