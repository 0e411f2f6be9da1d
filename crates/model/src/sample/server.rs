//! What the server is, from settings, control functions and the recovery state: one row.

use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One row: the server itself.
    pub struct Server {
        /// `server_version_num`, 150018 for 15.18.
        info version_num: i64;
        /// `server_version` as the server writes it.
        info version: super::Text;
        /// When the postmaster started.
        info started_at: Timestamp;
        /// When the configuration was last loaded.
        info config_loaded_at: Option<Timestamp>;
        /// Whether it is in recovery: a standby, or replaying after a crash.
        gauge in_recovery: bool;
        /// The system identifier from pg_control, as text because it exceeds 2^63.
        info system_identifier: Option<super::Text>;
        /// Current write position, or the last replayed one in recovery, as a byte count from 0/0.
        counter wal_position: Option<i64>, "bytes";
        /// `max_connections`.
        gauge max_connections: i64, "connections";
        /// Slots kept for superusers (and, from 16 on, for `pg_use_reserved_connections`).
        gauge reserved_connections: i64, "connections";
        /// Client backends now, of all databases.
        gauge client_backends: i64, "connections";
        /// The server's own clock.
        info now: Timestamp;
    }
}
