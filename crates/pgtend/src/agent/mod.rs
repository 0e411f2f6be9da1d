//! The agent: watches servers, remembers what it saw, and answers for them.

mod order;
mod server;
pub mod tasks;
mod visit;
mod watch;

pub use order::{Order, Outcome};
pub use server::{Databases, Server, Settings};

use pgtend_model::error::{Error, Kind, Result};
use std::sync::Arc;
use tasks::Tasks;

/// A running agent. Clones share it.
#[derive(Debug, Clone)]
pub struct Agent {
    servers: Arc<[Server]>,
    tasks: Tasks,
    started_at: jiff::Timestamp,
}

impl Agent {
    /// Starts to watch these servers, in the order of the configuration.
    pub fn start(settings: Vec<Settings>, tasks: Tasks) -> Self {
        let watch = |settings: Settings| {
            let (server, inbox) = Server::new(&settings);
            let name = format!("watch {}", settings.name);
            tasks.spawn(name, watch::Watch::new(settings, server.clone(), inbox, tasks.clone()).run());
            server
        };
        let servers = settings.into_iter().map(watch).collect();
        Self { servers, tasks, started_at: jiff::Timestamp::now() }
    }

    /// The servers, in the order of the configuration.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The server of this name, or the only one there is.
    ///
    /// # Errors
    /// `NotFound` with the names there are; `Usage` when none is named and there are several.
    pub fn server(&self, name: Option<&str>) -> Result<&Server> {
        let names = || self.servers.iter().map(|server| server.view().name.clone()).collect::<Vec<_>>().join(", ");
        match (name, &*self.servers) {
            (Some(name), servers) => servers.iter().find(|server| server.view().name == name).ok_or_else(|| {
                Error::new(Kind::NotFound, format!("no server is named \"{name}\"")).hint(format!("there are: {}", names()))
            }),
            (None, [only]) => Ok(only),
            (None, []) => Err(Error::new(Kind::NotFound, "no server is configured")),
            (None, [..]) => Err(Error::new(Kind::Usage, "which server?").hint(format!("name one of: {}", names()))),
        }
    }

    /// Its tasks.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// When it started.
    pub fn started_at(&self) -> jiff::Timestamp {
        self.started_at
    }
}
