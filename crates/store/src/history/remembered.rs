//! What is remembered of one server: sealed files and journals together, as the model asks for it.

use super::frame_table::{self, Entry, FRAMES};
use super::layout::{Layout, day};
use super::playback::{Playback, Player};
use super::probe_table::{self, Row};
use super::sealing::Content;
use super::session_blocks;
use super::session_reader::{Part, Reader};
use super::session_table::{ASH, Sessions, TICKS};
use super::{History, failed, journal, parquet_file};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMillisecondType, UInt32Type};
use jiff::{SignedDuration, Timestamp};
use pgtend_model::ash::block::{Block, Wanted};
use pgtend_model::error::Result;
use pgtend_model::logline::Position;
use pgtend_model::past::{Baseline, Frame, Kept, Past, PlanSeen, Snapshot, Span, TickMark};
use pgtend_model::plan::Plan;
use pgtend_model::query_id::QueryId;
use pgtend_model::sample::{Probe, Readings, Reason, Text, Unknown};
use std::collections::HashMap;
use std::io;
use std::sync::PoisonError;

/// How far back a reading may be to tell what was known at an instant: every probe is written whole once an hour.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(3);

/// Files of sessions that are open at once: a year has many.
const OPEN_FILES: usize = 32;

/// How much is read at once: a month of a busy server's statements does not fit into memory.
const STRETCH: SignedDuration = SignedDuration::from_hours(4);

/// What is remembered of one server.
#[derive(Debug, Clone)]
pub struct Remembered {
    history: History,
    server: String,
}

/// What is remembered of some probes in a stretch of time.
#[derive(Debug, Default)]
struct Pages {
    entries: HashMap<String, Vec<Entry>>,
    rows: HashMap<&'static str, Vec<Row>>,
}

impl Remembered {
    pub(super) fn new(history: History, server: &str) -> Self {
        Self { history, server: server.to_owned() }
    }

    fn layout(&self) -> &Layout {
        self.history.layout()
    }

    /// Every text of its statements, by identifier.
    ///
    /// # Errors
    /// `System` when the catalog cannot be read.
    pub fn texts(&self) -> Result<Vec<(i64, Text)>> {
        self.history.catalog().texts(&self.server)
    }

    /// How far its log was read.
    ///
    /// # Errors
    /// `System` when the catalog cannot be read.
    pub fn log_position(&self) -> Result<Option<Position>> {
        self.history.catalog().log_position(&self.server)
    }

    /// Adds a snapshot under the next number.
    ///
    /// # Errors
    /// `System` when it cannot be written.
    pub fn add_snapshot(&self, new: &Snapshot) -> Result<Snapshot> {
        self.history.catalog().add_snapshot(&self.server, new)
    }

    /// Adds a baseline.
    ///
    /// # Errors
    /// `Conflict` when there is one of that name.
    pub fn add_baseline(&self, new: &Baseline) -> Result<()> {
        self.history.catalog().add_baseline(&self.server, new)
    }

    /// Removes a baseline.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name.
    pub fn remove_baseline(&self, name: &str) -> Result<()> {
        self.history.catalog().remove_baseline(&self.server, name)
    }

    /// Reads while no file is removed.
    fn read<T>(&self, read: impl FnOnce() -> io::Result<T>) -> Result<T> {
        let _nothing_is_removed = self.history.0.files.read().unwrap_or_else(PoisonError::into_inner);
        read().map_err(|error| failed(self.layout().root(), &error))
    }

    /// The sealed tables of a dataset that reach into a stretch of time.
    fn sealed(&self, dataset: &str, columns: Option<&[&str]>, span: Span, each: &mut dyn FnMut(&RecordBatch)) -> io::Result<()> {
        let files = self.layout().sealed_files(dataset, &self.server)?;
        let range = (span.start.as_millisecond(), span.end.as_millisecond());
        for file in files.iter().filter(|file| meets(file.span(), span)) {
            parquet_file::read(&file.path, columns, range, each).map_err(|error| at(&file.path, &error))?;
        }
        Ok(())
    }

    fn journals(&self, span: Span, each: &mut dyn FnMut(super::record::Batch)) -> io::Result<()> {
        for file in self.layout().journals(&self.server)?.iter().filter(|file| meets(file.hour.span(), span)) {
            journal::read(&file.path, each).map_err(|error| at(&file.path, &error))?;
        }
        Ok(())
    }

    fn blocks(&self, wanted: &Wanted, span: Span, each: &mut dyn FnMut(&Block)) -> io::Result<()> {
        let columns = session_blocks::columns(wanted);
        let files: Vec<_> = self.layout().sealed_files(ASH, &self.server)?.into_iter().filter(|file| meets(file.span(), span)).collect();
        let reader = Reader { columns: &columns, wanted };
        for some in files.chunks(OPEN_FILES) {
            let mut parts = Vec::new();
            for file in some {
                parts.extend(Part::of(&file.path, span).map_err(|error| at(&file.path, &error))?);
            }
            reader.read(&parts, each)?;
        }
        let mut sessions = Sessions::default();
        self.journals(span, &mut |batch| sessions.add(&batch))?;
        let Some(table) = sessions.table()? else { return Ok(()) };
        let places: Vec<usize> = columns.iter().filter_map(|name| table.schema().index_of(name).ok()).collect();
        let block = session_blocks::block(&table.project(&places).map_err(io::Error::other)?, wanted);
        if !block.is_empty() {
            each(&block);
        }
        Ok(())
    }

    /// What is remembered of probes in a stretch of time; of each either everything, or only from its last whole reading on.
    fn pages(&self, probes: &[Probe], span: Span, extent: Extent) -> io::Result<Pages> {
        let mut pages = Pages::default();
        let within = |at_ms: i64| (span.start.as_millisecond()..span.end.as_millisecond()).contains(&at_ms);
        self.sealed(FRAMES, None, span, &mut |table| {
            let entries = frame_table::from_arrow(table).into_iter();
            for entry in entries.filter(|entry| within(entry.at_ms) && probes.iter().any(|probe| probe.spec().name == entry.probe)) {
                pages.entries.entry(entry.probe.clone()).or_default().push(entry);
            }
        })?;
        let mut recent = Content::default();
        self.journals(span, &mut |batch| {
            recent.add_of(&batch, probes, &within);
            if extent == Extent::LastWhole {
                recent.only_from_last_whole();
            }
        })?;
        for entry in recent.entries {
            pages.entries.entry(entry.probe.clone()).or_default().push(entry);
        }
        pages.entries.values_mut().for_each(|entries| entries.sort_by_key(|entry| entry.at_ms));
        for probe in probes {
            let name = probe.spec().name;
            let first = match extent {
                Extent::Everything => Some(span.start),
                Extent::LastWhole => pages.last_whole(name),
            };
            let Some(first) = first else { continue };
            let rows = pages.rows.entry(name).or_default();
            self.sealed(name, None, Span::new(first, span.end), &mut |table| {
                let all = probe_table::from_arrow(probe.spec(), table).into_iter();
                rows.extend(all.filter(|row| within(row.at_ms) && row.at_ms >= first.as_millisecond()));
            })?;
        }
        for (probe, rows) in recent.rows {
            pages.rows.entry(probe).or_default().extend(rows);
        }
        pages.rows.values_mut().for_each(|rows| rows.sort_by_key(|row| row.at_ms));
        Ok(pages)
    }
}

/// How much of a stretch of time is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Everything,
    LastWhole,
}

impl Pages {
    fn playback(&self, probe: Probe) -> Playback<'_> {
        let name = probe.spec().name;
        let entries = self.entries.get(name).map_or(&[][..], Vec::as_slice);
        Playback::new(probe.spec(), entries, self.rows.get(name).map_or(&[][..], Vec::as_slice))
    }

    fn last_whole(&self, probe: &str) -> Option<Timestamp> {
        let whole = self.entries.get(probe)?.iter().rfind(|entry| entry.whole)?;
        Timestamp::from_millisecond(whole.at_ms).ok()
    }
}

impl Past for Remembered {
    fn sessions(&self, wanted: &Wanted, each: &mut dyn FnMut(&Block)) -> Result<()> {
        let span = Span::new(wanted.from.unwrap_or(Timestamp::MIN), wanted.to.unwrap_or(Timestamp::MAX));
        self.read(|| self.blocks(wanted, span, each))
    }

    fn ticks(&self, span: Span) -> Result<Vec<TickMark>> {
        let mut ticks = Vec::new();
        self.read(|| {
            let mut add = |table: &RecordBatch| {
                let at = table.column_by_name("sample_time").and_then(|array| array.as_primitive_opt::<TimestampMillisecondType>());
                let sessions = table.column_by_name("sessions").and_then(|array| array.as_primitive_opt::<UInt32Type>());
                let (Some(at), Some(sessions)) = (at, sessions) else { return };
                ticks.extend(at.values().iter().copied().zip(sessions.values().iter().copied()));
            };
            self.sealed(TICKS, None, span, &mut add)?;
            let mut recent = Sessions::default();
            self.journals(span, &mut |batch| recent.add(&batch))?;
            if let Some(table) = recent.ticks()? {
                add(&table);
            }
            Ok(())
        })?;
        ticks.sort_unstable();
        let mark = |(at, sessions): (i64, u32)| TickMark { at: Timestamp::from_millisecond(at).unwrap_or_default(), sessions };
        Ok(ticks.into_iter().map(mark).filter(|tick| span.contains(tick.at)).collect())
    }

    fn readings(&self, at: Timestamp, probes: &[Probe]) -> Result<Readings> {
        let span = Span::new(at.saturating_sub(LOOK_BACK).unwrap_or(at), after(at));
        let pages = self.read(|| self.pages(probes, span, Extent::LastWhole))?;
        let mut readings = Readings::default();
        for probe in probes {
            match pages.playback(*probe).last(*probe) {
                Some(Ok(taken)) => readings.put(taken),
                Some(Err(unknown)) => readings.fail(*probe, unknown),
                None => readings.fail(*probe, Unknown::new(Reason::Absent, "nothing is remembered of it at that time")),
            }
        }
        Ok(readings)
    }

    fn frames(&self, probe: Probe, span: Span, each: &mut dyn FnMut(&Frame)) -> Result<()> {
        let mut player = Player::new(probe, span.start);
        let mut from = span.start.saturating_sub(LOOK_BACK).unwrap_or(span.start);
        while from < span.end {
            let to = from.saturating_add(STRETCH).unwrap_or(span.end).min(span.end);
            let pages = self.read(|| self.pages(&[probe], Span::new(from, to), Extent::Everything))?;
            player.play(&pages.playback(probe), each);
            from = to;
        }
        player.begin(each);
        Ok(())
    }

    fn text(&self, query_id: i64) -> Result<Option<Text>> {
        self.history.catalog().text(&self.server, query_id)
    }

    fn plans(&self, query_id: Option<QueryId>, span: Span) -> Result<Vec<PlanSeen>> {
        self.history.catalog().plans(&self.server, query_id, span)
    }

    fn captured_plan(&self, query_id: QueryId) -> Result<Option<(Timestamp, Plan)>> {
        self.history.catalog().captured_plan(&self.server, query_id)
    }

    fn snapshots(&self) -> Result<Vec<Snapshot>> {
        self.history.catalog().snapshots(&self.server)
    }

    fn baselines(&self) -> Result<Vec<Baseline>> {
        self.history.catalog().baselines(&self.server)
    }

    fn kept(&self) -> Result<Vec<Kept>> {
        self.read(|| super::kept::kept(self.layout(), &self.server))
    }

    fn extent(&self) -> Result<Option<Span>> {
        self.read(|| {
            let mut spans: Vec<Span> = self.layout().journals(&self.server)?.iter().map(|file| file.hour.span()).collect();
            for dataset in self.layout().datasets()? {
                spans.extend(
                    self.layout()
                        .sealed_files(&dataset, &self.server)?
                        .iter()
                        .map(|file| file.hour.map_or_else(|| day(file.date), |_| file.span())),
                );
            }
            let (start, end) = (spans.iter().map(|span| span.start).min(), spans.iter().map(|span| span.end).max());
            Ok(start.zip(end).map(|(start, end)| Span::new(start, end)))
        })
    }
}

/// A reading's instant itself belongs to what was known at it.
fn after(at: Timestamp) -> Timestamp {
    at.saturating_add(SignedDuration::from_millis(1)).unwrap_or(at)
}

fn meets(covers: Span, wanted: Span) -> bool {
    covers.start < wanted.end && wanted.start < covers.end
}

/// The same error, with the file that it is about.
pub(super) fn at(path: &std::path::Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
