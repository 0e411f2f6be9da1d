//! Statements and what they cost, from the extension pg_stat_statements, 1.8 or newer, whichever the server's version.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One statement of one role in one database, without its text.
    pub struct Statement {
        /// Object identifier of the role.
        label userid: i64;
        /// Object identifier of the database.
        label dbid: i64;
        /// Identifier of the statement.
        label queryid: i64;
        /// Whether it was sent by a client, not run within a function; from 1.9 on.
        label toplevel: Option<bool>;
        /// Times it was planned; zero unless `pg_stat_statements.track_planning` is on.
        counter plans: i64, "calls";
        /// Time spent planning.
        counter total_plan_time: f64, "ms";
        /// Times it was executed.
        counter calls: i64, "calls";
        /// Time spent executing.
        counter total_exec_time: f64, "ms";
        /// Shortest execution.
        gauge min_exec_time: f64, "ms";
        /// Longest execution.
        gauge max_exec_time: f64, "ms";
        /// Standard deviation of the execution time.
        gauge stddev_exec_time: f64, "ms";
        /// Rows returned or changed.
        counter rows: i64, "rows";
        /// Blocks found in shared buffers.
        counter shared_blks_hit: i64, "blocks";
        /// Blocks read.
        counter shared_blks_read: i64, "blocks";
        /// Blocks made dirty.
        counter shared_blks_dirtied: i64, "blocks";
        /// Blocks written by the session itself.
        counter shared_blks_written: i64, "blocks";
        /// Blocks of temporary tables found in the session's buffers.
        counter local_blks_hit: i64, "blocks";
        /// Blocks of temporary tables read.
        counter local_blks_read: i64, "blocks";
        /// Blocks of temporary tables made dirty.
        counter local_blks_dirtied: i64, "blocks";
        /// Blocks of temporary tables written.
        counter local_blks_written: i64, "blocks";
        /// Blocks of sorts and hashes read from temporary files.
        counter temp_blks_read: i64, "blocks";
        /// Blocks of sorts and hashes written to temporary files.
        counter temp_blks_written: i64, "blocks";
        /// Time spent reading blocks; zero unless `track_io_timing` is on. Up to 1.10 blocks of temporary tables count too.
        counter shared_blk_read_time: f64, "ms";
        /// Time spent writing blocks; zero unless `track_io_timing` is on. Up to 1.10 blocks of temporary tables count too.
        counter shared_blk_write_time: f64, "ms";
        /// Time spent reading blocks of temporary tables; from 1.11 on.
        counter local_blk_read_time: Option<f64>, "ms";
        /// Time spent writing blocks of temporary tables; from 1.11 on.
        counter local_blk_write_time: Option<f64>, "ms";
        /// Time spent reading temporary files; from 1.10 on.
        counter temp_blk_read_time: Option<f64>, "ms";
        /// Time spent writing temporary files; from 1.10 on.
        counter temp_blk_write_time: Option<f64>, "ms";
        /// WAL records generated.
        counter wal_records: i64, "records";
        /// Full page images generated.
        counter wal_fpi: i64, "pages";
        /// WAL generated.
        counter wal_bytes: i64, "bytes";
        /// Times WAL was written because `wal_buffers` were full; from 1.12 on.
        counter wal_buffers_full: Option<i64>, "writes";
        /// Functions compiled just in time; from 1.10 on.
        counter jit_functions: Option<i64>, "functions";
        /// Time spent on just-in-time compilation, all stages together; from 1.10 on.
        counter jit_time: Option<f64>, "ms";
        /// Parallel workers planned to be launched; from 1.12 on.
        counter parallel_workers_to_launch: Option<i64>, "workers";
        /// Parallel workers launched; from 1.12 on.
        counter parallel_workers_launched: Option<i64>, "workers";
        /// Since when this statement is counted; from 1.11 on.
        info stats_since: Option<Timestamp>;
    }

    /// One row: the table of statements itself.
    pub struct StatementsInfo {
        /// Times the least used statements were given up because there were more than `pg_stat_statements.max`.
        counter dealloc: i64, "times";
        /// When all statements were last reset.
        info stats_reset: Option<Timestamp>;
    }

    /// The text of a statement; asked on demand, because the server reads the texts of all to give one.
    pub struct StatementText {
        /// Object identifier of the role.
        label userid: i64;
        /// Object identifier of the database.
        label dbid: i64;
        /// Identifier of the statement.
        label queryid: i64;
        /// Whether it was sent by a client, not run within a function; from 1.9 on.
        label toplevel: Option<bool>;
        /// The text with constants replaced by `$n`, at most 16,384 characters of it.
        info query: Text;
        /// Characters of the whole text.
        gauge query_length: i64, "characters";
    }
}
