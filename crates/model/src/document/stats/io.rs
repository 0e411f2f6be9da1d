//! Reads and writes as PostgreSQL counts them: from pg_stat_io where it is there, from the older views before.

use super::super::{Document, Known, Unknowns};
use super::{block_bytes, mean, never_told, timed};
use crate::delta;
use crate::error::Result;
use crate::sample::io::Io;
use crate::sample::{Probe, Reason, Unknown};
use crate::view::View;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Reads and writes of data files, as calls that PostgreSQL makes: the operating system's cache may answer a read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IoStatistics {
    /// Reads of blocks a second, between the last two readings.
    pub disk_reads_per_second: Option<f64>,
    /// Writes of blocks a second, between the last two readings.
    pub disk_writes_per_second: Option<f64>,
    /// Mean time of a read between the last two readings, in ms.
    pub avg_read_latency_ms: Option<f64>,
    /// Mean time of a write between the last two readings, in ms.
    pub avg_write_latency_ms: Option<f64>,
    /// 95 of 100 reads took no longer, in ms.
    pub p95_read_latency_ms: Option<f64>,
    /// 95 of 100 writes took no longer, in ms.
    pub p95_write_latency_ms: Option<f64>,
    /// Reads since `since`.
    pub total_reads: Option<i64>,
    /// Writes since `since`.
    pub total_writes: Option<i64>,
    /// Bytes read.
    pub bytes_read: Option<i64>,
    /// Bytes written.
    pub bytes_written: Option<i64>,
    /// The same by kind of file.
    pub io_by_file_type: ByFileType,
    /// Who reads and writes, on what and why; from PostgreSQL 16 on.
    pub by_process: Vec<ByProcess>,
    /// Since when the totals count.
    pub since: Option<Timestamp>,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// Reads and writes by kind of file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ByFileType {
    /// Tables and indexes.
    pub data_files: Calls,
    /// Write-ahead log.
    pub wal_files: Calls,
    /// Temporary tables, and what sorts and hashes put aside.
    pub temp_files: Calls,
}

/// Calls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = IoCalls)]
pub struct Calls {
    /// Reads.
    pub reads: Option<i64>,
    /// Writes.
    pub writes: Option<i64>,
    /// Bytes written; for temporary files, what sorts and hashes wrote.
    pub bytes_written: Option<i64>,
    /// Calls of fsync.
    pub fsyncs: Option<i64>,
}

/// Reads and writes of one kind of process on one kind of object, in one context.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = IoByProcess)]
pub struct ByProcess {
    /// `client backend`, `checkpointer`, …
    pub backend_type: String,
    /// `relation`, `temp relation`, `wal`.
    pub object: String,
    /// `normal`, `vacuum`, `bulkread`, `bulkwrite`, `init`.
    pub context: String,
    /// Reads.
    pub reads: Option<i64>,
    /// Writes.
    pub writes: Option<i64>,
    /// Extensions of a file.
    pub extends: Option<i64>,
    /// Time spent reading, in ms.
    pub read_time_ms: Option<f64>,
    /// Time spent writing, in ms.
    pub write_time_ms: Option<f64>,
    /// Calls of fsync.
    pub fsyncs: Option<i64>,
}

/// Parameters of [`IoStatistics`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {}

impl Document for IoStatistics {
    type Params = Params;
    const PATH: &'static str = "/api/v1/stats/io";
    const ABOUT: &'static str = "Reads and writes: rates, latencies, by kind of file and by process";
    const PROBES: &'static [Probe] =
        &[Probe::Server, Probe::Settings, Probe::Io, Probe::Database, Probe::Wal, Probe::Checkpointer, Probe::Bgwriter, Probe::Statements];
    const NEEDS_RATES: bool = true;
    const OPEN: bool = true;

    fn build(known: &Known<'_>, _params: &Params) -> Result<Self> {
        let view = known.view;
        let mut unknown = Unknowns::default();
        for place in ["p95_read_latency_ms", "p95_write_latency_ms"] {
            unknown.note(place, never_told("PostgreSQL adds up the time of calls, and keeps no distribution"));
        }
        let data = data_files(view, &mut unknown);
        let io = unknown.take("by_process", view.readings.io.current());
        let databases = view.readings.database.current().ok();
        let since = io.and_then(|sample| sample.rows.iter().find_map(|row| row.stats_reset));
        Ok(Self {
            disk_reads_per_second: unknown.take("disk_reads_per_second", reads_per_second(view)),
            disk_writes_per_second: unknown.take("disk_writes_per_second", writes_per_second(view)),
            avg_read_latency_ms: unknown.take("avg_read_latency_ms", timed(view, "track_io_timing", || read_latency(view))),
            avg_write_latency_ms: unknown.take("avg_write_latency_ms", timed(view, "track_io_timing", || write_latency(view))),
            p95_read_latency_ms: None,
            p95_write_latency_ms: None,
            total_reads: data.reads,
            total_writes: data.writes,
            bytes_read: bytes_read(view),
            bytes_written: data.bytes_written,
            io_by_file_type: ByFileType {
                data_files: data,
                wal_files: wal_files(view, &mut unknown),
                temp_files: temp_files(view, &mut unknown),
            },
            by_process: io.map(|sample| sample.rows.iter().filter_map(by_process).collect()).unwrap_or_default(),
            since: since.or_else(|| databases?.rows.iter().filter_map(|row| row.stats_reset).max()),
            unknown,
        })
    }
}

fn is_data(row: &Io) -> bool {
    &*row.object == "relation"
}

/// Reads of data files; before 16 blocks and calls are the same.
fn reads(row: &Io) -> i64 {
    if is_data(row) { row.reads.unwrap_or(0) } else { 0 }
}

/// Writes of data files, extensions included.
fn writes(row: &Io) -> i64 {
    if is_data(row) { row.writes.unwrap_or(0) + row.extends.unwrap_or(0) } else { 0 }
}

fn reads_per_second(view: &View) -> Result<f64, Unknown> {
    match view.readings.io.current() {
        Ok(_) => delta::rate(&view.readings.io, reads),
        Err(_) => delta::rate(&view.readings.database, |row| row.blks_read),
    }
}

fn writes_per_second(view: &View) -> Result<f64, Unknown> {
    if view.readings.io.current().is_ok() {
        return delta::rate(&view.readings.io, writes);
    }
    let checkpoints = delta::rate(&view.readings.checkpointer, |row| row.buffers_written)?;
    Ok(checkpoints + delta::rate(&view.readings.bgwriter, |row| row.buffers_clean + row.buffers_backend.unwrap_or(0))?)
}

fn read_latency(view: &View) -> Result<f64, Unknown> {
    let data = |time: fn(&Io) -> Option<f64>| move |row: &Io| if is_data(row) { time(row).unwrap_or(0.0) } else { 0.0 };
    match view.readings.io.current() {
        Ok(_) => mean(delta::growth_f64(&view.readings.io, data(|row| row.read_time))?, delta::growth(&view.readings.io, reads)?, "read"),
        Err(_) => {
            let time = delta::growth_f64(&view.readings.database, |row| row.blk_read_time)?;
            mean(time, delta::growth(&view.readings.database, |row| row.blks_read)?, "read")
        }
    }
}

fn write_latency(view: &View) -> Result<f64, Unknown> {
    view.readings.io.current().map_err(Clone::clone)?;
    let time = |row: &Io| if is_data(row) { row.write_time.unwrap_or(0.0) + row.extend_time.unwrap_or(0.0) } else { 0.0 };
    mean(delta::growth_f64(&view.readings.io, time)?, delta::growth(&view.readings.io, writes)?, "write")
}

fn bytes_read(view: &View) -> Option<i64> {
    match view.readings.io.current() {
        Ok(sample) => Some(sample.rows.iter().filter(|row| is_data(row)).filter_map(|row| row.read_bytes).sum()),
        Err(_) => {
            view.readings.database.current().ok().map(|sample| sample.rows.iter().map(|row| row.blks_read).sum::<i64>() * block_bytes(view))
        }
    }
}

fn data_files(view: &View, unknown: &mut Unknowns) -> Calls {
    if let Ok(sample) = view.readings.io.current() {
        let data = || sample.rows.iter().filter(|row| is_data(row));
        return Calls {
            reads: Some(data().map(reads).sum()),
            writes: Some(data().map(writes).sum()),
            bytes_written: Some(data().map(|row| row.write_bytes.unwrap_or(0) + row.extend_bytes.unwrap_or(0)).sum()),
            fsyncs: Some(data().filter_map(|row| row.fsyncs).sum()),
        };
    }
    let databases = unknown.take("total_reads", view.readings.database.current());
    let checkpointer = unknown.take("total_writes", view.readings.checkpointer.current()).and_then(|sample| sample.rows.first());
    let bgwriter = view.readings.bgwriter.current().ok().and_then(|sample| sample.rows.first());
    let writes = checkpointer
        .zip(bgwriter)
        .map(|(checkpointer, bgwriter)| checkpointer.buffers_written + bgwriter.buffers_clean + bgwriter.buffers_backend.unwrap_or(0));
    unknown.note("io_by_file_type.data_files.fsyncs", Unknown::new(Reason::Version, "PostgreSQL counts them from 16 on"));
    Calls {
        reads: databases.map(|sample| sample.rows.iter().map(|row| row.blks_read).sum()),
        writes,
        bytes_written: writes.map(|blocks| blocks * block_bytes(view)),
        fsyncs: None,
    }
}

fn wal_files(view: &View, unknown: &mut Unknowns) -> Calls {
    let wal = unknown.take("io_by_file_type.wal_files", view.readings.wal.current()).and_then(|sample| sample.rows.first());
    let from_18 = view.readings.io.current().ok().map(|sample| sample.rows.iter().filter(|row| &*row.object == "wal"));
    let reads: Vec<i64> = from_18.into_iter().flatten().filter_map(|row| row.reads).collect();
    if reads.is_empty() {
        unknown.note("io_by_file_type.wal_files.reads", Unknown::new(Reason::Version, "PostgreSQL counts them from 18 on"));
    }
    Calls {
        reads: (!reads.is_empty()).then(|| reads.iter().sum()),
        writes: wal.map(|row| row.wal_write),
        bytes_written: wal.map(|row| row.wal_bytes),
        fsyncs: wal.map(|row| row.wal_sync),
    }
}

/// Temporary tables from pg_stat_io, sorts and hashes from the statements: no view has both.
fn temp_files(view: &View, unknown: &mut Unknowns) -> Calls {
    let place = "io_by_file_type.temp_files";
    unknown.note("io_by_file_type.temp_files.fsyncs", never_told("temporary files are never synced"));
    let spilled = unknown.take("io_by_file_type.temp_files.bytes_written", view.readings.database.current());
    let bytes_written = spilled.map(|sample| sample.rows.iter().map(|row| row.temp_bytes).sum());
    let Some(statements) = unknown.take(place, view.readings.statements.current()) else {
        return Calls { bytes_written, ..Calls::default() };
    };
    let sum = |counter: fn(&crate::sample::statements::Statement) -> i64| Some(statements.rows.iter().map(counter).sum());
    Calls {
        reads: sum(|row| row.temp_blks_read + row.local_blks_read),
        writes: sum(|row| row.temp_blks_written + row.local_blks_written),
        bytes_written,
        fsyncs: None,
    }
}

fn by_process(row: &Io) -> Option<ByProcess> {
    let calls = [row.reads, row.writes, row.extends, row.fsyncs];
    calls.into_iter().flatten().any(|count| count > 0).then(|| ByProcess {
        backend_type: row.backend_type.to_string(),
        object: row.object.to_string(),
        context: row.context.to_string(),
        reads: row.reads,
        writes: row.writes,
        extends: row.extends,
        read_time_ms: row.read_time,
        write_time_ms: row.write_time,
        fsyncs: row.fsyncs,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::by_hand::{built, put, view};
    use super::*;
    use serde_json::json;

    #[test]
    fn from_16_on_it_comes_from_pg_stat_io() {
        let mut view = view();
        put(&mut view.readings.settings, 0, json!([{"name": "track_io_timing", "setting": "on"}]));
        let io = |n: i64| {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let ms = n as f64;
            json!([{"backend_type": "client backend", "object": "relation", "context": "normal", "reads": 100 * n, "read_bytes": 819_200 * n,
                    "read_time": 50.0 * ms, "writes": 10 * n, "write_bytes": 81_920 * n, "write_time": 40.0 * ms, "extends": 10 * n,
                    "extend_bytes": 81_920 * n, "extend_time": 0.0, "fsyncs": n},
                   {"backend_type": "client backend", "object": "temp relation", "context": "normal", "reads": 1000 * n},
                   {"backend_type": "autovacuum worker", "object": "relation", "context": "vacuum", "reads": 0}])
        };
        put(&mut view.readings.io, 50, io(1));
        put(&mut view.readings.io, 60, io(2));
        put(&mut view.readings.wal, 60, json!([{"wal_write": 300, "wal_sync": 200, "wal_bytes": 1_000_000}]));
        put(&mut view.readings.database, 60, json!([{"temp_bytes": 4096}]));
        put(&mut view.readings.statements, 60, json!([{"queryid": 1, "temp_blks_read": 3, "temp_blks_written": 4, "local_blks_read": 1}]));
        insta::assert_json_snapshot!(built::<IoStatistics>(&view, &Params::default()));
    }

    #[test]
    fn before_16_it_comes_from_the_older_views() {
        let mut view = view();
        view.readings.io.put(Err(Unknown::new(Reason::Version, "from PostgreSQL 16 on")));
        put(&mut view.readings.settings, 0, json!([{"name": "track_io_timing", "setting": "off"}]));
        put(&mut view.readings.database, 50, json!([{"blks_read": 100}]));
        put(&mut view.readings.database, 60, json!([{"blks_read": 200}]));
        put(&mut view.readings.checkpointer, 50, json!([{"buffers_written": 10}]));
        put(&mut view.readings.checkpointer, 60, json!([{"buffers_written": 20}]));
        put(&mut view.readings.bgwriter, 50, json!([{"buffers_clean": 0, "buffers_backend": 10}]));
        put(&mut view.readings.bgwriter, 60, json!([{"buffers_clean": 10, "buffers_backend": 10}]));
        let document = built::<IoStatistics>(&view, &Params::default());
        assert_eq!((&document["disk_reads_per_second"], &document["disk_writes_per_second"]), (&json!(10.0), &json!(2.0)));
        assert_eq!((&document["total_writes"], &document["bytes_read"]), (&json!(40), &json!(1_638_400)));
        assert_eq!(document["unknown"]["avg_read_latency_ms"]["reason"], "disabled");
    }
}
