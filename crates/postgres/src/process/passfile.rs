//! The passwords of a cluster that pgtend made, in a file as libpq's `.pgpass`.

use super::system;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pgtend_model::error::{Error, Kind, Result};
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The role that owns the cluster.
pub const SUPERUSER: &str = "postgres";
/// The role that the agent logs in as.
pub const AGENT: &str = "pgtend";

/// Hosts by which a client names this machine over TCP.
const LOOPBACK: &[&str] = &["localhost", "127.0.0.1", "::1"];

/// A password. It is shown by nothing but [`Password::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A new one: 24 random bytes as base64url, which needs quoting nowhere.
    ///
    /// # Errors
    /// `System` when the kernel gives no random numbers.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0_u8; 24];
        getrandom::fill(&mut bytes).map_err(|error| Error::new(Kind::System, format!("no random numbers for a password: {error}")))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The text, for PostgreSQL and for the file.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// The passwords of the two roles that a new cluster has.
#[derive(Debug, Clone)]
pub struct Passwords {
    /// Of [`SUPERUSER`].
    pub superuser: Password,
    /// Of [`AGENT`].
    pub agent: Password,
}

impl Passwords {
    /// Two new ones.
    ///
    /// # Errors
    /// As [`Password::generate`].
    pub fn generate() -> Result<Self> {
        Ok(Self { superuser: Password::generate()?, agent: Password::generate()? })
    }

    /// Writes them to `path`, readable by its owner alone, for TCP to this machine and for the socket directory. The port is left
    /// open, because it may change from one start to the next.
    ///
    /// # Errors
    /// `System` when the file cannot be written.
    pub fn write(&self, path: &Path, socket_directory: &Path) -> Result<()> {
        let mut text = String::new();
        for (role, password) in [(SUPERUSER, &self.superuser), (AGENT, &self.agent)] {
            for host in LOOPBACK.iter().map(ToString::to_string).chain([socket_directory.display().to_string()]) {
                text.push_str(&line(&host, role, password.expose()));
            }
        }
        replace(path, &text)
    }
}

/// Lets the passwords count for this socket directory too, when it is not the one that the file was made for.
///
/// # Errors
/// `NotFound` when the file is missing, `System` when it cannot be read or written.
pub fn add_socket_directory(path: &Path, socket_directory: &Path) -> Result<()> {
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => missing(path),
        _ => system("could not read the passwords", path, &error),
    })?;
    let host = escaped(&socket_directory.display().to_string());
    let marker = format!("{host}:");
    if text.lines().any(|line| line.starts_with(&marker)) {
        return Ok(());
    }
    let copies: String = text.lines().filter_map(|line| line.strip_prefix("localhost:")).map(|rest| format!("{host}:{rest}\n")).collect();
    replace(path, &format!("{}\n{copies}", text.trim_end()))
}

fn missing(path: &Path) -> Error {
    Error::new(Kind::NotFound, "the passwords of this cluster are gone").at(path.display().to_string()).hint(
        "write the file again (mode 0600), one line a role: localhost:*:*:postgres:PASSWORD and localhost:*:*:pgtend:PASSWORD. \
         A forgotten password is set anew in single-user mode: postgres --single -D DIR/data postgres, then ALTER ROLE … PASSWORD …",
    )
}

fn line(host: &str, role: &str, password: &str) -> String {
    format!("{}:*:*:{}:{}\n", escaped(host), escaped(role), escaped(password))
}

fn escaped(field: &str) -> String {
    field.replace('\\', "\\\\").replace(':', "\\:")
}

/// Writes the file beside its place and renames it, so that there is always a whole one.
fn replace(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    let write = || {
        _ = fs::remove_file(&new);
        let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(|error| system("could not write the passwords", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_file_is_private_and_as_libpq_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pgpass");
        let passwords = Passwords { superuser: Password("a:b\\c".into()), agent: Password("secret".into()) };
        passwords.write(&path, Path::new("/srv/run")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("localhost:*:*:postgres:a\\:b\\\\c\n") && text.contains("/srv/run:*:*:pgtend:secret\n"), "{text}");
        assert!(text.contains("\\:\\:1:*:*:pgtend:secret\n"), "{text}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        add_socket_directory(&path, Path::new("/tmp/short")).unwrap();
        add_socket_directory(&path, Path::new("/tmp/short")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("/tmp/short:*:*:pgtend:secret\n").count(), 1, "{text}");
        assert_eq!(text.lines().count(), 10, "{text}");
    }

    #[test]
    fn passwords_differ_and_are_not_shown() {
        let (one, other) = (Password::generate().unwrap(), Password::generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), 32);
        assert!(one.expose().chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)));
        assert!(!format!("{one:?}").contains(one.expose()));
    }

    #[test]
    fn a_missing_file_says_how_to_go_on() {
        let error = add_socket_directory(Path::new("/nonexistent/pgpass"), Path::new("/run")).unwrap_err();
        assert_eq!(error.kind, Kind::NotFound);
        assert!(error.hint.contains("ALTER ROLE"));
    }
}
