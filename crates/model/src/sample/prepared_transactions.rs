//! Transactions prepared for two-phase commit, from `pg_prepared_xacts`.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One prepared transaction: it keeps its locks and holds back VACUUM until it is committed or rolled back.
    pub struct PreparedTransaction {
        /// Global identifier, as the application gave it.
        label gid: Text;
        /// Database.
        label database: Text;
        /// Role that prepared it.
        label owner: Text;
        /// When it was prepared.
        info prepared: Timestamp;
        /// Age of its transaction id.
        gauge xid_age: i64, "transactions";
    }
}
