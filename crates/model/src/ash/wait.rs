//! What a session waits for, in the classes that Oracle's DBAs know, mapped from PostgreSQL's wait event types.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A wait class. The mapping is documented for users in `docs/wait-classes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum WaitClass {
    /// Not waiting: on a processor, or ready to be.
    #[serde(rename = "CPU")]
    Cpu,
    /// A session reads or writes data or temporary files.
    UserIO,
    /// A process of the server itself reads or writes.
    SystemIO,
    /// The commit waits for its WAL to be durable, here or on a synchronous standby.
    Commit,
    /// A lock that a statement took holds up another: rows, tables, advisory locks.
    Application,
    /// Short internal locks and buffer pins.
    Concurrency,
    /// The client is slow to send or to take data in mid-statement.
    Network,
    /// Parallel workers and cost-based delays.
    Scheduler,
    /// Replication, other than a commit that waits for it.
    Cluster,
    /// Everything else, extensions included.
    Other,
    /// Waiting for work, in or out of a transaction.
    Idle,
}

impl WaitClass {
    /// All, in the order in which charts stack them.
    pub const ALL: [Self; 11] = [
        Self::Cpu,
        Self::UserIO,
        Self::SystemIO,
        Self::Commit,
        Self::Application,
        Self::Concurrency,
        Self::Network,
        Self::Scheduler,
        Self::Cluster,
        Self::Other,
        Self::Idle,
    ];

    /// Its name, as guide and API write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::UserIO => "UserIO",
            Self::SystemIO => "SystemIO",
            Self::Commit => "Commit",
            Self::Application => "Application",
            Self::Concurrency => "Concurrency",
            Self::Network => "Network",
            Self::Scheduler => "Scheduler",
            Self::Cluster => "Cluster",
            Self::Other => "Other",
            Self::Idle => "Idle",
        }
    }

    /// The class of a wait. `background` is true for processes of the server itself.
    pub fn of(wait_type: Option<&str>, event: Option<&str>, background: bool) -> Self {
        let event = event.unwrap_or_default();
        match wait_type {
            None => Self::Cpu,
            Some("IO") if background => Self::SystemIO,
            Some("IO") if is_wal(event) => Self::Commit,
            Some("IO") => Self::UserIO,
            Some("LWLock") if is_wal(event) || event.starts_with("SyncRep") => Self::Commit,
            Some("Lock") if event == "extend" => Self::Concurrency,
            Some("Lock") => Self::Application,
            Some("LWLock" | "BufferPin" | "Buffer") => Self::Concurrency,
            Some("Client") => Self::Network,
            Some("Activity") => Self::Idle,
            Some("IPC") => ipc(event),
            Some("Timeout") => timeout(event),
            Some(_) => Self::Other,
        }
    }
}

/// 13–16 write `WALSync`, 17 and later `WalSync`.
fn is_wal(event: &str) -> bool {
    event.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("wal"))
}

fn ipc(event: &str) -> WaitClass {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| event.starts_with(prefix));
    if event == "SyncRep" {
        WaitClass::Commit
    } else if starts(&["Parallel", "Hash", "Execute", "MessageQueue", "Bgworker", "BgWorker"]) {
        WaitClass::Scheduler
    } else if starts(&["Replication", "Logical", "Recovery", "Wal"]) {
        WaitClass::Cluster
    } else {
        WaitClass::Other
    }
}

fn timeout(event: &str) -> WaitClass {
    match event {
        "PgSleep" | "CheckpointWriteDelay" => WaitClass::Idle,
        "VacuumDelay" | "VacuumTruncate" => WaitClass::Scheduler,
        "RecoveryApplyDelay" | "RecoveryRetrieveRetryInterval" => WaitClass::Cluster,
        _ => WaitClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::WaitClass as C;

    #[test]
    fn the_mapping_that_the_book_describes() {
        for (wait_type, event, background, class) in [
            (None, None, false, C::Cpu),
            (Some("IO"), Some("DataFileRead"), false, C::UserIO),
            (Some("IO"), Some("DataFileWrite"), true, C::SystemIO),
            (Some("IO"), Some("WALSync"), false, C::Commit),
            (Some("IO"), Some("WalSync"), false, C::Commit),
            (Some("LWLock"), Some("WALWrite"), false, C::Commit),
            (Some("IPC"), Some("SyncRep"), false, C::Commit),
            (Some("Lock"), Some("transactionid"), false, C::Application),
            (Some("Lock"), Some("extend"), false, C::Concurrency),
            (Some("LWLock"), Some("BufferContent"), false, C::Concurrency),
            (Some("Client"), Some("ClientWrite"), false, C::Network),
            (Some("IPC"), Some("ParallelFinish"), false, C::Scheduler),
            (Some("Timeout"), Some("VacuumDelay"), true, C::Scheduler),
            (Some("Extension"), Some("Extension"), false, C::Other),
        ] {
            assert_eq!(C::of(wait_type, event, background), class, "{wait_type:?} {event:?}");
        }
    }
}
