//! Named, counted, cancellable tasks: the one place where the agent spawns.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of one agent. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    cancelled: CancellationToken,
    running: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Tasks {
    /// Starts a task under a name. It is expected to end soon after [`Tasks::cancelled`] resolves.
    pub fn spawn<F>(&self, name: impl Into<String>, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let name = name.into();
        let tasks = self.clone();
        tasks.count(&name, true);
        self.tracker.spawn(async move {
            let _leaves = Leaves { tasks: &tasks, name: &name };
            task.await;
        });
    }

    /// Starts work that blocks on a thread of its own, under a name. It is expected to end soon after its token is cancelled.
    pub fn spawn_blocking(&self, name: impl Into<String>, work: impl FnOnce() + Send + 'static) {
        let name = name.into();
        let tasks = self.clone();
        tasks.count(&name, true);
        self.tracker.spawn_blocking(move || {
            let _leaves = Leaves { tasks: &tasks, name: &name };
            work();
        });
    }

    /// Resolves when the agent is asked to end.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// A token that ends with the agent, or before, without ending the agent.
    pub fn token(&self) -> CancellationToken {
        self.cancelled.child_token()
    }

    /// Asks all tasks to end.
    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// The names of the tasks that run, with how many of each.
    pub fn running(&self) -> BTreeMap<String, usize> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until all have ended, and names those that have not within the limit.
    pub async fn finished(&self, limit: Duration) -> Vec<String> {
        self.tracker.close();
        match tokio::time::timeout(limit, self.tracker.wait()).await {
            Ok(()) => Vec::new(),
            Err(_) => self.running().into_keys().collect(),
        }
    }

    fn count(&self, name: &str, starts: bool) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let count = running.entry(name.to_owned()).or_default();
        *count = if starts { *count + 1 } else { count.saturating_sub(1) };
        if *count == 0 {
            running.remove(name);
        }
    }
}

/// Counts a task out even when it panics.
struct Leaves<'a> {
    tasks: &'a Tasks,
    name: &'a str,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.tasks.count(self.name, false);
        if std::thread::panicking() {
            tracing::error!(task = self.name, "a task panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stragglers_are_named() {
        let tasks = Tasks::default();
        let asked = tasks.clone();
        tasks.spawn("obedient", async move { asked.cancelled().await });
        tasks.spawn("deaf", std::future::pending());
        tasks.cancel();
        assert_eq!(tasks.finished(Duration::from_millis(50)).await, ["deaf"]);
    }
}
