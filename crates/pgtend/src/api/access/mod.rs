//! Who asks, and what they may do: bearer tokens over TCP, the operating system's word over the Unix socket.

mod peer;
mod throttle;
mod tokens;

pub(super) use peer::{OsUser, Peer};
pub(super) use throttle::Throttle;
pub(super) use tokens::{Made, Tokens};

use super::Api;
use super::answer::Failed;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use pgtend_model::config::api::{Anonymous, Api as Config, Role};
use pgtend_model::error::{Error, Kind};

const HOW_TO_GET_IN: &str = "on the agent's host make a token with `pgtend token create --name NAME --role viewer` and send it as \
    `Authorization: Bearer TOKEN`";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// What they may do; none for nothing but what is open to everybody.
    pub(super) role: Option<Role>,
    /// Who they are, for the log.
    pub(super) name: String,
}

impl Caller {
    /// Whether they may do what needs this role.
    pub(super) fn may(&self, needed: Role) -> bool {
        self.role.is_some_and(|role| role >= needed)
    }
}

/// Finds out who asks. A token that is presented decides, also over the socket: whoever sends a wrong one learns it.
pub(super) async fn identify(State(api): State<Api>, mut request: Request, next: Next) -> Result<Response, Failed> {
    let peer = request.extensions().get::<Peer>().cloned().unwrap_or(Peer::Unknown);
    let caller = match presented(request.headers())? {
        Some(secret) => match api.tokens().check(secret) {
            Some(caller) => caller,
            None => return Err(refuse_token(&api, &peer).await),
        },
        None => without_token(&peer, &api.agent().config().api),
    };
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Whether the caller may do what needs this role.
pub(super) fn allow(caller: Option<&Caller>, needed: Role) -> Result<(), Error> {
    match caller {
        Some(caller) if caller.may(needed) => Ok(()),
        Some(Caller { role: Some(role), name }) => Err(Error::new(Kind::Privilege, format!("{name} is {role}, and this needs {needed}"))
            .hint(format!("use a token with the role {needed}: pgtend token create --name NAME --role {needed}"))),
        _ => Err(Error::new(Kind::Authentication, "this needs a token").hint(HOW_TO_GET_IN)),
    }
}

fn without_token(peer: &Peer, config: &Config) -> Caller {
    match peer {
        Peer::Local(user) => Caller { role: Some(user.role(config)), name: user.to_string() },
        Peer::Remote(address) => {
            let role = (config.anonymous == Anonymous::Viewer).then_some(Role::Viewer);
            Caller { role, name: format!("somebody at {}", address.ip()) }
        }
        Peer::Unknown => Caller { role: None, name: "somebody".to_owned() },
    }
}

/// The secret that the request presents.
fn presented(headers: &HeaderMap) -> Result<Option<&str>, Failed> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let words = value.to_str().ok().and_then(|text| text.split_once(' '));
    match words {
        Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(secret.trim())),
        _ => Err(Error::new(Kind::Authentication, "the header Authorization does not carry a bearer token").hint(HOW_TO_GET_IN).into()),
    }
}

/// A wrong token is answered late, and where there are many of them, not looked into any further. A right one is never held up: it
/// cannot be guessed, so nobody is locked out because of somebody else behind the same address.
async fn refuse_token(api: &Api, peer: &Peer) -> Failed {
    let address = peer.address();
    match api.throttle().wrong_token(address) {
        throttle::Verdict::Late(delay) => {
            tracing::warn!(target: "audit", peer = %peer, "a wrong token was presented");
            tokio::time::sleep(delay).await;
            let error = Error::new(Kind::Authentication, "the token is unknown, expired or revoked");
            error.hint("pgtend token list shows the tokens there are; make another with pgtend token create").into()
        }
        throttle::Verdict::Enough(seconds) => {
            let error = Error::new(Kind::Authentication, "too many wrong tokens from this address").hint("wait a minute");
            Failed::new(StatusCode::TOO_MANY_REQUESTS, error).with(header::RETRY_AFTER, HeaderValue::from(seconds))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_includes_those_below_it() {
        let caller = |role| Caller { role, name: "token ci".to_owned() };
        for (role, needed, allowed) in [
            (Some(Role::Viewer), Role::Viewer, true),
            (Some(Role::Viewer), Role::Operator, false),
            (Some(Role::Operator), Role::Viewer, true),
            (Some(Role::Operator), Role::Admin, false),
            (Some(Role::Admin), Role::Admin, true),
            (None, Role::Viewer, false),
        ] {
            assert_eq!(allow(Some(&caller(role)), needed).is_ok(), allowed, "{role:?} for {needed:?}");
        }
        assert_eq!(allow(None, Role::Viewer).unwrap_err().kind, Kind::Authentication);
        let refused = allow(Some(&caller(Some(Role::Viewer))), Role::Admin).unwrap_err();
        assert_eq!((refused.kind, refused.what.as_str()), (Kind::Privilege, "token ci is viewer, and this needs admin"));
    }

    #[test]
    fn only_bearer_tokens_are_taken() {
        let headers = |text: &str| HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(text).unwrap())]);
        assert_eq!(presented(&headers("bearer x ")).unwrap(), Some("x"));
        assert_eq!(presented(&HeaderMap::new()).unwrap(), None);
        for wrong in ["Basic eDp5", "x", ""] {
            assert!(presented(&headers(wrong)).is_err(), "{wrong:?}");
        }
    }
}
