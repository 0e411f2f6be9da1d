//! I/O by kind of process, object and context, and by kind of file.

use super::with_seconds;
use crate::awr::known::{Known, over, over_f64, over_known};
use crate::awr::measure::{Measure, Unit};
use crate::awr::page::{Cell, Section, Table};
use crate::sample::io::Io as Row;
use crate::sample::{Reason, Unknown};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// I/O.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrIo)]
pub struct Io {
    /// Reads and writes of data files, WAL and temporary files.
    pub files: Vec<Measure>,
    /// By kind of process, object and context, the most bytes first; from 16 on.
    pub kinds: Vec<KindOfIo>,
    /// Why there are no kinds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<Unknown>,
    /// Whether the server takes the time of reads and writes.
    pub is_timed: Option<bool>,
}

/// I/O of one kind of process, on one kind of object, for one purpose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrKindOfIo)]
pub struct KindOfIo {
    /// `client backend`, `checkpointer`, …
    pub backend_type: String,
    /// `relation`, `temp relation`, `wal`.
    pub object: String,
    /// `normal`, `vacuum`, `bulkread`, `bulkwrite`, `init`.
    pub context: String,
    /// Reads.
    pub reads: Option<i64>,
    /// Bytes read.
    pub read_bytes: Option<i64>,
    /// Mean time of a read, in ms; null where nothing was read or reads are not timed.
    pub read_ms: Option<f64>,
    /// Writes and extensions.
    pub writes: Option<i64>,
    /// Bytes written, extensions included.
    pub write_bytes: Option<i64>,
    /// Mean time of a write, in ms.
    pub write_ms: Option<f64>,
    /// Calls of fsync.
    pub fsyncs: Option<i64>,
    /// Mean time of an fsync, in ms.
    pub fsync_ms: Option<f64>,
    /// Blocks found in shared buffers.
    pub hits: Option<i64>,
    /// Buffers given up for other blocks.
    pub evictions: Option<i64>,
}

impl Io {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        let is_timed = known.is_on("track_io_timing");
        let mut kinds: Vec<KindOfIo> = known.io.iter().flat_map(|changes| &changes.rows).filter_map(|row| kind(&row.grown)).collect();
        let bytes = |kind: &KindOfIo| kind.read_bytes.unwrap_or(0) + kind.write_bytes.unwrap_or(0);
        kinds.sort_by(|a, b| bytes(b).cmp(&bytes(a)).then(b.hits.cmp(&a.hits)));
        Self { files: files(known), kinds, unknown: known.io.as_ref().err().cloned(), is_timed }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let about =
            "What PostgreSQL asked the operating system for: whether a read came from a disk or from the system's cache it cannot tell.";
        let mut section = with_seconds(Section::new("io", "I/O", about), "By kind of file", &self.files);
        if self.is_timed == Some(false) {
            section = section.note("track_io_timing is off: reads and writes have no times.");
        }
        match &self.unknown {
            Some(unknown) => {
                section.note(format!("I/O by kind of process is not known: {}. The figures above come from older views.", unknown.detail))
            }
            None => section.with(self.table()),
        }
    }

    fn table(&self) -> Table {
        let ms = |ms: Option<f64>| ms.map_or_else(Cell::default, Cell::ms);
        let count = |count: Option<i64>| count.map_or_else(Cell::default, Cell::count);
        #[expect(clippy::cast_precision_loss, reason = "what is shown is rounded")]
        let bytes = |bytes: Option<i64>| bytes.map_or_else(Cell::default, |bytes| Cell::bytes(bytes as f64));
        let row = |kind: &KindOfIo| {
            [
                kind.backend_type.as_str().into(),
                kind.object.as_str().into(),
                kind.context.as_str().into(),
                count(kind.reads),
                bytes(kind.read_bytes),
                ms(kind.read_ms),
                count(kind.writes),
                bytes(kind.write_bytes),
                ms(kind.write_ms),
                count(kind.fsyncs),
                count(kind.hits),
                count(kind.evictions),
            ]
        };
        let columns = [
            "process", "object", "context", ">reads", ">read", ">a read", ">writes", ">written", ">a write", ">fsyncs", ">hits", ">evicted",
        ];
        Table::new("By kind of process, object and context", &columns).rows(self.kinds.iter().map(row)).or("no I/O")
    }
}

#[expect(clippy::cast_precision_loss, reason = "a mean needs no more than a double's precision")]
fn mean(ms: Option<f64>, count: i64) -> Option<f64> {
    ms.filter(|ms| *ms > 0.0 && count > 0).map(|ms| ms / count as f64)
}

/// None when nothing happened.
fn kind(row: &Row) -> Option<KindOfIo> {
    let sum = |a: Option<i64>, b: Option<i64>| a.map(|a| a + b.unwrap_or(0)).or(b);
    let writes = sum(row.writes, row.extends);
    let write_time = row.write_time.map(|time| time + row.extend_time.unwrap_or(0.0)).or(row.extend_time);
    let all = [row.reads, writes, row.fsyncs, row.hits, row.writebacks, row.evictions];
    all.into_iter().flatten().any(|count| count > 0).then(|| KindOfIo {
        backend_type: row.backend_type.to_string(),
        object: row.object.to_string(),
        context: row.context.to_string(),
        reads: row.reads,
        read_bytes: row.read_bytes,
        read_ms: mean(row.read_time, row.reads.unwrap_or(0)),
        writes,
        write_bytes: sum(row.write_bytes, row.extend_bytes),
        write_ms: mean(write_time, writes.unwrap_or(0)),
        fsyncs: row.fsyncs,
        fsync_ms: mean(row.fsync_time, row.fsyncs.unwrap_or(0)),
        hits: row.hits,
        evictions: row.evictions,
    })
}

fn is_data(row: &Row) -> bool {
    &*row.object == "relation"
}

fn files(known: &Known<'_>) -> Vec<Measure> {
    let (io, databases, wal) = (&known.io, &known.databases, &known.wal);
    let blocks = known.block_bytes();
    let data = |counter: fn(&Row) -> i64| over(io, move |row| if is_data(row) { counter(row) } else { 0 });
    let read = data(|row| row.read_bytes.unwrap_or(0))
        .or_else(|_| over(databases, |row| row.blks_read).map(|(count, seconds)| (count * blocks, seconds)));
    let written = data(|row| row.write_bytes.unwrap_or(0) + row.extend_bytes.unwrap_or(0)).or_else(|_| written_blocks(known, blocks));
    vec![
        Measure::sum("data_read_bytes", "Data files: read", Unit::Bytes, read),
        Measure::single("data_read_ms", "Data files: mean time of a read", Unit::Seconds, read_seconds(known)),
        Measure::sum("data_written_bytes", "Data files: written", Unit::Bytes, written),
        Measure::sum("wal_written_bytes", "WAL: generated", Unit::Bytes, over(wal, |row| row.wal_bytes)),
        Measure::sum("wal_writes", "WAL: writes", Unit::Count, over(wal, |row| row.wal_write)),
        Measure::sum("wal_syncs", "WAL: syncs", Unit::Count, over(wal, |row| row.wal_sync)),
        Measure::sum("temp_files", "Temporary files: made", Unit::Count, over(databases, |row| row.temp_files)),
        Measure::sum("temp_bytes", "Temporary files: written", Unit::Bytes, over(databases, |row| row.temp_bytes)),
    ]
}

/// Before 16: what checkpoints, the background writer and sessions wrote.
fn written_blocks(known: &Known<'_>, block_bytes: f64) -> Result<(f64, f64), Unknown> {
    let (checkpoints, seconds) = over(&known.checkpointer, |row| row.buffers_written)?;
    let (cleaned, _) = over(&known.bgwriter, |row| row.buffers_clean)?;
    let (sessions, _) = over_known(&known.bgwriter, "PostgreSQL 16", |row| row.buffers_backend)?;
    Ok(((checkpoints + cleaned + sessions) * block_bytes, seconds))
}

/// Mean time of a read of a data file, in seconds.
///
/// # Errors
/// Why it is not known.
pub fn read_seconds(known: &Known<'_>) -> Result<f64, Unknown> {
    let (ms, _) = over_f64(&known.databases, |row| row.blk_read_time)?;
    let (count, _) = over(&known.databases, |row| row.blks_read)?;
    match (ms > 0.0, count > 0.0) {
        (true, true) => Ok(ms / count / 1000.0),
        (_, false) => Err(Unknown::new(Reason::Absent, "nothing was read")),
        (false, true) => Err(Unknown::new(Reason::Disabled, "track_io_timing is off")),
    }
}
