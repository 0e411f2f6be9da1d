//! `[api]`: who may ask the agent, and how.

use super::choice::choice;
use super::section::{Section, section};
use super::values::Listen;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

choice! {
    /// What somebody may do.
    pub enum Role {
        /// See everything.
        Viewer = "viewer",
        /// End statements and sessions too.
        Operator = "operator",
        /// Everything, tokens included.
        Admin = "admin",
    }
}

choice! {
    /// What somebody without a token may do over TCP.
    pub enum Anonymous {
        /// Nothing but the health checks.
        None = "none",
        /// What a viewer may.
        Viewer = "viewer",
    }
}

section! {
    /// The HTTP API.
    pub struct Api, checked by check_api {
        /// Where the API and the user interface answer over TCP.
        listen: Listen = "'127.0.0.1:8080'", restart;
        /// The certificate (PEM, with its chain) with which they answer by HTTPS.
        tls_certificate: Option<PathBuf> = none, restart;
        /// The certificate's private key (PEM).
        tls_key: Option<PathBuf> = none, restart;
        /// What somebody without a token may do over TCP. A viewer sees statement texts.
        anonymous: Anonymous = "'none'", now;
        /// Names under which the API is reached besides addresses and `localhost`, those of a proxy in front of it for instance.
        /// Requests that come from this machine under another name are refused: a web page could make a browser send them.
        hosts: Vec<String> = "[]", now;
        /// The Unix socket of the API, which the command line uses. Not written: `pgtend.sock` in `agent.runtime_directory`.
        socket: Option<PathBuf> = none, restart;
        /// Group that may open the Unix socket. Not written: the agent's own group.
        socket_group: Option<String> = none, restart;
        /// Roles of operating system users, and of groups written as `"@GROUP"`, over the Unix socket. root and the agent's own
        /// user are always `admin`; others who can open the socket are `viewer`.
        socket_roles: BTreeMap<String, Role> = none, now;
        /// Size of a request's body at most.
        max_request_bytes: u64 as "bytes" = "'1MB'" in "1kB to 64MB", restart;
        /// How long an answer may take.
        request_timeout: Duration = "'30s'" in "1s to 10min", restart;
        /// Connections over TCP at the same time, and as many again over the socket.
        max_connections: usize = "128" in "1 to 10000", restart;
    }
}

fn check_api(api: &mut Api, section: &Section<'_>) {
    match (&api.tls_certificate, &api.tls_key) {
        (Some(_), None) => section.reject("tls_certificate", "api.tls_certificate is set, and tls_key is not", "set both, or none"),
        (None, Some(_)) => section.reject("tls_key", "api.tls_key is set, and tls_certificate is not", "set both, or none"),
        (None, None) if api.listen.is_public() => {
            section.notice("listen", format!("the API answers other machines at {} without TLS: tokens travel in the clear", api.listen));
        }
        _ => {}
    }
    if api.listen.is_public() && api.anonymous == Anonymous::Viewer {
        section.notice("anonymous", "everybody who reaches the API from other machines sees sessions and statement texts");
    }
}
