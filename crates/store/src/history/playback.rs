//! Plays readings back from the rows that changed.

use super::frame_table::Entry;
use super::probe_table::{self, Label, Row, Source};
use jiff::Timestamp;
use pgtend_model::past::Frame;
use pgtend_model::sample::registry::Spec;
use pgtend_model::sample::{Probe, Reason, Taken, Unknown};
use std::collections::HashMap;

/// Plays back a probe's readings from the rows that changed.
pub(super) struct Playback<'a> {
    spec: &'static Spec,
    entries: &'a [Entry],
    rows: &'a [Row],
}

impl<'a> Playback<'a> {
    pub(super) fn new(spec: &'static Spec, entries: &'a [Entry], rows: &'a [Row]) -> Self {
        Self { spec, entries, rows }
    }

    /// The rows written at an instant.
    fn written(&self, at_ms: i64) -> &'a [Row] {
        let start = self.rows.partition_point(|row| row.at_ms < at_ms);
        let end = self.rows.partition_point(|row| row.at_ms <= at_ms);
        &self.rows[start..end]
    }

    /// The newest reading; none when nothing is remembered.
    pub(super) fn last(&self, probe: Probe) -> Option<Result<Taken, Unknown>> {
        let newest = self.entries.last()?;
        if newest.failed() {
            return newest.unknown.clone().map(Err);
        }
        let first = self.entries.iter().rposition(|entry| entry.whole)?;
        let mut state = State::new(self.spec);
        self.entries[first..].iter().for_each(|entry| state.take(entry, self.written(entry.at_ms)));
        Some(state.taken(probe, newest))
    }
}

/// Plays readings back stretch after stretch.
pub(super) struct Player {
    probe: Probe,
    start_ms: i64,
    state: State,
    before: Option<Entry>,
    began: bool,
}

impl Player {
    pub(super) fn new(probe: Probe, start: Timestamp) -> Self {
        Self { probe, start_ms: start.as_millisecond(), state: State::new(probe.spec()), before: None, began: false }
    }

    pub(super) fn play(&mut self, page: &Playback<'_>, each: &mut dyn FnMut(&Frame)) {
        for entry in page.entries {
            let written = page.written(entry.at_ms);
            if entry.at_ms < self.start_ms {
                self.state.take(entry, written);
                if !entry.failed() {
                    self.before = Some(entry.clone());
                }
                continue;
            }
            self.begin(each);
            self.state.take(entry, written);
            self.tell(entry, written, each);
        }
    }

    /// Tells what was known when the stretch began, unless that was told.
    pub(super) fn begin(&mut self, each: &mut dyn FnMut(&Frame)) {
        if let Some(before) = self.before.take().filter(|_| self.state.is_known()) {
            self.began = true;
            each(&frame(&before, true, self.state.taken(self.probe, &before)));
        }
    }

    fn tell(&mut self, entry: &Entry, written: &[Row], each: &mut dyn FnMut(&Frame)) {
        if entry.failed() {
            each(&frame(entry, false, Err(entry.unknown.clone().unwrap_or_else(|| Unknown::new(Reason::Failed, "")))));
        } else if self.began {
            each(&frame(entry, entry.whole, taken(self.probe, entry, written.iter().filter(|row| !row.gone))));
        } else if self.state.is_known() {
            self.began = true;
            each(&frame(entry, true, self.state.taken(self.probe, entry)));
        }
    }
}

fn frame(entry: &Entry, whole: bool, rows: Result<Taken, Unknown>) -> Frame {
    Frame { at: Timestamp::from_millisecond(entry.at_ms).unwrap_or_default(), whole, rows }
}

/// The rows there are, as readings went by.
struct State {
    spec: &'static Spec,
    rows: Vec<Row>,
    places: HashMap<Vec<Label>, usize>,
    known: bool,
}

impl State {
    fn new(spec: &'static Spec) -> Self {
        Self { spec, rows: Vec::new(), places: HashMap::new(), known: false }
    }

    fn is_known(&self) -> bool {
        self.known
    }

    fn take(&mut self, entry: &Entry, written: &[Row]) {
        if entry.failed() {
            return;
        }
        if entry.whole {
            self.known = true;
            self.rows = written.iter().filter(|row| !row.gone).cloned().collect();
            let labels = self.rows.iter().enumerate().map(|(place, row)| (probe_table::labels(self.spec, row), place));
            self.places = labels.collect();
            return;
        }
        for row in written {
            let labels = probe_table::labels(self.spec, row);
            match self.places.get(&labels) {
                Some(place) => self.rows[*place] = row.clone(),
                None => {
                    self.places.insert(labels, self.rows.len());
                    self.rows.push(row.clone());
                }
            }
        }
    }

    fn taken(&self, probe: Probe, entry: &Entry) -> Result<Taken, Unknown> {
        taken(probe, entry, self.rows.iter().filter(|row| !row.gone))
    }
}

fn taken<'a>(probe: Probe, entry: &Entry, rows: impl Iterator<Item = &'a Row>) -> Result<Taken, Unknown> {
    let mut taken = probe.empty(Timestamp::from_millisecond(entry.at_ms).unwrap_or_default());
    taken.add_took(std::time::Duration::from_millis(u64::from(entry.took_ms)));
    for row in rows {
        taken
            .read(&mut Source(row))
            .map_err(|error| Unknown::new(Reason::Version, format!("another version of pgtend wrote it: {error}")))?;
    }
    if let Some(unknown) = &entry.unknown {
        taken.miss(unknown.clone());
    }
    Ok(taken)
}
