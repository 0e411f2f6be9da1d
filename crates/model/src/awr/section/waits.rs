//! What sessions waited for: wait classes and events with average active sessions, and how they went over time.

use crate::ash::WaitClass;
use crate::ash::block::Dimension;
use crate::awr::active::{Active, class, is_foreground};
use crate::awr::known::Known;
use crate::awr::page::{Cell, Chart, Section, Table};
use crate::sample::Unknown;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use utoipa::ToSchema;

/// Events that are shown.
const EVENTS: usize = 20;
/// Columns of a small course.
const COURSE: usize = 30;

/// What sessions waited for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrWaits)]
pub struct Waits {
    /// By wait class, clients and the server's own processes apart.
    pub classes: Vec<ClassTime>,
    /// By wait event, the longest first; CPU is none.
    pub events: Vec<EventTime>,
    /// Clients' sessions by wait class over time, oldest first.
    pub series: Vec<Step>,
    /// How long each step of it is, in seconds.
    pub step_seconds: f64,
    /// Processors that the server may use.
    pub cores: Option<f64>,
    /// Why there are no figures.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<Unknown>,
}

/// Time in a wait class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrClassTime)]
pub struct ClassTime {
    /// The class.
    pub wait_class: WaitClass,
    /// Time of clients' sessions in it, in seconds.
    pub seconds: f64,
    /// Clients' sessions in it, on average.
    pub average_sessions: f64,
    /// Its share of DB time, in per cent.
    pub percent: f64,
    /// Time of the server's own processes in it, in seconds.
    pub background_seconds: f64,
}

/// Time in a wait event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrEventTime)]
pub struct EventTime {
    /// Its class.
    pub wait_class: WaitClass,
    /// The event as `Type:Event`; null on CPU.
    pub wait_event: Option<String>,
    /// Whether clients waited for it, or the server's own processes.
    pub foreground: bool,
    /// Time in it, in seconds.
    pub seconds: f64,
    /// Sessions in it, on average.
    pub average_sessions: f64,
    /// Its share of DB time, in per cent; null for the server's own processes.
    pub percent: Option<f64>,
    /// Sessions in it at each step of the time, on average; null where nothing was sampled.
    pub histogram: Vec<Option<f64>>,
}

/// One step of the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrStep)]
pub struct Step {
    /// Its begin.
    pub at: Timestamp,
    /// Samples in it; with none, nothing is known of it.
    pub samples: usize,
    /// Clients' sessions in each wait class, on average.
    pub classes: BTreeMap<WaitClass, f64>,
}

impl Waits {
    /// Works it out.
    pub fn build(known: &Known<'_>, cores: Option<f64>) -> Self {
        match &known.active {
            Err(unknown) => Self { cores, unknown: Some(unknown.clone()), ..Self::default() },
            Ok(active) => Self {
                classes: classes(active),
                events: events(active),
                series: series(active),
                step_seconds: active.steps.length.as_secs_f64(),
                cores,
                unknown: None,
            },
        }
    }

    /// How it is laid out.
    pub fn sections(&self) -> [Section; 2] {
        let about = "Average active sessions: how many sessions were in each wait class at a time. Above the number of processors, sessions \
                     on CPU take turns. Idle sessions are left out.";
        let mut time = Section::new("activity", "Average active sessions", about).with_some(self.chart());
        let about = "PostgreSQL counts no waits, so there is no mean time of a single wait: the times are those of all sessions together, \
                     from their samples.";
        let mut waits = Section::new("waits", "Wait classes and events", about);
        if let Some(unknown) = &self.unknown {
            time = time.note(format!("Not known: {}.", unknown.detail));
            waits = waits.note(format!("Not known: {}.", unknown.detail));
        } else {
            waits = waits.with(self.class_table()).with(self.event_table());
        }
        [time, waits]
    }

    fn chart(&self) -> Option<Chart> {
        let seen: Vec<WaitClass> =
            WaitClass::ALL.into_iter().filter(|class| self.series.iter().any(|step| step.classes.contains_key(class))).collect();
        let height = |step: &Step, class: WaitClass| (step.samples > 0).then(|| step.classes.get(&class).copied().unwrap_or(0.0));
        let series = |class: &WaitClass| (class.name().to_owned(), self.series.iter().map(|step| height(step, *class)).collect());
        (!self.series.is_empty()).then(|| Chart {
            title: "Clients' sessions by wait class".to_owned(),
            at: self.series.iter().map(|step| step.at).collect(),
            step_seconds: self.step_seconds,
            series: seen.iter().map(series).collect(),
            line: self.cores.map(|cores| ("processors".to_owned(), cores)),
        })
    }

    fn class_table(&self) -> Table {
        let row = |class: &ClassTime| {
            [
                class.wait_class.name().into(),
                Cell::seconds(class.seconds),
                Cell::number(class.average_sessions),
                Cell::percent(class.percent).share(class.percent / 100.0),
                Cell::seconds(class.background_seconds),
            ]
        };
        Table::new("Wait classes", &["wait class", ">time", ">average sessions", ">of DB time", ">server's own processes"])
            .rows(self.classes.iter().map(row))
            .or("no session did anything")
    }

    fn event_table(&self) -> Table {
        let row = |event: &EventTime| {
            [
                event.wait_event.as_deref().unwrap_or("(on CPU)").into(),
                event.wait_class.name().into(),
                if event.foreground { "clients" } else { "server" }.into(),
                Cell::seconds(event.seconds),
                Cell::number(event.average_sessions),
                event.percent.map_or_else(Cell::default, |percent| Cell::percent(percent).share(percent / 100.0)),
                Cell::course(thinned(&event.histogram)),
            ]
        };
        Table::new("Wait events", &["event", "class", "of", ">time", ">average sessions", ">of DB time", "over time"])
            .rows(self.events.iter().map(row))
            .or("no session did anything")
    }
}

/// A course in fewer steps.
fn thinned(course: &[Option<f64>]) -> Vec<Option<f64>> {
    let each = course.len().div_ceil(COURSE).max(1);
    let mean = |steps: &[Option<f64>]| {
        let known: Vec<f64> = steps.iter().copied().flatten().collect();
        #[expect(clippy::cast_precision_loss, reason = "a handful of steps")]
        let count = known.len() as f64;
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / count)
    };
    course.chunks(each).map(mean).collect()
}

fn share(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    share
}

fn classes(active: &Active) -> Vec<ClassTime> {
    let (own, background, busy) = (active.foreground(), active.background(), active.busy());
    let of = |classes: &BTreeMap<WaitClass, u64>, class: WaitClass| classes.get(&class).copied().unwrap_or(0);
    let time = |class: WaitClass| ClassTime {
        wait_class: class,
        seconds: active.sampled.seconds(of(&own, class)),
        average_sessions: active.sampled.average(of(&own, class)),
        percent: share(of(&own, class), busy),
        background_seconds: active.sampled.seconds(of(&background, class)),
    };
    let mut classes: Vec<ClassTime> =
        WaitClass::ALL.into_iter().map(time).filter(|time| time.seconds + time.background_seconds > 0.0).collect();
    classes.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then(b.background_seconds.total_cmp(&a.background_seconds)));
    classes
}

fn events(active: &Active) -> Vec<EventTime> {
    type Event = (bool, WaitClass, Option<String>);
    let mut events: HashMap<Event, (u64, Vec<u64>)> = HashMap::new();
    let waits = &active.waits;
    for (cell, count) in waits.cells() {
        let wait_class = class(waits, cell);
        if wait_class == WaitClass::Idle {
            continue;
        }
        let event = (is_foreground(waits, cell), wait_class, waits.key(cell, Dimension::WaitEvent).text().map(str::to_owned));
        let entry = events.entry(event).or_insert_with(|| (0, vec![0; active.steps.begins.len()]));
        entry.0 += count.samples;
        if let Some(place) = active.place(cell.bucket_ms) {
            entry.1[place] += count.samples;
        }
    }
    let busy = active.busy();
    let time = |((foreground, wait_class, wait_event), (samples, steps)): (Event, (u64, Vec<u64>))| EventTime {
        wait_class,
        wait_event,
        foreground,
        seconds: active.sampled.seconds(samples),
        average_sessions: active.sampled.average(samples),
        percent: foreground.then(|| share(samples, busy)),
        histogram: steps.iter().zip(&active.steps.begins).map(|(samples, (_, ticks))| mean(*samples, *ticks)).collect(),
    };
    let mut events: Vec<EventTime> = events.into_iter().map(time).collect();
    events.sort_by(|a, b| {
        b.foreground.cmp(&a.foreground).then(b.seconds.total_cmp(&a.seconds)).then_with(|| a.wait_event.cmp(&b.wait_event))
    });
    let own = events.iter().filter(|event| event.foreground).count().min(EVENTS);
    let background: Vec<EventTime> = events.iter().filter(|event| !event.foreground).take(EVENTS / 4).cloned().collect();
    events.truncate(own);
    events.extend(background);
    events
}

fn mean(samples: u64, ticks: usize) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
    let mean = samples as f64 / ticks.max(1) as f64;
    (ticks > 0).then_some(mean)
}

fn series(active: &Active) -> Vec<Step> {
    let mut sums: Vec<BTreeMap<WaitClass, u64>> = vec![BTreeMap::new(); active.steps.begins.len()];
    let waits = &active.waits;
    for (cell, count) in waits.cells().filter(|(cell, _)| is_foreground(waits, cell)) {
        let class = class(waits, cell);
        if let Some(place) = active.place(cell.bucket_ms).filter(|_| class != WaitClass::Idle) {
            *sums[place].entry(class).or_default() += count.samples;
        }
    }
    let step = |(classes, (at, ticks)): (&BTreeMap<WaitClass, u64>, &(Timestamp, usize))| Step {
        at: *at,
        samples: *ticks,
        classes: classes.iter().filter_map(|(class, samples)| Some((*class, mean(*samples, *ticks)?))).collect(),
    };
    sums.iter().zip(&active.steps.begins).map(step).collect()
}
