//! Asking a file system that may never answer: a dead NFS server keeps stat and statvfs in the kernel for good, beyond any signal.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// One question at a time, each on a thread of its own. A thread that hangs is left behind, but never a second one.
#[derive(Debug)]
pub struct Patient<T> {
    asked: Option<Receiver<T>>,
}

impl<T> Default for Patient<T> {
    fn default() -> Self {
        Self { asked: None }
    }
}

impl<T: Send + 'static> Patient<T> {
    /// Puts the question unless the last one is still open.
    pub fn ask(&mut self, question: impl FnOnce() -> T + Send + 'static) {
        if self.asked.is_some() {
            return;
        }
        let (sender, receiver) = channel();
        // The receiver may be gone when the answer comes at last: nobody waits for it then.
        let thread = std::thread::Builder::new().name("host-files".to_owned()).spawn(move || drop(sender.send(question())));
        self.asked = thread.is_ok().then_some(receiver);
    }

    /// The answer, if it comes before the deadline.
    pub fn answer(&mut self, deadline: Instant) -> Option<T> {
        let receiver = self.asked.as_ref()?;
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))) {
            Ok(answer) => {
                self.asked = None;
                Some(answer)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                self.asked = None;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_hangs_is_not_put_again() {
        let (release, held) = channel::<()>();
        let mut patient = Patient::default();
        patient.ask(move || {
            held.recv().ok();
            1
        });
        assert_eq!(patient.answer(Instant::now()), None);
        patient.ask(|| 2);
        drop(release);
        assert_eq!(patient.answer(Instant::now() + Duration::from_secs(10)), Some(1));
        patient.ask(|| 3);
        assert_eq!(patient.answer(Instant::now() + Duration::from_secs(10)), Some(3));
    }
}
