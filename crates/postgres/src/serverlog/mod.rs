//! The log of a server on this machine: which file it is, and what is appended to it.

mod locate;
mod tail;

pub use locate::{Kind, Place, Told, locate};
pub use tail::{Piece, Tail};
