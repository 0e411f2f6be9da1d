//! Subscriptions of this server, from `pg_subscription`, `pg_stat_subscription` and `pg_stat_subscription_stats`.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One subscription, of whichever database. Positions are byte counts from 0/0 on the publisher.
    pub struct Subscription {
        /// Object identifier.
        label subid: i64;
        /// Name.
        label subname: Text;
        /// Database that it belongs to.
        label datname: Text;
        /// Whether it is enabled.
        gauge enabled: bool;
        /// Slot that it uses on the publisher.
        info slot_name: Option<Text>;
        /// Process id of its apply worker; none while it does not run.
        info pid: Option<i64>;
        /// Workers that apply changes, parallel ones included.
        gauge apply_workers: i64, "workers";
        /// Workers that copy tables for the first time.
        gauge sync_workers: i64, "workers";
        /// Last position received.
        counter received_position: Option<i64>, "bytes";
        /// When the last message was sent, by the publisher's clock.
        info last_msg_send_time: Option<Timestamp>;
        /// When the last message came in.
        info last_msg_receipt_time: Option<Timestamp>;
        /// Last position reported to the publisher.
        counter latest_end_position: Option<i64>, "bytes";
        /// When it was reported.
        info latest_end_time: Option<Timestamp>;
        /// Errors while applying changes; from 15 on.
        counter apply_error_count: Option<i64>, "errors";
        /// Errors while copying tables; from 15 on.
        counter sync_error_count: Option<i64>, "errors";
        /// Inserted rows whose key existed; from 18 on.
        counter confl_insert_exists: Option<i64>, "conflicts";
        /// Updated rows last changed by another origin; from 18 on.
        counter confl_update_origin_differs: Option<i64>, "conflicts";
        /// Updated rows whose new key existed; from 18 on.
        counter confl_update_exists: Option<i64>, "conflicts";
        /// Rows to update that were not there; from 18 on.
        counter confl_update_missing: Option<i64>, "conflicts";
        /// Deleted rows last changed by another origin; from 18 on.
        counter confl_delete_origin_differs: Option<i64>, "conflicts";
        /// Rows to delete that were not there; from 18 on.
        counter confl_delete_missing: Option<i64>, "conflicts";
        /// Rows that violated several unique constraints; from 18 on.
        counter confl_multiple_unique_conflicts: Option<i64>, "conflicts";
        /// When these counters were last reset.
        info stats_reset: Option<Timestamp>;
    }
}
