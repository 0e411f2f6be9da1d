//! Work that blocks (files, compression, SQLite), done beside the tasks that must not.

use pgtend_model::error::{Error, Kind, Result};

/// Does work on a thread for what blocks.
///
/// # Errors
/// Those of the work; [`Kind::Internal`] where its thread ended without an answer.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::new(Kind::Internal, format!("a thread that did the work ended: {error}"))))
}
