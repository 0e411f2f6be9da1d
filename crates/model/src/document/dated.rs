//! Documents that are told of any time: by an agent from its history, by a look of its own from what it has just seen.

use super::Document;
use crate::error::Result;
use crate::past::Past;
use jiff::Timestamp;

/// A document that is also told of the past.
pub trait Dated: Document {
    /// Whether what is asked is about the past, so that an agent answers from its history.
    fn is_of_past(params: &Self::Params) -> bool;

    /// Makes it from what is remembered.
    ///
    /// # Errors
    /// As [`Document::build`], and when the history cannot be read.
    fn of_past(past: &dyn Past, now: Timestamp, params: &Self::Params) -> Result<Self>;
}
