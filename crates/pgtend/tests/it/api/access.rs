//! Who may do what: every endpoint by every role, tokens from their making to their end, and visitors of other sites.

use super::{Reply, Visitor, address, over_socket, token, watched};
use crate::harness::{Agent, Cluster};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// What everybody may see; statement texts, roles and addresses are in none of it.
const OPEN: &[&str] = &[
    "/",
    "/api/v1/health/live",
    "/api/v1/health/ready",
    "/api/v1/metrics",
    "/api/v1/metrics/prometheus",
    "/api/v1/openapi.json",
    "/api/v1/stats/buffer-pool",
    "/api/v1/stats/io",
];

/// What is read by sending what is asked.
const ASKED_BY_POST: [&str; 3] = ["/api/v1/awr/report", "/api/v1/awr/compare", "/api/v1/sql"];

/// What takes something away for good, hands a name over, fills a disk with a copy of everything, or tells where keys lie.
const FOR_ADMINS: [&str; 5] = [
    "/api/v1/backups/expire",
    "/api/v1/backups/repositories",
    "/api/v1/backups/{label}",
    "/api/v1/repositories/adopt",
    "/api/v1/drills/stop",
];

/// What somebody of this rank (0 nobody, 1 viewer, 2 operator, 3 admin) needs for an endpoint.
fn needed(method: &Method, path: &str) -> usize {
    let runs_drill = method == Method::POST && path == "/api/v1/drills";
    // The doctor writes a probe into every repository.
    let probes = path == "/api/v1/backups/doctor";
    if path.starts_with("/api/v1/admin/tokens") || path.starts_with("/api/v1/admin/metrics") || FOR_ADMINS.contains(&path) || runs_drill {
        3
    } else if probes || (method != Method::GET && !ASKED_BY_POST.contains(&path)) {
        2
    } else {
        usize::from(!OPEN.contains(&path))
    }
}

fn endpoints(description: &Value) -> Vec<(Method, String)> {
    let mut found = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (name, method) in [("get", Method::GET), ("post", Method::POST), ("delete", Method::DELETE)] {
            if item.get(name).is_some() {
                found.push((method, path.clone()));
            }
        }
    }
    found
}

#[tokio::test]
async fn every_endpoint_by_every_role() {
    let (_cluster, agent) = watched(15).await;
    let mut visitors = vec![Visitor::of(&agent)];
    for role in ["viewer", "operator", "admin"] {
        visitors.push(Visitor::with_token(&agent, &token(&agent, role, role).await));
    }
    let description = visitors[0].get("/api/v1/openapi.json").await.json;
    let endpoints = endpoints(&description);
    assert!(endpoints.len() > 25, "{endpoints:?}");
    for (method, path) in endpoints {
        let needed = needed(&method, &path);
        let real = path.replace("{pid}", "1").replace("{name}", "nobody");
        for (rank, visitor) in visitors.iter().enumerate() {
            // An empty body is refused only after the role was looked at.
            let request = visitor.request(method.clone(), &real);
            let reply = super::reply(if method == Method::POST { request.json(&json!({})) } else { request }).await;
            let what = format!("{method} {path} by rank {rank}: {} {}", reply.status, reply.json);
            match (rank >= needed, rank) {
                (true, _) => assert!(![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&reply.status), "{what}"),
                (false, 0) => {
                    assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{what}");
                    assert!(reply.json["error"]["hint"].as_str().unwrap().contains("pgtend token create"), "{what}");
                    assert!(reply.headers.contains_key("www-authenticate"), "{what}");
                }
                (false, _) => assert_eq!(reply.status, StatusCode::FORBIDDEN, "{what}"),
            }
        }
    }
}

#[tokio::test]
async fn anonymous_viewers_see_what_viewers_see_and_no_more() {
    let cluster = Cluster::start(15).await;
    let agent =
        Agent::builder().beside("main", &cluster, "").config("[api]\nlisten = \"127.0.0.1:0\"\nanonymous = \"viewer\"").start().await;
    let anybody = Visitor::of(&agent);
    anybody.get("/api/v1/sessions").await.data();
    anybody.get("/api/v1/admin/tokens").await.assert_failure(StatusCode::FORBIDDEN, "needs admin");
    let signal = json!({"signal": "terminate", "targets": []});
    anybody.post("/api/v1/sessions/signal", &signal).await.assert_failure(StatusCode::FORBIDDEN, "needs operator");
}

#[tokio::test]
async fn a_token_opens_until_it_is_revoked_and_survives_a_restart() {
    let (_cluster, mut agent) = watched(15).await;
    let secret = token(&agent, "ci", "viewer").await;
    Visitor::with_token(&agent, &secret).get("/api/v1/status").await.data();
    agent.kill();
    agent.start_again().await;
    let visitor = Visitor::with_token(&agent, &secret);
    agent.wait_until("/api/v1/status", "/state", |state| state == "up").await;
    visitor.get("/api/v1/status").await.data();

    let listed = over_socket(&agent, Method::GET, "/api/v1/admin/tokens", None).await;
    assert_eq!(listed.data()["tokens"][0]["name"], "ci");
    assert!(listed.data()["tokens"][0]["last_used"].is_string(), "{}", listed.json);
    assert!(!listed.json.to_string().contains(&secret), "the secret is shown once");
    assert!(!agent.log().contains(&secret), "the secret is in no log");

    over_socket(&agent, Method::DELETE, "/api/v1/admin/tokens/ci", None).await.data();
    visitor.get("/api/v1/status").await.assert_failure(StatusCode::UNAUTHORIZED, "unknown, expired or revoked");
    over_socket(&agent, Method::DELETE, "/api/v1/admin/tokens/ci", None).await.assert_failure(StatusCode::NOT_FOUND, "no token named");
    let log = agent.log();
    assert!(log.contains("token made") && log.contains("token revoked") && log.contains("token=\"ci\""), "{log}");
}

#[tokio::test]
async fn tokens_end_when_they_were_made_to() {
    let (_cluster, agent) = watched(15).await;
    let soon = jiff::Timestamp::now() + std::time::Duration::from_millis(1500);
    let body = json!({"name": "short", "role": "admin", "expires": soon});
    let made = over_socket(&agent, Method::POST, "/api/v1/admin/tokens", Some(body)).await;
    let visitor = Visitor::with_token(&agent, made.data()["secret"].as_str().unwrap());
    visitor.get("/api/v1/status").await.data();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    visitor.get("/api/v1/status").await.assert_failure(StatusCode::UNAUTHORIZED, "expired");
    for (body, words) in [
        (json!({"name": "x", "role": "viewer", "expires": "2020-01-01T00:00:00Z"}), "end before it begins"),
        (json!({"name": "a b", "role": "viewer"}), "cannot be the name"),
        (json!({"name": "x", "role": "king"}), "unknown variant"),
        (json!({"name": "x", "role": "viewer", "colour": "red"}), "unknown field"),
    ] {
        let reply = over_socket(&agent, Method::POST, "/api/v1/admin/tokens", Some(body)).await;
        assert!(reply.status.is_client_error() && reply.json["error"]["what"].as_str().unwrap().contains(words), "{}", reply.json);
    }
    let again = json!({"name": "short", "role": "viewer"});
    over_socket(&agent, Method::POST, "/api/v1/admin/tokens", Some(again)).await.assert_failure(StatusCode::CONFLICT, "there is a token");
}

#[tokio::test]
async fn wrong_tokens_are_refused_and_never_lock_out_a_right_one() {
    let (_cluster, agent) = watched(15).await;
    let right = Visitor::with_token(&agent, &token(&agent, "right", "viewer").await);
    let wrong = Visitor::with_token(&agent, "pgtend_wrong");
    // Also where nobody needs one: whoever sends a wrong token learns it.
    wrong.get("/api/v1/health/live").await.assert_failure(StatusCode::UNAUTHORIZED, "unknown");
    let attempts = (0..12).map(|_| wrong.get("/api/v1/status"));
    let replies = futures_util::future::join_all(attempts).await;
    let refused = replies.iter().find(|reply| reply.status == StatusCode::TOO_MANY_REQUESTS).expect("one of many is refused");
    refused.assert_failure(StatusCode::TOO_MANY_REQUESTS, "too many");
    assert!(refused.headers.contains_key("retry-after"));
    right.get("/api/v1/status").await.data();
    let basic = Visitor::of(&agent).request(Method::GET, "/api/v1/health/live").basic_auth("x", Some("y"));
    super::reply(basic).await.assert_failure(StatusCode::UNAUTHORIZED, "bearer token");
}

async fn with_header(visitor: &Visitor, method: Method, path: &str, name: &'static str, value: &str) -> Reply {
    let value = HeaderValue::from_str(value).unwrap();
    super::reply(visitor.request(method, path).header(HeaderName::from_static(name), value)).await
}

#[tokio::test]
async fn pages_of_other_sites_get_nothing() {
    let (_cluster, agent) = watched(15).await;
    let visitor = Visitor::with_token(&agent, &token(&agent, "admin", "admin").await);
    let own = format!("http://{}", address(&agent, "api"));
    with_header(&visitor, Method::GET, "/api/v1/status", "host", "evil.example")
        .await
        .assert_failure(StatusCode::MISDIRECTED_REQUEST, "evil.example");
    with_header(&visitor, Method::GET, "/api/v1/status", "host", "localhost:1234").await.data();
    for (name, value, allowed) in [
        ("origin", "https://evil.example", false),
        ("sec-fetch-site", "cross-site", false),
        ("sec-fetch-site", "same-site", false),
        ("sec-fetch-site", "same-origin", true),
        ("origin", own.as_str(), true),
    ] {
        let reply = with_header(&visitor, Method::DELETE, "/api/v1/admin/tokens/nobody", name, value).await;
        let expected = if allowed { StatusCode::NOT_FOUND } else { StatusCode::FORBIDDEN };
        reply.assert_failure(expected, if allowed { "no token" } else { "another site" });
    }
    let metrics = Visitor { base: format!("http://{}", address(&agent, "metrics")), ..Visitor::of(&agent) };
    assert_eq!(with_header(&metrics, Method::GET, "/metrics", "host", "evil.example").await.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn the_page_shows_statements_to_viewers_only() {
    let (cluster, agent) = watched(15).await;
    let mut holder = cluster.client("psql").args(["-c", "select pg_advisory_lock(1), pg_sleep(300)"]).spawn().unwrap();
    agent.wait_until("/api/v1/sessions", "/sessions/0/wait_event", |event| event == "PgSleep").await;
    let mut waiter = cluster.client("psql").args(["-c", "select pg_advisory_lock(1) /* secret words */"]).spawn().unwrap();
    agent.wait_until("/api/v1/ash/samples?state=BLOCKED", "/samples/0/sql_text", Value::is_string).await;
    let viewer = Visitor::with_token(&agent, &token(&agent, "viewer", "viewer").await);
    for (visitor, sees) in [(&Visitor::of(&agent), false), (&viewer, true)] {
        let page = visitor.request(Method::GET, "/").send().await.unwrap();
        assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
        assert_eq!(page.headers()["cache-control"], "no-store");
        let text = page.text().await.unwrap();
        assert_eq!(text.contains("secret words"), sees, "{text}");
        assert!(text.contains("main"), "{text}");
    }
    waiter.kill().await.unwrap();
    holder.kill().await.unwrap();
}
