//! Replication slots, from `pg_replication_slots` and `pg_stat_replication_slots`.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One slot. Positions are byte counts from 0/0; what it holds back is measured against the server's own position.
    pub struct ReplicationSlot {
        /// Name.
        label slot_name: Text;
        /// `physical` or `logical`.
        label slot_type: Text;
        /// Output plugin of a logical slot.
        label plugin: Option<Text>;
        /// Database of a logical slot.
        label database: Option<Text>;
        /// Whether it goes away with its session.
        info temporary: bool;
        /// Whether somebody streams from it now.
        gauge active: bool;
        /// Process that streams from it.
        info active_pid: Option<i64>;
        /// Age of the oldest transaction id that it keeps from being vacuumed.
        gauge xmin_age: Option<i64>, "transactions";
        /// The same, for the system catalogues.
        gauge catalog_xmin_age: Option<i64>, "transactions";
        /// Where this server is: the last written, or on a standby the last received position.
        counter current_position: Option<i64>, "bytes";
        /// Oldest position that it still needs; none when it reserves nothing or has lost its WAL.
        counter restart_position: Option<i64>, "bytes";
        /// Last position that the consumer of a logical slot confirmed.
        counter confirmed_flush_position: Option<i64>, "bytes";
        /// WAL that is kept for it.
        gauge retained_bytes: Option<i64>, "bytes";
        /// Not yet confirmed by the consumer of a logical slot.
        gauge confirmed_lag_bytes: Option<i64>, "bytes";
        /// `reserved`, `extended` (beyond `max_wal_size`), `unreserved` (about to be lost), `lost`.
        label wal_status: Option<Text>;
        /// WAL that can still be written before it is in danger; none without `max_slot_wal_keep_size`.
        gauge safe_wal_size: Option<i64>, "bytes";
        /// Whether prepared transactions are decoded; from 14 on.
        info two_phase: Option<bool>;
        /// Position from which prepared transactions are decoded; from 18 on.
        info two_phase_position: Option<i64>;
        /// Whether a logical slot on a standby was invalidated by a conflict with recovery; from 16 on.
        gauge conflicting: Option<bool>;
        /// Since when nobody streams from it; from 17 on.
        info inactive_since: Option<Timestamp>;
        /// Why it was invalidated (`wal_removed`, `rows_removed`, `wal_level_insufficient`, `idle_timeout`); from 17 on.
        info invalidation_reason: Option<Text>;
        /// Whether it is to be kept on standbys too; from 17 on.
        info failover: Option<bool>;
        /// Whether it is a copy of the primary's slot; from 17 on.
        info synced: Option<bool>;
        /// Transactions that were spilled to disk; logical slots, from 14 on.
        counter spill_txns: Option<i64>, "transactions";
        /// Times transactions were spilled to disk; logical slots, from 14 on.
        counter spill_count: Option<i64>, "times";
        /// Spilled to disk; logical slots, from 14 on.
        counter spill_bytes: Option<i64>, "bytes";
        /// Transactions streamed before their end; logical slots, from 14 on.
        counter stream_txns: Option<i64>, "transactions";
        /// Times transactions were streamed before their end; logical slots, from 14 on.
        counter stream_count: Option<i64>, "times";
        /// Streamed before the end of the transaction; logical slots, from 14 on.
        counter stream_bytes: Option<i64>, "bytes";
        /// Transactions sent; logical slots, from 14 on.
        counter total_txns: Option<i64>, "transactions";
        /// Decoded for sending; logical slots, from 14 on.
        counter total_bytes: Option<i64>, "bytes";
        /// When these counters were last reset.
        info stats_reset: Option<Timestamp>;
    }
}
