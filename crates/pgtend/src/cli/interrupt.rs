//! Ctrl-C during work that has something to clear away.

use crate::backup::Progress;
use pgtend_model::error::{Error, Kind, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Does work; when somebody interrupts it, it is asked to stop and waited for, so that it leaves nothing behind.
///
/// # Errors
/// Those of the work; `Conflict` when it was interrupted.
pub(super) async fn interruptible<T>(progress: &Progress, what_is_left: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let (Ok(mut terminated), Ok(mut interrupted)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return work.await;
    };
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    progress.cancel();
    match work.await {
        Ok(done) => Ok(done),
        Err(_) => Err(Error::new(Kind::Conflict, "interrupted").hint(what_is_left)),
    }
}
