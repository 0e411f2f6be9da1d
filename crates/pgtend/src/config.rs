//! The configuration file: which one it is, whether it may hold secrets, what it says.

use pgtend_model::config::{Parsed, Problems, parse};
use pgtend_model::error::{Error, Kind};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where the configuration is when nothing else is said.
pub const DEFAULT_PATH: &str = "/etc/pgtend/pgtend.toml";

/// Which configuration file; flattened into the arguments of every command that reads it.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigFile {
    /// The configuration file
    #[arg(long = "config", value_name = "FILE", env = "PGTEND_CONFIG", default_value = DEFAULT_PATH)]
    pub path: PathBuf,
}

impl ConfigFile {
    /// Reads it.
    ///
    /// # Errors
    /// Everything that is wrong with it: `NotFound` or `System` when it cannot be read, `Config` for what it says.
    pub fn load(&self) -> Result<Parsed, Problems> {
        load(&self.path)
    }
}

/// Reads a configuration file.
///
/// # Errors
/// As [`ConfigFile::load`].
pub fn load(path: &Path) -> Result<Parsed, Problems> {
    let shown = path.display().to_string();
    let one = |error: Error| Problems(vec![error.at(&shown)]);
    let (text, mode) = read(path).map_err(|error| one(unreadable(&error)))?;
    let text = String::from_utf8(text).map_err(|_| one(Error::new(Kind::Config, "the configuration file is not UTF-8")))?;
    let parsed = parse(&text, &shown)?;
    let has_secret = parsed.effective.server.iter().any(|server| server.dsn.has_secret());
    if has_secret && mode & 0o007 != 0 {
        let hint = format!("chmod 640 {shown}, or move the passwords from dsn into files named by password_file");
        return Err(one(Error::new(Kind::Config, "the configuration file holds passwords, and everybody may read it").hint(hint)));
    }
    Ok(parsed)
}

/// The content of a file and its mode, both of the same open file.
fn read(path: &Path) -> std::io::Result<(Vec<u8>, u32)> {
    let mut file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok((content, mode))
}

fn unreadable(error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::new(Kind::NotFound, "there is no configuration file")
            .hint("name another with --config or PGTEND_CONFIG, or run pgtend up, which needs none"),
        ErrorKind::PermissionDenied => Error::new(Kind::System, "the configuration file may not be read")
            .hint("run the command as root or as the agent's user, or join the group that owns the file"),
        _ => Error::new(Kind::System, format!("the configuration file cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgtend_model::config::{Applies, Effective, Key, Setting};

    const EXAMPLE: &str = include_str!("../../../packaging/pgtend.toml");

    /// The example with the lines that begin with this prefix taken out of their comments.
    fn uncommented(prefix: &str) -> Effective {
        let line = |line: &str| match line.strip_prefix(prefix) {
            Some(rest) if !rest.starts_with("pgtend ") && !rest.starts_with("systemctl ") && !is_sql(rest) => rest.to_owned(),
            _ => line.to_owned(),
        };
        let text: Vec<String> = EXAMPLE.lines().map(line).collect();
        parse(&text.join("\n"), "packaging/pgtend.toml").unwrap().effective
    }

    fn is_sql(line: &str) -> bool {
        line.starts_with("CREATE ") || line.starts_with("GRANT ")
    }

    /// Keys that the code reads through a function of the configuration.
    const THROUGH_FUNCTIONS: &[&str] = &["databases", "exclude_databases", "runtime_directory", "socket", "server", "level", "components"];

    /// A section that the code reads as thresholds; a test of the model changes each of its keys.
    const AS_THRESHOLDS: &str = "health_checks";

    fn sources(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    fn unread(keys: &[Key], code: &str, found: &mut Vec<&'static str>) {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        for key in keys {
            let read = format!(".{}", key.name);
            let is_read = code.match_indices(&read).any(|(at, _)| !code[at + read.len()..].starts_with(word));
            if !is_read && key.applies != Applies::NotYet && !THROUGH_FUNCTIONS.contains(&key.name) {
                found.push(key.name);
            }
            if key.name != AS_THRESHOLDS {
                unread(key.keys, code, found);
            }
        }
    }

    /// A key that is accepted and then ignored is silently wrong.
    #[test]
    fn every_key_has_a_consequence() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut code = String::new();
        for folder in ["pgtend/src", "postgres/src", "model/src/ash", "model/src/metric", "model/src/sample"] {
            sources(&crates.join(folder), &mut code);
        }
        let mut found = Vec::new();
        unread(Effective::KEYS, &code, &mut found);
        assert_eq!(found, Vec::<&str>::new(), "nothing reads these keys");
    }

    #[test]
    fn the_example_is_a_good_configuration() {
        let parsed = parse(EXAMPLE, "packaging/pgtend.toml").unwrap();
        assert_eq!(parsed.notices, []);
        let mut defaults = Effective::default();
        defaults.server.clone_from(&parsed.effective.server);
        assert_eq!(parsed.effective, defaults);
    }

    #[test]
    fn what_the_example_calls_a_default_is_one() {
        let defaults = EXAMPLE.lines().filter(|line| line.starts_with('#') && line.contains(" = ") && !line.starts_with("# ")).count();
        assert!(defaults > 25, "only {defaults} defaults are shown: is the convention of the comments still the same?");
        let text: Vec<&str> =
            EXAMPLE.lines().map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with([' ', '#'])).unwrap_or(line)).collect();
        let uncommented = parse(&text.join("\n"), "packaging/pgtend.toml").unwrap().effective;
        assert_eq!(uncommented, parse(EXAMPLE, "packaging/pgtend.toml").unwrap().effective);
    }

    #[test]
    fn what_the_example_proposes_can_be_used() {
        let config = uncommented("#   ");
        assert_eq!(config.metrics.custom[0].columns.len(), 3);
        assert_eq!(config.api.socket_roles.len(), 2);
        assert!(config.server[0].password_file.is_some());
    }
}
