//! What each session holds in the lock table, from `pg_locks`; asked on demand.

use super::Text;
use super::row::rows;

rows! {
    /// One session with at least one lock. Locks taken by the fast path count.
    pub struct SessionLocks {
        /// Process id.
        label pid: i64;
        /// Locks held.
        gauge held: i64, "locks";
        /// Locks waited for.
        gauge waited_for: i64, "locks";
        /// Id of its transaction; none while it has written nothing.
        info transaction_id: Option<Text>;
        /// Number of its transaction within the server's life, as `3/1234`.
        info virtual_transaction: Option<Text>;
        /// Whether it holds predicate locks, which only serializable transactions take.
        gauge serializable: bool;
    }
}
