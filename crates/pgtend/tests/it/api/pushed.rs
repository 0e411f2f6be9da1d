//! Metrics of the user's own: registered, changed, fetched by Prometheus, refused.

use super::{Visitor, address, over_socket, token, watched};
use reqwest::{Method, StatusCode};
use serde_json::json;

const REGISTER: &str = "/api/v1/admin/metrics/register";

#[tokio::test]
async fn metrics_of_ones_own_are_registered_changed_and_fetched() {
    let (_cluster, agent) = watched(15).await;
    let admin = Visitor::with_token(&agent, &token(&agent, "app", "admin").await);
    let events = json!({"name": "custom_events", "type": "counter", "help": "Events.", "labels": {"app": "my\"app", "env": "prod"}});
    assert_eq!(admin.post(REGISTER, &events).await.data()["value"], 0.0);
    admin.post(REGISTER, &json!({"name": "queue_depth", "type": "gauge"})).await.data();
    for _ in 0..3 {
        admin.post("/api/v1/admin/metrics/custom_events/inc", &json!({"value": 1})).await.data();
    }
    admin.post("/api/v1/admin/metrics/queue_depth/set", &json!({"value": 42})).await.data();

    let scraped = reqwest::get(format!("http://{}/metrics", address(&agent, "metrics"))).await.unwrap().text().await.unwrap();
    for line in
        ["# TYPE custom_events counter", r#"custom_events{app="my\"app",env="prod"} 3"#, "# TYPE queue_depth gauge", "queue_depth 42"]
    {
        assert!(scraped.lines().any(|one| one == line), "{line}");
    }

    let set = "/api/v1/admin/metrics/custom_events/set";
    admin.post(set, &json!({"value": 1})).await.assert_failure(StatusCode::BAD_REQUEST, "a counter is not set");
    let absent = "/api/v1/admin/metrics/nothing/inc";
    admin.post(absent, &json!({"value": 1})).await.assert_failure(StatusCode::NOT_FOUND, "no metric is registered");
    let taken = json!({"name": "pg_up", "type": "gauge"});
    admin.post(REGISTER, &taken).await.assert_failure(StatusCode::BAD_REQUEST, "metric of pgtend itself");
    let other = json!({"name": "queue_depth", "type": "counter"});
    admin.post(REGISTER, &other).await.assert_failure(StatusCode::CONFLICT, "of another type");
    let viewer = Visitor::with_token(&agent, &token(&agent, "looks", "viewer").await);
    assert_eq!(viewer.post(REGISTER, &events).await.status, StatusCode::FORBIDDEN);

    over_socket(&agent, Method::DELETE, "/api/v1/admin/metrics/queue_depth", None).await.data();
    let left = admin.get("/api/v1/admin/metrics").await;
    assert_eq!(left.data()["metrics"].as_array().unwrap().len(), 1, "{}", left.json);
}
