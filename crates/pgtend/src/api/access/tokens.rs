//! The tokens that open something now, checked in memory and kept in the state.

use super::Caller;
use crate::agent::tasks::Tasks;
use crate::blocking::blocking;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use pgtend_model::config::api::Role;
use pgtend_model::error::Result;
use pgtend_store::state::StateStore;
use pgtend_store::state::secret::{Secret, SecretHash};
use pgtend_store::state::tokens::{NewToken, Token};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How often the time of last use is written down.
const NOTE_EVERY: Duration = Duration::from_secs(60);
const NEVER: i64 = i64::MIN;

/// The tokens. A change is in the state and in force before the request that makes it is answered.
#[derive(Debug)]
pub(in crate::api) struct Tokens {
    state: Arc<StateStore>,
    known: ArcSwap<Vec<Arc<Known>>>,
    /// Held while tokens change, so that what is in force is what was written last.
    changing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known {
    token: Token,
    /// When it was last used, in ms since 1970, as long as that is not written down.
    used_ms: AtomicI64,
}

/// A token that was made, with its secret.
#[derive(Debug)]
pub(in crate::api) struct Made {
    pub(in crate::api) token: Token,
    pub(in crate::api) secret: Secret,
}

impl Tokens {
    /// Those in the state.
    pub(in crate::api) fn load(state: Arc<StateStore>) -> Result<Self> {
        let known = ArcSwap::from_pointee(fresh(state.tokens()?));
        Ok(Self { state, known, changing: tokio::sync::Mutex::new(()) })
    }

    /// Whose secret this is. It takes as long whichever token it is, or none.
    pub(super) fn check(&self, presented: &str) -> Option<Caller> {
        let (hash, now) = (SecretHash::of(presented), Timestamp::now());
        let mut found = None;
        for known in self.known.load().iter() {
            if known.token.hash == hash {
                found = Some(known.clone());
            }
        }
        let known = found.filter(|known| known.token.is_valid(now))?;
        known.used_ms.store(now.as_millisecond(), Ordering::Relaxed);
        Some(Caller { role: Some(known.token.role), name: format!("token {}", known.token.name) })
    }

    /// All that were not revoked.
    pub(in crate::api) fn list(&self) -> Vec<Token> {
        let with_use = |known: &Arc<Known>| {
            let mut token = known.token.clone();
            token.last_used = known.used().or(token.last_used);
            token
        };
        self.known.load().iter().map(with_use).collect()
    }

    /// Makes one.
    pub(in crate::api) async fn create(&self, name: String, role: Role, expires: Option<Timestamp>, created_by: String) -> Result<Made> {
        let secret = Secret::generate()?;
        let new = NewToken { name, role, hash: secret.hash(), created_by, created: Timestamp::now(), expires };
        let token = self.change(move |state| state.add_token(&new)).await?;
        Ok(Made { token, secret })
    }

    /// Revokes one; from then on it opens nothing.
    pub(in crate::api) async fn revoke(&self, name: String) -> Result<Token> {
        self.change(move |state| state.revoke_token(&name, Timestamp::now())).await
    }

    async fn change<T: Send + 'static>(&self, change: impl FnOnce(&StateStore) -> Result<T> + Send + 'static) -> Result<T> {
        let _one_at_a_time = self.changing.lock().await;
        let used = self.unwritten();
        let state = self.state.clone();
        let (outcome, tokens) = blocking(move || {
            state.note_token_use(&used)?;
            let outcome = change(&state);
            Ok((outcome, state.tokens()?))
        })
        .await?;
        self.known.store(Arc::new(fresh(tokens)));
        outcome
    }

    fn unwritten(&self) -> Vec<(i64, Timestamp)> {
        self.known.load().iter().filter_map(|known| Some((known.token.id, known.used()?))).collect()
    }

    /// Writes down every now and then when tokens were last used, until the agent ends.
    pub(in crate::api) async fn note_use(&self, tasks: &Tasks) {
        let mut ended = false;
        while !ended {
            tokio::select! {
                () = tasks.cancelled() => ended = true,
                () = tokio::time::sleep(NOTE_EVERY) => {}
            }
            if self.unwritten().is_empty() {
                continue;
            }
            if let Err(error) = self.change(|_| Ok(())).await {
                tracing::warn!(error = error.what, place = error.place, "the time of last use of tokens could not be written down");
            }
        }
    }
}

impl Known {
    fn used(&self) -> Option<Timestamp> {
        match self.used_ms.load(Ordering::Relaxed) {
            NEVER => None,
            ms => Timestamp::from_millisecond(ms).ok(),
        }
    }
}

fn fresh(tokens: Vec<Token>) -> Vec<Arc<Known>> {
    tokens.into_iter().map(|token| Arc::new(Known { token, used_ms: AtomicI64::new(NEVER) })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tokens_open_until_they_end_or_are_revoked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let open = || Tokens::load(Arc::new(StateStore::open(&path).unwrap())).unwrap();
        let tokens = open();
        let made = tokens.create("ci".to_owned(), Role::Operator, None, "root".to_owned()).await.unwrap();
        let past = Some("2020-01-01T00:00:00Z".parse().unwrap());
        let expired = tokens.create("old".to_owned(), Role::Admin, past, "root".to_owned()).await.unwrap();

        let caller = tokens.check(made.secret.expose()).unwrap();
        assert_eq!(caller, Caller { role: Some(Role::Operator), name: "token ci".to_owned() });
        assert_eq!(tokens.check(expired.secret.expose()), None);
        assert_eq!(tokens.check("pgtend_"), None);
        assert!(tokens.list()[0].last_used.is_some() && tokens.list()[1].last_used.is_none());

        tokens.change(|_| Ok(())).await.unwrap();
        assert!(open().list()[0].last_used.is_some(), "its use was written down");
        tokens.revoke("ci".to_owned()).await.unwrap();
        assert_eq!(tokens.check(made.secret.expose()), None);
        assert_eq!(open().check(made.secret.expose()), None);
    }
}
