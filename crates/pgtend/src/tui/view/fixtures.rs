//! A busy shop with a lock storm, made by hand.

use super::super::state::{Part, Snapshot, State, Tab};
use crate::cli::fixtures;
use jiff::Timestamp;
use pgtend_model::ash::WaitClass;
use pgtend_model::document::load::{Bucket, Load};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// When all of it happened.
pub fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// Load of five minutes that grows when the locks come; a minute was not sampled.
fn chart(pieces: usize) -> Load {
    let seconds = 300 / i64::try_from(pieces).unwrap().max(1);
    let bucket = |number: usize| {
        let share = f64::from(u32::try_from(number).unwrap()) / f64::from(u32::try_from(pieces).unwrap());
        let at = noon() - jiff::SignedDuration::from_secs(seconds * i64::try_from(pieces - number).unwrap());
        let locks = if share > 0.6 { (share - 0.6) * 20.0 } else { 0.0 };
        let classes = [
            (WaitClass::Cpu, 1.5 + share.mul_add(6.0, 0.0).sin()),
            (WaitClass::UserIO, 0.8),
            (WaitClass::Commit, 1.2 * share),
            (WaitClass::Application, locks),
        ];
        let sampled = !(0.2..0.4).contains(&share);
        Bucket {
            at,
            samples: if sampled { 5 } else { 0 },
            classes: if sampled { classes.into_iter().filter(|(_, average)| *average > 0.0).collect() } else { BTreeMap::new() },
        }
    };
    Load { series: (0..pieces).map(bucket).collect(), cores: Some(8.0), ..Load::default() }
}

fn minute() -> Load {
    read(json!({
        "from": "2026-11-21T11:59:00Z", "to": "2026-11-21T11:59:59Z", "samples": 60,
        "average_active_sessions": 9.85, "average_active_clients": 9.6, "cores": 8.0,
        "classes": [
            { "wait_class": "Application", "average": 6.2, "percent": 62.9 }, { "wait_class": "CPU", "average": 1.75, "percent": 17.8 },
            { "wait_class": "Commit", "average": 1.1, "percent": 11.2 }, { "wait_class": "UserIO", "average": 0.8, "percent": 8.1 }
        ],
        "events": [
            { "wait_class": "Application", "wait_event_type": "Lock", "wait_event": "transactionid", "average": 5.2, "percent": 52.8 },
            { "wait_class": "CPU", "wait_event_type": null, "wait_event": null, "average": 1.75, "percent": 17.8 },
            { "wait_class": "Commit", "wait_event_type": "IO", "wait_event": "WalSync", "average": 1.1, "percent": 11.2 },
            { "wait_class": "Application", "wait_event_type": "Lock", "wait_event": "relation", "average": 1.0, "percent": 10.1 },
            { "wait_class": "UserIO", "wait_event_type": "IO", "wait_event": "DataFileRead", "average": 0.8, "percent": 8.1 }
        ],
        "queries": [
            { "query_id": "42", "query": "update stock\n   set left = left - 1\n where item = 3", "average": 6.4, "percent": 65.0,
              "classes": { "CPU": 0.2, "Application": 6.2 }, "cpu_percent": 3.0, "sessions": 9, "longest_seconds": 340.2, "user": "app", "database": "shop" },
            { "query_id": "43", "query": "select * from orders join items using (order_id) where customer = 7", "average": 2.2, "percent": 22.3,
              "classes": { "CPU": 1.4, "UserIO": 0.8 }, "cpu_percent": 131.0, "sessions": 31, "longest_seconds": 0.4, "user": "app", "database": "shop" },
            { "query_id": "44", "query": "COMMIT", "average": 1.25, "percent": 12.7, "classes": { "CPU": 0.15, "Commit": 1.1 }, "cpu_percent": null,
              "sessions": 40, "longest_seconds": 0.02, "user": "app", "database": "shop" }
        ],
        "series": [], "unknown": {}
    }))
}

fn locks() -> Part {
    let session = |number: usize| serde_json::to_value(&fixtures::several()[number]).unwrap();
    let waiter = |pid: i64, seconds: f64, waiters: Value| {
        let mut waiting = session(1);
        waiting["session_id"] = pid.into();
        waiting["seconds"] = seconds.into();
        json!({ "pid": pid, "session": waiting, "also_blocked_by": [], "in_circle": false, "victims": 0, "remedy": null, "waiters": waiters,
                "waits_for": { "locktype": "transactionid", "mode": "ShareLock", "object": "transaction 871", "seconds": seconds } })
    };
    let below =
        json!([waiter(1333, 340.0, json!([waiter(1340, 12.0, json!([])), waiter(1341, 3.0, json!([]))])), waiter(1342, 8.0, json!([]))]);
    Part::Locks(read(json!({
        "at": noon(), "blocked": 4, "unknown": {},
        "roots": [{ "pid": 1201, "session": session(0), "waits_for": null, "also_blocked_by": [], "in_circle": false, "victims": 4, "waiters": below,
                    "remedy": { "cause": "open_transaction", "command": "pgtend connections terminate --pid 1201",
                                "text": "the client left its transaction open 12 min 34 s ago and holds up 4: end the session" } }]
    })))
}

fn host() -> Part {
    let device = |name: &str, carries: &str, busy: f64| {
        json!({ "device": name, "carries": carries, "reads_per_second": 812.0, "writes_per_second": 240.5, "read_bytes_per_second": 6.5e6,
                "write_bytes_per_second": 1.9e6, "read_ms": 0.41, "write_ms": 1.2, "flush_ms": null, "busy_percent": busy, "queue": 1.8 })
    };
    let files = |role: &str, path: &str, used: f64| json!({ "role": role, "path": path, "used_percent": used, "size_bytes": 500_000_000_000_i64, "available_bytes": 43_000_000_000_i64 });
    Part::Host(Box::new(read(json!({
        "cpu": fixtures::status()["cpu"], "modes": { "user": 42.0, "system": 12.0, "iowait": 7.0, "steal": 0.0, "interrupts": 0.4 }, "load": [5.4, 4.9, 3.2],
        "memory": fixtures::status()["memory"],
        "pressure": [{ "resource": "cpu", "some_percent": 12.0, "full_percent": null }, { "resource": "io", "some_percent": 31.0, "full_percent": 9.0 }],
        "disks": [device("nvme0n1p2", "data,log", 34.0), device("nvme1n1", "wal", 97.0)],
        "filesystems": [files("data", "/var/lib/postgresql/17/main", 91.4), files("wal", "/wal", 12.0)],
        "interfaces": [{ "interface": "eth0", "receive_bytes_per_second": 1.2e6, "transmit_bytes_per_second": 3.4e6, "errors_per_second": 0.0 }],
        "unknown": {}
    }))))
}

fn databases() -> Part {
    let database = |name: &str, commits: f64, size: Value| {
        json!({ "name": name, "connections": 12, "commits_per_second": commits, "rollbacks_per_second": 0.4, "blocks_read_per_second": 310.0,
                "cache_hit_ratio": 0.9934, "rows_read_per_second": 51_234.0, "rows_written_per_second": 812.0, "temp_bytes_per_second": 1.5e6,
                "deadlocks": 3, "conflicts": 0, "size_bytes": size, "frozen_xid_age": 182_345_678 })
    };
    Part::Databases(read(
        json!({ "databases": [database("shop", 1234.5, json!(81_604_378_624_i64)), database("crm", 3.25, json!(null))], "unknown": {} }),
    ))
}

fn replication() -> Part {
    Part::Replication(Box::new(read(json!({
        "role": "primary", "standby": null, "subscriptions": [], "unknown": {},
        "senders": [
            { "pid": 801, "name": "db2", "client": "10.0.0.2", "state": "streaming", "sync_state": "sync", "slot": "db2", "sent_lag_bytes": 0,
              "flush_lag_bytes": 8192, "replay_lag_bytes": 81_920, "replay_lag_seconds": 0.25 },
            { "pid": 802, "name": "db3", "client": "10.0.0.3", "state": "catchup", "sync_state": "async", "slot": null, "sent_lag_bytes": 734_003_200,
              "flush_lag_bytes": 734_003_200, "replay_lag_bytes": 734_003_200, "replay_lag_seconds": 95.0 }
        ],
        "slots": [
            { "name": "warehouse", "kind": "logical", "database": "shop", "active": false, "retained_bytes": 53_687_091_200_i64, "wal_status": "unreserved", "xmin_age": 1_234_567 },
            { "name": "db2", "kind": "physical", "database": null, "active": true, "retained_bytes": 0, "wal_status": "reserved", "xmin_age": null }
        ]
    }))))
}

/// The state with everything that a tab needs.
pub fn state(screen: (u16, u16), tab: Tab) -> State {
    let mut state = State::new(noon());
    (state.screen, state.tab, state.came_at) = (screen, tab, Some(noon()));
    let part = match tab {
        Tab::Sessions | Tab::Waits | Tab::Queries => Part::None,
        Tab::Blocking => locks(),
        Tab::Host => host(),
        Tab::Databases => databases(),
        Tab::Replication => replication(),
    };
    state.data = Some(Snapshot {
        status: read(fixtures::status()),
        chart: chart(super::chart_columns(screen)),
        load: minute(),
        sessions: read(json!({ "at": noon(), "sessions": fixtures::several(), "hidden": 0, "unknown": {} })),
        part,
    });
    state
}
