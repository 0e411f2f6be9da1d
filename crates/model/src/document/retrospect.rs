//! Documents about the past of one server.

use crate::error::Result;
use crate::past::Past;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

/// An answer made from what is remembered of one server.
pub trait Retrospect: Serialize + DeserializeOwned + ToSchema + Send + 'static {
    /// What may be asked of it; the query parameters of its path.
    type Params: Serialize + DeserializeOwned + IntoParams + Default + Send + 'static;
    /// Where the API serves it.
    const PATH: &'static str;
    /// What it tells, in one line.
    const ABOUT: &'static str;

    /// Makes it.
    ///
    /// # Errors
    /// As [`super::Document::build`], and when the history cannot be read.
    fn build(past: &dyn Past, now: Timestamp, params: &Self::Params) -> Result<Self>;
}
