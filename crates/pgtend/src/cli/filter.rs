//! Options that say which sessions are meant.

use clap::{Args, ValueEnum};
use pgtend_model::document::sessions::{Params, Wanted};
use pgtend_model::error::Error;
use pgtend_model::units;
use std::time::Duration;

/// Which sessions: those that meet every condition.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which sessions (all conditions must hold; * in a name stands for anything)")]
pub(super) struct Filter {
    /// This process id
    #[arg(long, value_name = "PID")]
    pid: Option<i64>,
    /// Of this role
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// In this database
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Of this application
    #[arg(long, visible_alias = "application", value_name = "NAME")]
    app: Option<String>,
    /// From this address; local for Unix sockets
    #[arg(long, value_name = "ADDRESS")]
    client: Option<String>,
    /// Doing what they do for at least so long: 500ms, 30s, 5min, 1h (or ">1h")
    #[arg(long, visible_alias = "min-duration", value_name = "DURATION", value_parser = at_least)]
    duration: Option<Duration>,
    /// In a transaction at least so old
    #[arg(long, value_name = "DURATION", value_parser = at_least)]
    min_transaction: Option<Duration>,
    /// Using at least so many per cent of one core over the last second; needs an agent, or this command, on the server's host
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    min_cpu: Option<f64>,
    /// Using at least so much memory of their own (64MB); needs the server's host too
    #[arg(long, value_name = "SIZE", value_parser = size)]
    min_memory: Option<i64>,
}

/// States on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum State {
    /// Runs a statement, whether it waits or not
    Active,
    /// Runs a statement and waits for something other than a lock
    Waiting,
    /// Waits for a lock
    Blocked,
    /// Waits for its client in an open transaction
    IdleInTransaction,
    /// Waits for its client, outside a transaction
    Idle,
}

impl Filter {
    /// As parameters of the documents, with the state that is meant.
    pub(super) fn params(&self, state: Option<State>) -> Params {
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
        Params {
            pid: self.pid,
            state: state.map(State::wanted),
            user: self.user.clone(),
            database: self.database.clone(),
            application: self.app.clone(),
            client: self.client.clone(),
            min_seconds: seconds(self.duration),
            min_transaction_seconds: seconds(self.min_transaction),
            min_cpu_percent: self.min_cpu,
            min_memory_bytes: self.min_memory,
            clients: false,
            limit: None,
        }
    }
}

impl State {
    fn wanted(self) -> Wanted {
        match self {
            Self::Active => Wanted::Active,
            Self::Waiting => Wanted::Waiting,
            Self::Blocked => Wanted::Blocked,
            Self::IdleInTransaction => Wanted::IdleInTransaction,
            Self::Idle => Wanted::Idle,
        }
    }
}

fn at_least(text: &str) -> Result<Duration, Error> {
    units::at_least(text)
}

/// A duration, for options of other commands.
pub(super) fn duration(text: &str) -> Result<Duration, Error> {
    units::duration(text)
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim().parse::<f64>().ok().filter(|percent| percent.is_finite() && *percent >= 0.0);
    number.ok_or_else(|| "per cent of one core are a number: 50, or 150 for one and a half".to_owned())
}

fn size(text: &str) -> Result<i64, Error> {
    units::bytes(text.trim().trim_start_matches(['>', '='])).map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}
