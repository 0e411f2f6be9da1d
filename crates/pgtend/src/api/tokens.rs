//! Tokens: made, listed, revoked. What is made here is shown once and kept as a hash.

use super::Api;
use super::access::{Caller, Made};
use super::answer::{Answer, Body, Failed, InPath};
use axum::extract::State;
use jiff::Timestamp;
use pgtend_model::config::api::Role;
use pgtend_model::error::{Error, Kind};
use pgtend_store::state::tokens::Token;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Where tokens are.
pub const PATH: &str = "/api/v1/admin/tokens";

/// A token as people see it, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenInfo {
    /// What people call it.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// Whether it opens anything now.
    pub valid: bool,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; null for never.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used: Option<Timestamp>,
}

/// The tokens there are; revoked ones are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Tokens)]
pub struct TokenList {
    /// In the order in which they were made.
    pub tokens: Vec<TokenInfo>,
}

/// A token to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What people shall call it: up to 63 letters, digits, `.`, `_`, `-` and `@`.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// When it ends; null for never.
    pub expires: Option<Timestamp>,
}

/// A token that was made.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct MadeToken {
    /// The token.
    pub token: TokenInfo,
    /// Its secret, which is shown this once: send it as `Authorization: Bearer SECRET`.
    pub secret: String,
}

/// Which token.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct Which {
    /// Its name.
    name: String,
}

pub(super) async fn list(State(api): State<Api>) -> Answer<TokenList> {
    let now = Timestamp::now();
    Answer::new(TokenList { tokens: api.tokens().list().into_iter().map(|token| info(token, now)).collect() })
}

pub(super) async fn create(State(api): State<Api>, caller: Caller, Body(new): Body<NewToken>) -> Result<Answer<MadeToken>, Failed> {
    let now = Timestamp::now();
    if new.expires.is_some_and(|expires| expires <= now) {
        return Err(Error::new(Kind::Usage, "the token would end before it begins").hint("expires is an instant to come").into());
    }
    let Made { token, secret } = api.tokens().create(new.name, new.role, new.expires, caller.name.clone()).await?;
    tracing::info!(target: "audit", who = caller.name, token = token.name, role = %token.role, expires = ?token.expires, "token made");
    Ok(Answer::new(MadeToken { token: info(token, now), secret: secret.expose().to_owned() }))
}

pub(super) async fn revoke(State(api): State<Api>, caller: Caller, InPath(which): InPath<Which>) -> Result<Answer<TokenInfo>, Failed> {
    let token = api.tokens().revoke(which.name).await?;
    tracing::info!(target: "audit", who = caller.name, token = token.name, role = %token.role, "token revoked");
    Ok(Answer::new(info(token, Timestamp::now())))
}

fn info(token: Token, now: Timestamp) -> TokenInfo {
    let valid = token.is_valid(now);
    let Token { name, role, created_by, created, expires, last_used, .. } = token;
    TokenInfo { name, role, valid, created_by, created, expires, last_used }
}

impl std::fmt::Debug for MadeToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeToken").field("token", &self.token).finish_non_exhaustive()
    }
}
