//! Gathering what the doctor of backups decides by. Everything is asked even where something before it failed.

mod host;
mod repository;

use crate::agent::{Agent, Server};
use crate::backup::cron;
use crate::blocking::blocking;
use jiff::{SignedDuration, Timestamp};
use pgtend_model::backup::doctor::{Facts, Report, examine};
use pgtend_model::error::{Error, Kind, Result};
use std::time::Duration;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Looks at a server, its machine and its repositories.
///
/// # Errors
/// `Conflict` when the server is no longer watched. What cannot be found out is part of the report.
pub async fn doctor(agent: &Agent, server: &Server) -> Result<Report> {
    let settings = agent.settings(server).ok_or_else(|| Error::new(Kind::Conflict, "the server is no longer watched"))?;
    let config = agent.config();
    let asked = pgtend_postgres::doctor::look(&settings.target, CONNECT, &format!("{} doctor", settings.server.application_name)).await;
    let data = settings.server.data_directory.clone();
    let looked = config.clone();
    let (data_directory, host) = blocking(move || Ok(host::look(data.as_deref(), &looked))).await?;
    let mut repositories = Vec::new();
    for configured in config.backup.repository.clone() {
        repositories.push(repository::look(agent, settings.server.clone(), configured).await);
    }
    let logical = &config.backup.logical;
    Ok(examine(&Facts {
        now: Timestamp::now(),
        server: server.name().to_owned(),
        role: settings.target.user().to_owned(),
        asked,
        data_directory,
        streaming: agent.streaming(server),
        host,
        logical: logical.schedule != cron::OFF,
        jobs: logical.jobs as u64,
        repositories,
    }))
}

/// How far apart the next two turns of a schedule are.
fn period(schedule: &str) -> Option<SignedDuration> {
    let cron = cron::schedule("schedule", schedule).ok().flatten()?;
    let zone = jiff::tz::TimeZone::system();
    let first = cron::next(&cron, &Timestamp::now().to_zoned(zone.clone()))?;
    let second = cron::next(&cron, &first.to_zoned(zone))?;
    Some(second.duration_since(first))
}
