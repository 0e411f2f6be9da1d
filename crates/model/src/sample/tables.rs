//! Tables of one database: `pg_stat_user_tables`, `pg_statio_user_tables` and `pg_class` in one pass.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One table, materialized view or partitioned table outside the system schemas; temporary ones are left out.
    pub struct Table {
        /// Database.
        label datname: Text;
        /// Schema.
        label schemaname: Text;
        /// Name.
        label relname: Text;
        /// Object identifier.
        info relid: i64;
        /// `r` table, `m` materialized view, `p` partitioned table.
        info relkind: Text;
        /// Whether it is a partition of another table.
        info is_partition: bool;
        /// Whether it is unlogged: empty after a crash, absent on standbys.
        info is_unlogged: bool;
        /// Storage options such as `fillfactor=70, autovacuum_enabled=off`.
        info reloptions: Option<Text>;
        /// Whether autovacuum may work on it (its own option; the server-wide switch is a setting).
        gauge autovacuum_enabled: bool;

        /// Sequential scans.
        counter seq_scan: i64, "scans";
        /// Rows read by sequential scans.
        counter seq_tup_read: i64, "rows";
        /// Last sequential scan; from 16 on.
        info last_seq_scan: Option<Timestamp>;
        /// Scans of its indexes; none without indexes.
        counter idx_scan: Option<i64>, "scans";
        /// Rows fetched by index scans; none without indexes.
        counter idx_tup_fetch: Option<i64>, "rows";
        /// Last index scan; from 16 on.
        info last_idx_scan: Option<Timestamp>;
        /// Rows inserted.
        counter n_tup_ins: i64, "rows";
        /// Rows updated, in whichever way.
        counter n_tup_upd: i64, "rows";
        /// Rows deleted.
        counter n_tup_del: i64, "rows";
        /// Rows updated in place (HOT), without new index entries.
        counter n_tup_hot_upd: i64, "rows";
        /// Rows updated whose new version went to another page; from 16 on.
        counter n_tup_newpage_upd: Option<i64>, "rows";
        /// Live rows, estimated.
        gauge n_live_tup: i64, "rows";
        /// Dead rows, estimated.
        gauge n_dead_tup: i64, "rows";
        /// Rows changed since the last ANALYZE, estimated.
        gauge n_mod_since_analyze: i64, "rows";
        /// Rows inserted since the last VACUUM, estimated.
        gauge n_ins_since_vacuum: i64, "rows";

        /// Last VACUUM by hand.
        info last_vacuum: Option<Timestamp>;
        /// Last VACUUM by autovacuum.
        info last_autovacuum: Option<Timestamp>;
        /// Last ANALYZE by hand.
        info last_analyze: Option<Timestamp>;
        /// Last ANALYZE by autovacuum.
        info last_autoanalyze: Option<Timestamp>;
        /// VACUUMs by hand.
        counter vacuum_count: i64, "runs";
        /// VACUUMs by autovacuum.
        counter autovacuum_count: i64, "runs";
        /// ANALYZEs by hand.
        counter analyze_count: i64, "runs";
        /// ANALYZEs by autovacuum.
        counter autoanalyze_count: i64, "runs";
        /// Time spent in VACUUM by hand; from 18 on.
        counter total_vacuum_time: Option<f64>, "ms";
        /// Time spent in VACUUM by autovacuum; from 18 on.
        counter total_autovacuum_time: Option<f64>, "ms";
        /// Time spent in ANALYZE by hand; from 18 on.
        counter total_analyze_time: Option<f64>, "ms";
        /// Time spent in ANALYZE by autovacuum; from 18 on.
        counter total_autoanalyze_time: Option<f64>, "ms";

        /// Blocks of the table read from disk or the operating system's cache.
        counter heap_blks_read: i64, "blocks";
        /// Blocks of the table found in shared buffers.
        counter heap_blks_hit: i64, "blocks";
        /// Blocks of its indexes read; none without indexes.
        counter idx_blks_read: Option<i64>, "blocks";
        /// Blocks of its indexes found in shared buffers; none without indexes.
        counter idx_blks_hit: Option<i64>, "blocks";
        /// Blocks of its TOAST table read; none without TOAST.
        counter toast_blks_read: Option<i64>, "blocks";
        /// Blocks of its TOAST table found in shared buffers; none without TOAST.
        counter toast_blks_hit: Option<i64>, "blocks";
        /// Blocks of the TOAST table's index read; none without TOAST.
        counter tidx_blks_read: Option<i64>, "blocks";
        /// Blocks of the TOAST table's index found in shared buffers; none without TOAST.
        counter tidx_blks_hit: Option<i64>, "blocks";

        /// Size of the table itself as the last VACUUM, ANALYZE or CREATE INDEX saw it: an estimate that takes no lock.
        gauge table_bytes: i64, "bytes";
        /// Size of its TOAST table and that one's index, an estimate in the same way.
        gauge toast_bytes: i64, "bytes";
        /// Size of its indexes, an estimate in the same way.
        gauge index_bytes: i64, "bytes";
        /// Rows as the last VACUUM or ANALYZE saw them; -1 (up to 13: 0) when there was none.
        gauge reltuples: f64, "rows";
        /// Pages all of whose rows every transaction can see, as the last VACUUM saw them.
        gauge relallvisible: i64, "blocks";
        /// Age of the oldest unfrozen transaction id; none for partitioned tables.
        gauge frozen_xid_age: Option<i64>, "transactions";
        /// Age of the oldest multixact id; none for partitioned tables.
        gauge min_mxid_age: Option<i64>, "multixacts";
        /// The same as `frozen_xid_age` for its TOAST table, which is vacuumed on its own.
        gauge toast_frozen_xid_age: Option<i64>, "transactions";
    }
}
