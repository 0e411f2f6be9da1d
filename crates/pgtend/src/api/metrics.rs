//! Prometheus text. A scrape is answered from memory, and handed to the client in pieces as it is written.

use super::Api;
use super::answer::{Failed, Params};
use crate::agent::Agent;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use pgtend_model::metric::{About, Scrape, render};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// The content type of the format's version 0.0.4.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Pieces that may wait for a slow client; more are not written until it has taken some.
const WAITING_PIECES: usize = 4;
/// How long a client may take none of them.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers with metrics since the agent started.
static SCRAPES: AtomicU64 = AtomicU64::new(0);

/// Which servers.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
pub(super) struct Which {
    /// Only the server of this name; its series then carry no label `server` for it.
    server: Option<String>,
}

pub(super) async fn prometheus(State(api): State<Api>, Params(which): Params<Which>) -> Result<Response, Failed> {
    let (agent, pushed) = (api.agent(), api.pushed().all());
    let servers = match &which.server {
        Some(name) => vec![agent.server(Some(name))?],
        None => agent.servers(),
    };
    let views: Vec<_> = servers.iter().map(crate::agent::Server::view).collect();
    let config = agent.config();
    let about = about(agent);
    let (sender, receiver) = mpsc::channel(WAITING_PIECES);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut scrape = Scrape::new(views.iter().map(Arc::as_ref), &config, &about, jiff::Timestamp::now());
        // A scrape of one server has what is that server's.
        scrape.pushed = if which.server.is_none() { &pushed } else { &[] };
        render(&scrape, &mut |piece| {
            let sent = runtime.block_on(sender.send_timeout(Bytes::copy_from_slice(piece), PATIENCE));
            // The client has gone, or takes nothing: the thread is wanted elsewhere.
            if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
    });
    let pieces = futures_util::stream::unfold(receiver, async |mut receiver| {
        let piece: Bytes = receiver.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), receiver))
    });
    // Whoever compresses it asks once more after its end.
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], Body::from_stream(pieces.fuse())).into_response())
}

fn about(agent: &Agent) -> About {
    let mut about = About {
        version: env!("CARGO_PKG_VERSION"),
        scrapes: SCRAPES.fetch_add(1, Ordering::Relaxed) + 1,
        started_at: Some(agent.started_at()),
        ..About::default()
    };
    pgtend_postgres::host::own::describe(&mut about);
    about
}
