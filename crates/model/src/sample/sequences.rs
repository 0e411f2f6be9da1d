//! How far sequences are used up, from `pg_sequence`.

use super::Text;
use super::row::rows;

rows! {
    /// One sequence. Reading the last value locks the sequence against ALTER for the moment, so a run reads at most 500: those of
    /// the narrowest types first, then the most used.
    pub struct Sequence {
        /// Database.
        label datname: Text;
        /// Schema.
        label schemaname: Text;
        /// Name.
        label sequencename: Text;
        /// `smallint`, `integer` or `bigint`.
        info data_type: Text;
        /// First value.
        info start_value: i64;
        /// Smallest value.
        info min_value: i64;
        /// Largest value.
        info max_value: i64;
        /// Step; negative for a descending sequence.
        info increment_by: i64;
        /// Whether it begins anew after its last value.
        info is_cycle: bool;
        /// Values that a session takes at once.
        info cache_size: i64;
        /// Table and column that it belongs to, as `table.column`; none for a free-standing one.
        info owned_by: Option<Text>;
        /// Last value handed out; none when it has never been used.
        gauge last_value: Option<i64>;
        /// Part of its values that is used up, 0 to 1; 0 when it has never been used.
        gauge used_ratio: f64, "ratio";
    }
}
