//! Which agent, or which server, a command talks to.

use super::Global;
use crate::client::Client;
use crate::observe::Look;
use crate::runtime_dir::{Found, RuntimeDir};
use crate::source::Source;
use pgtend_model::document::Document;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::plan::Explained;
use pgtend_model::plan::ask::Request;
use pgtend_model::signal::APPLICATION_NAME;
use pgtend_postgres::connect::{Environment, Limits, Target};
use std::path::{Path, PathBuf};

/// The three ways to a server, for those who have none yet.
const WAYS: &str = "start PostgreSQL with an agent: pgtend up; name a running agent: --socket PATH or --url https://HOST:8080; \
                    or ask PostgreSQL itself: --connection \"host=… dbname=…\"";

/// The document that a command shows.
///
/// # Errors
/// When neither the agent nor the server can be reached, or what was asked makes no sense.
pub async fn document<D: Document>(global: &Global, params: &D::Params) -> Result<D> {
    open(global).await?.document(params).await
}

/// The source that the options name, or the only agent there is.
///
/// # Errors
/// When there is none, or several; when the server cannot be reached.
pub async fn open(global: &Global) -> Result<Source> {
    match target(global)? {
        Some(target) => Ok(Source::Direct(Box::new(Look::open(&target).await?))),
        None => Ok(Source::Agent { client: agent(global)?, server: global.server.clone() }),
    }
}

/// The plan of a statement, over a connection of its own.
///
/// # Errors
/// As [`pgtend_postgres::explain::explain`], and when the agent refuses.
pub async fn explain(global: &Global, request: &Request) -> Result<Explained> {
    match target(global)? {
        Some(target) => {
            let asked = pgtend_postgres::explain::explain(&target, request, Limits::default().connect_timeout, APPLICATION_NAME);
            Box::pin(asked).await
        }
        None => agent(global)?.make(crate::api::explain::PATH, global.server.as_deref(), request).await,
    }
}

/// The server that `--connection` names.
///
/// # Errors
/// `Config` when it cannot be read; `Usage` when a server of an agent is named as well.
pub fn target(global: &Global) -> Result<Option<Target>> {
    let Some(dsn) = &global.connection else { return Ok(None) };
    if global.server.is_some() {
        return Err(Error::new(Kind::Usage, "--server names a server of an agent; with --connection there is none"));
    }
    Target::resolve(Some(dsn), &Environment::from_process()).map(Some)
}

/// The agent that the options name, or the only one there is.
///
/// # Errors
/// `NotFound` when there is none; `Usage` when there are several.
pub fn agent(global: &Global) -> Result<Client> {
    if let Some(url) = &global.url {
        let certificates = global.cacert.as_deref().map(|path| read(path, "--cacert")).transpose()?;
        return Client::over_network(url, token(global)?, certificates.as_deref());
    }
    match &global.socket {
        Some(socket) => Client::over_socket(socket),
        None => Client::over_socket(&only(RuntimeDir::from_process().sockets())?),
    }
}

fn token(global: &Global) -> Result<Option<String>> {
    let Some(path) = &global.token_file else {
        return Ok(std::env::var("PGTEND_TOKEN").ok().filter(|token| !token.is_empty()));
    };
    let bytes = read(path, "--token-file")?;
    let token = String::from_utf8_lossy(&bytes).trim().to_owned();
    let usable = !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic());
    usable.then_some(Some(token)).ok_or_else(|| {
        Error::new(Kind::Config, "--token-file holds no token")
            .at(path.display().to_string())
            .hint("one line, as pgtend token create prints it")
    })
}

fn read(path: &Path, option: &str) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::new(Kind::Config, format!("{option} cannot be read: {error}")).at(path.display().to_string()))
}

fn only(found: Vec<Found>) -> Result<PathBuf> {
    let mut agents: Vec<PathBuf> = Vec::new();
    let mut forbidden = Vec::new();
    for found in found {
        match found {
            Found::Agent(path) => agents.push(path),
            Found::Forbidden(path) => forbidden.push(path.display().to_string()),
            Found::Stale(_) => {}
        }
    }
    if agents.len() > 1 {
        let names: Vec<String> = agents.iter().map(|path| path.display().to_string()).collect();
        return Err(
            Error::new(Kind::Usage, "which agent? several are running").hint(format!("name one with --socket: {}", names.join(", ")))
        );
    }
    agents.pop().ok_or_else(|| match forbidden.is_empty() {
        true => Error::new(Kind::NotFound, "no agent is running here").hint(WAYS),
        false => Error::new(Kind::Privilege, "an agent is running here, but you may not talk to it")
            .at(forbidden.join(", "))
            .hint("run the command as root or as the user of the agent, or use --connection"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_agent_is_used_several_are_named_and_none_says_what_to_do() {
        assert_eq!(only(vec![Found::Stale("/a".into()), Found::Agent("/b".into())]).unwrap(), Path::new("/b"));
        let several = only(vec![Found::Agent("/a".into()), Found::Agent("/b".into())]).unwrap_err();
        assert!(several.kind == Kind::Usage && several.hint.contains("/a, /b"), "{several}");
        let none = only(vec![Found::Stale("/a".into())]).unwrap_err();
        for way in ["pgtend up", "--socket", "--connection"] {
            assert!(none.hint.contains(way), "{none}");
        }
        assert_eq!(only(vec![Found::Forbidden("/a".into())]).unwrap_err().kind, Kind::Privilege);
    }
}
