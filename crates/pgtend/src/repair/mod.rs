//! Mends what a verification found: single pages from a backup, and everything that can be made anew. What is done is decided in
//! `pgtend_model::repair`.

mod locked;
mod page_file;
mod pages;
mod run;
mod salvage;
mod sound_backup;

pub use pages::{Pages, Which};
pub use run::{Repair, Source};
