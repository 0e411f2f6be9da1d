//! How connections are encrypted, from `pg_stat_ssl` and `pg_stat_gssapi`.

use super::Text;
use super::row::rows;

rows! {
    /// Connections of clients and WAL senders that are encrypted in the same way.
    pub struct Ssl {
        /// Whether they come over the network; otherwise through a Unix socket.
        label network: bool;
        /// Whether they use TLS.
        label ssl: bool;
        /// TLS version.
        label version: Option<Text>;
        /// Cipher.
        label cipher: Option<Text>;
        /// Bits of the cipher's key.
        info bits: Option<i64>;
        /// Whether they are encrypted by GSSAPI.
        label gss_encrypted: bool;
        /// Connections.
        gauge count: i64, "connections";
        /// Those that showed a certificate.
        gauge with_certificate: i64, "connections";
    }
}
