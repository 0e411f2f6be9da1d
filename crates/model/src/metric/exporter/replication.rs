//! Replication: standing, WAL senders, slots, WAL receiver.

use crate::metric::about::seconds;
use crate::metric::single::singles;
use crate::metric::table::{Named, table};
use crate::sample::recovery::Recovery;
use crate::sample::replication::Replication;
use crate::sample::slots::ReplicationSlot;
use crate::sample::wal_receiver::WalReceiver;
use crate::view::View;

/// Whether the server is a standby, and how it stands with replay.
fn recovery(view: &View) -> Option<(bool, Option<&Recovery>)> {
    let server = view.readings.server.current().ok()?.rows.first()?;
    Some((server.in_recovery, view.readings.recovery.current().ok().and_then(|sample| sample.rows.first())))
}

singles! {
    /// How the server stands in replication. A primary lags by nothing.
    STANDING;
    gauge pg_replication_lag_seconds, "How far a standby's replay is behind: the time since the commit that it replayed last, 0 when all that was received is replayed; 0 on a primary.",
    |subject, series| match recovery(subject.view) {
        Some((false, _)) => series.add(&[], 0_i64),
        Some((true, Some(row))) => series.add(&[], row.replay_lag_ms.map(|ms| ms / 1000.0)),
        _ => (),
    };
    gauge pg_replication_is_replica shows Server.in_recovery, "Whether the server is a standby.",
    |subject, series| series.add(&[], recovery(subject.view).map(|(is_standby, _)| is_standby));
    gauge pg_replication_last_replay_seconds, "Time since the commit that a standby replayed last; 0 on a primary.",
    |subject, series| match recovery(subject.view) {
        Some((false, _)) => series.add(&[], 0_i64),
        Some((true, Some(row))) => series.add(&[], row.last_replayed_at.map(|at| seconds(at, subject.server_now).max(0.0))),
        _ => (),
    };
    gauge pg_postmaster_start_time_seconds, "When the server started, in seconds since 1970.",
    |subject, series| series.add(&[], subject.view.readings.server.current().ok().and_then(|sample| sample.rows.first()).map(|row| row.started_at));
}

table! {
    /// pg_stat_replication.
    SENDERS: Replication of replication(Replication) as inherited;
    labels { application_name, client_addr, slot_name, state }
    gauge pg_stat_replication_pg_current_wal_lsn_bytes(current_position), "Position of this server in the WAL, in bytes from 0/0.";
    gauge pg_stat_replication_pg_wal_lsn_diff(replay_lag_bytes), "Bytes of WAL that the standby has not replayed yet.";
    untyped pg_stat_replication_reply_time() = |row, _now| row.reply_time, "When the standby last reported, by its clock, in seconds since 1970.";
}

table! {
    /// pg_replication_slots.
    SLOTS: Slots of slots(ReplicationSlot) as inherited;
    labels { slot_name, database }
    gauge pg_replication_slots_active(active), "Whether somebody streams from the slot now.";
    gauge pg_replication_slots_pg_wal_lsn_diff(retained_bytes), "Bytes of WAL that are kept for the slot.";
}

/// postgres_exporter shows a position that was never confirmed as 0, and only while somebody streams.
fn confirmed(row: &ReplicationSlot) -> Option<i64> {
    row.active.then(|| row.confirmed_flush_position.unwrap_or(0))
}

table! {
    /// Slots by type, under the names of 0.13–0.19 (`slot`) and of 0.20 (`slots`).
    SLOTS_BY_TYPE: Slots of slots(ReplicationSlot);
    labels { slot_name, slot_type }
    gauge pg_replication_slots_slot_current_wal_lsn(current_position), "Position of this server in the WAL, in bytes from 0/0.";
    gauge pg_replication_slots_slot_confirmed_flush_lsn(confirmed_flush_position) = |row, _now| confirmed(row), "Last position that the consumer of an active slot confirmed, in bytes from 0/0.";
    gauge pg_replication_slots_slot_is_active(active), "Whether somebody streams from the slot now.";
    gauge pg_replication_slots_safe_wal_size_bytes(safe_wal_size), "Bytes of WAL that can still be written before the slot is in danger; none without max_slot_wal_keep_size.";
    gauge pg_replication_slot_slot_current_wal_lsn(current_position), "Position of this server in the WAL, in bytes from 0/0.";
    gauge pg_replication_slot_slot_confirmed_flush_lsn(confirmed_flush_position) = |row, _now| confirmed(row), "Last position that the consumer of an active slot confirmed, in bytes from 0/0.";
    gauge pg_replication_slot_slot_is_active(active), "Whether somebody streams from the slot now.";
    gauge pg_replication_slot_safe_wal_size_bytes(safe_wal_size), "Bytes of WAL that can still be written before the slot is in danger; none without max_slot_wal_keep_size.";
}

table! {
    /// What became of the WAL that slots need, as a label.
    WAL_STATUS: Slots of slots(ReplicationSlot) where |row| row.wal_status.is_some();
    labels { slot_name, slot_type, wal_status }
    gauge pg_replication_slots_wal_status() = |_row, _now| 1_i64, "Always 1; the label wal_status says what became of the WAL that the slot needs: reserved, extended, unreserved or lost.";
    gauge pg_replication_slot_wal_status() = |_row, _now| 1_i64, "Always 1; the label wal_status says what became of the WAL that the slot needs: reserved, extended, unreserved or lost.";
}

/// postgres_exporter cuts positions of the WAL receiver to 52 bits.
fn low_bits(position: Option<i64>) -> Option<i64> {
    position.map(|position| position % (1 << 52))
}

table! {
    /// pg_stat_wal_receiver.
    RECEIVER: WalReceiver of wal_receiver(WalReceiver);
    labels { upstream_host = |row| row.sender_host.shown(), slot_name, status }
    counter pg_stat_wal_receiver_receive_start_lsn(receive_start_position) = |row, _now| low_bits(row.receive_start_position), "Position at which receiving started, in bytes from 0/0.";
    gauge pg_stat_wal_receiver_receive_start_tli(receive_start_timeline), "Timeline on which receiving started.";
    counter pg_stat_wal_receiver_flushed_lsn(flushed_position) = |row, _now| low_bits(row.flushed_position), "Last position received and flushed, in bytes from 0/0.";
    gauge pg_stat_wal_receiver_received_tli(received_timeline), "Timeline of the last position received and flushed.";
    counter pg_stat_wal_receiver_last_msg_send_time() = |row, _now| row.last_msg_send_time, "When the sender sent its last message, by its clock, in seconds since 1970.";
    counter pg_stat_wal_receiver_last_msg_receipt_time() = |row, _now| row.last_msg_receipt_time, "When the last message arrived, in seconds since 1970.";
    counter pg_stat_wal_receiver_latest_end_lsn(latest_end_position) = |row, _now| low_bits(row.latest_end_position), "Last position reported to the sender, in bytes from 0/0.";
    counter pg_stat_wal_receiver_latest_end_time() = |row, _now| row.latest_end_time, "When that was, in seconds since 1970.";
}
