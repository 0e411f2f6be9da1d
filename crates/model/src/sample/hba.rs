//! The rules of client authentication, from `pg_hba_file_rules`.

use super::Text;
use super::row::rows;

rows! {
    /// One line of pg_hba.conf (or a file that it includes), in the order of matching.
    pub struct HbaRule {
        /// File; from 16 on.
        label file_name: Option<Text>;
        /// Line.
        label line_number: i64;
        /// Order of matching; from 16 on, and none for a line in error.
        info rule_number: Option<i64>;
        /// `local`, `host`, `hostssl`, `hostnossl`, …
        info connection_type: Option<Text>;
        /// Databases, separated by commas.
        info database: Option<Text>;
        /// Roles, separated by commas.
        info user_name: Option<Text>;
        /// Address or host name; none for `local`.
        info address: Option<Text>;
        /// Netmask; none for `local` and host names.
        info netmask: Option<Text>;
        /// `scram-sha-256`, `md5`, `trust`, `peer`, …
        info auth_method: Option<Text>;
        /// Options, separated by commas; secrets masked.
        info options: Option<Text>;
        /// Why the line cannot be used.
        info error: Option<Text>;
    }
}
