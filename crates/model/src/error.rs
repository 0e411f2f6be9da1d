//! One shape for every error a person may read: what kind, what failed, where, what to do, and whether trying again helps.

use std::fmt;

/// The kinds of error, each with one exit code and one HTTP status so that scripts can tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The command line or a request does not say something that can be done.
    Usage,
    /// The configuration is wrong.
    Config,
    /// The server (or the agent) could not be reached.
    Unreachable,
    /// The server answered, but refuses connections for now (starting up, shutting down, no slot left).
    Rejecting,
    /// Wrong or missing credentials.
    Authentication,
    /// The role is known, but may not do this.
    Privilege,
    /// What was named does not exist.
    NotFound,
    /// The state of the thing does not allow it now.
    Conflict,
    /// It took longer than its limit.
    Timeout,
    /// The operating system said no: files, disk, processes.
    System,
    /// PostgreSQL reported an error that has no kind of its own here.
    Server,
    /// This PostgreSQL, or this installation, cannot do it.
    Unsupported,
    /// A defect of pgtend.
    Internal,
}

/// Whether the same call may succeed later without anybody changing anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Trying again later may help.
    Later,
    /// It fails until somebody changes something.
    Never,
}

impl Kind {
    /// Whether trying again can help, unless the error says otherwise.
    pub const fn retry(self) -> Retry {
        match self {
            Self::Unreachable | Self::Rejecting | Self::Timeout | Self::Conflict => Retry::Later,
            Self::Usage
            | Self::Config
            | Self::Authentication
            | Self::Privilege
            | Self::NotFound
            | Self::System
            | Self::Server
            | Self::Unsupported
            | Self::Internal => Retry::Never,
        }
    }

    /// The process exit code. 0–3 are left to `ping`, which answers as `pg_isready` does.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 64,
            Self::Config => 78,
            Self::Unreachable => 69,
            Self::Rejecting | Self::Timeout => 75,
            Self::Authentication | Self::Privilege => 77,
            Self::NotFound => 66,
            Self::Conflict => 65,
            Self::System => 71,
            Self::Server => 76,
            Self::Unsupported => 72,
            Self::Internal => 70,
        }
    }

    /// The HTTP status of an API answer that carries this error.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Usage | Self::Config => 400,
            Self::Authentication => 401,
            Self::Privilege => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Unreachable | Self::Rejecting => 503,
            Self::Timeout => 504,
            Self::Unsupported => 501,
            Self::System | Self::Server | Self::Internal => 500,
        }
    }
}

/// An error as a person reads it. Secrets have no place in any field.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Error {
    /// What kind of thing went wrong.
    pub kind: Kind,
    /// What failed, in lower case, without a final period.
    pub what: String,
    /// Where: a file and line, a server, an address. Empty when there is no such place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// What to do about it. Empty when nothing useful can be said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Whether trying again can help.
    pub retry: Retry,
}

/// The result of everything that can fail in front of a person.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind that says what failed.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), place: String::new(), hint: String::new(), retry: kind.retry() }
    }

    /// Adds where it happened; the innermost place stands, outer callers do not overwrite it.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        if self.place.is_empty() {
            self.place = place.into();
        }
        self
    }

    /// Adds what to do about it; the innermost hint stands.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if self.hint.is_empty() {
            self.hint = hint.into();
        }
        self
    }

    /// Says otherwise than the kind whether trying again helps.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.place.is_empty() {
            write!(f, "\n  where: {}", self.place)?;
        }
        if !self.hint.is_empty() {
            write!(f, "\n  hint: {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_place_and_hint_stand() {
        let error = Error::new(Kind::Config, "unknown key \"sampel\"").at("pgtend.toml:3").at("start").hint("did you mean \"sample\"?");
        assert_eq!(error.to_string(), "unknown key \"sampel\"\n  where: pgtend.toml:3\n  hint: did you mean \"sample\"?");
    }
}
