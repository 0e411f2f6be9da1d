//! `pgtend top`: the terminal UI. Events change a state by a pure function, the state is drawn by another, and one task fetches.

mod feed;
mod run;
mod select;
mod state;
mod update;
mod view;

pub use feed::Feed;
pub use run::{Options, run};
pub use select::sort_sessions;
pub use state::Order;
