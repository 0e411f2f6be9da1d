//! Under load the figures move, and by as much as was done.

use super::Watcher;
use crate::harness::Cluster;
use pgtend_model::sample::{Kind, Probe, Value};
use std::collections::BTreeMap;
use std::time::Duration;

const TRANSACTIONS: f64 = 200.0;

/// Figures by probe and column, summed over the rows.
type Sums = BTreeMap<(Probe, &'static str), f64>;

async fn sums(watcher: &mut Watcher, probes: &[Probe]) -> Sums {
    let mut sums = Sums::new();
    for probe in probes {
        let taken = watcher.run(*probe).await.unwrap();
        for (place, column) in probe.spec().columns.iter().enumerate().filter(|(_, column)| column.kind == Kind::Counter) {
            let values = (0..taken.len()).map(|row| taken.value(row, place)).filter_map(Value::number);
            sums.insert((*probe, column.name), values.sum());
        }
    }
    sums
}

async fn load_moves_the_figures(major: u32) {
    let cluster = Cluster::builder(major)
        .config("shared_preload_libraries = 'pg_stat_statements'")
        .config("track_io_timing = on")
        .config("autovacuum = off")
        .start()
        .await;
    cluster.psql("create extension pg_stat_statements").await;
    cluster.pgbench(&["--initialize", "--quiet", "--scale=1"]).await;
    let mut probes =
        vec![Probe::Server, Probe::Database, Probe::Tables, Probe::Indexes, Probe::Statements, Probe::Checkpointer, Probe::Bgwriter];
    probes.extend((major >= 14).then_some(Probe::Wal));
    probes.extend((major >= 16).then_some(Probe::Io));
    let mut watcher = Watcher::connect(&cluster.dsn()).await;
    // The statistics of pgbench's initialization may still be on their way.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = sums(&mut watcher, &probes).await;
    cluster.pgbench(&["--client=2", "--transactions=100", "--no-vacuum"]).await;
    cluster.psql("checkpoint").await;

    let mut least = vec![
        ((Probe::Server, "wal_position"), 10_000.0),
        ((Probe::Server, "next_xid"), TRANSACTIONS),
        ((Probe::Database, "xact_commit"), TRANSACTIONS),
        ((Probe::Database, "tup_updated"), 3.0 * TRANSACTIONS),
        ((Probe::Database, "blks_hit"), TRANSACTIONS),
        ((Probe::Tables, "n_tup_upd"), 3.0 * TRANSACTIONS),
        ((Probe::Tables, "n_tup_ins"), TRANSACTIONS),
        ((Probe::Tables, "idx_scan"), TRANSACTIONS),
        ((Probe::Tables, "heap_blks_hit"), TRANSACTIONS),
        ((Probe::Indexes, "idx_scan"), TRANSACTIONS),
        ((Probe::Indexes, "idx_blks_hit"), TRANSACTIONS),
        ((Probe::Statements, "calls"), 7.0 * TRANSACTIONS),
        ((Probe::Statements, "total_exec_time"), 0.001),
        ((Probe::Statements, "wal_bytes"), 10_000.0),
        ((Probe::Checkpointer, "num_requested"), 1.0),
        ((Probe::Checkpointer, "buffers_written"), 1.0),
        ((Probe::Bgwriter, "buffers_alloc"), 0.0),
    ];
    if major >= 14 {
        least.extend([
            ((Probe::Wal, "wal_bytes"), 10_000.0),
            ((Probe::Wal, "wal_records"), TRANSACTIONS),
            ((Probe::Wal, "wal_write"), 1.0),
        ]);
    }
    if major >= 16 {
        least.extend([((Probe::Io, "hits"), TRANSACTIONS), ((Probe::Io, "write_bytes"), 8192.0)]);
    }
    // Up to 14 statistics reach their readers half a second late, later ones when the sessions end.
    let mut short = Vec::new();
    for _ in 0..50 {
        let after = sums(&mut watcher, &probes).await;
        short = least.iter().filter(|(figure, least)| after[figure] - before[figure] < *least).collect::<Vec<_>>();
        for (figure, value) in &before {
            assert!(after[figure] >= *value, "{major}: {figure:?} went back from {value} to {}", after[figure]);
        }
        if short.is_empty() {
            let updates = after[&(Probe::Tables, "n_tup_upd")] - before[&(Probe::Tables, "n_tup_upd")];
            assert_eq!(updates, 3.0 * TRANSACTIONS, "{major}: each transaction updates three rows");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{major}: these did not move by as much: {short:?}");
}

#[tokio::test]
async fn load_moves_the_figures_on_every_major() {
    for major in 13..=18 {
        load_moves_the_figures(major).await;
    }
}
