//! Runs a probe's query on a connection and reads its typed rows.
//!
//! Which file is used depends on the server's major version and on the installed version of the extension that the probe needs.
//! Columns are found by name: a column that this version's query does not return reads as null.

mod catalog;
pub mod custom;
mod rows;
mod run;
mod texts;

pub use catalog::{Extension, Query, ranges};
pub use run::{Bounds, Failure, Prober};
pub use texts::Texts;
