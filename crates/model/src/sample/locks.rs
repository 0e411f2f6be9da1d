//! Heavyweight locks by kind, from `pg_locks`.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// The locks of one kind and mode in one database; kinds that nobody holds or awaits have no row.
    pub struct Locks {
        /// Database; none for locks that belong to none (transactions, shared objects).
        label datname: Option<Text>;
        /// `relation`, `tuple`, `transactionid`, `advisory`, …
        label locktype: Text;
        /// `AccessShareLock`, …, `AccessExclusiveLock`, `SIReadLock`.
        label mode: Text;
        /// Locks held.
        gauge granted: i64, "locks";
        /// Of these, those taken by the fast path.
        gauge fastpath: i64, "locks";
        /// Locks waited for.
        gauge waiting: i64, "locks";
        /// Since when the longest waiter has been waiting; from 14 on.
        info oldest_wait_start: Option<Timestamp>;
    }
}
