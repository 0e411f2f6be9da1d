//! Where a command's documents come from: an agent, or a look of its own.

use crate::client::Client;
use crate::observe::Look;
use pgtend_model::document::Document;
use pgtend_model::error::Result;

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
}
