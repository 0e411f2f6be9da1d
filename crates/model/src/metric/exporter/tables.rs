//! Tables and indexes.

use crate::metric::table::table;
use crate::sample::indexes::Index;
use crate::sample::tables::Table;
use jiff::Timestamp;

/// Seconds since 1970, 0 for never.
#[expect(clippy::cast_precision_loss, reason = "metrics are doubles by definition")]
fn when(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| at.as_microsecond() as f64 / 1e6)
}

table! {
    /// pg_stat_user_tables and pg_statio_user_tables. A partitioned table has no storage, and no row in those views.
    TABLES: Tables of tables(Table) where |row| &*row.relkind != "p";
    labels { datname, schemaname, relname }
    counter pg_stat_user_tables_seq_scan(seq_scan), "Sequential scans.";
    counter pg_stat_user_tables_seq_tup_read(seq_tup_read), "Rows read by sequential scans.";
    counter pg_stat_user_tables_idx_scan(idx_scan) = |row, _now| row.idx_scan.unwrap_or(0), "Index scans.";
    counter pg_stat_user_tables_idx_tup_fetch(idx_tup_fetch) = |row, _now| row.idx_tup_fetch.unwrap_or(0), "Rows fetched by index scans.";
    counter pg_stat_user_tables_n_tup_ins(n_tup_ins), "Rows inserted.";
    counter pg_stat_user_tables_n_tup_upd(n_tup_upd), "Rows updated.";
    counter pg_stat_user_tables_n_tup_del(n_tup_del), "Rows deleted.";
    counter pg_stat_user_tables_n_tup_hot_upd(n_tup_hot_upd), "Rows updated in place (HOT), without new index entries.";
    gauge pg_stat_user_tables_n_live_tup(n_live_tup), "Live rows, estimated.";
    gauge pg_stat_user_tables_n_dead_tup(n_dead_tup), "Dead rows, estimated.";
    gauge pg_stat_user_tables_n_mod_since_analyze(n_mod_since_analyze), "Rows changed since the last ANALYZE, estimated.";
    gauge pg_stat_user_tables_last_vacuum() = |row, _now| when(row.last_vacuum), "When the table was last vacuumed by hand, in seconds since 1970; 0 for never.";
    gauge pg_stat_user_tables_last_autovacuum() = |row, _now| when(row.last_autovacuum), "When autovacuum last vacuumed the table, in seconds since 1970; 0 for never.";
    gauge pg_stat_user_tables_last_analyze() = |row, _now| when(row.last_analyze), "When the table was last analyzed by hand, in seconds since 1970; 0 for never.";
    gauge pg_stat_user_tables_last_autoanalyze() = |row, _now| when(row.last_autoanalyze), "When autovacuum last analyzed the table, in seconds since 1970; 0 for never.";
    counter pg_stat_user_tables_vacuum_count(vacuum_count), "VACUUMs by hand.";
    counter pg_stat_user_tables_autovacuum_count(autovacuum_count), "VACUUMs by autovacuum.";
    counter pg_stat_user_tables_analyze_count(analyze_count), "ANALYZEs by hand.";
    counter pg_stat_user_tables_autoanalyze_count(autoanalyze_count), "ANALYZEs by autovacuum.";
    gauge pg_stat_user_tables_index_size_bytes(index_bytes), "Size of the table's indexes as the last VACUUM, ANALYZE or CREATE INDEX saw it: an estimate that takes no lock.";
    gauge pg_stat_user_tables_table_size_bytes(table_bytes, toast_bytes) = |row, _now| row.table_bytes + row.toast_bytes, "Size of the table with its TOAST table, an estimate in the same way.";
    gauge pg_stat_user_tables_size_bytes() = |row, _now| row.table_bytes + row.toast_bytes + row.index_bytes, "Size of the table with its TOAST table and its indexes, an estimate in the same way.";
    counter pg_statio_user_tables_heap_blocks_read(heap_blks_read), "Blocks of the table read from disk or the operating system's cache.";
    counter pg_statio_user_tables_heap_blocks_hit(heap_blks_hit), "Blocks of the table found in shared buffers.";
    counter pg_statio_user_tables_idx_blocks_read(idx_blks_read) = |row, _now| row.idx_blks_read.unwrap_or(0), "Blocks of its indexes read.";
    counter pg_statio_user_tables_idx_blocks_hit(idx_blks_hit) = |row, _now| row.idx_blks_hit.unwrap_or(0), "Blocks of its indexes found in shared buffers.";
    counter pg_statio_user_tables_toast_blocks_read(toast_blks_read) = |row, _now| row.toast_blks_read.unwrap_or(0), "Blocks of its TOAST table read.";
    counter pg_statio_user_tables_toast_blocks_hit(toast_blks_hit) = |row, _now| row.toast_blks_hit.unwrap_or(0), "Blocks of its TOAST table found in shared buffers.";
    counter pg_statio_user_tables_tidx_blocks_read(tidx_blks_read) = |row, _now| row.tidx_blks_read.unwrap_or(0), "Blocks of the TOAST table's index read.";
    counter pg_statio_user_tables_tidx_blocks_hit(tidx_blks_hit) = |row, _now| row.tidx_blks_hit.unwrap_or(0), "Blocks of the TOAST table's index found in shared buffers.";
}

table! {
    /// pg_statio_user_indexes.
    INDEXES: Indexes of indexes(Index) where |row| !row.is_partitioned;
    labels { datname, schemaname, relname, indexrelname }
    counter pg_statio_user_indexes_idx_blks_read_total(idx_blks_read), "Blocks of the index read from disk or the operating system's cache.";
    counter pg_statio_user_indexes_idx_blks_hit_total(idx_blks_hit), "Blocks of the index found in shared buffers.";
}
