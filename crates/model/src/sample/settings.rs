//! The server's settings, from `pg_settings`.

use super::Text;
use super::row::rows;

rows! {
    /// One setting. Passwords and the values of settings whose name says that they are secret are masked in the query.
    pub struct Setting {
        /// Name.
        label name: Text;
        /// Value, in `unit`.
        info setting: Option<Text>;
        /// Unit of the value: `8kB`, `ms`, …
        info unit: Option<Text>;
        /// Chapter of the manual.
        info category: Text;
        /// What it is for, as PostgreSQL says it.
        info short_desc: Text;
        /// When it can be changed: `postmaster` (restart), `sighup` (reload), `superuser`, `user`, `internal`, …
        info context: Text;
        /// `bool`, `integer`, `real`, `enum`, `string`.
        info vartype: Text;
        /// Where the value comes from: `default`, `configuration file`, `command line`, …
        info source: Text;
        /// Smallest value allowed.
        info min_val: Option<Text>;
        /// Largest value allowed.
        info max_val: Option<Text>;
        /// Value when nothing is configured.
        info boot_val: Option<Text>;
        /// Value that RESET gives.
        info reset_val: Option<Text>;
        /// File that sets it.
        info sourcefile: Option<Text>;
        /// Line of that file.
        info sourceline: Option<i64>;
        /// Whether a value was changed in the files and waits for a restart.
        gauge pending_restart: bool;
    }
}
