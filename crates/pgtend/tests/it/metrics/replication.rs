//! Metrics of a primary with a standby and slots, and of the standby.

use super::prometheus::Text;
use super::{PATH, exporter, tried};
use crate::harness::Agent;
use crate::probes::world;

#[tokio::test]
async fn replication_as_postgres_exporter_shows_it_and_the_lag_of_every_standby() {
    let world = world::start(15).await;
    let (primary, standby) = (&world.primary, &world.standby);
    let agent = Agent::builder().server("first", &primary.tcp_dsn(), "").server("second", &standby.tcp_dsn(), "").start().await;
    agent.wait_for("all probes", async |agent| tried(&Text::parse(&agent.text(PATH).await))).await;
    let ours = Text::parse(&agent.text(&format!("{PATH}?server=first")).await);
    let theirs = exporter::scrape(primary).await;
    let families = theirs.0.keys().filter(|name| name.starts_with("pg_stat_replication") || name.starts_with("pg_replication_slots"));
    let families: Vec<_> = families.collect();
    assert_eq!(families.len(), 5, "{families:?}");
    for name in families {
        let (theirs, ours) = (&theirs.0[name], ours.0.get(name).unwrap_or_else(|| panic!("{name} is missing")));
        assert_eq!((&theirs.kind, theirs.label_names()), (&ours.kind, ours.label_names()), "{name}");
        assert_eq!(theirs.series.len(), ours.series.len(), "{name}");
        // 0.11 writes the process id for the name of a sender's slot.
        if name.starts_with("pg_replication_slots") {
            assert!(theirs.series.keys().eq(ours.series.keys()), "{name}: {:?}, {:?}", theirs.series, ours.series);
        }
    }
    assert_eq!(ours.sum("pg_replication_slot_slot_is_active", &[("slot_name", "standby"), ("slot_type", "physical")]), 1.0);
    assert_eq!(ours.sum("pg_replication_slots_wal_status", &[("slot_name", "consumer"), ("wal_status", "reserved")]), 1.0);
    assert_eq!((ours.sum("pg_replication_is_replica", &[]), ours.sum("pg_replication_lag_seconds", &[])), (0.0, 0.0));
    assert!(ours.0["pg_stat_progress_vacuum_phase"].series.len() == 7, "a VACUUM is running");

    let both = Text::parse(&agent.text(PATH).await);
    assert_eq!(both.sum("pg_replication_is_replica", &[("server", "second")]), 1.0);
    for labels in [[("server", "first"), ("standby", "standby")], [("server", "second"), ("standby", "second")]] {
        let series = |name: &str| {
            both.0[name].series.keys().any(|found| labels.iter().all(|(label, value)| found.get(*label).is_some_and(|v| v == value)))
        };
        assert!(series("pgtend_replication_lag_bytes") && series("pgtend_replication_lag_seconds"), "{labels:?}");
        assert!(both.sum("pgtend_replication_lag_bytes", &labels) < 1e8 && both.sum("pgtend_replication_lag_seconds", &labels) < 60.0);
    }
    assert_eq!(
        both.sum("pg_stat_wal_receiver_received_tli", &[("server", "second"), ("slot_name", "standby"), ("status", "streaming")]),
        1.0
    );
}
