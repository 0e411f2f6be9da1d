//! Shared buffers: size, use, hits, and who writes them out.

use super::super::{Document, Known, Unknowns};
use super::{block_bytes, setting_bytes};
use crate::delta;
use crate::error::Result;
use crate::sample::{Probe, Reason, Unknown};
use crate::view::View;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Shared buffers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BufferPool {
    /// `shared_buffers`, in bytes.
    pub size_bytes: Option<i64>,
    /// In use, in bytes.
    pub used_bytes: Option<i64>,
    /// Never used so far, in bytes.
    pub free_bytes: Option<i64>,
    /// Share in use, in per cent.
    pub usage_percent: Option<f64>,
    /// Share of block reads found in shared buffers between the last two readings, 0–1.
    pub hit_ratio: Option<f64>,
    /// The same since the counters were last reset.
    pub hit_ratio_total: Option<f64>,
    /// Blocks read into shared buffers, from disk or the operating system's cache, since the counters were last reset.
    pub page_reads: Option<i64>,
    /// Blocks written out, by checkpointer, background writer and sessions, since the counters were last reset.
    pub page_writes: Option<i64>,
    /// Buffers given up to make place for other blocks, since the counters were last reset.
    pub evictions: Option<i64>,
    /// Buffers to be written.
    pub dirty_pages: Option<i64>,
    /// How a buffer to be given up is chosen: always `CLOCK`, a sweep over usage counts.
    pub eviction_policy: String,
    /// Buffers by state.
    pub pages_by_state: PagesByState,
    /// Mean usage count, 0 to 5, of the buffers in use.
    pub usage_count_avg: Option<f64>,
    /// Blocks written out, by who wrote them.
    pub writes_by: WritesBy,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// Buffers by state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PagesByState {
    /// In use and not to be written.
    pub clean: Option<i64>,
    /// To be written.
    pub dirty: Option<i64>,
    /// Held by a process just now.
    pub pinned: Option<i64>,
    /// Never used so far.
    pub unused: Option<i64>,
}

/// Blocks written out, by who wrote them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WritesBy {
    /// By checkpoints.
    pub checkpointer: Option<i64>,
    /// By the background writer.
    pub background_writer: Option<i64>,
    /// By sessions and other processes themselves: they had to wait for it.
    pub backends: Option<i64>,
}

/// Parameters of [`BufferPool`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {}

impl Document for BufferPool {
    type Params = Params;
    const PATH: &'static str = "/api/v1/stats/buffer-pool";
    const ABOUT: &'static str = "Shared buffers: size, use, hits, and who writes them out";
    const PROBES: &'static [Probe] =
        &[Probe::Settings, Probe::Database, Probe::Buffercache, Probe::Io, Probe::Checkpointer, Probe::Bgwriter];
    const NEEDS_RATES: bool = true;
    const OPEN: bool = true;

    fn build(known: &Known<'_>, _params: &Params) -> Result<Self> {
        let view = known.view;
        let mut unknown = Unknowns::default();
        let block = block_bytes(view);
        let cache = unknown.take("used_bytes", view.readings.buffercache.current()).and_then(|sample| sample.rows.first());
        let databases = unknown.take("page_reads", view.readings.database.current());
        let writes_by = writes_by(view, &mut unknown);
        let writes = [writes_by.checkpointer, writes_by.background_writer, writes_by.backends];
        Ok(Self {
            size_bytes: unknown.take("size_bytes", setting_bytes(view, "shared_buffers")),
            used_bytes: cache.map(|row| row.buffers_used * block),
            free_bytes: cache.map(|row| row.buffers_unused * block),
            usage_percent: cache.map(|row| percent(row.buffers_used, row.buffers_used + row.buffers_unused)),
            hit_ratio: unknown.take("hit_ratio", recent_hits(view)),
            hit_ratio_total: databases.and_then(|sample| {
                let sum = |counter: fn(&crate::sample::database::Database) -> i64| sample.rows.iter().map(counter).sum();
                unknown.take("hit_ratio_total", ratio(sum(|row| row.blks_hit), sum(|row| row.blks_read)))
            }),
            page_reads: databases.map(|sample| sample.rows.iter().map(|row| row.blks_read).sum()),
            page_writes: writes.into_iter().sum(),
            evictions: unknown.take("evictions", evictions(view)),
            dirty_pages: cache.map(|row| row.buffers_dirty),
            eviction_policy: "CLOCK".to_owned(),
            pages_by_state: PagesByState {
                clean: cache.map(|row| row.buffers_used - row.buffers_dirty),
                dirty: cache.map(|row| row.buffers_dirty),
                pinned: cache.map(|row| row.buffers_pinned),
                unused: cache.map(|row| row.buffers_unused),
            },
            usage_count_avg: cache.and_then(|row| row.usagecount_avg),
            writes_by,
            unknown,
        })
    }
}

fn recent_hits(view: &View) -> Result<f64, Unknown> {
    let hits = delta::growth(&view.readings.database, |row| row.blks_hit)?;
    ratio(hits, delta::growth(&view.readings.database, |row| row.blks_read)?)
}

fn ratio(hits: i64, reads: i64) -> Result<f64, Unknown> {
    match hits + reads {
        0 => Err(Unknown::new(Reason::Absent, "no block was read")),
        all => Ok(percent(hits, all) / 100.0),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a double's precision")]
fn percent(part: i64, whole: i64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

fn evictions(view: &View) -> Result<i64, Unknown> {
    let sample = view.readings.io.current().map_err(Clone::clone)?;
    Ok(sample.rows.iter().filter(|row| &*row.object == "relation").filter_map(|row| row.evictions).sum())
}

fn writes_by(view: &View, unknown: &mut Unknowns) -> WritesBy {
    let checkpointer = unknown.take("writes_by.checkpointer", view.readings.checkpointer.current()).and_then(|sample| sample.rows.first());
    let bgwriter = unknown.take("writes_by.background_writer", view.readings.bgwriter.current()).and_then(|sample| sample.rows.first());
    let own =
        |row: &crate::sample::io::Io| !matches!(&*row.backend_type, "checkpointer" | "background writer") && &*row.object == "relation";
    let by_backends = match bgwriter.and_then(|row| row.buffers_backend) {
        Some(count) => Ok(count),
        None => view.readings.io.current().map(|sample| sample.rows.iter().filter(|row| own(row)).filter_map(|row| row.writes).sum()),
    };
    WritesBy {
        checkpointer: checkpointer.map(|row| row.buffers_written),
        background_writer: bgwriter.map(|row| row.buffers_clean),
        backends: unknown.take("writes_by.backends", by_backends),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::by_hand::{built, put, view};
    use super::*;
    use serde_json::json;

    #[test]
    fn from_16_on_with_the_extension() {
        let mut view = view();
        let settings = json!([{"name": "shared_buffers", "setting": "16384", "unit": "8kB"}, {"name": "block_size", "setting": "8192"}]);
        put(&mut view.readings.settings, 0, settings);
        put(&mut view.readings.database, 50, json!([{"blks_hit": 900, "blks_read": 100}]));
        put(&mut view.readings.database, 60, json!([{"blks_hit": 1890, "blks_read": 110}]));
        let cache =
            json!([{"buffers_used": 12288, "buffers_unused": 4096, "buffers_dirty": 288, "buffers_pinned": 3, "usagecount_avg": 2.5}]);
        put(&mut view.readings.buffercache, 60, cache);
        put(&mut view.readings.checkpointer, 60, json!([{"buffers_written": 500}]));
        put(&mut view.readings.bgwriter, 60, json!([{"buffers_clean": 30}]));
        let io = json!([{"backend_type": "client backend", "object": "relation", "context": "normal", "writes": 7, "evictions": 40},
                        {"backend_type": "client backend", "object": "temp relation", "context": "normal", "writes": 70, "evictions": 2},
                        {"backend_type": "checkpointer", "object": "relation", "context": "normal", "writes": 500}]);
        put(&mut view.readings.io, 60, io);
        insta::assert_json_snapshot!(built::<BufferPool>(&view, &Params::default()));
    }

    #[test]
    fn what_older_servers_do_not_tell_is_unknown() {
        let mut view = view();
        view.readings.buffercache.put(Err(Unknown::new(Reason::Version, "from PostgreSQL 16 on")));
        view.readings.io.put(Err(Unknown::new(Reason::Version, "from PostgreSQL 16 on")));
        put(&mut view.readings.checkpointer, 60, json!([{"buffers_written": 500}]));
        put(&mut view.readings.bgwriter, 60, json!([{"buffers_clean": 30, "buffers_backend": 12}]));
        let document = built::<BufferPool>(&view, &Params::default());
        assert_eq!((&document["page_writes"], &document["used_bytes"]), (&json!(542), &json!(null)));
        assert_eq!(document["unknown"]["used_bytes"]["reason"], "version");
        assert_eq!(document["unknown"]["evictions"]["reason"], "version");
        assert_eq!(document["unknown"]["size_bytes"]["reason"], "pending");
    }
}
