//! Asynchronous I/O in flight, from `pg_aios`.

use super::Text;
use super::row::rows;

rows! {
    /// I/O handles in the same state that do the same.
    pub struct Aios {
        /// `SUBMITTED`, `COMPLETED_IO`, …
        label state: Text;
        /// `readv` or `writev`; none before it is decided.
        label operation: Option<Text>;
        /// `smgr`, …
        label target: Option<Text>;
        /// Handles.
        gauge count: i64, "calls";
        /// What they read or write.
        gauge bytes: Option<i64>, "bytes";
    }
}
