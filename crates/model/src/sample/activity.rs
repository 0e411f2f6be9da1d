//! Sessions that do something, from `pg_stat_activity`.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One backend that is not idle, background workers included when they are busy.
    pub struct Activity {
        /// Process id.
        label pid: i64;
        /// When the process started; with `pid` it names a session.
        info backend_start: Option<Timestamp>;
        /// Database; none for server-wide processes.
        label datname: Option<Text>;
        /// Role; none for background processes.
        label usename: Option<Text>;
        /// What the client calls itself.
        label application_name: Option<Text>;
        /// Address of the client; none for a Unix socket.
        label client_addr: Option<Text>;
        /// `client backend`, `autovacuum worker`, `walsender`, …
        label backend_type: Option<Text>;
        /// `active`, `idle in transaction`, `idle in transaction (aborted)`, `fastpath function call`; none for background processes.
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
        /// Age of the oldest transaction id that the session keeps visible, in transactions.
        gauge xmin_age: Option<i64>, "transactions";
        /// Statement identifier; from 14 on, and none while the statement is still being parsed.
        info query_id: Option<i64>;
        /// The statement as the server shows it, up to `track_activity_query_size`.
        info query: Option<Text>;
        /// Process ids that this session waits for; asked for lock waiters only.
        info blocked_by: Option<Vec<i32>>;
    }
}
