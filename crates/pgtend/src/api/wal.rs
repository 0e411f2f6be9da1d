//! WAL: how archiving goes, and what the repositories have.

use super::Api;
use super::answer::{Answer, Failed, Params};
use super::documents::Which;
use super::endpoint::{Endpoint, Routes};
use crate::blocking::blocking;
use crate::wal::status;
use axum::extract::State;
use pgtend_model::backup::wal_status::{Archiving, ServerWal, WalStatus};
use pgtend_model::error::Result;

/// Where it is told.
pub const PATH: &str = "/api/v1/wal";

impl Routes {
    /// The endpoints about WAL.
    pub(super) fn wal(self) -> Self {
        let about = "How the WAL of a server, or of all, gets into its repositories, what is there, and what is missing";
        self.add(Endpoint::get(PATH, about).params::<Which>().data::<WalStatus>(), show)
    }
}

async fn show(State(api): State<Api>, Params(which): Params<Which>) -> std::result::Result<Answer<WalStatus>, Failed> {
    let agent = api.agent().clone();
    let servers = match &which.server {
        Some(name) => vec![agent.server(Some(name))?],
        None => agent.servers(),
    };
    let status = blocking(move || -> Result<WalStatus> {
        let Some(service) = agent.archive() else { return Ok(WalStatus { servers: Vec::new() }) };
        let of = |server: &crate::agent::Server| {
            let view = server.view();
            let data = view.data_directory.as_ref()?;
            Some(ServerWal {
                server: server.name().to_owned(),
                archiving: Archiving {
                    // As of now: seconds are what it is about.
                    streaming: agent.streaming(server),
                    ..view.wal.as_deref().cloned().unwrap_or_default()
                },
                repositories: status::look(service.places(), &agent.backups().filed(server.name()), data),
            })
        };
        Ok(WalStatus { servers: servers.iter().filter_map(of).collect() })
    });
    Ok(Answer::new(status.await?))
}
