//! Functions that were called, from `pg_stat_user_functions`.

use super::Text;
use super::row::rows;

rows! {
    /// One function that was called while `track_functions` was on.
    pub struct Function {
        /// Database.
        label datname: Text;
        /// Schema.
        label schemaname: Text;
        /// Name.
        label funcname: Text;
        /// Object identifier: functions may share a name.
        label funcid: i64;
        /// Calls.
        counter calls: i64, "calls";
        /// Time spent in it and in those that it called.
        counter total_time: f64, "ms";
        /// Time spent in itself.
        counter self_time: f64, "ms";
    }
}
