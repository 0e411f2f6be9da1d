//! The server's log: its messages, how many there were, and how reading it goes.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One message that tells of something wrong or of the server's own work; what every statement or connection writes is left out.
    pub struct LogEvent {
        /// When it was written; when it was read where the log has no times.
        info at: Timestamp;
        /// WARNING, ERROR, FATAL, PANIC or LOG; UNKNOWN where the server's language hides it.
        info severity: Text;
        /// SQLSTATE; none where the log does not have it.
        info sqlstate: Option<Text>;
        /// Process id.
        info pid: Option<i64>;
        /// Role.
        info user: Option<Text>;
        /// Database.
        info database: Option<Text>;
        /// What the client calls itself.
        info application: Option<Text>;
        /// The client's address.
        info client: Option<Text>;
        /// Kind of process, from 13 on and not on stderr.
        info backend_type: Option<Text>;
        /// The message, with passwords taken out.
        info message: Text;
        /// Its details.
        info detail: Option<Text>;
        /// What the server advises.
        info hint: Option<Text>;
        /// Where in functions it happened.
        info context: Option<Text>;
        /// The statement, with passwords taken out.
        info query: Option<Text>;
        /// The statement's identifier, from 14 on.
        info query_id: Option<i64>;
    }

    /// Messages of one severity and class of SQLSTATE since the agent began to read the log.
    pub struct LogMessages {
        /// PANIC, FATAL, ERROR, WARNING, LOG, …
        label severity: Text;
        /// First two characters of the SQLSTATE: `23` integrity, `40` rollback (deadlocks), `53` resources, `57` intervention; empty where
        /// the log does not have it.
        label sqlstate_class: Text;
        /// Messages.
        counter written: i64, "messages";
    }

    /// One row: how reading the server's log goes.
    pub struct LogReading {
        /// The file.
        info file: Text;
        /// How it is written: `jsonlog`, `csvlog` or `stderr`.
        info format: Text;
        /// Messages of severity ERROR and above in the last minute.
        gauge errors_per_minute: f64, "messages";
        /// What was written and not read yet.
        gauge behind_bytes: i64, "bytes";
        /// What was read.
        counter read_bytes: i64, "bytes";
        /// What was left out because the log grew faster than it is read.
        counter skipped_bytes: i64, "bytes";
        /// Messages that are counted and not kept, because there were too many at once.
        counter not_kept: i64, "messages";
        /// Lines that were no message of the server: what its archive command writes, for instance.
        counter not_understood: i64, "lines";
        /// Plans that auto_explain logged.
        counter plans: i64, "plans";
        /// Of these, those in a format that is not understood (xml, yaml).
        counter plans_not_understood: i64, "plans";
    }
}
