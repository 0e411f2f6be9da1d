//! How much of the session history there is, in memory and on disk.

use super::Api;
use super::answer::{Answer, Failed, Params};
use super::documents::Which;
use crate::blocking::blocking;
use axum::extract::State;
use pgtend_model::document::Document;
use pgtend_model::document::ash::stats::{self, Stats};
use pgtend_model::past::Past;

pub(super) async fn stats(State(api): State<Api>, Params(which): Params<Which>) -> Result<Answer<Stats>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let stats = api.agent().tell(&server, |known| Stats::build(known, &stats::Params::default()))?;
    let past = server.past();
    let on_disk = blocking(move || past.kept()).await?;
    Ok(Answer::new(Stats { on_disk: Some(on_disk), samples_lost: Some(server.lost_samples()), ..stats }))
}
