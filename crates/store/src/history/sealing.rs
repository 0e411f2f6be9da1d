//! Makes sealed files: of a journal when its hour is over, of a day's hours when the day is.

use super::frame_table::{self, Entry, FRAMES};
use super::journal;
use super::layout::{JournalFile, Layout, Sealed};
use super::parquet_file;
use super::probe_table::{self, Row};
use super::record::Batch;
use super::session_table::{ASH, Sessions, TICKS, ash_schema, ticks_schema};
use arrow_array::RecordBatch;
use jiff::civil::Date;
use pgtend_model::sample::Probe;
use pgtend_model::sample::registry::{SPECS, Spec};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

/// A day of a probe with more cells than this keeps its hours apart, so that an hour can be read alone and little memory is needed.
const MOST_CELLS: usize = 500_000;

/// Makes sealed files of a journal. They count once it is removed; after a crash in between, doing it again gives the same.
pub(super) fn seal(layout: &Layout, server: &str, file: &JournalFile) -> io::Result<()> {
    let mut content = Content::default();
    journal::read(&file.path, &mut |batch| {
        content.sessions.add(&batch);
        content.add_frames(&batch, &|_| true, &|_| true);
    })?;
    let place = |dataset: &str| layout.sealed(dataset, server, file);
    if let Some(table) = content.sessions.table()? {
        write(&place(ASH), table)?;
    }
    if let Some(table) = content.sessions.ticks()? {
        write(&place(TICKS), table)?;
    }
    if !content.entries.is_empty() {
        write(&place(FRAMES), frame_table::to_arrow(&mut content.entries)?)?;
    }
    for (name, mut rows) in content.rows {
        let Some(spec) = spec(name) else { continue };
        probe_table::sort(spec, &mut rows);
        write(&place(name), probe_table::to_arrow(spec, &rows)?)?;
    }
    Ok(())
}

fn write(path: &std::path::Path, table: RecordBatch) -> io::Result<()> {
    parquet_file::write(path, &table.schema(), std::iter::once(Ok(table)))
}

/// What a journal holds.
#[derive(Default)]
pub(super) struct Content {
    pub(super) sessions: Sessions,
    pub(super) entries: Vec<Entry>,
    pub(super) rows: HashMap<&'static str, Vec<Row>>,
}

impl Content {
    /// Adds the readings of these probes, at these times.
    pub(super) fn add_of(&mut self, batch: &Batch, probes: &[Probe], within: &dyn Fn(i64) -> bool) {
        self.add_frames(batch, &|spec| probes.contains(&spec.probe), within);
    }

    fn add_frames(&mut self, batch: &Batch, wanted: &dyn Fn(&Spec) -> bool, within: &dyn Fn(i64) -> bool) {
        for frame in batch.frames.iter().filter(|frame| within(frame.at_ms)) {
            let Some(spec) = batch.text(frame.probe).and_then(|name| spec(name)).filter(|spec| wanted(spec)) else { continue };
            self.entries.extend(Entry::of(batch, frame));
            let rows = probe_table::rows_of(spec, batch, frame);
            if !rows.is_empty() {
                self.rows.entry(spec.name).or_default().extend(rows);
            }
        }
    }

    /// Lets go of rows that a later whole reading of their probe repeats.
    pub(super) fn only_from_last_whole(&mut self) {
        for (probe, rows) in &mut self.rows {
            let whole = self.entries.iter().rfind(|entry| entry.whole && entry.probe == *probe).map(|entry| entry.at_ms);
            if let Some(whole) = whole.filter(|whole| rows.first().is_some_and(|row| row.at_ms < *whole)) {
                rows.retain(|row| row.at_ms >= whole);
            }
        }
    }
}

/// A probe's specification by its name; none for a probe of another version.
pub(super) fn spec(name: &str) -> Option<&'static Spec> {
    SPECS.iter().find(|spec| spec.name == name)
}

/// Makes one file of a day's files of a dataset. What it replaces no longer counts from then on, and is to be removed.
pub(super) fn compact(layout: &Layout, dataset: &str, server: &str, date: Date, files: &[Sealed]) -> io::Result<Option<PathBuf>> {
    let (Some(first), Some(last)) = (files.iter().map(|file| file.numbers.0).min(), files.iter().map(|file| file.numbers.1).max()) else {
        return Ok(None);
    };
    let path = layout.sealed_day(dataset, server, date, (first, last));
    match dataset {
        ASH => parquet_file::write(&path, &ash_schema(), groups(files))?,
        TICKS => parquet_file::write(&path, &ticks_schema(), groups(files))?,
        FRAMES => write(&path, frame_table::to_arrow(&mut read_all(files, frame_table::from_arrow)?)?)?,
        probe => {
            let Some(spec) = spec(probe) else { return Ok(None) };
            compact_probe(&path, spec, files)?;
        }
    }
    Ok(Some(path))
}

/// A day with few rows is sorted as a whole; one with many keeps its hours apart.
fn compact_probe(path: &std::path::Path, spec: &Spec, files: &[Sealed]) -> io::Result<()> {
    let mut cells = 0;
    for file in files {
        cells += parquet_file::rows(&file.path)? * spec.columns.len();
    }
    if cells <= MOST_CELLS {
        let mut rows = read_all(files, |batch| probe_table::from_arrow(spec, batch))?;
        probe_table::sort(spec, &mut rows);
        return write(path, probe_table::to_arrow(spec, &rows)?);
    }
    let schema = probe_table::schema(spec);
    let same = groups(files).map(|group| {
        let group = group?;
        if group.schema() == schema { Ok(group) } else { probe_table::to_arrow(spec, &probe_table::from_arrow(spec, &group)) }
    });
    parquet_file::write(path, &schema, same)
}

fn read_all<T>(files: &[Sealed], convert: impl Fn(&RecordBatch) -> Vec<T>) -> io::Result<Vec<T>> {
    let mut all = Vec::new();
    for file in files {
        parquet_file::read(&file.path, None, EVER, &mut |batch| all.extend(convert(batch)))?;
    }
    Ok(all)
}

/// All of time, in ms.
pub(super) const EVER: (i64, i64) = (i64::MIN, i64::MAX);

/// The row groups of files as they are.
fn groups(files: &[Sealed]) -> impl Iterator<Item = io::Result<RecordBatch>> {
    files.iter().flat_map(|file| {
        let mut groups = Vec::new();
        let read = parquet_file::read_groups(&file.path, &mut |group| {
            groups.push(Ok(group));
            Ok(())
        });
        groups.extend(read.err().map(Err));
        groups
    })
}
