//! What the samples of sessions show of a statement.

use super::Materials;
use crate::ash::block::{Columns, Dimension, Key, Wanted};
use crate::ash::cube::Cube;
use crate::ash::sampled::Sampled;
use crate::ash::{State, WaitClass};
use crate::document::Unknowns;
use crate::error::Result;
use crate::fingerprint::fingerprint;
use crate::past::Span;
use crate::query_id::QueryId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Steps into which a period is cut at most.
const STEPS: usize = 60;
/// Clients that are told.
const RUNNERS: usize = 10;

/// Something that sessions waited for while they ran the statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProfileWait)]
pub struct Wait {
    /// The wait event as `Type:Event`, or `CPU`.
    pub event: String,
    /// Its class.
    pub wait_class: String,
    /// Time that the samples stand for, in ms.
    pub wait_time_ms: f64,
    /// Samples in which a session was seen to wait for it.
    pub wait_count: u64,
    /// Share of the time for which sessions were seen to run the statement, in per cent.
    pub percent: f64,
}

/// Sessions that ran the statement in a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProfileActivity)]
pub struct Activity {
    /// Its begin.
    pub at: Timestamp,
    /// How long it is, in seconds.
    pub seconds: f64,
    /// Average active sessions by wait class; null where nothing was sampled.
    pub sessions: Option<BTreeMap<String, f64>>,
}

/// Somebody who runs the statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProfileRunner)]
pub struct Runner {
    /// Role.
    pub user: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// What the client calls itself.
    pub application: Option<String>,
    /// The client's address.
    pub client: Option<String>,
    /// Time that the samples stand for, in ms.
    pub active_time_ms: f64,
}

#[derive(Default)]
pub(super) struct Shown {
    pub(super) waits: Vec<Wait>,
    pub(super) activity: Vec<Activity>,
    pub(super) run_by: Vec<Runner>,
    pub(super) cpu_ms: Option<f64>,
}

pub(super) fn of(materials: &Materials<'_>, id: QueryId, span: Span, unknown: &mut Unknowns) -> Result<Shown> {
    let sampled = match Sampled::of(materials.past, span)? {
        Ok(sampled) => sampled,
        Err(why) => {
            ["wait_events", "activity", "cpu_time_ms"].iter().for_each(|place| unknown.note(place, why.clone()));
            return Ok(Shown::default());
        }
    };
    let steps = sampled.steps(STEPS);
    let width_ms = i64::try_from(steps.length.as_millis()).unwrap_or(i64::MAX);
    let mut waits = Cube::new(&[Dimension::WaitClass, Dimension::WaitEvent]);
    let mut over_time = Cube::new(&[Dimension::WaitClass]).by_time(width_ms);
    let mut clients = Cube::new(&[Dimension::User, Dimension::Database, Dimension::Application, Dimension::Client]);
    let columns = Columns::of(&[
        Dimension::Query,
        Dimension::State,
        Dimension::WaitClass,
        Dimension::WaitEvent,
        Dimension::User,
        Dimension::Database,
        Dimension::Application,
        Dimension::Client,
    ]);
    let only = vec![(Dimension::Query, keys(id, materials))];
    let wanted = Wanted { from: Some(span.start), to: Some(span.end), only, columns: columns.with_cpu(), ..Wanted::default() };
    materials.past.sessions(&wanted, &mut |block| {
        // A session that is idle in a transaction still shows the statement that it ran last.
        let idle = Key::Text(State::Idle.word().into());
        let busy = block.filter(|row| *block.key(row, Dimension::State) != idle);
        [&mut waits, &mut over_time, &mut clients].into_iter().for_each(|cube| cube.add(&busy));
    })?;
    Ok(Shown {
        waits: events(&waits, &sampled),
        activity: activity(&over_time, &sampled, STEPS),
        run_by: runners(&clients, &sampled),
        cpu_ms: cpu_ms(&waits, &sampled),
    })
}

/// Where the server tells no identifier (13), sessions are known by that of the text.
fn keys(id: QueryId, materials: &Materials<'_>) -> Vec<Key> {
    let of_text = materials.text.as_deref().map(|text| Key::Query(fingerprint(text)));
    std::iter::once(Key::Query(id.0)).chain(of_text).collect()
}

fn text(key: &Key) -> Option<String> {
    key.text().map(str::to_owned)
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
fn events(waits: &Cube, sampled: &Sampled) -> Vec<Wait> {
    let all = waits.total().samples.max(1);
    let event = |(cell, count): (&crate::ash::cube::Cell, crate::ash::cube::Count)| {
        let wait_class = text(waits.key(cell, Dimension::WaitClass)).unwrap_or_default();
        Wait {
            event: text(waits.key(cell, Dimension::WaitEvent)).unwrap_or_else(|| wait_class.clone()),
            wait_class,
            wait_time_ms: sampled.time_ms(count.samples),
            wait_count: count.samples,
            percent: 100.0 * count.samples as f64 / all as f64,
        }
    };
    waits.top().into_iter().map(event).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
fn activity(over_time: &Cube, sampled: &Sampled, most: usize) -> Vec<Activity> {
    let steps = sampled.steps(most);
    let mut by_step: BTreeMap<i64, BTreeMap<String, u64>> = BTreeMap::new();
    for (cell, count) in over_time.cells() {
        let class = text(over_time.key(cell, Dimension::WaitClass)).unwrap_or_default();
        *by_step.entry(cell.bucket_ms).or_default().entry(class).or_default() += count.samples;
    }
    let of = |(at, ticks): &(Timestamp, usize)| {
        let seen = by_step.get(&at.as_millisecond()).cloned().unwrap_or_default();
        let sessions = (*ticks > 0).then(|| seen.into_iter().map(|(class, samples)| (class, samples as f64 / *ticks as f64)).collect());
        Activity { at: *at, seconds: steps.length.as_secs_f64(), sessions }
    };
    steps.begins.iter().map(of).collect()
}

fn runners(clients: &Cube, sampled: &Sampled) -> Vec<Runner> {
    let runner = |(cell, count): (&crate::ash::cube::Cell, crate::ash::cube::Count)| Runner {
        user: text(clients.key(cell, Dimension::User)),
        database: text(clients.key(cell, Dimension::Database)),
        application: text(clients.key(cell, Dimension::Application)),
        client: text(clients.key(cell, Dimension::Client)),
        active_time_ms: sampled.time_ms(count.samples),
    };
    clients.top().into_iter().take(RUNNERS).map(runner).collect()
}

/// What the operating system counted where it is known; otherwise the time for which sessions were seen not to wait.
fn cpu_ms(waits: &Cube, sampled: &Sampled) -> Option<f64> {
    let total = waits.total();
    if total.cpu_known > 0 {
        return Some(total.cpu_ms);
    }
    let on_cpu = waits.cells().filter(|(cell, _)| waits.key(cell, Dimension::WaitClass).text() == Some(WaitClass::Cpu.name()));
    Some(sampled.time_ms(on_cpu.map(|(_, count)| count.samples).sum()))
}
