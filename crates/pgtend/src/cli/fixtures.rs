//! Documents as an agent sends them, for the tests of what is shown.

use pgtend_model::document::sessions::Session;
use serde_json::{Value, json};

/// A session with these differences from one that runs a statement.
pub fn session(pid: i64, differences: &Value) -> Session {
    let mut session = json!({
        "session_id": pid, "leader_pid": null, "backend_start": "2026-11-21T08:00:00Z", "user": "app", "database": "shop",
        "application_name": "checkout", "client": "10.0.0.9", "backend_type": "client backend", "doing": "active", "state": "ACTIVE",
        "pg_state": "active", "wait_class": "CPU", "wait_event_type": null, "wait_event": null, "blocked_by": [], "seconds": 2.5,
        "transaction_seconds": 2.5, "query_seconds": 2.5, "query_start": "2026-11-21T09:00:00Z", "query_id": "42",
        "query": "select *\n  from orders where id = 7", "usage": null, "spared": null
    });
    for (name, value) in differences.as_object().unwrap() {
        session[name] = value.clone();
    }
    serde_json::from_value(session).unwrap()
}

/// A holder of a lock that does nothing, one that waits for it, an idle one, and a process of the server.
pub fn several() -> Vec<Session> {
    vec![
        session(
            1201,
            &json!({
                "doing": "idle_in_transaction", "state": "IDLE", "seconds": 754.0, "transaction_seconds": 802.0, "wait_event_type": "Client",
                "wait_event": "ClientRead", "query": "update stock set left = left - 1 where item = 3", "usage": { "cpu_percent": 0.0, "memory_bytes": 4_404_019 }
            }),
        ),
        session(
            1333,
            &json!({
                "doing": "blocked", "state": "BLOCKED", "wait_class": "Application", "wait_event_type": "Lock", "wait_event": "transactionid",
                "blocked_by": [1201], "seconds": 340.0, "transaction_seconds": 340.1, "query": "update stock set left = left - 1 where item = 3",
                "application_name": "backoffice", "client": null, "usage": { "cpu_percent": 0.0, "memory_bytes": 3_000_000 }
            }),
        ),
        session(1350, &json!({ "usage": { "cpu_percent": 97.6, "memory_bytes": 88_000_000 } })),
        session(1400, &json!({ "doing": "idle", "state": "IDLE", "seconds": 7200.0, "transaction_seconds": null, "query": "commit" })),
        session(
            900,
            &json!({
                "backend_type": "autovacuum worker", "user": null, "application_name": null, "client": null, "spared": "background",
                "doing": "waiting", "state": "WAITING", "wait_event_type": "Timeout", "wait_event": "VacuumDelay",
                "query": "autovacuum: VACUUM public.orders", "seconds": 61.0, "transaction_seconds": 61.0
            }),
        ),
    ]
}

/// A busy primary with two standbys.
pub fn status() -> Value {
    json!({
        "server": "shop", "target": "db1:5432", "state": "up", "since": "2026-11-21T08:00:00Z", "error": null, "error_kind": null,
        "version": "17.2", "role": "primary", "uptime": 270_000.0,
        "connections": { "total": 84, "active": 9, "max": 100, "used_percent": 86.6, "level": "DEGRADED" },
        "transactions": { "committed_total": 81_234_567, "rolled_back_total": 1200, "per_second": 1234.56, "deadlocks_total": 3 },
        "cache_hit_ratio": 0.9934,
        "sessions": { "on_cpu": 5, "waiting": 2, "blocked": 2, "idle_in_transaction": 1, "oldest_transaction_seconds": 802.0 },
        "cpu": { "used_percent": 61.2, "iowait_percent": 7.0, "cores": 8.0, "load1": 5.4 },
        "memory": { "used_percent": 58.0, "total_bytes": 33_567_531_008_i64, "available_bytes": 14_000_000_000_i64, "swap_used_bytes": 0, "level": "UP" },
        "disk": { "used_percent": 91.4, "path": "/var/lib/postgresql", "size_bytes": 500_000_000_000_i64, "available_bytes": 43_000_000_000_i64, "level": "DOWN" },
        "replication": { "lag_seconds": 0.25, "lag_bytes": 81_920, "standbys": 2, "level": "UP" },
        "errors": { "rate_per_minute": null },
        "unknown": { "errors.rate_per_minute": { "reason": "absent", "detail": "pgtend does not read the server's log yet" } }
    })
}
