//! Shared buffers: how often what was asked for was there, and what is in them.

use super::efficiency::hit;
use super::with_seconds;
use crate::awr::known::{Known, over, over_known};
use crate::awr::measure::{Measure, Unit};
use crate::awr::page::Section;
use crate::sample::buffercache::Buffercache;
use crate::sample::{Reason, Unknown};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Shared buffers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrBufferPool)]
pub struct BufferPool {
    /// Its figures.
    pub figures: Vec<Measure>,
}

impl BufferPool {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        use Unit::{Bytes, Count, Percent};
        let databases = &known.databases;
        let size = known.setting_in_base_unit("shared_buffers").ok_or_else(|| Unknown::new(Reason::Absent, "the settings are not known"));
        let buffers = |count: fn(&Buffercache) -> i64| {
            let rows = known.period.last(|readings| &readings.buffercache)?;
            let row = rows.first().ok_or_else(|| Unknown::new(Reason::Absent, "pg_buffercache gave no row"))?;
            #[expect(clippy::cast_precision_loss, reason = "buffers are far fewer than 2^52")]
            let bytes = count(row) as f64 * known.block_bytes();
            Ok(bytes)
        };
        let figures = vec![
            Measure::sum("gets", "Blocks asked for", Count, over(databases, |row| row.blks_hit + row.blks_read)),
            Measure::sum("hits", "Found", Count, over(databases, |row| row.blks_hit)),
            Measure::sum("misses", "Not found", Count, over(databases, |row| row.blks_read)),
            Measure::single("hit_percent", "Hit ratio", Percent, hit(known)),
            Measure::sum("allocations", "Buffers allocated", Count, over(&known.bgwriter, |row| row.buffers_alloc)),
            Measure::sum(
                "evictions",
                "Buffers given up for other blocks",
                Count,
                over_known(&known.io, "PostgreSQL 16", |row| row.evictions),
            ),
            Measure::sum(
                "reuses",
                "Buffers of a ring used again by bulk operations",
                Count,
                over_known(&known.io, "PostgreSQL 16", |row| row.reuses),
            ),
            Measure::single("size_bytes", "Size at the end", Bytes, size),
            Measure::single("used_bytes", "In use at the end", Bytes, buffers(|row| row.buffers_used)),
            Measure::single("dirty_bytes", "To be written at the end", Bytes, buffers(|row| row.buffers_dirty)),
        ];
        Self { figures }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        with_seconds(Section::new("buffer_pool", "Buffer pool", ""), "", &self.figures)
    }
}
