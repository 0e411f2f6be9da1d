//! What each database takes on disk, from `pg_database_size`, which looks at every file.

use super::Text;
use super::row::rows;

rows! {
    /// One database that the role may connect to (with `pg_read_all_stats`, every one).
    pub struct DatabaseSize {
        /// Object identifier.
        label datid: i64;
        /// Name.
        label datname: Text;
        /// Files of the database in all tablespaces.
        gauge size_bytes: i64, "bytes";
    }
}
