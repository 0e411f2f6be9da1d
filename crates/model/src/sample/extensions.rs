//! Extensions of one database, from `pg_extension` and the control files.

use super::Text;
use super::row::rows;

rows! {
    /// One extension that is installed in the database.
    pub struct Extension {
        /// Database.
        label datname: Text;
        /// Name.
        label extname: Text;
        /// Schema of its objects.
        info schemaname: Text;
        /// Version installed.
        info version: Text;
        /// Version that CREATE EXTENSION would install now; another one than `version` means that ALTER EXTENSION … UPDATE is due.
        /// None when its files are gone.
        info default_version: Option<Text>;
    }
}
