//! The WAL receiver of a standby, from `pg_stat_wal_receiver`.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One row while this server receives WAL by streaming, none otherwise. Positions are byte counts from 0/0.
    pub struct WalReceiver {
        /// Process id.
        label pid: i64;
        /// `starting`, `streaming`, `waiting`, `restarting`, `stopping`.
        label status: Option<Text>;
        /// Slot used on the sending server.
        label slot_name: Option<Text>;
        /// Host that sends; a directory for a Unix socket.
        label sender_host: Option<Text>;
        /// Its port.
        info sender_port: Option<i64>;
        /// Where receiving began.
        counter receive_start_position: Option<i64>, "bytes";
        /// Timeline when receiving began.
        gauge receive_start_timeline: Option<i64>;
        /// Last position written to disk, not yet flushed.
        counter written_position: Option<i64>, "bytes";
        /// Last position flushed to disk.
        counter flushed_position: Option<i64>, "bytes";
        /// Timeline of the last flushed position.
        gauge received_timeline: Option<i64>;
        /// When the last message was sent, by the sender's clock.
        info last_msg_send_time: Option<Timestamp>;
        /// When the last message came in, by this server's clock.
        info last_msg_receipt_time: Option<Timestamp>;
        /// Last position reported to the sender.
        counter latest_end_position: Option<i64>, "bytes";
        /// When it was reported.
        info latest_end_time: Option<Timestamp>;
    }
}
