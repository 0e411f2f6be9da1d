//! The user's own metrics: each query at its turn, all of a round within their own budget.

use super::settings::Settings;
use jiff::Timestamp;
use pgtend_model::config::metrics::Custom;
use pgtend_model::error::Error;
use pgtend_model::sample::custom::CustomReading;
use pgtend_model::sample::{Reason, Unknown};
use pgtend_postgres::connect::Session;
use pgtend_postgres::probe::{Failure, custom};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The user's own metrics on one server, with when each runs next.
#[derive(Debug)]
pub(super) struct CustomMetrics {
    turns: Vec<(Custom, Duration)>,
    budget: Duration,
}

impl CustomMetrics {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { turns: settings.custom.iter().map(|custom| (custom.clone(), Duration::ZERO)).collect(), budget: settings.custom_budget }
    }

    /// When the next one runs, as a time since the agent's start.
    pub(super) fn next_turn(&self) -> Option<Duration> {
        self.turns.iter().map(|(_, next)| *next).min()
    }

    /// Runs those whose turn has come; gives their new readings. Those for which the budget is too small wait for the next round.
    pub(super) async fn round(
        &mut self,
        settings: &Settings,
        session: &Session,
        now: Duration,
        old: &[Arc<CustomReading>],
    ) -> Result<Vec<CustomReading>, Error> {
        let ends = Instant::now() + self.budget;
        let mut readings = Vec::new();
        for (custom, next) in self.turns.iter_mut().filter(|(_, next)| *next <= now) {
            if Instant::now() >= ends {
                break;
            }
            *next = now + custom.every;
            let before = old.iter().find(|reading| reading.name == custom.name);
            readings.push(read(settings, session, custom, before).await?);
        }
        Ok(readings)
    }
}

async fn read(
    settings: &Settings,
    session: &Session,
    custom: &Custom,
    before: Option<&Arc<CustomReading>>,
) -> Result<CustomReading, Error> {
    let mut reading =
        CustomReading { name: custom.name.clone(), at: Timestamp::now(), took: Duration::ZERO, rows: Vec::new(), cut: 0, unknown: None };
    let asked = Instant::now();
    if custom.databases.is_empty() {
        take(&mut reading, custom::run(session, custom, None).await)?;
    }
    for database in &custom.databases {
        let outcome =
            match Session::open(&settings.target.with_database(database), &settings.limits(), &settings.server.application_name).await {
                Ok(visit) => custom::run(&visit, custom, Some(database)).await.map_err(|failure| of_visit(database, failure)),
                Err(error) => Err(of_visit(database, Failure::Session(error))),
            };
        take(&mut reading, outcome)?;
    }
    reading.took = asked.elapsed();
    if let (Some(unknown), Some(before)) = (&reading.unknown, before) {
        tracing::debug!(server = settings.server.name, metric = custom.name, %unknown, "custom metric keeps its last values");
        reading.rows.clone_from(&before.rows);
    }
    Ok(reading)
}

/// A connection lost on a visit is no loss of the one that watches.
fn of_visit(database: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Session(error) => Failure::Probe(Unknown::new(Reason::Unreachable, format!("database {database}: {}", error.what))),
        Failure::Probe(unknown) => Failure::Probe(unknown),
    }
}

fn take(reading: &mut CustomReading, outcome: Result<custom::CustomRows, Failure>) -> Result<(), Error> {
    match outcome {
        Ok((rows, cut)) => {
            reading.rows.extend(rows);
            reading.cut += cut;
        }
        Err(Failure::Probe(unknown)) => reading.unknown = Some(unknown),
        Err(Failure::Session(error)) => return Err(error),
    }
    Ok(())
}
