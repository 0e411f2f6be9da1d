//! Metrics of the user's own: registered here, changed here, fetched by Prometheus with all others.

use super::Api;
use super::access::Caller;
use super::answer::{Answer, Body, Failed, InPath};
use super::endpoint::{Endpoint, Routes};
use crate::blocking::blocking;
use arc_swap::ArcSwap;
use axum::extract::State;
use jiff::Timestamp;
use pgtend_model::config::api::Role;
use pgtend_model::error::Result;
use pgtend_model::metric::pushed::{Change, Pushed, PushedKind};
use pgtend_store::state::StateStore;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

const PATH: &str = "/api/v1/admin/metrics";

/// The metrics that somebody registered, as a scrape gets them. A change is durable before the request that makes it is answered.
#[derive(Debug)]
pub(super) struct PushedMetrics {
    state: Arc<StateStore>,
    known: ArcSwap<Vec<Pushed>>,
    /// Held while one changes, so that what is shown is what was written last.
    changing: tokio::sync::Mutex<()>,
}

impl PushedMetrics {
    pub(super) fn load(state: Arc<StateStore>) -> Result<Self> {
        let known = ArcSwap::from_pointee(state.metrics()?);
        Ok(Self { state, known, changing: tokio::sync::Mutex::new(()) })
    }

    pub(super) fn all(&self) -> Arc<Vec<Pushed>> {
        self.known.load_full()
    }

    async fn change(&self, change: impl FnOnce(&StateStore) -> Result<Pushed> + Send + 'static) -> Result<Pushed> {
        let _one_at_a_time = self.changing.lock().await;
        let state = Arc::clone(&self.state);
        let (outcome, all) = blocking(move || Ok((change(&state), state.metrics()?))).await?;
        self.known.store(Arc::new(all));
        outcome
    }
}

/// The metrics that were registered.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct PushedList {
    /// By name.
    metrics: Vec<Pushed>,
}

/// A metric to be registered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
    /// Its name: letters, digits and `_`.
    name: String,
    /// `counter` or `gauge`.
    #[serde(rename = "type")]
    kind: PushedKind,
    /// What it says, for people.
    #[serde(default)]
    help: String,
    /// Its labels.
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// A figure.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Value {
    /// By how much, or to what.
    value: f64,
}

/// Which metric.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct Which {
    /// Its name.
    name: String,
}

impl Routes {
    /// Adds what has to do with them.
    pub(super) fn pushed(self) -> Self {
        let change = |path, about| Endpoint::post(path, about).needs(Role::Admin).in_path::<Which>().body::<Value>().data::<Pushed>();
        let list = Endpoint::get(PATH, "The metrics that were registered, with their values").needs(Role::Admin).data::<PushedList>();
        let register =
            Endpoint::post("/api/v1/admin/metrics/register", "Registers a metric of your own; Prometheus gets it with all others")
                .needs(Role::Admin)
                .body::<Register>()
                .data::<Pushed>();
        let remove = Endpoint::delete("/api/v1/admin/metrics/{name}", "Takes a registered metric away")
            .needs(Role::Admin)
            .in_path::<Which>()
            .data::<Pushed>();
        self.add(list, self::list)
            .add(register, self::register)
            .add(change("/api/v1/admin/metrics/{name}/inc", "Counts a registered metric up; a gauge also down"), inc)
            .add(change("/api/v1/admin/metrics/{name}/set", "Sets a registered gauge"), set)
            .add(remove, self::remove)
    }
}

async fn list(State(api): State<Api>) -> Answer<PushedList> {
    Answer::new(PushedList { metrics: api.pushed().all().to_vec() })
}

async fn register(State(api): State<Api>, caller: Caller, Body(new): Body<Register>) -> Result<Answer<Pushed>, Failed> {
    let Register { name, kind, help, labels } = new;
    let new = Pushed { name, kind, help, labels, value: 0.0, changed: None };
    let made = api.pushed().change(move |state| state.register_metric(&new)).await?;
    tracing::info!(target: "audit", who = caller.name, metric = made.name, "metric registered");
    Ok(Answer::new(made))
}

async fn inc(State(api): State<Api>, InPath(which): InPath<Which>, Body(by): Body<Value>) -> Result<Answer<Pushed>, Failed> {
    change(&api, which, Change::Add(by.value)).await
}

async fn set(State(api): State<Api>, InPath(which): InPath<Which>, Body(to): Body<Value>) -> Result<Answer<Pushed>, Failed> {
    change(&api, which, Change::Set(to.value)).await
}

async fn change(api: &Api, which: Which, change: Change) -> Result<Answer<Pushed>, Failed> {
    Ok(Answer::new(api.pushed().change(move |state| state.change_metric(&which.name, change, Timestamp::now())).await?))
}

async fn remove(State(api): State<Api>, caller: Caller, InPath(which): InPath<Which>) -> Result<Answer<Pushed>, Failed> {
    let gone = api.pushed().change(move |state| state.remove_metric(&which.name)).await?;
    tracing::info!(target: "audit", who = caller.name, metric = gone.name, "metric taken away");
    Ok(Answer::new(gone))
}
