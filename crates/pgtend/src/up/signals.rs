//! The signals that end `pgtend up`.

use pgtend_model::error::{Error, Kind, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C, SIGTERM, and the end of the terminal, heeded from the beginning, so that none is lost while something blocks.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// From now on.
    ///
    /// # Errors
    /// `System` when the kernel refuses.
    pub fn heed() -> Result<Self> {
        let heed = |kind| signal(kind).map_err(|error| Error::new(Kind::System, format!("signals cannot be heeded: {error}")));
        // Heeding a signal ends its being ignored, so it is looked at first: nohup has a meaning.
        let hangup = if hangup_is_ignored() { None } else { Some(heed(SignalKind::hangup())?) };
        Ok(Self { interrupt: heed(SignalKind::interrupt())?, terminate: heed(SignalKind::terminate())?, hangup })
    }

    /// Returns when told to end.
    pub async fn end(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(signal) => _ = signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = hangup => {}
        }
    }
}

fn hangup_is_ignored() -> bool {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| status.sigign & 1 != 0)
}
