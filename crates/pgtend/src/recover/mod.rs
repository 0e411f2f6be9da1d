//! A server that does not start: looked at, copied, and tried on the copy. What is done is decided in `pgtend_model::recover`.

mod act;
mod copying;
mod elsewhere;
mod run;
mod survey;
mod trial;

pub use elsewhere::Elsewhere;
pub use run::Recovery;
