//! What is in shared buffers, from the extension pg_buffercache, 1.4 or newer (PostgreSQL 16): its older view locks too much.

use super::row::rows;

rows! {
    /// One row: all shared buffers.
    pub struct Buffercache {
        /// Buffers in use.
        gauge buffers_used: i64, "blocks";
        /// Buffers never used so far.
        gauge buffers_unused: i64, "blocks";
        /// Buffers that are to be written.
        gauge buffers_dirty: i64, "blocks";
        /// Buffers that a process holds just now.
        gauge buffers_pinned: i64, "blocks";
        /// Mean usage count, 0 to 5, of the buffers in use.
        gauge usagecount_avg: Option<f64>;
    }

    /// The buffers of one usage count.
    pub struct BuffercacheUsage {
        /// How often they were used lately, 0 to 5; those with 0 are the next to go.
        label usage_count: i64;
        /// Buffers.
        gauge buffers: i64, "blocks";
        /// Of these, those that are to be written.
        gauge dirty: i64, "blocks";
        /// Of these, those that a process holds just now.
        gauge pinned: i64, "blocks";
    }
}
