//! How many sessions there are of each kind, from `pg_stat_activity`.

use super::Text;
use super::row::rows;

rows! {
    /// Sessions that have everything in the labels in common, pgtend's own excepted. There are never more rows than sessions.
    pub struct Connections {
        /// Database; none for server-wide processes.
        label datname: Option<Text>;
        /// Role; none for background processes.
        label usename: Option<Text>;
        /// What the client calls itself.
        label application_name: Option<Text>;
        /// `client backend`, `autovacuum worker`, `walsender`, …; none when the role may not see it.
        label backend_type: Option<Text>;
        /// `active`, `idle`, `idle in transaction`, …; none for background processes.
        label state: Option<Text>;
        /// Type of the wait event; none while on CPU.
        label wait_event_type: Option<Text>;
        /// The wait event; none while on CPU.
        label wait_event: Option<Text>;
        /// Sessions.
        gauge count: i64, "connections";
        /// Age of the oldest transaction; none where no transaction is open.
        gauge max_xact_age_ms: Option<f64>, "ms";
        /// Longest time since a change of state: for idle sessions, how long the longest has been idle.
        gauge max_state_age_ms: Option<f64>, "ms";
    }
}
