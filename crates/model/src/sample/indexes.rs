//! Indexes of one database: `pg_stat_user_indexes`, `pg_statio_user_indexes`, `pg_index` and `pg_class` in one pass.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One index outside the system schemas; those of temporary tables are left out.
    pub struct Index {
        /// Database.
        label datname: Text;
        /// Schema.
        label schemaname: Text;
        /// Table.
        label relname: Text;
        /// Index.
        label indexrelname: Text;
        /// Object identifier of the table.
        info relid: i64;
        /// Object identifier of the index.
        info indexrelid: i64;
        /// Access method: `btree`, `gin`, …
        info access_method: Text;
        /// Whether it enforces uniqueness.
        info is_unique: bool;
        /// Whether it is the primary key.
        info is_primary: bool;
        /// Whether a constraint needs it, so that it cannot simply be dropped.
        info is_constraint: bool;
        /// Whether it identifies rows for logical replication (`REPLICA IDENTITY USING INDEX`).
        info is_replica_identity: bool;
        /// Whether queries may use it; not so after a failed CREATE INDEX CONCURRENTLY.
        gauge is_valid: bool;
        /// Whether it belongs to a partitioned table and has no storage of its own.
        info is_partitioned: bool;
        /// Scans.
        counter idx_scan: i64, "scans";
        /// Index entries returned by scans.
        counter idx_tup_read: i64, "rows";
        /// Rows of the table fetched by plain index scans.
        counter idx_tup_fetch: i64, "rows";
        /// Last scan; from 16 on.
        info last_idx_scan: Option<Timestamp>;
        /// Blocks read from disk or the operating system's cache.
        counter idx_blks_read: i64, "blocks";
        /// Blocks found in shared buffers.
        counter idx_blks_hit: i64, "blocks";
        /// Size as the last VACUUM, ANALYZE or CREATE INDEX saw it: an estimate that takes no lock.
        gauge index_bytes: i64, "bytes";
    }
}
