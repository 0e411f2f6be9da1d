//! Replication as one server sees it: who streams from it, from whom it streams, its slots and subscriptions.

use super::{Document, Known, Unknowns};
use crate::error::Result;
use crate::sample::recovery::Recovery;
use crate::sample::replication::Replication as SenderRow;
use crate::sample::slots::ReplicationSlot;
use crate::sample::subscription::Subscription as SubscriptionRow;
use crate::sample::wal_receiver::WalReceiver;
use crate::sample::{Probe, Text};
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Replication as one server sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Replication {
    /// `primary` or `standby`.
    pub role: Option<String>,
    /// Those that stream from this server.
    pub senders: Vec<Sender>,
    /// How this server follows; null on a primary.
    pub standby: Option<Standby>,
    /// Replication slots, the one that holds back most first.
    pub slots: Vec<Slot>,
    /// Subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// Why something is missing.
    pub unknown: Unknowns,
}

/// A standby, a subscriber, a base backup or an archiving receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplicationSender)]
pub struct Sender {
    /// Process id of the WAL sender.
    pub pid: i64,
    /// Its name.
    pub name: Option<String>,
    /// Its address; null for a Unix socket.
    pub client: Option<String>,
    /// `startup`, `catchup`, `streaming`, `backup`, `stopping`; null when the role may not see it.
    pub state: Option<String>,
    /// `async`, `potential`, `sync`, `quorum`.
    pub sync_state: Option<String>,
    /// Slot that it uses.
    pub slot: Option<String>,
    /// WAL not yet sent, in bytes.
    pub sent_lag_bytes: Option<i64>,
    /// WAL not yet flushed by it, in bytes.
    pub flush_lag_bytes: Option<i64>,
    /// WAL not yet replayed by it, in bytes.
    pub replay_lag_bytes: Option<i64>,
    /// Time from the local flush to its replay, in seconds; null when it has nothing new to confirm.
    pub replay_lag_seconds: Option<f64>,
}

/// How a standby follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplicationStandby)]
pub struct Standby {
    /// From where it streams; null while it does not.
    pub sender: Option<String>,
    /// `streaming`, `waiting`, …; null while it does not stream.
    pub status: Option<String>,
    /// WAL received and not yet replayed, in bytes.
    pub replay_lag_bytes: Option<i64>,
    /// Time since the commit that was replayed last, in seconds; 0 when everything received is replayed.
    pub replay_lag_seconds: Option<f64>,
    /// `not paused`, `pause requested`, `paused`.
    pub pause_state: Option<String>,
    /// Seconds since the last message came in.
    pub last_message_seconds: Option<f64>,
}

/// A replication slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplicationSlot)]
pub struct Slot {
    /// Name.
    pub name: String,
    /// `physical` or `logical`.
    pub kind: String,
    /// Database of a logical slot.
    pub database: Option<String>,
    /// Whether somebody streams from it now.
    pub active: bool,
    /// WAL that is kept for it, in bytes.
    pub retained_bytes: Option<i64>,
    /// `reserved`, `extended`, `unreserved` (about to be lost), `lost`.
    pub wal_status: Option<String>,
    /// Age of the oldest transaction id that it keeps from being vacuumed, catalogues included.
    pub xmin_age: Option<i64>,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplicationSubscription)]
pub struct Subscription {
    /// Name.
    pub name: String,
    /// Its database.
    pub database: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Workers that apply or copy.
    pub workers: i64,
    /// Seconds since the last message came in.
    pub last_message_seconds: Option<f64>,
    /// Errors while applying or copying; from PostgreSQL 15 on.
    pub errors: Option<i64>,
}

/// Parameters of [`Replication`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {}

impl Document for Replication {
    type Params = Params;
    const PATH: &'static str = "/api/v1/replication";
    const ABOUT: &'static str = "Replication as one server sees it: who streams from it, from whom it streams, its slots and subscriptions";
    const PROBES: &'static [Probe] =
        &[Probe::Server, Probe::Replication, Probe::Recovery, Probe::WalReceiver, Probe::Slots, Probe::Subscription];

    fn build(known: &Known<'_>, _params: &Params) -> Result<Self> {
        let readings = &known.view.readings;
        let mut unknown = Unknowns::default();
        let server = unknown.take("role", readings.server.current()).and_then(|sample| sample.rows.first());
        let senders = unknown.take("senders", readings.replication.current());
        let recovery = unknown.take("standby", readings.recovery.current()).and_then(|sample| sample.rows.first());
        let receiver = unknown.take("standby.sender", readings.wal_receiver.current()).and_then(|sample| sample.rows.first());
        let slots = unknown.take("slots", readings.slots.current());
        let subscriptions = unknown.take("subscriptions", readings.subscription.current());
        let now = known.view.on_server_clock(known.now);
        let mut slots: Vec<Slot> = slots.into_iter().flat_map(|sample| &sample.rows).map(slot).collect();
        slots.sort_by_key(|slot| std::cmp::Reverse(slot.retained_bytes));
        Ok(Self {
            role: server.map(|row| if row.in_recovery { "standby" } else { "primary" }.to_owned()),
            senders: senders.into_iter().flat_map(|sample| &sample.rows).map(sender).collect(),
            standby: recovery.map(|row| standby(row, receiver, now)),
            slots,
            subscriptions: subscriptions.into_iter().flat_map(|sample| &sample.rows).map(|row| subscription(row, now)).collect(),
            unknown,
        })
    }
}

fn text(text: &Option<Text>) -> Option<String> {
    text.as_deref().map(str::to_owned)
}

fn since(at: Option<Timestamp>, now: Timestamp) -> Option<f64> {
    at.map(|at| (now - at).total(Unit::Second).unwrap_or(0.0).max(0.0))
}

fn sender(row: &SenderRow) -> Sender {
    Sender {
        pid: row.pid,
        name: text(&row.application_name),
        client: text(&row.client_addr),
        state: text(&row.state),
        sync_state: text(&row.sync_state),
        slot: text(&row.slot_name),
        sent_lag_bytes: row.sent_lag_bytes,
        flush_lag_bytes: row.flush_lag_bytes,
        replay_lag_bytes: row.replay_lag_bytes,
        replay_lag_seconds: row.replay_lag_ms.map(|ms| ms / 1000.0),
    }
}

fn standby(row: &Recovery, receiver: Option<&WalReceiver>, now: Timestamp) -> Standby {
    let port = |receiver: &WalReceiver| receiver.sender_port.map(|port| format!(":{port}")).unwrap_or_default();
    Standby {
        sender: receiver.and_then(|receiver| Some(format!("{}{}", receiver.sender_host.as_deref()?, port(receiver)))),
        status: receiver.and_then(|receiver| text(&receiver.status)),
        replay_lag_bytes: row.replay_lag_bytes,
        replay_lag_seconds: row.replay_lag_ms.map(|ms| ms / 1000.0),
        pause_state: text(&row.pause_state),
        last_message_seconds: since(receiver.and_then(|receiver| receiver.last_msg_receipt_time), now),
    }
}

fn slot(row: &ReplicationSlot) -> Slot {
    Slot {
        name: row.slot_name.to_string(),
        kind: row.slot_type.to_string(),
        database: text(&row.database),
        active: row.active,
        retained_bytes: row.retained_bytes,
        wal_status: text(&row.wal_status),
        xmin_age: row.xmin_age.max(row.catalog_xmin_age),
    }
}

fn subscription(row: &SubscriptionRow, now: Timestamp) -> Subscription {
    Subscription {
        name: row.subname.to_string(),
        database: row.datname.to_string(),
        enabled: row.enabled,
        workers: row.apply_workers + row.sync_workers,
        last_message_seconds: since(row.last_msg_receipt_time, now),
        errors: row.apply_error_count.zip(row.sync_error_count).map(|(apply, sync)| apply + sync),
    }
}

#[cfg(test)]
mod tests {
    use super::super::by_hand::{built, put, view};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_primary_with_a_standby_and_a_forgotten_slot() {
        let mut view = view();
        put(&mut view.readings.server, 55, json!([{ "in_recovery": false, "now": 55 }]));
        put(&mut view.readings.recovery, 55, json!([]));
        put(&mut view.readings.wal_receiver, 55, json!([]));
        put(&mut view.readings.subscription, 55, json!([]));
        put(
            &mut view.readings.replication,
            55,
            json!([{ "pid": 9, "application_name": "db2", "state": "streaming", "replay_lag_ms": 250.0 }]),
        );
        let slots = json!([{ "slot_name": "db2", "slot_type": "physical", "active": true, "retained_bytes": 10 },
                           { "slot_name": "gone", "slot_type": "logical", "retained_bytes": 900, "xmin_age": null, "catalog_xmin_age": 7 }]);
        put(&mut view.readings.slots, 55, slots);
        let replication = built::<Replication>(&view, &Params::default());
        assert_eq!((&replication["role"], &replication["standby"]), (&json!("primary"), &json!(null)));
        assert_eq!(replication["senders"][0]["replay_lag_seconds"], 0.25);
        assert_eq!((&replication["slots"][0]["name"], &replication["slots"][0]["xmin_age"]), (&json!("gone"), &json!(7)));
        assert_eq!(replication["unknown"], json!({}));
    }

    #[test]
    fn a_standby_says_from_whom_it_streams_and_since_when_it_heard_nothing() {
        let mut view = view();
        put(&mut view.readings.server, 55, json!([{ "in_recovery": true, "now": 55 }]));
        put(&mut view.readings.recovery, 55, json!([{ "replay_lag_bytes": 100, "replay_lag_ms": 3000.0, "pause_state": "paused" }]));
        put(
            &mut view.readings.wal_receiver,
            55,
            json!([{ "sender_host": "db1", "sender_port": 5432, "status": "streaming", "last_msg_receipt_time": 40 }]),
        );
        let standby = built::<Replication>(&view, &Params::default())["standby"].clone();
        assert_eq!((&standby["sender"], &standby["last_message_seconds"]), (&json!("db1:5432"), &json!(20.0)));
        assert_eq!((&standby["pause_state"], &standby["replay_lag_seconds"]), (&json!("paused"), &json!(3.0)));
    }
}
