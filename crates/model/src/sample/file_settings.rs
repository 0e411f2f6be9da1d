//! What the configuration files say, from `pg_file_settings`.

use super::Text;
use super::row::rows;

rows! {
    /// One line of a configuration file, in the order of reading.
    pub struct FileSetting {
        /// File.
        label sourcefile: Option<Text>;
        /// Line.
        label sourceline: Option<i64>;
        /// Order of reading.
        label seqno: i64;
        /// Setting; none where the line cannot be read.
        info name: Option<Text>;
        /// Value, masked as in the settings probe.
        info setting: Option<Text>;
        /// Whether it can take effect.
        gauge applied: bool;
        /// Why not.
        info error: Option<Text>;
    }
}
