//! Sessions that do something, from `pg_stat_activity`.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One backend that is not idle, background workers included when they are busy.
    pub struct Activity {
        /// Process id.
        label pid: i64;
        /// Process id of the leader of a parallel query, or of an apply worker, that this worker belongs to; none for leaders.
        info leader_pid: Option<i64>;
        /// When the process started; with `pid` it names a session.
        info backend_start: Option<Timestamp>;
        /// Object identifier of the database; none for server-wide processes.
        info datid: Option<i64>;
        /// Database; none for server-wide processes.
        label datname: Option<Text>;
        /// Object identifier of the role; none for background processes.
        info usesysid: Option<i64>;
        /// Role; none for background processes.
        label usename: Option<Text>;
        /// What the client calls itself.
        label application_name: Option<Text>;
        /// Address of the client; none for a Unix socket.
        label client_addr: Option<Text>;
        /// Port of the client; -1 for a Unix socket.
        info client_port: Option<i64>;
        /// `client backend`, `autovacuum worker`, `walsender`, …
        label backend_type: Option<Text>;
        /// `active`, `idle in transaction`, `idle in transaction (aborted)`, `fastpath function call`, `disabled` (`track_activities`
        /// is off); none for background processes.
        info state: Option<Text>;
        /// Type of the wait event; none while on CPU.
        info wait_event_type: Option<Text>;
        /// The wait event; none while on CPU.
        info wait_event: Option<Text>;
        /// When the transaction started.
        info xact_start: Option<Timestamp>;
        /// When the statement started (the last one, when idle in transaction).
        info query_start: Option<Timestamp>;
        /// When the state last changed.
        info state_change: Option<Timestamp>;
        /// Age of the session's own transaction id, in transactions; none while it has written nothing.
        gauge xid_age: Option<i64>, "transactions";
        /// Age of the oldest transaction id that the session keeps visible, in transactions.
        gauge xmin_age: Option<i64>, "transactions";
        /// Statement identifier; from 14 on, and none while the statement is still being parsed.
        info query_id: Option<i64>;
        /// The statement, at most 1,024 characters of it; `query_id` leads to the whole text.
        info query: Option<Text>;
        /// Process ids that this session waits for; asked for the 200 longest waiters for locks only. 0 stands for a prepared
        /// transaction.
        info blocked_by: Option<Vec<i32>>;
    }
}
