//! What the API puts up with: nonsense, huge bodies, clients that say nothing, clients that read nothing, and its own end.

use super::{Visitor, address, reply, token, watched};
use crate::harness::{Agent, Cluster};
use reqwest::{Method, StatusCode};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn nonsense_is_refused_with_a_hint() {
    let (_cluster, agent) = watched(15).await;
    let admin = Visitor::with_token(&agent, &token(&agent, "admin", "admin").await);
    let tokens = "/api/v1/admin/tokens";
    let body = |text: &'static str| admin.request(Method::POST, tokens).header("content-type", "application/json").body(text);
    for (request, status, words) in [
        (admin.request(Method::GET, "/api/v2/status"), StatusCode::NOT_FOUND, "nothing at /api/v2/status"),
        (admin.request(Method::GET, "/api/v1/status/"), StatusCode::NOT_FOUND, "nothing at"),
        (admin.request(Method::PUT, "/api/v1/status"), StatusCode::METHOD_NOT_ALLOWED, "does not take PUT"),
        (admin.request(Method::GET, "/api/v1/sessions?limt=1"), StatusCode::BAD_REQUEST, "no parameter \"limt\""),
        (admin.request(Method::GET, "/api/v1/sessions?limit=many"), StatusCode::BAD_REQUEST, "limit"),
        (admin.request(Method::GET, "/api/v1/sessions?limit=-1"), StatusCode::BAD_REQUEST, "limit"),
        (admin.request(Method::GET, "/api/v1/ash/samples?start=yesterday"), StatusCode::BAD_REQUEST, "start"),
        (admin.request(Method::GET, "/api/v1/status?server=other"), StatusCode::NOT_FOUND, "no server is named \"other\""),
        (admin.request(Method::POST, "/api/v1/sessions/x/cancel").json(&serde_json::json!({})), StatusCode::BAD_REQUEST, "path"),
        (admin.request(Method::POST, tokens).body("{}"), StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type"),
        (body("{"), StatusCode::BAD_REQUEST, "the body cannot be read"),
        (body("[]"), StatusCode::UNPROCESSABLE_ENTITY, "the body cannot be read"),
        (body(""), StatusCode::BAD_REQUEST, "the body cannot be read"),
    ] {
        reply(request).await.assert_failure(status, words);
    }
    let allowed = admin.request(Method::PUT, "/api/v1/status").send().await.unwrap();
    assert_eq!(allowed.headers()["allow"], "GET,HEAD");
    let head = admin.request(Method::HEAD, "/api/v1/status").send().await.unwrap();
    assert_eq!((head.status(), head.text().await.unwrap().as_str()), (StatusCode::OK, ""));
}

#[tokio::test]
async fn every_answer_carries_its_headers() {
    let (_cluster, agent) = watched(15).await;
    for path in ["/", "/api/v1/health/live", "/nothing", "/api/v1/status"] {
        let headers = Visitor::of(&agent).get(path).await.headers;
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"), "{path}");
    }
}

#[tokio::test]
async fn a_huge_body_is_refused() {
    let cluster = Cluster::start(15).await;
    let limits = "[api]\nlisten = \"127.0.0.1:0\"\nmax_request_bytes = \"10kB\"";
    let agent = Agent::builder().beside("main", &cluster, "").config(limits).start().await;
    let admin = Visitor::with_token(&agent, &token(&agent, "admin", "admin").await);
    let request = |bytes: usize| {
        let body = format!("{{\"name\": \"{}\"}}", "x".repeat(bytes));
        admin.request(Method::POST, "/api/v1/admin/tokens").header("content-type", "application/json").body(body)
    };
    reply(request(100)).await.assert_failure(StatusCode::UNPROCESSABLE_ENTITY, "role");
    reply(request(20_000)).await.assert_failure(StatusCode::PAYLOAD_TOO_LARGE, "length limit");
    // Nobody without a token gets as far as sending one.
    let nobody = Visitor::of(&agent).request(Method::POST, "/api/v1/admin/tokens").body("x".repeat(5000));
    reply(nobody).await.assert_failure(StatusCode::UNAUTHORIZED, "token");
}

/// A client that sends half a request and waits for the end of the connection.
async fn silent(agent: &Agent) -> TcpStream {
    let mut stream = TcpStream::connect(address(agent, "api")).await.unwrap();
    stream.write_all(b"GET /api/v1/health/live HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
    stream
}

#[tokio::test]
async fn silent_clients_are_let_go_and_others_get_their_turn() {
    let cluster = Cluster::start(15).await;
    let limits = "[api]\nlisten = \"127.0.0.1:0\"\nmax_connections = 2";
    let agent = Agent::builder().beside("main", &cluster, "").config(limits).start().await;
    let (mut one, mut other) = (silent(&agent).await, silent(&agent).await);
    let patient = tokio::time::timeout(Duration::from_secs(60), Visitor::of(&agent).get("/api/v1/health/live")).await;
    assert_eq!(patient.expect("the silent ones make room").json["status"], "alive");
    let mut rest = Vec::new();
    one.read_to_end(&mut rest).await.unwrap();
    other.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn the_agent_ends_in_spite_of_open_connections() {
    let (_cluster, mut agent) = watched(15).await;
    let mut silent = silent(&agent).await;
    let visitor = Visitor::of(&agent);
    assert_eq!(visitor.get("/api/v1/health/live").await.json["status"], "alive");
    agent.signal("TERM");
    agent.ended().await;
    let mut rest = Vec::new();
    let _reset_or_closed = silent.read_to_end(&mut rest).await;
    assert!(!agent.socket().exists(), "it takes its socket with it");
    assert!(!agent.log().contains("did not end in time"), "{}", agent.log());
}

#[tokio::test]
async fn the_metrics_listener_has_metrics_and_nothing_else() {
    let (_cluster, agent) = watched(15).await;
    let metrics = Visitor { base: format!("http://{}", address(&agent, "metrics")), ..Visitor::of(&agent) };
    let text = metrics.request(Method::GET, "/metrics").send().await.unwrap();
    assert!(text.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert!(text.text().await.unwrap().contains("pg_up"));
    metrics.get("/api/v1/status").await.assert_failure(StatusCode::NOT_FOUND, "nothing at");
}
