//! TLS as libpq's `sslmode` means it, on rustls.

mod binding;
mod config;
mod names;
mod settings;
mod trouble;
mod verify;
mod wire;

pub use settings::{Mode, TlsSettings};
pub use trouble::explain;
pub use wire::{Established, Socket, Wire, handshake};
