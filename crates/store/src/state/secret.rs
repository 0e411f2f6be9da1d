//! A token's secret and what is kept of it.
//!
//! A secret is 256 random bits, so nobody can guess it however fast hashes are computed: one plain hash at rest is enough, where a
//! password would need salt and a slow one. Hashes are compared in constant time.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pgtend_model::error::{Error, Kind, Result};
use std::fmt;

/// What every secret begins with, so that people and secret scanners recognize it.
pub const PREFIX: &str = "pgtend_";

/// A secret, shown once to the person who asked for the token.
pub struct Secret(String);

/// What is kept of a secret. Equality takes constant time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(blake3::Hash);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// `System` when the operating system gives no random numbers.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::new(Kind::System, format!("the operating system gives no random numbers: {error}")))?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The text that is sent as `Authorization: Bearer`.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl SecretHash {
    /// Of a secret as somebody presents it.
    pub fn of(presented: &str) -> Self {
        Self(blake3::hash(presented.as_bytes()))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(blake3::Hash::from_bytes(bytes))
    }
}

/// A hash is no secret, and still nobody's business.
impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_recognized_by_its_hash_alone_and_never_printed() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert!(one.expose().starts_with(PREFIX) && one.expose().len() == PREFIX.len() + 43);
        assert_eq!(SecretHash::of(one.expose()), one.hash());
        assert_ne!(one.hash(), other.hash());
        assert_eq!(SecretHash::from_bytes(*one.hash().bytes()), one.hash());
        assert_eq!(format!("{one:?}"), "Secret(***)");
    }
}
