//! Plans on request: on a short connection of their own, so that watching goes on meanwhile.

use super::Agent;
use super::server::Server;
use jiff::Timestamp;
use pgtend_model::document::profiler;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::past::{NewPlan, PlanOrigin};
use pgtend_model::plan::ask::Request;
use pgtend_model::plan::{Explained, Source};
use std::time::Duration;

/// Plans that are made at the same time, over all servers: each takes a connection.
pub(super) const AT_ONCE: usize = 2;
/// How long somebody waits for their turn.
const PATIENCE: Duration = Duration::from_secs(2);

impl Agent {
    /// The plan of a statement on a server, in a transaction that is rolled back.
    ///
    /// # Errors
    /// As [`pgtend_postgres::explain::explain`]; `Rejecting` when others ask for plans already.
    pub async fn explain(&self, server: &Server, request: &Request) -> Result<Explained> {
        let watched = self.0.watched.load();
        let settings = watched.iter().find(|watched| watched.server.is(server)).map(|watched| watched.settings.clone());
        let settings = settings.ok_or_else(|| Error::new(Kind::Unreachable, "the agent no longer watches this server"))?;
        drop(watched);
        let turn = tokio::time::timeout(PATIENCE, self.0.explaining.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            let what = format!("{AT_ONCE} statements are being explained already");
            return Err(Error::new(Kind::Rejecting, what).hint("each takes a connection to the server; try again when they are done"));
        };
        let asked = pgtend_postgres::explain::explain(
            &settings.target,
            request,
            settings.server.connect_timeout,
            &settings.server.application_name,
        );
        let explained = Box::pin(asked).await.map_err(|error| error.at(format!("server {}", server.name())))?;
        if settings.awr.enabled {
            server.remember_plans(vec![seen(server, &explained)]);
        }
        Ok(explained)
    }
}

/// What is remembered of a plan that was asked for.
fn seen(server: &Server, explained: &Explained) -> NewPlan {
    let view = server.view();
    let rows = view.readings.statements.latest.as_ref().map_or(&[][..], |sample| &sample.rows);
    let texts = view.statement_texts.iter().map(|(id, text)| (*id, text));
    let query_id = profiler::find(explained.query_id, &explained.sql, rows, texts);
    let origin = match explained.source {
        Source::Generic | Source::ForcedGeneric => PlanOrigin::GenericPlan,
        Source::Planned | Source::Executed | Source::AutoExplain => PlanOrigin::Explain,
    };
    NewPlan::once(query_id, Some(explained.database.as_str().into()), origin, Timestamp::now(), explained.plan.clone())
}
