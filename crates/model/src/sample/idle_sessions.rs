//! Idle sessions by how long they have been idle.

use super::Text;
use super::row::rows;

rows! {
    /// The idle sessions of one application in one state, pgtend's own excepted.
    pub struct IdleSessions {
        /// `idle`, `idle in transaction`, `idle in transaction (aborted)`.
        label state: Text;
        /// What the client calls itself; empty when it does not say.
        label application_name: Text;
        /// Sessions.
        gauge sessions: i64, "connections";
        /// How long they have been idle, all together.
        gauge idle_seconds: f64, "seconds";
        /// Those idle for up to a second.
        gauge idle_up_to_1s: i64, "connections";
        /// Those idle for up to 2 seconds.
        gauge idle_up_to_2s: i64, "connections";
        /// Those idle for up to 5 seconds.
        gauge idle_up_to_5s: i64, "connections";
        /// Those idle for up to 15 seconds.
        gauge idle_up_to_15s: i64, "connections";
        /// Those idle for up to 30 seconds.
        gauge idle_up_to_30s: i64, "connections";
        /// Those idle for up to a minute.
        gauge idle_up_to_60s: i64, "connections";
        /// Those idle for up to a minute and a half.
        gauge idle_up_to_90s: i64, "connections";
        /// Those idle for up to 2 minutes.
        gauge idle_up_to_120s: i64, "connections";
        /// Those idle for up to 5 minutes.
        gauge idle_up_to_300s: i64, "connections";
    }
}
