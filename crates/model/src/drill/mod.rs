//! Drills: what one found, what follows from it, and what is kept.

mod counts;
mod kept;
mod page;
mod report;

pub use counts::{Counted, Difference, Meanwhile, compare};
pub use kept::{Drills, Kept, Running, Summary};
pub use report::{Check, Drill, Kind, Outcome, Phase, Rpo, TableDifference, Verdict, Which};
