//! The list of endpoints.

use super::documents::Which;
use super::endpoint::{Endpoint, Routes};
use super::{health, metrics, openapi, page, servers, tokens};
use pgtend_model::config::api::Role;
use pgtend_model::document::ash::stats::Stats;
use pgtend_model::document::connections::Connections;
use pgtend_model::document::databases::Databases;
use pgtend_model::document::health::Health;
use pgtend_model::document::host::Host;
use pgtend_model::document::load::Load;
use pgtend_model::document::locks::Locks;
use pgtend_model::document::metrics::Metrics;
use pgtend_model::document::replication::Replication;
use pgtend_model::document::sessions::Sessions;
use pgtend_model::document::status::{Servers, Status};
use pgtend_model::document::{Document, ash, monitoring, stats};

/// Everything there is.
pub(super) fn all() -> Routes {
    let routes = Routes::default()
        .add(Endpoint::get("/", "A page for people that shows how the servers are").needs(None), page::show)
        .add(Endpoint::get("/api/v1/health/live", "Whether the agent lives").needs(None).json::<health::Live>(), health::live)
        .add(
            Endpoint::get("/api/v1/health/ready", "Whether what the agent watches can take work: 503 when not")
                .needs(None)
                .json::<health::Ready>(),
            health::ready,
        )
        .add(Endpoint::get("/api/v1/openapi.json", "This description").needs(None).text("application/json"), openapi::serve)
        .document::<Status>()
        .document::<Sessions>()
        .document::<Connections>()
        .document::<Locks>()
        .document::<Load>()
        .document::<Host>()
        .document::<Databases>()
        .document::<Replication>()
        .document::<Health>()
        .document::<Metrics>()
        .dated::<stats::queries::Queries>()
        .document::<stats::transactions::Transactions>()
        .document::<stats::buffer_pool::BufferPool>()
        .document::<stats::io::IoStatistics>()
        .dated::<ash::samples::Samples>()
        .dated::<ash::sql_stats::SqlStats>()
        .dated::<ash::session_stats::SessionStats>()
        .dated::<ash::report::Report>()
        .dated::<ash::top::Top>()
        .add(Endpoint::get(Stats::PATH, Stats::ABOUT).params::<Which>().data::<Stats>(), super::ash::stats)
        .overview::<ash::config::Config>()
        .overview::<monitoring::health::Health>()
        .overview::<monitoring::stats::Stats>()
        .retrospect::<monitoring::history::History>()
        .add(Endpoint::get(servers::PATH, "How every server is").needs(Role::Viewer).data::<Servers>(), servers::list)
        .awr()
        .backups()
        .backup_care()
        .repositories()
        .sql()
        .signals()
        .explain()
        .profiler()
        .pushed()
        .verify()
        .drills()
        .wal();
    token_routes(prometheus(routes, "/api/v1/metrics/prometheus"))
}

fn token_routes(routes: Routes) -> Routes {
    let list = Endpoint::get(tokens::PATH, "The tokens there are").needs(Role::Admin).data::<tokens::TokenList>();
    let create = Endpoint::post(tokens::PATH, "Makes a token; its secret is in the answer and nowhere else")
        .needs(Role::Admin)
        .body::<tokens::NewToken>()
        .data::<tokens::MadeToken>();
    let revoke = Endpoint::delete("/api/v1/admin/tokens/{name}", "Revokes a token; from then on it opens nothing")
        .needs(Role::Admin)
        .in_path::<tokens::Which>()
        .data::<tokens::TokenInfo>();
    routes.add(list, tokens::list).add(create, tokens::create).add(revoke, tokens::revoke)
}

/// What there is at the address for Prometheus.
pub(super) fn metrics_only() -> Routes {
    prometheus(Routes::default(), "/metrics")
}

fn prometheus(routes: Routes, path: &'static str) -> Routes {
    let endpoint =
        Endpoint::get(path, "All metrics in Prometheus' text format").needs(None).params::<metrics::Which>().text(metrics::CONTENT_TYPE);
    routes.add(endpoint, metrics::prometheus)
}
