//! Where a command's documents come from: an agent, or a look of its own.

use crate::api;
use crate::client::Client;
use crate::observe::Look;
use pgtend_model::document::status::{Params, Servers, Status};
use pgtend_model::document::{Document, Retrospect};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::signal::{Fate, Fates, Request};

/// Where documents come from.
#[derive(Debug)]
pub enum Source {
    /// An agent, which watches anyway.
    Agent {
        /// The way to it.
        client: Client,
        /// Which of its servers; none where it has only one.
        server: Option<String>,
    },
    /// PostgreSQL itself.
    Direct(Box<Look>),
}

impl Source {
    /// A document.
    ///
    /// # Errors
    /// When neither the agent nor the server can be reached, or what was asked makes no sense.
    pub async fn document<D: Document>(&mut self, params: &D::Params) -> Result<D> {
        match self {
            Self::Agent { client, server } => client.document(server.as_deref(), params).await,
            Self::Direct(look) => look.document(params).await,
        }
    }

    /// A document about the past.
    ///
    /// # Errors
    /// `Usage` without an agent: only an agent remembers; otherwise as [`Source::document`].
    pub async fn retrospect<D: Retrospect>(&mut self, params: &D::Params) -> Result<D> {
        match self {
            Self::Agent { client, server } => client.retrospect(server.as_deref(), params).await,
            Self::Direct(_) => Err(Error::new(Kind::Usage, "a connection alone tells nothing of the past")
                .hint("ask an agent that watches the server: leave out --connection; pgtend agent and pgtend up remember")),
        }
    }

    /// How the servers are: the one that was named, or all of them.
    ///
    /// # Errors
    /// As [`Source::document`].
    pub async fn servers(&mut self) -> Result<Vec<Status>> {
        match self {
            Self::Agent { client, server: None } => client.get::<Servers>(api::servers::PATH).await.map(|all| all.servers),
            _ => Ok(vec![self.document(&Params::default()).await?]),
        }
    }

    /// Cancels or terminates sessions, each only if it is still what was seen. One fate a target, in their order.
    ///
    /// # Errors
    /// As [`Source::document`].
    pub async fn signal(&mut self, request: &Request) -> Result<Vec<Fate>> {
        match self {
            Self::Agent { client, server } => {
                client.post::<Fates>(api::signal::PATH, server.as_deref(), request).await.map(|answer| answer.fates)
            }
            Self::Direct(look) => look.signal(request.signal, &request.targets).await,
        }
    }
}
