//! Network interfaces of the server's host (of its network namespace), from /proc/PID/net/dev.

use super::Text;
use super::row::rows;

rows! {
    /// One interface, loopback included.
    pub struct HostNetwork {
        /// Its name.
        label interface: Text;
        /// Bytes received.
        counter receive_bytes: i64, "bytes";
        /// Packets received.
        counter receive_packets: i64, "packets";
        /// Packets received with errors.
        counter receive_errors: i64, "packets";
        /// Packets dropped on receipt.
        counter receive_drops: i64, "packets";
        /// Bytes sent.
        counter transmit_bytes: i64, "bytes";
        /// Packets sent.
        counter transmit_packets: i64, "packets";
        /// Packets that could not be sent because of errors.
        counter transmit_errors: i64, "packets";
        /// Packets dropped before they were sent.
        counter transmit_drops: i64, "packets";
    }
}
