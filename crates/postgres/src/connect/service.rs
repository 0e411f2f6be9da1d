//! Service files: named sets of connection parameters, in `~/.pg_service.conf` or the system's `pg_service.conf`.

use super::environment::Environment;
use super::parameters::{Settings, put};
use pgtend_model::error::{Error, Kind, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where Debian's and PGDG's packages look when `PGSYSCONFDIR` says nothing.
const SYSTEM_DIRECTORIES: [&str; 2] = ["/etc/postgresql-common", "/etc/sysconfig/pgsql"];

/// The parameters of a service: the user's own file is asked first, then the system's.
///
/// # Errors
/// `Config` when no file defines the service, or a file cannot be read or understood.
pub fn read(service: &str, file: Option<&str>, environment: &Environment) -> Result<Settings> {
    let own = file.map(PathBuf::from).or_else(|| environment.in_home(".pg_service.conf"));
    let system = match environment.variable("PGSYSCONFDIR") {
        Some(directory) => vec![PathBuf::from(directory)],
        None => SYSTEM_DIRECTORIES.map(PathBuf::from).to_vec(),
    };
    let mut asked = Vec::new();
    for path in own.into_iter().chain(system.into_iter().map(|directory| directory.join("pg_service.conf"))) {
        match fs::read_to_string(&path) {
            Ok(text) => {
                if let Some(settings) = find(&text, service, &path)? {
                    return Ok(settings);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => {
                return Err(Error::new(Kind::Config, format!("the service file cannot be read: {error}")).at(path.display().to_string()));
            }
        }
        asked.push(path.display().to_string());
    }
    Err(Error::new(Kind::Config, format!("no service file defines the service \"{service}\""))
        .hint(format!("add a section [{service}] to one of {}, or name the file by PGSERVICEFILE", asked.join(", "))))
}

/// The section of this service, if the text has it. Only that section is checked.
fn find(text: &str, service: &str, path: &Path) -> Result<Option<Settings>> {
    let mut found: Option<Settings> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            found = (header.strip_suffix(']') == Some(service)).then(Settings::new);
        } else if let Some(settings) = &mut found {
            let place = || format!("{}:{}", path.display(), index + 1);
            take(line, settings).map_err(|error| error.at(place()))?;
        }
    }
    Ok(found)
}

fn take(line: &str, settings: &mut Settings) -> Result<()> {
    if line.starts_with("ldap") {
        return Err(Error::new(Kind::Config, "service definitions in LDAP cannot be looked up"));
    }
    let (name, value) = line.split_once('=').ok_or_else(|| Error::new(Kind::Config, "a line of a service has no \"=\""))?;
    if name == "service" || name == "servicefile" {
        return Err(Error::new(Kind::Config, "a service cannot refer to another service"));
    }
    // The first line of a name counts, as in libpq.
    let mut one = Settings::new();
    put(&mut one, name, value.to_owned())?;
    super::parameters::fill(settings, one);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "# servers\n[main]\nhost=db1\nport=5433\n  password=with = sign  \nhost=ignored\n\n[broken]\nhost db2\n[other]\nhots=db3\n";

    fn finding(service: &str) -> Result<Option<Settings>> {
        find(FILE, service, Path::new("file"))
    }

    #[test]
    fn a_section_gives_its_parameters() {
        let expected = [("host", "db1"), ("port", "5433"), ("password", "with = sign")].map(|(name, value)| (name, value.to_owned()));
        assert_eq!(finding("main").unwrap(), Some(Settings::from(expected)));
        assert_eq!(finding("mai").unwrap(), None);
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(finding("broken").unwrap_err().place, "file:9");
        let error = finding("other").unwrap_err();
        assert_eq!((error.place.as_str(), error.hint.as_str()), ("file:11", "did you mean \"host\"?"));
    }

    #[test]
    fn the_users_file_comes_before_the_systems() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::write(directory.path().join("pg_service.conf"), "[both]\nhost=system\n[system]\nhost=only-system\n").unwrap();
        fs::write(home.join(".pg_service.conf"), "[both]\nhost=own\n").unwrap();
        fs::write(home.join("named.conf"), "[both]\nhost=named\n").unwrap();
        let system = directory.path().display().to_string();
        let environment = Environment { home: Some(home.clone()), ..Environment::with_variables(&[("PGSYSCONFDIR", &system)]) };
        let host = |service: &str, file: Option<&str>| read(service, file, &environment).map(|settings| settings["host"].clone());
        assert_eq!(host("both", None).unwrap(), "own");
        assert_eq!(host("system", None).unwrap(), "only-system");
        let named = home.join("named.conf");
        assert_eq!(host("both", named.to_str()).unwrap(), "named");
        let error = host("neither", None).unwrap_err();
        assert!(error.hint.contains("home/.pg_service.conf"), "{error}");
    }
}
