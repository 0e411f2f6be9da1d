//! Long commands that tell how far they are, from the `pg_stat_progress_*` views, in one shape.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One command at work.
    pub struct Progress {
        /// Process id.
        label pid: i64;
        /// `VACUUM`, `ANALYZE`, `CREATE INDEX`, `CREATE INDEX CONCURRENTLY`, `REINDEX`, `CLUSTER`, `VACUUM FULL`, `COPY FROM`,
        /// `COPY TO`, `BASE BACKUP`.
        label command: Text;
        /// Database; none for a base backup.
        label datname: Option<Text>;
        /// Object identifier of the table; none for a base backup or a COPY of a query.
        info relid: Option<i64>;
        /// `schema.table`, where it is in the database that was asked.
        info relation: Option<Text>;
        /// Whether autovacuum runs it.
        info is_autovacuum: bool;
        /// When the command began.
        info started_at: Option<Timestamp>;
        /// What it does now, as PostgreSQL calls it.
        info phase: Text;
        /// What `done` and `total` count in this phase: `blocks`, `rows`, `bytes`, `indexes`, `lockers`, `partitions`,
        /// `child tables`, `statistics`.
        info unit: Option<Text>;
        /// How much of this phase is done.
        gauge done: Option<i64>;
        /// How much there is to do in this phase; none when it is not known.
        gauge total: Option<i64>;
        /// VACUUM: blocks of the table.
        gauge heap_blks_total: Option<i64>, "blocks";
        /// VACUUM: blocks scanned.
        gauge heap_blks_scanned: Option<i64>, "blocks";
        /// VACUUM: blocks vacuumed.
        gauge heap_blks_vacuumed: Option<i64>, "blocks";
        /// VACUUM: passes over the indexes; more than one means that the memory for dead rows is too small.
        gauge index_vacuum_count: Option<i64>, "passes";
        /// VACUUM: dead rows gathered since the last pass over the indexes.
        gauge dead_tuples: Option<i64>, "rows";
        /// VACUUM: dead rows that the memory holds; up to 16.
        gauge dead_tuples_max: Option<i64>, "rows";
        /// VACUUM: memory used for dead rows; from 17 on.
        gauge dead_tuple_bytes: Option<i64>, "bytes";
        /// VACUUM: memory allowed for dead rows; from 17 on.
        gauge dead_tuple_bytes_max: Option<i64>, "bytes";
        /// VACUUM and ANALYZE: time slept for the sake of the cost limit; from 18 on and with `track_cost_delay_timing`.
        gauge delay_time_ms: Option<f64>, "ms";
        /// CREATE INDEX: process whose lock it waits for.
        info locker_pid: Option<i64>;
    }
}
