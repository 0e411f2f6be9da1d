//! Repositories: verifying them.

use super::Api;
use super::access::Caller;
use super::answer::{Answer, Body, Failed, Params};
use super::documents::Which;
use super::endpoint::{Endpoint, Routes};
use crate::agent::repo_verify::Verification;
use crate::backup::adopt::{Adoption, Cluster, adopt};
use crate::backup::repo_verify::Request;
use crate::blocking::blocking;
use axum::extract::State;
use pgtend_model::config::api::Role;
use pgtend_model::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where verifications are.
pub const VERIFY: &str = "/api/v1/repositories/verify";
/// Where one is stopped.
pub const STOP_VERIFY: &str = "/api/v1/repositories/verify/stop";

/// Where a new cluster takes over a server's name.
pub const ADOPT: &str = "/api/v1/repositories/adopt";

/// A name to be taken over.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Adopt {
    /// In this repository; in all where none is named.
    #[serde(default)]
    pub repository: Option<String>,
    /// Whether it is done; otherwise what it means is told.
    #[serde(default)]
    pub confirmed: bool,
}

/// A verification that is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = NewRepoVerification)]
pub struct NewVerification {
    /// Of this repository; of all where none is named.
    #[serde(default)]
    pub repository: Option<String>,
    /// How.
    #[serde(flatten)]
    pub request: Request,
}

impl Routes {
    /// The endpoints of repositories.
    pub(super) fn repositories(self) -> Self {
        let tell = Endpoint::get(VERIFY, "How far the verification of a repository is, and what the last one found");
        let begin = Endpoint::post(VERIFY, "Begins to verify the repositories; what is damaged is noted there for the next backup");
        let stop = Endpoint::post(STOP_VERIFY, "Stops the verification that goes on; it can be resumed");
        let about = "Lets the cluster that runs now take over its server's name in the repositories, or tells what that means";
        let adopt = Endpoint::post(ADOPT, about).needs(Role::Admin).params::<Which>().body::<Adopt>();
        self.add(adopt.data::<Vec<Adoption>>(), adopt_server)
            .add(tell.data::<Vec<Verification>>(), tell_verifications)
            .add(begin.needs(Role::Operator).body::<NewVerification>().data::<Vec<Verification>>(), begin_verification)
            .add(stop.data::<Vec<Verification>>(), stop_verification)
    }
}

async fn adopt_server(
    State(api): State<Api>,
    caller: Caller,
    Params(which): Params<Which>,
    Body(wanted): Body<Adopt>,
) -> Result<Answer<Vec<Adoption>>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let settings = api.agent().settings(&server).ok_or_else(|| Error::new(Kind::Conflict, "the server is no longer watched"))?;
    let data = settings.server.data_directory.clone().ok_or_else(|| {
        Error::new(Kind::Config, format!("the files of \"{}\" are not here: it has no data_directory", server.name()))
            .hint("adopt where the server runs")
    })?;
    let cluster = blocking(move || Cluster::of_data(&data)).await?;
    let backups = api.agent().backups();
    let mut all = Vec::new();
    for configured in backups.configured(wanted.repository.as_deref())? {
        let repository = backups.repository(&configured).await?;
        let (name, server, cluster) = (configured.name, backups.filed(server.name()), cluster.clone());
        let (who, confirmed) = (caller.name.clone(), wanted.confirmed);
        all.push(blocking(move || adopt(&repository, &name, &server, &cluster, &who, confirmed)).await?);
    }
    if all.iter().any(|adoption| adoption.done) {
        tracing::warn!(target: "audit", who = caller.name, server = server.name(), "a new cluster took over the server's name in the repositories");
    }
    Ok(Answer::new(all))
}

async fn tell(api: &Api) -> Result<Vec<Verification>> {
    let verifications = api.agent().repo_verifications().clone();
    blocking(move || Ok(verifications.tell())).await
}

async fn tell_verifications(State(api): State<Api>) -> Result<Answer<Vec<Verification>>, Failed> {
    Ok(Answer::new(tell(&api).await?))
}

async fn begin_verification(
    State(api): State<Api>,
    caller: Caller,
    Body(new): Body<NewVerification>,
) -> Result<Answer<Vec<Verification>>, Failed> {
    let server = new.request.server.as_deref().map(|server| api.agent().backups().filed(server));
    let begun = api.agent().repo_verifications().begin(new.repository.as_deref(), &Request { server, ..new.request })?;
    tracing::info!(target: "audit", who = caller.name, repository = new.repository, "verification of repositories begun");
    api.agent().tasks().spawn("verification of repositories", begun.finish(api.agent().tasks().token()));
    Ok(Answer::new(tell(&api).await?))
}

async fn stop_verification(State(api): State<Api>, caller: Caller) -> Result<Answer<Vec<Verification>>, Failed> {
    if !api.agent().repo_verifications().stop() {
        return Err(Error::new(Kind::NotFound, "no repository is being verified").into());
    }
    tracing::info!(target: "audit", who = caller.name, "verification of repositories stopped");
    Ok(Answer::new(tell(&api).await?))
}
