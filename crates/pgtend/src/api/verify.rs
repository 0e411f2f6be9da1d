//! Verification of a server's files: begun here, told here.

use super::Api;
use super::access::Caller;
use super::answer::{Answer, Body, Failed, Params};
use super::documents::Which;
use super::endpoint::{Endpoint, Routes};
use crate::agent::verifications::Asked;
use crate::blocking::blocking;
use axum::extract::State;
use pgtend_model::error::{Error, Kind};
use pgtend_model::verify::Depth;
use pgtend_model::verify::kept::Verifications;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Where it is.
pub const PATH: &str = "/api/v1/verify";
/// Where one is stopped.
pub const STOP: &str = "/api/v1/verify/stop";

/// Threads that may be asked for.
const THREADS_AT_MOST: usize = 64;

/// A verification to be done.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NewVerification {
    /// How much is looked at: every page where it is not said.
    #[serde(default = "pages")]
    pub depth: Depth,
    /// Threads that read.
    #[serde(default = "one")]
    pub parallel: usize,
    /// Only these relations with their indexes: names with schema in the database of the agent's connection, or paths such as `base/5/16384`.
    #[serde(default)]
    pub relations: Vec<String>,
    /// With full depth: check B-tree indexes from the root down too, which keeps writers out.
    #[serde(default)]
    pub parent_check: bool,
    /// With full depth: how many seconds the check of one relation may take.
    #[serde(default = "an_hour")]
    pub timeout_seconds: u64,
}

/// How much is told.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
pub struct HowMuch {
    /// Whether the whole report of the last verification is told, too; `false` for those who only wait for the next.
    #[serde(default)]
    pub report: Option<bool>,
}

const fn pages() -> Depth {
    Depth::Pages
}

const fn one() -> usize {
    1
}

const fn an_hour() -> u64 {
    3600
}

impl Routes {
    /// The endpoints about verification.
    pub(super) fn verify(self) -> Self {
        let tell = Endpoint::get(PATH, "How far a verification is, and what the last one found").params::<Which>().params::<HowMuch>();
        let run = Endpoint::post(PATH, "Begins to verify a server's files; ask here again how far it is").params::<Which>();
        let stop = Endpoint::post(STOP, "Stops a verification that goes on").params::<Which>();
        self.add(tell.data::<Verifications>(), tell_it)
            .add(run.body::<NewVerification>().data::<Verifications>(), begin)
            .add(stop.data::<Verifications>(), end)
    }
}

async fn told(api: &Api, server: &str) -> Result<Verifications, Failed> {
    let (verifications, server) = (api.agent().verifications().clone(), server.to_owned());
    let data = api.agent().server(Some(&server)).ok().and_then(|server| api.agent().settings(&server)?.server.data_directory);
    let told = blocking(move || Ok(verifications.told(&server))).await?;
    Ok(Verifications { data_directory: data.map(|data| data.display().to_string()), ..told })
}

async fn tell_it(
    State(api): State<Api>,
    Params(which): Params<Which>,
    Params(how_much): Params<HowMuch>,
) -> Result<Answer<Verifications>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let mut told = told(&api, server.name()).await?;
    if let (Some(false), Some(last)) = (how_much.report, &mut told.last) {
        last.report = None;
    }
    Ok(Answer::new(told))
}

async fn begin(
    State(api): State<Api>,
    caller: Caller,
    Params(which): Params<Which>,
    Body(new): Body<NewVerification>,
) -> Result<Answer<Verifications>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let settings = api.agent().settings(&server).ok_or_else(|| Error::new(Kind::Conflict, "the server is no longer watched"))?;
    let asked = Asked {
        depth: new.depth,
        threads: new.parallel.clamp(1, THREADS_AT_MOST),
        relations: new.relations,
        parents: new.parent_check && new.depth == Depth::Full,
        timeout: Duration::from_secs(new.timeout_seconds),
        max_bytes_per_second: 0,
    };
    api.agent().verifications().run(&settings, asked)?;
    tracing::info!(target: "audit", who = caller.name, server = server.name(), depth = ?new.depth, "verification begun");
    Ok(Answer::new(told(&api, server.name()).await?))
}

async fn end(State(api): State<Api>, caller: Caller, Params(which): Params<Which>) -> Result<Answer<Verifications>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    if !api.agent().verifications().stop(server.name()) {
        return Err(Error::new(Kind::NotFound, format!("no verification of \"{}\" goes on", server.name())).into());
    }
    tracing::info!(target: "audit", who = caller.name, server = server.name(), "verification stopped");
    Ok(Answer::new(told(&api, server.name()).await?))
}
