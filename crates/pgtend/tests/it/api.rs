//! The API over a real agent: what it says of itself, who may do what, what it does to sessions, and what it puts up with.

mod access;
mod described;
mod limits;
mod pushed;
mod signals;
mod socket;
mod tls;

use crate::harness::{Agent, Cluster};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// Somebody who talks to an agent over TCP.
pub struct Visitor {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// An answer: its status, its headers, its JSON (null when it is none).
pub struct Reply {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub json: Value,
}

impl Visitor {
    /// Without a token.
    pub fn of(agent: &Agent) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy().build().unwrap();
        Self { http, base: format!("http://{}", address(agent, "api")), token: None }
    }

    /// With a token.
    pub fn with_token(agent: &Agent, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..Self::of(agent) }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        reply(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        reply(self.request(Method::POST, path).json(body)).await
    }
}

impl Reply {
    /// That it is a failure as every failure is: JSON, with a kind, words, and a hint.
    pub fn assert_failure(&self, status: StatusCode, words: &str) {
        assert_eq!(self.status, status, "{}", self.json);
        assert_eq!(self.json["success"], false, "{}", self.json);
        let error = &self.json["error"];
        assert!(error["what"].as_str().unwrap().contains(words), "{error} does not say \"{words}\"");
        assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{error} has no hint");
        assert!(error["kind"].is_string() && error["retry"].is_string(), "{error}");
    }

    /// The data of a success.
    pub fn data(&self) -> &Value {
        assert_eq!((self.status, &self.json["success"]), (StatusCode::OK, &json!(true)), "{}", self.json);
        &self.json["data"]
    }
}

pub async fn reply(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    Reply { status, headers, json: serde_json::from_slice(&bytes).unwrap_or_default() }
}

/// Where one of an agent's listeners is: it says so in its log once it listens.
pub fn address(agent: &Agent, listener: &str) -> SocketAddr {
    let log = agent.log();
    let after = log.rsplit_once(&format!("{listener}=\"")).unwrap_or_else(|| panic!("{listener} is not in the log:\n{log}")).1;
    after.split_once('"').unwrap().0.parse().unwrap()
}

/// Makes a token over the socket, where root and the agent's own user may do everything.
pub async fn token(agent: &Agent, name: &str, role: &str) -> String {
    let made = over_socket(agent, Method::POST, "/api/v1/admin/tokens", Some(json!({"name": name, "role": role}))).await;
    made.data()["secret"].as_str().unwrap().to_owned()
}

pub async fn over_socket(agent: &Agent, method: Method, path: &str, body: Option<Value>) -> Reply {
    let http = reqwest::Client::builder().unix_socket(agent.socket()).timeout(Duration::from_secs(60)).build().unwrap();
    let request = http.request(method, format!("http://pgtend{path}"));
    reply(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

/// A cluster of this major with an agent beside it that has seen it.
pub async fn watched(major: u32) -> (Cluster, Agent) {
    let cluster = Cluster::start(major).await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/status", "/state", |state| state == "up").await;
    (cluster, agent)
}
