//! Talks to an agent: over its Unix socket, or over HTTPS with a token.

use crate::api::Answer;
use pgtend_model::document::{Document, Retrospect};
use pgtend_model::error::{Error, Kind, Result};
use reqwest::{Certificate, Method, RequestBuilder, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// Time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a whole answer; the agent answers from memory or within its own limits for one statement.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// The same for what the agent reads from its history.
const REPORT_TIMEOUT: Duration = Duration::from_secs(300);

/// A way to an agent.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
    place: String,
}

/// How an agent says that it cannot.
#[derive(Deserialize)]
struct Refusal {
    error: Error,
}

impl Client {
    /// Over a Unix socket: the agent knows the user by the peer credentials.
    ///
    /// # Errors
    /// `Internal` when the client cannot be set up.
    pub fn over_socket(socket: &Path) -> Result<Self> {
        // What proxies the environment names are for the network.
        let http = builder().no_proxy().unix_socket(socket).build().map_err(|error| cannot_set_up(&error))?;
        let base = Url::parse("http://pgtend/").map_err(|error| cannot_set_up(&error))?;
        Ok(Self { http, base, token: None, place: socket.display().to_string() })
    }

    /// Over the network. `certificates` is a PEM file that is trusted instead of the system's authorities.
    ///
    /// # Errors
    /// `Usage` when the address cannot be read, or would send the token in the clear; `Config` when the certificates cannot be read.
    pub fn over_network(url: &str, token: Option<String>, certificates: Option<&[u8]>) -> Result<Self> {
        let base = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host()).ok_or_else(|| {
            Error::new(Kind::Usage, format!("\"{url}\" is not an address of an agent")).hint("write it as https://host:8080")
        })?;
        if token.is_some() && base.scheme() == "http" && !is_loopback(&base) {
            return Err(Error::new(Kind::Usage, "a token is not sent without encryption").at(url).hint("use https://"));
        }
        let mut builder = builder();
        if let Some(pem) = certificates {
            let trusted = Certificate::from_pem_bundle(pem).unwrap_or_default();
            if trusted.is_empty() {
                return Err(Error::new(Kind::Config, "--cacert holds no certificate in PEM form"));
            }
            builder = builder.tls_certs_only(trusted);
        }
        let http = builder.build().map_err(|error| cannot_set_up(&error))?;
        Ok(Self { http, place: base.to_string(), base, token })
    }

    /// Where the agent is.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// A document about one of the agent's servers.
    ///
    /// # Errors
    /// What the agent says, or `Unreachable`.
    pub async fn document<D: Document>(&self, server: Option<&str>, params: &D::Params) -> Result<D> {
        self.answer(self.request(Method::GET, D::PATH, server)?.query(params)).await
    }

    /// A document about the past of one of the agent's servers.
    ///
    /// # Errors
    /// As [`Client::document`].
    pub async fn retrospect<D: Retrospect>(&self, server: Option<&str>, params: &D::Params) -> Result<D> {
        self.answer(self.request(Method::GET, D::PATH, server)?.query(params)).await
    }

    /// What is at a path.
    ///
    /// # Errors
    /// As [`Client::document`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.answer(self.request(Method::GET, path, None)?).await
    }

    /// Has the agent do something about one of its servers.
    ///
    /// # Errors
    /// As [`Client::document`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, server: Option<&str>, body: &(impl Serialize + Sync)) -> Result<T> {
        self.answer(self.request(Method::POST, path, server)?.json(body)).await
    }

    /// Has the agent make something that may take its time.
    ///
    /// # Errors
    /// As [`Client::document`].
    pub async fn make<T: DeserializeOwned>(&self, path: &str, server: Option<&str>, body: &(impl Serialize + Sync)) -> Result<T> {
        self.answer(self.request(Method::POST, path, server)?.timeout(REPORT_TIMEOUT).json(body)).await
    }

    /// The same where the answer is text or HTML.
    ///
    /// # Errors
    /// As [`Client::document`].
    pub async fn make_text(&self, path: &str, server: Option<&str>, body: &(impl Serialize + Sync)) -> Result<String> {
        let body = self.body(self.request(Method::POST, path, server)?.timeout(REPORT_TIMEOUT).json(body)).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// What is at a path, of one of the agent's servers.
    ///
    /// # Errors
    /// As [`Client::document`].
    pub async fn get_of<T: DeserializeOwned>(&self, path: &str, server: Option<&str>) -> Result<T> {
        self.answer(self.request(Method::GET, path, server)?).await
    }

    /// What is at a path with these parameters, of one of the agent's servers.
    ///
    /// # Errors
    /// As [`Client::document`].
    pub async fn get_with<T: DeserializeOwned>(&self, path: &str, server: Option<&str>, params: &(impl Serialize + Sync)) -> Result<T> {
        self.answer(self.request(Method::GET, path, server)?.query(params)).await
    }

    /// Has the agent remove what has this name from a place of one of its servers.
    ///
    /// # Errors
    /// As [`Client::document`].
    pub async fn delete_of<T: DeserializeOwned>(&self, place: &str, server: Option<&str>, name: &str) -> Result<T> {
        let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
        self.answer(self.request(Method::DELETE, &format!("{place}/{name}"), server)?).await
    }

    /// Has the agent remove what has this name, as somebody wrote it, from a place.
    ///
    /// # Errors
    /// As [`Client::document`].
    pub async fn delete<T: DeserializeOwned>(&self, place: &str, name: &str) -> Result<T> {
        let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
        self.answer(self.request(Method::DELETE, &format!("{place}/{name}"), None)?).await
    }

    /// Has the agent remove what is at a path of one of its servers.
    ///
    /// # Errors
    /// As [`Client::document`].
    pub async fn delete_at<T: DeserializeOwned>(&self, path: &str, server: Option<&str>) -> Result<T> {
        self.answer(self.request(Method::DELETE, path, server)?.timeout(REPORT_TIMEOUT)).await
    }

    fn request(&self, method: Method, path: &str, server: Option<&str>) -> Result<RequestBuilder> {
        let url = self.base.join(path).map_err(|error| cannot_set_up(&error))?;
        let request = self.http.request(method, url).query(&[("server", server)]);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let body = self.body(request).await?;
        serde_json::from_slice::<Answer<T>>(&body).map(|answer| answer.data).map_err(|error| self.unreadable(&error))
    }

    /// The body of a good answer.
    async fn body(&self, request: RequestBuilder) -> Result<Vec<u8>> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        Err(serde_json::from_slice::<Refusal>(&body).map_or_else(
            |_| {
                Error::new(Kind::Unsupported, format!("what answers is no agent of pgtend: HTTP status {status}"))
                    .at(self.place.clone())
                    .hint("look at the address and at proxies on the way")
            },
            |refusal| refusal.error,
        ))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        let error_text = innermost(error);
        let (kind, what) = match error.is_timeout() {
            true => (Kind::Timeout, "the agent did not answer in time".to_owned()),
            false => (Kind::Unreachable, format!("the agent cannot be reached: {error_text}")),
        };
        Error::new(kind, what).at(self.place.clone()).hint("is it running? systemctl status pgtend, or start one with: pgtend up")
    }

    fn unreadable(&self, error: &serde_json::Error) -> Error {
        Error::new(Kind::Unsupported, format!("the agent's answer is not understood: {error}"))
            .at(self.place.clone())
            .hint("agent and command line may be of different versions: compare pgtend --version with the agent's")
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(ANSWER_TIMEOUT)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The first cause says what happened; the layers around it say which library was asked.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn cannot_set_up(error: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Internal, format!("the client for the agent cannot be set up: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_in_the_clear_to_this_host_only() {
        let token = || Some("secret".to_owned());
        for fine in ["https://db.example:8080", "http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost"] {
            assert!(Client::over_network(fine, token(), None).is_ok(), "{fine}");
        }
        for wrong in ["http://db.example:8080", "ftp://db.example", "db.example:8080", ""] {
            let error = Client::over_network(wrong, token(), None).unwrap_err();
            assert_eq!(error.kind, Kind::Usage, "{wrong}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn certificates_must_be_certificates() {
        assert_eq!(Client::over_network("https://db.example", None, Some(b"nonsense")).unwrap_err().kind, Kind::Config);
    }
}
