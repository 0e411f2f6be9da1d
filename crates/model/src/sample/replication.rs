//! Those that stream WAL from this server, from `pg_stat_replication`.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One WAL sender: a standby, a logical subscriber, a base backup or an archiving receiver. Positions are byte counts from 0/0;
    /// lags are measured against the server's own position.
    pub struct Replication {
        /// Process id.
        label pid: i64;
        /// Role that it uses.
        label usename: Option<Text>;
        /// Name of the standby, as `synchronous_standby_names` knows it.
        label application_name: Option<Text>;
        /// Address of the client; none for a Unix socket.
        label client_addr: Option<Text>;
        /// Port of the client; -1 for a Unix socket.
        info client_port: Option<i64>;
        /// Slot that it uses, if any.
        label slot_name: Option<Text>;
        /// When it connected.
        info backend_start: Option<Timestamp>;
        /// Age of the oldest transaction id that the standby's queries keep visible (`hot_standby_feedback`).
        gauge xmin_age: Option<i64>, "transactions";
        /// `startup`, `catchup`, `streaming`, `backup`, `stopping`.
        label state: Option<Text>;
        /// Where this server is: the last written, or on a standby the last received position.
        counter current_position: Option<i64>, "bytes";
        /// Last position sent.
        counter sent_position: Option<i64>, "bytes";
        /// Last position written by the standby.
        counter write_position: Option<i64>, "bytes";
        /// Last position flushed by the standby.
        counter flush_position: Option<i64>, "bytes";
        /// Last position replayed by the standby.
        counter replay_position: Option<i64>, "bytes";
        /// Not yet sent.
        gauge sent_lag_bytes: Option<i64>, "bytes";
        /// Not yet written by the standby.
        gauge write_lag_bytes: Option<i64>, "bytes";
        /// Not yet flushed by the standby.
        gauge flush_lag_bytes: Option<i64>, "bytes";
        /// Not yet replayed by the standby.
        gauge replay_lag_bytes: Option<i64>, "bytes";
        /// Time from the local flush to the standby's write; none when it has nothing new to confirm.
        gauge write_lag_ms: Option<f64>, "ms";
        /// Time from the local flush to the standby's flush; none when it has nothing new to confirm.
        gauge flush_lag_ms: Option<f64>, "ms";
        /// Time from the local flush to the standby's replay; none when it has nothing new to confirm.
        gauge replay_lag_ms: Option<f64>, "ms";
        /// Rank among the synchronous standbys; 0 for asynchronous ones.
        gauge sync_priority: Option<i64>, "rank";
        /// `async`, `potential`, `sync`, `quorum`.
        label sync_state: Option<Text>;
        /// When the standby last reported, by the standby's clock.
        info reply_time: Option<Timestamp>;
    }
}
