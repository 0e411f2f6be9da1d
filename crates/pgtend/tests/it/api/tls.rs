//! HTTPS: with the certificate that is in the file, and with the next one after a reload.

use super::{Visitor, address, token};
use crate::harness::{Agent, Cluster};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, Client};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Puts a fresh certificate and its key into a directory, and gives its PEM.
fn renew(directory: &Path) -> Vec<u8> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    fs::write(directory.join("key.pem"), signing_key.serialize_pem()).unwrap();
    fs::write(directory.join("cert.pem"), cert.pem()).unwrap();
    cert.pem().into_bytes()
}

fn trusting(pem: &[u8]) -> Client {
    let certificate = Certificate::from_pem(pem).unwrap();
    Client::builder().no_proxy().timeout(Duration::from_secs(20)).tls_certs_only([certificate]).build().unwrap()
}

#[tokio::test]
async fn https_with_a_certificate_that_a_reload_renews() {
    let cluster = Cluster::start(15).await;
    let directory = tempfile::tempdir().unwrap();
    let first = renew(directory.path());
    let at = directory.path().display();
    let config = format!("[api]\nlisten = \"127.0.0.1:0\"\ntls_certificate = \"{at}/cert.pem\"\ntls_key = \"{at}/key.pem\"");
    let agent = Agent::builder().beside("main", &cluster, "").config(&config).start().await;
    let port = address(&agent, "api").port();
    let url = format!("https://localhost:{port}/api/v1/health/live");

    assert!(trusting(&first).get(&url).send().await.unwrap().status().is_success());
    let plain = format!("http://localhost:{port}/api/v1/health/live");
    assert!(trusting(&first).get(plain).send().await.is_err(), "without TLS there is no answer");
    let secret = token(&agent, "viewer", "viewer").await;
    let status = trusting(&first).get(format!("https://127.0.0.1:{port}/api/v1/status")).bearer_auth(&secret).send().await.unwrap();
    assert!(status.status().is_success());

    let second = renew(directory.path());
    agent.signal("HUP");
    agent.wait_for("the new certificate", async |_| trusting(&second).get(&url).send().await.is_ok()).await;
    assert!(trusting(&first).get(&url).send().await.is_err(), "the old one is no longer shown");

    fs::write(directory.path().join("cert.pem"), "nonsense").unwrap();
    agent.signal("HUP");
    agent.wait_for("a word about it", async |agent| agent.log().contains("certificate stays as it was")).await;
    assert!(trusting(&second).get(&url).send().await.is_ok(), "a bad file changes nothing");
    let _unused = Visitor::of(&agent);
}
