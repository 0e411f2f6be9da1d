//! Looks how archiving goes: how much waits, how fast it goes, whether there are gaps; raises the alarm before a disk is full.

use super::Agent;
use super::archive::bounds;
use crate::wal::{Archived, Service, Waiting, catching_up, status};
use jiff::Timestamp;
use pgtend_model::backup::wal_bounds::{WalBounds, WalPressure, pressure};
use pgtend_model::backup::wal_status::{Archiving, RepositoryGaps};
use pgtend_model::backup::wal_stream::{StreamState, Streaming};
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked into `pg_wal`.
const EVERY: Duration = Duration::from_secs(5);
/// How often the repositories are listed for gaps.
const GAPS_EVERY: Duration = Duration::from_secs(600);
/// How often the other repositories are brought up to date.
const CATCH_UP_EVERY: Duration = Duration::from_secs(30);
/// Over which time the rate is told.
const RATE_OVER: Duration = Duration::from_secs(60);

/// What is remembered of one server between two looks.
#[derive(Debug, Default)]
struct Seen {
    rates: VecDeque<(Instant, u64)>,
    pressure: WalPressure,
    gaps: Vec<RepositoryGaps>,
    gaps_at: Option<Instant>,
    left_over_told: bool,
}

/// Looks until the agent ends. Does nothing where nothing is archived.
pub(super) fn start(agent: &Agent) {
    if agent.archive().is_none() {
        return;
    }
    let looks = agent.clone();
    agent.tasks().spawn("wal watch", async move {
        let mut seen = HashMap::new();
        loop {
            let (agent, mut carried) = (looks.clone(), std::mem::take(&mut seen));
            let round = tokio::task::spawn_blocking(move || {
                look(&agent, &mut carried);
                carried
            });
            tokio::select! {
                () = looks.tasks().cancelled() => return,
                looked = round => seen = looked.unwrap_or_default(),
            }
            tokio::select! {
                () = looks.tasks().cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    });
}

/// Brings WAL to the repositories that need not have it at once, until the agent ends.
pub(super) fn catch_up(agent: &Agent) {
    if agent.archive().is_none_or(|service| service.places().others().next().is_none()) {
        return;
    }
    let brings = agent.clone();
    agent.tasks().spawn("wal catch-up", async move {
        let mut failing = false;
        loop {
            let (agent, before) = (brings.clone(), failing);
            let round = tokio::task::spawn_blocking(move || bring(&agent, before));
            tokio::select! {
                () = brings.tasks().cancelled() => return,
                done = round => failing = done.unwrap_or(true),
            }
            tokio::select! {
                () = brings.tasks().cancelled() => return,
                () = tokio::time::sleep(CATCH_UP_EVERY) => {}
            }
        }
    });
}

/// One round; whether something stood in the way, which is said once.
fn bring(agent: &Agent, failed_before: bool) -> bool {
    let Some(service) = agent.archive() else { return false };
    let level = super::archive::options(&agent.config()).level;
    let ends = agent.tasks().token();
    let mut fails = false;
    for (server, data, _) in archiving(agent, service) {
        let (files, troubles) =
            catching_up::round(service.places(), &agent.backups().filed(&server), &data, level, &|| !ends.is_cancelled());
        if files > 0 {
            tracing::info!(server, files, "WAL was brought to a repository that need not have it at once");
        }
        for (repository, error) in troubles {
            fails = true;
            if !failed_before {
                let (what, place, hint) = (error.what, error.place, error.hint);
                tracing::error!(server, repository, error = what, place, hint, "WAL does not get to this repository; it is tried again");
            }
        }
    }
    fails
}

fn look(agent: &Agent, seen: &mut HashMap<String, Seen>) {
    let Some(service) = agent.archive() else { return };
    let bounds = bounds(&agent.config());
    for (name, data, archived) in archiving(agent, service) {
        let seen = seen.entry(name.clone()).or_default();
        if seen.gaps_at.is_none_or(|at| at.elapsed() >= GAPS_EVERY) {
            seen.gaps_at = Some(Instant::now());
            seen.gaps = gaps(service, &agent.backups().filed(&name), &data);
        }
        let server = agent.servers().into_iter().find(|server| server.name() == name);
        let streaming = server.as_ref().and_then(|server| agent.streaming(server));
        left_over(&name, streaming.as_ref(), &mut seen.left_over_told);
        let told = tell(&archived, &data, &bounds, streaming, seen);
        alarm(&name, &told, seen.pressure, bounds.drops);
        seen.pressure = told.pressure;
        let Some(server) = server else { continue };
        server.update(|view| view.wal = Some(Arc::new(told)));
    }
    service.settle();
}

fn archiving(agent: &Agent, service: &Service) -> Vec<(String, PathBuf, Archived)> {
    let config = agent.config();
    let data = |name: &str| config.server.iter().find(|server| server.name == name)?.data_directory.clone();
    service.health().into_iter().filter_map(|(name, archived)| data(&name).map(|data| (name, data, archived))).collect()
}

/// What is told of a server's archiving.
fn tell(archived: &Archived, data: &Path, bounds: &WalBounds, streaming: Option<Streaming>, seen: &mut Seen) -> Archiving {
    let waiting = Waiting::look(data).ok();
    let held = streaming.as_ref().and_then(|streaming| streaming.slot_held_bytes).unwrap_or(0);
    let (pressure, pressure_reason) =
        waiting.map_or((WalPressure::Fine, None), |waiting| pressure(bounds, waiting.bytes.max(held), waiting.free_bytes));
    let age = |since: Timestamp| Timestamp::now().duration_since(since).as_secs_f64().max(0.0);
    Archiving {
        archived_files: archived.files,
        archived_bytes: archived.bytes,
        stored_bytes: archived.stored_bytes,
        ahead_files: archived.ahead,
        last_archived: archived.last.as_ref().map(|(name, _)| name.clone()),
        last_archived_at: archived.last.as_ref().map(|(_, at)| *at),
        bytes_per_second: seen.rate(archived.bytes),
        failures: archived.failures,
        failing_since: archived.failing.as_ref().map(|(since, _)| *since),
        error: archived.failing.as_ref().map(|(_, error)| error.clone()),
        waiting_segments: waiting.map(|waiting| waiting.segments),
        waiting_bytes: waiting.map(|waiting| waiting.bytes),
        waiting_seconds: waiting.map(|waiting| waiting.since.map_or(0.0, age)),
        free_bytes: waiting.and_then(|waiting| waiting.free_bytes),
        pressure,
        pressure_reason,
        dropped_files: archived.dropped,
        fetched_files: archived.fetched,
        fetched_ahead_files: archived.fetched_ahead,
        streaming,
        gaps: seen.gaps.clone(),
    }
}

impl Seen {
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than a double's precision")]
    fn rate(&mut self, bytes: u64) -> Option<f64> {
        let now = Instant::now();
        self.rates.push_back((now, bytes));
        while self.rates.len() > 2 && self.rates.front().is_some_and(|(at, _)| now - *at > RATE_OVER) {
            self.rates.pop_front();
        }
        let (since, before) = *self.rates.front()?;
        let seconds = (now - since).as_secs_f64();
        (seconds > 0.0).then(|| bytes.saturating_sub(before) as f64 / seconds)
    }
}

fn gaps(service: &Service, server: &str, data: &Path) -> Vec<RepositoryGaps> {
    let looked = status::look(service.places(), server, data);
    let known = looked.into_iter().filter(|repository| repository.error.is_none());
    let told = known.map(|repository| {
        let gaps = repository.timelines.iter().map(|timeline| timeline.gaps.len() as u64).sum();
        if let Some(gap) = &repository.broken_by {
            tracing::error!(
                server,
                repository = repository.repository,
                first = gap.first,
                last = gap.last,
                "WAL is missing: until the next backup, no moment after it can be reached"
            );
        }
        RepositoryGaps { repository: repository.repository, gaps, broken: repository.broken_by.is_some() }
    });
    told.collect()
}

/// Says once that a slot of streaming is still there that nothing moves on.
fn left_over(server: &str, streaming: Option<&Streaming>, was_told: &mut bool) {
    // What fails is said where it fails.
    let left = streaming.filter(|streaming| streaming.state != StreamState::Failing).and_then(|streaming| streaming.error.as_ref());
    if let (Some(error), false) = (left, *was_told) {
        tracing::warn!(server, hint = error.hint, "{}", error.what);
    }
    *was_told = left.is_some();
}

/// Says once what changed.
fn alarm(server: &str, told: &Archiving, before: WalPressure, drops: bool) {
    let reason = told.pressure_reason.as_deref().unwrap_or_default();
    let next = if drops { "WAL is dropped beyond the limit" } else { "PostgreSQL keeps it until its disk is full" };
    match told.pressure {
        now if now == before => {}
        WalPressure::Fine => tracing::info!(server, "WAL does not wait in pg_wal any more"),
        WalPressure::Alarm => tracing::warn!(server, reason, next, "too much WAL waits: see why it is not archived"),
        WalPressure::Over => tracing::error!(server, reason, next, "too much WAL waits: a limit is crossed"),
    }
}
