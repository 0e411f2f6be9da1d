//! Where a command's document comes from: the agent, or a look of its own.

use super::Global;
use crate::api::Answer;
use crate::observe;
use pgtend_model::document::Document;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_postgres::connect::{Environment, Target};

/// The document that a command shows.
///
/// # Errors
/// When neither the agent nor the server can be reached, or what was asked makes no sense.
pub async fn document<D: Document>(global: &Global, params: &D::Params) -> Result<D> {
    match &global.connection {
        Some(dsn) => observe::document(&Target::resolve(Some(dsn), &Environment::from_process())?, params).await,
        None => from_agent(global, params).await,
    }
}

async fn from_agent<D: Document>(global: &Global, params: &D::Params) -> Result<D> {
    let socket = global
        .socket
        .as_deref()
        .ok_or_else(|| Error::new(Kind::Usage, "no agent's socket is known").hint("give --socket or --connection"))?;
    let unreachable = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Unreachable, format!("the agent cannot be reached: {error}"))
            .at(socket.display().to_string())
            .hint("is it running?")
    };
    let client = reqwest::Client::builder().unix_socket(socket).build().map_err(|error| unreachable(&error))?;
    let request = client.get(format!("http://pgtend{}", D::PATH)).query(params).query(&[("server", global.server.as_deref())]);
    let response = request.send().await.map_err(|error| unreachable(&error))?;
    let answer: Answer<D> = response.json().await.map_err(|error| unreachable(&error))?;
    Ok(answer.data)
}
