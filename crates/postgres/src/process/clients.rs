//! Finding `pg_dump` and its companions: a server's programs need not be here, and several versions may be.

use super::find::{USUAL_PLACES, expand, how_to_install, parse_version, sort_key};
use pgtend_model::error::{Error, Kind, Result};
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The client programs of one version: `pg_dump`, `pg_dumpall`, `pg_restore` lie beside one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    /// Where they are.
    pub bindir: PathBuf,
    /// Their major version.
    pub major: u16,
    /// Their version, as they say it.
    pub version: String,
}

impl Clients {
    /// One of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bindir.join(name)
    }
}

/// All that are here, the highest version first: in `bindir` only where it is given, otherwise in `PATH` and the usual places.
pub fn clients(bindir: Option<&Path>) -> Vec<Clients> {
    let candidates = bindir.map_or_else(usual, |bindir| vec![bindir.to_owned()]);
    let mut seen = BTreeSet::new();
    let mut found: Vec<Clients> = candidates
        .iter()
        // Debian's /usr/bin/pg_dump is a script that chooses one.
        .filter_map(|directory| fs::canonicalize(directory.join("pg_dump")).ok())
        .filter(|program| program.file_name().is_some_and(|name| name == "pg_dump"))
        .filter_map(|program| program.parent().map(Path::to_owned))
        .filter(|directory| seen.insert(directory.clone()))
        .filter_map(|directory| examine(&directory))
        .collect();
    found.sort_by_key(|clients| std::cmp::Reverse(sort_key(&clients.version)));
    found
}

fn usual() -> Vec<PathBuf> {
    let path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    path.into_iter().chain(USUAL_PLACES.iter().flat_map(|pattern| expand(pattern))).collect()
}

fn examine(bindir: &Path) -> Option<Clients> {
    let output = Command::new(bindir.join("pg_dump")).arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (major, version) = parse_version(said.trim())?;
    Some(Clients { bindir: bindir.to_owned(), major, version })
}

/// Those for a server of this major: of the same, or else the nearest later one, which also can.
///
/// # Errors
/// `NotFound`, with what to install, when all that are here are older, or there are none.
pub fn clients_for(major: u16, bindir: Option<&Path>) -> Result<Clients> {
    choose(clients(bindir), major, bindir)
}

fn choose(found: Vec<Clients>, major: u16, bindir: Option<&Path>) -> Result<Clients> {
    let there: Vec<String> = found.iter().map(|clients| format!("{} in {}", clients.version, clients.bindir.display())).collect();
    let fitting = found.into_iter().filter(|clients| clients.major >= major).min_by_key(|clients| clients.major);
    fitting.ok_or_else(|| {
        let what = match there.is_empty() {
            true => format!("pg_dump is not here, and the server is PostgreSQL {major}"),
            false => format!("the server is PostgreSQL {major}, and pg_dump is older: {}", there.join(", ")),
        };
        let hint = match bindir {
            Some(bindir) => format!("only {} was looked at; it must hold pg_dump {major} or later", bindir.display()),
            None => format!(
                "{}; the package of the client programs alone is enough (postgresql-client-{major}, postgresql{major})",
                how_to_install(Some(major))
            ),
        };
        Error::new(Kind::NotFound, what).hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_major_is_best_a_later_one_will_do_an_older_one_will_not() {
        let of = |major: u16| Clients { bindir: format!("/{major}").into(), major, version: format!("{major}.1") };
        let found = || vec![of(18), of(16), of(15)];
        assert_eq!(choose(found(), 15, None).unwrap().major, 15);
        assert_eq!(choose(found(), 17, None).unwrap().major, 18);
        let error = choose(vec![of(14), of(13)], 15, None).unwrap_err();
        assert!(
            error.what.contains("PostgreSQL 15, and pg_dump is older: 14.1 in /14") && error.hint.contains("postgresql-client-15"),
            "{error}"
        );
        assert!(choose(Vec::new(), 15, None).unwrap_err().what.contains("not here"));
    }
}
