//! Reads the log of a server beside the agent, on a thread of its own: watching never waits for it.

mod captured;
mod reading;

use super::memory::Memory;
use super::server::Server;
use super::settings::Settings;
use captured::CapturedPlans;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pgtend_model::logline::{Event, Format, Position, Prefix, Tally, kept};
use pgtend_model::sample::log::LogEvent;
use pgtend_model::sample::{Origin, Probe, Reason, Sample, Taken, Unknown};
use pgtend_model::view::View;
use pgtend_postgres::serverlog::{Kind, Told, locate};
use reading::{Reading, Step};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often is looked for something new, and how much is read at once: at most 4 MiB a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often what was read is told, and handed to the history.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Messages kept between two times of telling; the rest is counted.
const MOST_KEPT: usize = 500;

pub(super) struct LogWatch {
    settings: Settings,
    server: Server,
    memory: Memory,
    ends: CancellationToken,
    reading: Option<Reading>,
    tally: Tally,
    events: Vec<LogEvent>,
    plans: CapturedPlans,
    totals: Totals,
    /// Where reading ended when it could not go on.
    left: Option<Position>,
    /// Whether anything was read; before that, an earlier run of the agent may have left a place to go on from.
    resumed: bool,
    why_not: Option<Unknown>,
}

/// What grew since the agent began to read.
#[derive(Debug, Default)]
struct Totals {
    read_bytes: u64,
    skipped_bytes: u64,
    not_kept: u64,
    /// Of files that are no longer read.
    not_understood: u64,
}

/// What must be known of a server to read its log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    told: Told,
    prefix: Option<String>,
    zone: Option<String>,
}

impl LogWatch {
    /// The reader, where the agent runs beside the server and is to read.
    pub(super) fn new(settings: &Settings, server: Server, memory: Memory, ends: CancellationToken) -> Option<Self> {
        let wanted = settings.cadence(Origin::Log).contains_key(&Probe::LogReading);
        wanted.then(|| Self {
            settings: settings.clone(),
            server,
            memory,
            ends,
            reading: None,
            tally: Tally::new(Timestamp::now()),
            events: Vec::new(),
            plans: CapturedPlans::default(),
            totals: Totals::default(),
            left: None,
            resumed: false,
            why_not: None,
        })
    }

    /// Blocks until it is told to end.
    pub(super) fn run(mut self) {
        let mut told = Instant::now();
        while !self.ends.is_cancelled() {
            self.look();
            if told.elapsed() >= TELL_EVERY || (self.reading.is_some() && self.server.view().readings.log_reading.latest.is_none()) {
                self.tell();
                told = Instant::now();
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.tell();
    }

    fn look(&mut self) {
        let now = Timestamp::now();
        let written = written(&self.server.view());
        match self.read(&written, now) {
            Ok(()) => self.why_not = None,
            Err(why) => {
                self.let_go();
                self.cannot(why);
            }
        }
    }

    fn read(&mut self, written: &Written, now: Timestamp) -> Result<(), Unknown> {
        let mut events = Vec::new();
        let Some(reading) = &mut self.reading else {
            self.begin(written)?;
            return Ok(());
        };
        let step = reading.step(&mut |event| events.push(event))?;
        match step {
            Step::Read { bytes, skipped } => {
                self.totals.read_bytes += bytes;
                self.totals.skipped_bytes += skipped;
            }
            Step::AtEnd => self.go_on_with_another(written)?,
        }
        events.into_iter().for_each(|event| self.take(event, now));
        Ok(())
    }

    /// Opens the log: where an earlier run of the agent left off, or at its end.
    fn begin(&mut self, written: &Written) -> Result<(), Unknown> {
        let server = &self.settings.server;
        let place = locate(server.data_directory.as_deref(), server.log_file.as_deref(), &written.told)?;
        let (format, zone) = (format(place.kind, written)?, zone(written));
        let noted = || self.server.past().log_position().ok().flatten().filter(|_| !self.resumed);
        let left = self.left.clone().or_else(noted);
        // What was begun while nobody read is read from its begin.
        let from_begin = self.resumed || left.is_some();
        let reading = Reading::open(&place, left.as_ref(), from_begin, (format, zone), written.clone())?;
        tracing::info!(server = self.server.name(), file = %reading.path().display(), "reading the server's log");
        (self.reading, self.left, self.resumed) = (Some(reading), None, true);
        Ok(())
    }

    /// At the end of a file: goes on with the one that the server writes now, when that is another, or in another way.
    fn go_on_with_another(&mut self, written: &Written) -> Result<(), Unknown> {
        let Some(reading) = &mut self.reading else { return Ok(()) };
        if !reading.looks_around() {
            return Ok(());
        }
        let server = &self.settings.server;
        let place = locate(server.data_directory.as_deref(), server.log_file.as_deref(), &written.told);
        // A server that is down writes nothing, and what it wrote last stays.
        let Ok(place) = place else { return Ok(()) };
        if reading.is_of(&place) && reading.written == *written {
            return Ok(());
        }
        let (format, zone) = (format(place.kind, written)?, zone(written));
        self.totals.not_understood += reading.not_understood();
        match reading.is_of(&place) {
            true => reading.decode_as(format, zone, written.clone()),
            false => *reading = Reading::open(&place, None, true, (format, zone), written.clone())?,
        }
        Ok(())
    }

    fn take(&mut self, event: Event, now: Timestamp) {
        self.tally.add(&event, event.at.map_or(now, |at| at.min(now)));
        if self.plans.take(&event, &self.server, now) {
            return;
        }
        if let Some(row) = kept(event, now) {
            if self.events.len() < MOST_KEPT {
                self.events.push(row);
            } else {
                self.totals.not_kept += 1;
            }
        }
    }

    /// Tells what was read, and hands it to the history.
    fn tell(&mut self) {
        let now = Timestamp::now();
        let (plans, texts) = self.plans.hand_over(&self.server);
        self.memory.plans(plans, texts);
        let Some(reading) = &self.reading else { return };
        let row = reading.row(&self.totals, &self.plans, self.tally.errors_per_minute(now));
        let read = Taken::LogReading(sample(now, vec![row]));
        let counted = Taken::LogMessages(sample(now, self.tally.rows()));
        let events = Taken::Log(sample(now, std::mem::take(&mut self.events)));
        self.memory.events(&events);
        self.memory.reading(&read);
        self.memory.reading(&counted);
        self.memory.log_read(reading.position());
        self.server.update(|view| [read, counted, events].into_iter().for_each(|taken| view.readings.put(taken)));
    }

    /// The log cannot be read: why not is said once.
    fn cannot(&mut self, why: Unknown) {
        if self.why_not.as_ref() == Some(&why) {
            return;
        }
        if !matches!(why.reason, Reason::Pending | Reason::Unreachable) {
            tracing::warn!(server = self.server.name(), %why, "the server's log cannot be read");
        }
        for probe in [Probe::Log, Probe::LogMessages, Probe::LogReading] {
            self.memory.unknown(probe, &why);
        }
        self.server.update(|view| {
            for probe in [Probe::Log, Probe::LogMessages, Probe::LogReading] {
                view.readings.fail(probe, why.clone());
            }
        });
        self.why_not = Some(why);
    }

    fn let_go(&mut self) {
        if let Some(reading) = self.reading.take() {
            self.totals.not_understood += reading.not_understood();
            self.left = Some(reading.position());
        }
    }
}

fn sample<T>(at: Timestamp, rows: Vec<T>) -> Sample<T> {
    Sample { at, took: Duration::ZERO, rows, missing: Vec::new() }
}

/// What the server's settings say of its log.
fn written(view: &View) -> Written {
    let readings = &view.readings;
    let files = readings.file_settings.latest.as_ref().map(|sample| &*sample.rows);
    let rows = readings.settings.latest.as_ref().map_or(&[][..], |sample| &sample.rows);
    let setting = |name: &str| rows.iter().find(|row| &*row.name == name)?.on_server(files).map(|value| value.to_string());
    Written {
        told: Told { collects: setting("logging_collector").map(|value| value == "on"), destination: setting("log_destination") },
        prefix: setting("log_line_prefix"),
        zone: setting("log_timezone"),
    }
}

fn format(kind: Kind, written: &Written) -> Result<Format, Unknown> {
    match kind {
        Kind::Json => Ok(Format::Json),
        Kind::Csv => Ok(Format::Csv),
        Kind::Stderr => {
            let prefix = written.prefix.as_deref();
            let prefix = prefix.ok_or_else(|| Unknown::new(Reason::Pending, "log_line_prefix is not known until the server was asked"))?;
            let unclear = || Unknown::new(Reason::Failed, format!("log_line_prefix '{prefix}' cannot be told apart from messages"));
            Prefix::new(prefix).map(Format::Stderr).ok_or_else(unclear)
        }
    }
}

fn zone(written: &Written) -> TimeZone {
    written.zone.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
}
