//! What every request passes: bounds on time and size, headers that keep browsers out of trouble, and a refusal of what other sites send.

use super::Api;
use super::access::{self, Caller, Peer};
use super::answer::Failed;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response as HttpResponse, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use pgtend_model::config::api::Api as Config;
use pgtend_model::error::{Error, Kind};
use std::any::Any;
use std::net::IpAddr;
use std::time::Duration;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::csrf::{CsrfLayer, ProtectionError};

/// Headers of every answer that does not set them itself.
const HEADERS: &[(HeaderName, &str)] = &[
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// Puts the routes behind everything that a request passes. The last layer is the first one.
pub(super) fn guard(routes: Router<Api>, api: &Api, config: &Config) -> Router<Api> {
    let most_bytes = usize::try_from(config.max_request_bytes).unwrap_or(usize::MAX);
    let limit = config.request_timeout;
    routes
        .layer(DefaultBodyLimit::max(most_bytes))
        // Prometheus asks for it at every scrape. Metrics shrink to a tenth at the quickest level; slower ones gain little more.
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(from_fn_with_state(api.clone(), access::identify))
        .layer(CsrfLayer::new().with_rejection_response(foreign_site))
        .layer(from_fn_with_state(api.clone(), check_host))
        .layer(from_fn(move |request, next| within(limit, request, next)))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(axum::middleware::map_response(with_headers))
}

async fn within(limit: Duration, request: Request, next: Next) -> Result<Response, Failed> {
    let late = |_| Error::new(Kind::Timeout, format!("the answer took longer than {limit:?}")).hint("api.request_timeout bounds it");
    Ok(tokio::time::timeout(limit, next.run(request)).await.map_err(late)?)
}

/// Refuses requests under a name that is not the agent's when they come from this host: a page of another site can make a browser
/// send them by letting its own name point here (DNS rebinding). Elsewhere, names are checked where the configuration lists them.
async fn check_host(State(api): State<Api>, request: Request, next: Next) -> Result<Response, Failed> {
    let config = api.agent().config();
    let is_here = match request.extensions().get::<Peer>() {
        Some(Peer::Local(_)) => return Ok(next.run(request).await),
        Some(peer) => peer.is_here(),
        None => true,
    };
    let host = host(request.headers(), request.uri());
    if is_own_name(host, is_here, &config.api.hosts) {
        return Ok(next.run(request).await);
    }
    let what = format!("this agent is not called \"{}\"", host.unwrap_or_default().escape_debug());
    let error =
        Error::new(Kind::Privilege, what).hint("use its IP address or localhost, or add the name to api.hosts of the configuration");
    Err(Failed::new(StatusCode::MISDIRECTED_REQUEST, error))
}

fn host<'r>(headers: &'r HeaderMap, uri: &'r Uri) -> Option<&'r str> {
    uri.authority().map(axum::http::uri::Authority::as_str).or_else(|| headers.get(header::HOST)?.to_str().ok())
}

fn is_own_name(host: Option<&str>, is_here: bool, names: &[String]) -> bool {
    // HTTP/1.0 has no such header, and no browser speaks it.
    let Some(host) = host else { return true };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(name);
    let is_listed = names.iter().any(|listed| listed.eq_ignore_ascii_case(bare));
    bare.parse::<IpAddr>().is_ok() || bare.eq_ignore_ascii_case("localhost") || is_listed || (!is_here && names.is_empty())
}

fn foreign_site(_: ProtectionError) -> HttpResponse<axum::body::Body> {
    let error = Error::new(Kind::Privilege, "a page of another site sent this request").hint("use the agent's own page, or a program");
    Failed::from(error).into_response()
}

fn panicked(_: Box<dyn Any + Send>) -> HttpResponse<axum::body::Body> {
    let error = Error::new(Kind::Internal, "the request met a defect of pgtend").hint("the agent's log has the details; please report it");
    Failed::from(error).into_response()
}

async fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert_with(|| HeaderValue::from_static(value));
    }
    response
}

/// Who asks, for handlers.
impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Caller {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &S) -> Result<Self, Failed> {
        let nobody = || Self { role: None, name: "somebody".to_owned() };
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(nobody))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_point_here_are_no_names_of_ours() {
        let proxied = ["db.example.com".to_owned()];
        for (host, is_here, names, own) in [
            ("127.0.0.1:8080", true, &[][..], true),
            ("[::1]:8080", true, &[], true),
            ("localhost", true, &[], true),
            ("LOCALHOST:1", true, &[], true),
            ("evil.example:8080", true, &[], false),
            ("127.0.0.1.evil.example", true, &[], false),
            ("localhost.evil.example", true, &[], false),
            ("", true, &[], false),
            ("db.example.com", true, &proxied, true),
            ("DB.example.com:443", true, &proxied, true),
            ("evil.example", true, &proxied, false),
            ("monitor.lan:8080", false, &[], true),
            ("monitor.lan:8080", false, &proxied, false),
            ("192.0.2.7:8080", false, &proxied, true),
        ] {
            assert_eq!(is_own_name(Some(host), is_here, names), own, "{host} {is_here} {names:?}");
        }
        assert!(is_own_name(None, true, &[]));
    }
}
