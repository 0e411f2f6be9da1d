//! What the server is, from settings, control functions and the recovery state: one row.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One row: the server itself.
    pub struct Server {
        /// `server_version_num`, 150018 for 15.18.
        info version_num: i64;
        /// `server_version` as the server writes it.
        info version: Text;
        /// `version()`: with the compiler and the platform that it was built for.
        info full_version: Text;
        /// `cluster_name`; none when it is not set.
        info cluster_name: Option<Text>;
        /// When the postmaster started.
        info started_at: Timestamp;
        /// When the configuration was last loaded.
        info config_loaded_at: Option<Timestamp>;
        /// Whether it is in recovery: a standby, or replaying after a crash.
        gauge in_recovery: bool;
        /// The system identifier from pg_control, as text because it exceeds 2^63.
        info system_identifier: Option<Text>;
        /// Timeline that is written now, or the one of the last restartpoint in recovery.
        gauge timeline: i64;
        /// Current write position, or the last replayed one in recovery, as a byte count from 0/0.
        counter wal_position: Option<i64>, "bytes";
        /// When the last checkpoint (or restartpoint) was begun.
        info checkpoint_at: Option<Timestamp>;
        /// WAL written, or replayed, since the last checkpoint was begun: what a crash would have to replay now.
        gauge wal_since_checkpoint_bytes: Option<i64>, "bytes";
        /// Next transaction id, with its epoch: grows by one with each transaction that writes.
        counter next_xid: i64, "transactions";
        /// `max_connections`.
        gauge max_connections: i64, "connections";
        /// Slots kept for superusers (and, from 16 on, for `pg_use_reserved_connections`).
        gauge reserved_connections: i64, "connections";
        /// Client backends now, of all databases. A role that does not see all sessions cannot tell workers from clients: then
        /// they count too.
        gauge client_backends: i64, "connections";
        /// Whether the role sees the sessions of others (`pg_read_all_stats`, part of `pg_monitor`).
        info sees_all_sessions: bool;
        /// The server's own clock.
        info now: Timestamp;
    }
}
