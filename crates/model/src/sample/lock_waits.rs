//! What each blocked session waits for, from `pg_locks`; asked on demand, for lock trees.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One lock that is waited for.
    pub struct LockWait {
        /// Process that waits.
        label pid: i64;
        /// `relation`, `tuple`, `transactionid`, `advisory`, …
        label locktype: Text;
        /// Mode that it wants.
        label mode: Text;
        /// Database of the object; none for locks that belong to none.
        info datname: Option<Text>;
        /// Object identifier of the relation.
        info relid: Option<i64>;
        /// Name of the relation, where it is in the database that was asked.
        info relation: Option<Text>;
        /// Page of the relation.
        info page: Option<i64>;
        /// Row within the page.
        info tuple: Option<i64>;
        /// Transaction whose end it waits for.
        info transactionid: Option<i64>;
        /// Keys of an advisory lock, `classid/objid/objsubid`.
        info advisory: Option<Text>;
        /// Since when it has been waiting; from 14 on.
        info wait_start: Option<Timestamp>;
        /// Processes that keep it waiting; 0 stands for a prepared transaction.
        info blocked_by: Vec<i32>;
    }
}
