//! Drills: begun here, told here.

use super::Api;
use super::access::Caller;
use super::answer::{Answer, Body, Failed, InPath, Params};
use super::documents::Which;
use super::endpoint::{Endpoint, Routes};
use crate::blocking::blocking;
use crate::drill::Wanted;
use axum::extract::State;
use jiff::Timestamp;
use pgtend_model::backup::Label;
use pgtend_model::backup::restore_plan::Target;
use pgtend_model::config::api::Role;
use pgtend_model::drill::{Drill, Drills, Kind, Which as Backup};
use pgtend_model::error::{Error, Kind as ErrorKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Where drills are.
pub const DRILLS: &str = "/api/v1/drills";
/// Where one is stopped.
pub const STOP: &str = "/api/v1/drills/stop";

/// A drill to be done.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct NewDrill {
    /// Of which backup: `newest`, `oldest`, or a name; the newest where it is not said.
    #[serde(default)]
    pub backup: Option<String>,
    /// Up to this instant; the newest state where it is not said.
    #[serde(default)]
    pub to: Option<Timestamp>,
    /// As after the loss of the machine: the repository is opened anew, into another directory, and indexes are checked against their tables.
    #[serde(default)]
    pub full: bool,
    /// From this repository; the first where none is named.
    #[serde(default)]
    pub repository: Option<String>,
}

/// Which drill.
#[derive(Debug, Deserialize, IntoParams)]
struct InList {
    /// Its name, such as `20261121T040000Z`.
    id: String,
}

impl Routes {
    /// The endpoints about drills.
    pub(super) fn drills(self) -> Self {
        let list = Endpoint::get(DRILLS, "The drills of a server, and how far one is that goes on").params::<Which>().data::<Drills>();
        let show = Endpoint::get("/api/v1/drills/{id}", "The report of a drill").in_path::<InList>().params::<Which>().data::<Drill>();
        let run = Endpoint::post(DRILLS, "Begins a drill: a backup is restored to scratch and checked; ask here again how far it is");
        let stop = Endpoint::post(STOP, "Stops a drill that goes on").needs(Role::Admin).params::<Which>().data::<Drills>();
        self.add(list, list_drills)
            .add(show, show_drill)
            .add(run.needs(Role::Admin).params::<Which>().body::<NewDrill>().data::<Drills>(), run_drill)
            .add(stop, stop_drill)
    }
}

async fn told(api: &Api, server: &str) -> Result<Drills, Failed> {
    let (drills, server) = (api.agent().drills().clone(), server.to_owned());
    Ok(blocking(move || Ok(drills.told(&server))).await?)
}

async fn list_drills(State(api): State<Api>, Params(which): Params<Which>) -> Result<Answer<Drills>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    Ok(Answer::new(told(&api, server.name()).await?))
}

async fn show_drill(
    State(api): State<Api>,
    InPath(InList { id }): InPath<InList>,
    Params(which): Params<Which>,
) -> Result<Answer<Drill>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let drills = api.agent().drills().clone();
    Ok(Answer::new(blocking(move || drills.report(server.name(), &id)).await?))
}

async fn run_drill(
    State(api): State<Api>,
    caller: Caller,
    Params(which): Params<Which>,
    Body(new): Body<NewDrill>,
) -> Result<Answer<Drills>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let settings = api.agent().settings(&server).ok_or_else(|| Error::new(ErrorKind::Conflict, "the server is no longer watched"))?;
    let (backup, label) = match new.backup.as_deref() {
        None | Some("newest") => (Backup::Newest, None),
        Some("oldest") => (Backup::Oldest, None),
        Some(name) => (Backup::Named, Some(name.parse::<Label>()?)),
    };
    let wanted = Wanted {
        which: backup,
        label,
        kind: if new.full { Kind::Full } else { Kind::Regular },
        target: new.to.map_or(Target::Latest, Target::Time),
        spares_room: false,
    };
    api.agent().drills().run(&settings, new.repository.as_deref(), wanted).await?;
    tracing::info!(target: "audit", who = caller.name, server = server.name(), full = new.full, "drill begun");
    Ok(Answer::new(told(&api, server.name()).await?))
}

async fn stop_drill(State(api): State<Api>, caller: Caller, Params(which): Params<Which>) -> Result<Answer<Drills>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    if !api.agent().drills().stop(server.name()) {
        return Err(Error::new(ErrorKind::NotFound, format!("no drill of \"{}\" goes on", server.name())).into());
    }
    tracing::info!(target: "audit", who = caller.name, server = server.name(), "drill stopped");
    Ok(Answer::new(told(&api, server.name()).await?))
}
