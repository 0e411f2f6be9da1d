//! What the process knows about connecting besides the DSN: its variables, its user, its home directory.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};

/// The process environment as an explicit input. Files are read from the places that it names.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Environment variables; an empty value counts as none, as in libpq.
    pub variables: HashMap<String, String>,
    /// The home directory: `.pgpass`, `.pg_service.conf` and `.postgresql/` are in it.
    pub home: Option<PathBuf>,
    /// The operating-system user, who is the database user unless something says otherwise.
    pub user: String,
}

impl Environment {
    /// The environment of this process. Variables that are not UTF-8 are left out.
    pub fn from_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Self { variables: env::vars_os().filter_map(text).collect(), home: env::home_dir(), user: user_name() }
    }

    /// An environment with these variables and nothing else.
    pub fn with_variables(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { variables: variables.collect(), ..Self::default() }
    }

    /// The value of a variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A path in the home directory.
    pub(super) fn in_home(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(path))
    }
}

/// The name of the user whom this process acts for; empty when the system has none.
fn user_name() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid());
    user.ok().flatten().map(|user| user.name).unwrap_or_default()
}
