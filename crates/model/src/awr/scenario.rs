//! A past made by hand for the tests: ten minutes of a shop with a lock storm in the middle.

use crate::ash::Ring;
use crate::document::by_hand::{at, read};
use crate::past::Memory;
use crate::sample::{Probe, Reason, Row, Sample, Taken, Unknown};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// Minutes of the period.
pub const MINUTES: i64 = 10;
/// Seconds after noon between which the storm rages.
pub const STORM: std::ops::Range<i64> = 240..360;

/// A reading of these rows, so many seconds after noon.
pub fn sample<T: Row>(seconds: i64, rows: Value) -> Sample<T> {
    let rows = rows.as_array().unwrap().iter().map(|row| read(row.clone())).collect();
    Sample { at: at(seconds), took: Duration::from_millis(2), rows, missing: Vec::new() }
}

macro_rules! put {
    ($memory:expr, $seconds:expr, $variant:ident, $rows:expr) => {
        $memory.put(at($seconds), Taken::$variant(sample($seconds, $rows)))
    };
}
pub(crate) use put;

/// Ten minutes, read every minute, with snapshots 1 at noon and 2 at the end.
pub fn shop() -> Memory {
    let mut memory = Memory::default();
    for minute in 0..=MINUTES {
        minute_of_counters(&mut memory, minute);
    }
    ends(&mut memory, 0);
    ends(&mut memory, MINUTES * 60);
    memory.fail(at(0), Probe::Subscription, Unknown::new(Reason::Privilege, "the role may not read pg_subscription"));
    memory.add_ring(&sessions());
    memory.add_text(101, "UPDATE stock SET left_over = left_over - $1 WHERE item = $2".into());
    memory.add_text(102, "SELECT * FROM orders WHERE customer = $1 ORDER BY at DESC LIMIT $2".into());
    memory.add_text(103, "INSERT INTO orders (customer, item, at) VALUES ($1, $2, now()) /* <script>alert('x')</script> */".into());
    memory.add_snapshot(at(0), "scheduled");
    memory.add_snapshot(at(MINUTES * 60), "manual");
    memory
}

/// What is read often.
fn minute_of_counters(memory: &mut Memory, minute: i64) {
    let (seconds, n) = (minute * 60, minute);
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let f = n as f64;
    put!(
        memory,
        seconds,
        Database,
        json!([
            {"datid": 5, "datname": "shop", "xact_commit": 1_000_000 + 6000 * n, "xact_rollback": 100 + 60 * n, "blks_hit": 90_000_000 + 540_000 * n,
             "blks_read": 1_000_000 + 6000 * n, "tup_returned": 100_000 * n, "tup_fetched": 50_000 * n, "tup_inserted": 3000 * n,
             "tup_updated": 6000 * n, "tup_deleted": 10 * n, "temp_bytes": 1_048_576 * n, "temp_files": n, "deadlocks": n / 5,
             "session_time": 300_000.0 * f, "active_time": 120_000.0 * f, "idle_in_transaction_time": 6000.0 * f, "sessions": 2 * n,
             "blk_read_time": 3000.0 * f, "frozen_xid_age": 150_000_000, "checksum_failures": 0},
            {"datid": 1, "datname": "postgres", "xact_commit": 50 + 12 * n, "blks_hit": 1000 * n, "blks_read": 10, "frozen_xid_age": 150_000_000},
        ])
    );
    put!(
        memory,
        seconds,
        Statements,
        json!([
            {"userid": 10, "dbid": 5, "queryid": 101, "toplevel": true, "calls": 5000 + 3000 * n, "total_exec_time": 90_000.0 * f, "rows": 3000 * n,
             "shared_blks_hit": 60_000 * n, "shared_blks_read": 300 * n, "shared_blks_dirtied": 3000 * n, "wal_bytes": 900_000 * n,
             "shared_blk_read_time": 300.0 * f},
            {"userid": 10, "dbid": 5, "queryid": 102, "toplevel": true, "calls": 2000 * n, "total_exec_time": 24_000.0 * f, "rows": 20_000 * n,
             "shared_blks_hit": 400_000 * n, "shared_blks_read": 5000 * n, "temp_blks_written": 128 * n, "temp_blks_read": 128 * n,
             "shared_blk_read_time": 2500.0 * f},
            {"userid": 10, "dbid": 5, "queryid": 103, "toplevel": true, "calls": 1000 * n, "total_exec_time": 2000.0 * f, "rows": 1000 * n,
             "shared_blks_hit": 8000 * n, "wal_bytes": 300_000 * n},
        ])
    );
    server_counters(memory, minute);
}

/// What the server counts of itself.
fn server_counters(memory: &mut Memory, minute: i64) {
    let (seconds, n) = (minute * 60, minute);
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let f = n as f64;
    put!(memory, seconds, StatementsInfo, json!([{"dealloc": n / 4, "stats_reset": -86_400}]));
    put!(
        memory,
        seconds,
        Server,
        json!([{"version": "17.4", "version_num": 170_004, "started_at": -86_400, "now": seconds,
        "wal_position": 1_000_000_000 + 1_500_000 * n, "next_xid": 1000 + 6000 * n, "timeline": 1, "system_identifier": "7412345678901234567",
        "client_backends": 20, "max_connections": 100, "sees_all_sessions": true}])
    );
    put!(
        memory,
        seconds,
        Wal,
        json!([{"wal_records": 20_000 * n, "wal_fpi": 50 * n, "wal_bytes": 1_500_000 * n, "wal_write": 600 * n,
        "wal_sync": 500 * n, "wal_write_time": 60.0 * f, "wal_sync_time": 900.0 * f}])
    );
    put!(memory, seconds, Bgwriter, json!([{"buffers_clean": 10 * n, "buffers_alloc": 6000 * n}]));
    put!(
        memory,
        seconds,
        Checkpointer,
        json!([{"num_timed": n / 5, "num_requested": 0, "write_time": 20_000.0 * f, "sync_time": 30.0 * f,
        "buffers_written": 900 * n, "restartpoints_done": 0}])
    );
    put!(memory, seconds, Archiver, json!([{"archived_count": n / 2, "failed_count": 0}]));
    put!(
        memory,
        seconds,
        Io,
        json!([
            {"backend_type": "client backend", "object": "relation", "context": "normal", "reads": 6000 * n, "read_bytes": 49_152_000 * n,
             "read_time": 3000.0 * f, "writes": 20 * n, "write_bytes": 163_840 * n, "write_time": 4.0 * f, "extends": 30 * n,
             "extend_bytes": 245_760 * n, "extend_time": 3.0 * f, "hits": 540_000 * n, "evictions": 500 * n},
            {"backend_type": "checkpointer", "object": "relation", "context": "normal", "writes": 900 * n, "write_bytes": 7_372_800 * n,
             "write_time": 90.0 * f, "fsyncs": 4 * n, "fsync_time": 30.0 * f},
        ])
    );
    put!(
        memory,
        seconds,
        HostCpu,
        json!([{"user_seconds": 80.0 * f, "system_seconds": 10.0 * f, "idle_seconds": 140.0 * f, "iowait_seconds": 10.0 * f,
        "cores": 4, "load15": 2.5}])
    );
}

/// What is read rarely.
fn ends(memory: &mut Memory, seconds: i64) {
    let n = seconds / 60;
    put!(memory, seconds, Roles, json!([{"oid": 10, "rolname": "app"}]));
    put!(
        memory,
        seconds,
        Settings,
        json!([
            {"name": "block_size", "setting": "8192", "context": "internal", "source": "default"},
            {"name": "shared_buffers", "setting": "131072", "unit": "8kB", "boot_val": "16384", "context": "postmaster", "source": "configuration file"},
            {"name": "work_mem", "setting": if n == 0 { "4096" } else { "65536" }, "unit": "kB", "boot_val": "4096", "context": "user",
             "source": "configuration file"},
            {"name": "track_io_timing", "setting": "on", "boot_val": "off", "context": "superuser", "source": "configuration file"},
            {"name": "pg_stat_statements.track_planning", "setting": "off", "boot_val": "off", "context": "superuser", "source": "default"},
        ])
    );
    put!(
        memory,
        seconds,
        Tables,
        json!([
            {"datname": "shop", "schemaname": "public", "relname": "stock", "relid": 1, "relkind": "r", "autovacuum_enabled": true,
             "n_tup_upd": 3000 * n, "n_tup_hot_upd": 2700 * n, "heap_blks_read": 300 * n, "heap_blks_hit": 60_000 * n, "autovacuum_count": n / 3,
             "n_live_tup": 100_000, "n_dead_tup": 100 * n, "table_bytes": 8_192_000, "frozen_xid_age": 90_000_000, "idx_scan": 3000 * n},
            {"datname": "shop", "schemaname": "public", "relname": "orders", "relid": 2, "relkind": "r", "autovacuum_enabled": false,
             "seq_scan": 20 * n, "seq_tup_read": 2_000_000 * n, "n_tup_ins": 1000 * n, "heap_blks_read": 5000 * n, "heap_blks_hit": 400_000 * n,
             "n_live_tup": 1_000_000, "table_bytes": 819_200_000 + 1_000_000 * n, "frozen_xid_age": 150_000_000},
        ])
    );
    put!(
        memory,
        seconds,
        Indexes,
        json!([
            {"datname": "shop", "schemaname": "public", "relname": "orders", "indexrelname": "orders_note_idx", "relid": 2, "is_valid": true,
             "index_bytes": 80_000_000, "idx_scan": 7},
            {"datname": "shop", "schemaname": "public", "relname": "stock", "indexrelname": "stock_pkey", "relid": 1, "is_valid": true,
             "is_primary": true, "is_unique": true, "index_bytes": 2_000_000, "idx_scan": 3000 * n, "idx_tup_read": 3000 * n},
        ])
    );
    put!(memory, seconds, DatabaseSize, json!([{"datid": 5, "datname": "shop", "size_bytes": 1_000_000_000 + 1_200_000 * n}]));
    put!(
        memory,
        seconds,
        Replication,
        json!([{"application_name": "standby1", "state": "streaming", "sync_state": "async", "replay_lag_bytes": 4096 * n, "replay_lag_ms": 2.5}])
    );
    put!(
        memory,
        seconds,
        Slots,
        json!([{"slot_name": "standby1", "slot_type": "physical", "active": true, "retained_bytes": 16_777_216, "wal_status": "reserved"}])
    );
    put!(memory, seconds, Slru, json!([{"name": "transaction", "blks_hit": 5000 * n, "blks_read": n}]));
}

/// A sample a second: two sessions on CPU, one that reads; in the storm a session idle in its transaction holds up five.
fn sessions() -> Ring {
    let mut ring = Ring::new(10_000, usize::MAX);
    for second in 0..MINUTES * 60 {
        let mut rows = vec![
            session(11, 102, "active", None, &[]),
            session(12, 102, "active", None, &[]),
            session(13, 102, "active", Some(("IO", "DataFileRead")), &[]),
        ];
        if STORM.contains(&second) {
            rows.push(session(66, 105, "idle in transaction", Some(("Client", "ClientRead")), &[]));
            rows.push(session(21, 101, "active", Some(("Lock", "transactionid")), &[66]));
            rows.extend((22..26).map(|pid| session(pid, 101, "active", Some(("Lock", "tuple")), &[21])));
        }
        let rows = json!(rows);
        let cpu: HashMap<i64, f32> = [(11, 700.0), (12, 650.0), (13, 20.0)].into();
        ring.record(&sample(second, rows), &cpu);
    }
    ring
}

fn session(pid: i64, query_id: i64, state: &str, wait: Option<(&str, &str)>, blocked_by: &[i64]) -> Value {
    let query = if query_id == 105 { "UPDATE stock SET left_over = 0 WHERE item = 42 -- <b>batch</b>" } else { "…" };
    let application = if pid == 66 { "batch" } else { "web" };
    json!({"pid": pid, "backend_start": -3600, "datname": "shop", "usename": if pid == 66 { "ops" } else { "app" }, "application_name": application,
        "client_addr": "10.0.0.7", "backend_type": "client backend", "state": state, "wait_event_type": wait.map(|wait| wait.0),
        "wait_event": wait.map(|wait| wait.1), "query_start": -1, "xact_start": -1, "query_id": query_id, "query": query, "blocked_by": blocked_by})
}
