//! `servers.json`: where the test servers are. The tests read it, and nothing else, to find them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

/// What is installed, as the tests read it.
#[derive(Serialize)]
pub struct Manifest {
    /// PostgreSQL servers, one a major, ascending.
    pub servers: Vec<Server>,
    /// Other programs by name: `psql`, `pgbench`, `pgbouncer`, `prometheus-postgres-exporter`, `promtool`.
    pub tools: BTreeMap<String, PathBuf>,
}

/// One PostgreSQL installation.
#[derive(Serialize)]
pub struct Server {
    /// 13 to 18.
    pub major: u32,
    /// What the server says of itself, for example `16.14`.
    pub version: String,
    /// Holds at least `initdb`, `pg_ctl` and `postgres`.
    pub bindir: PathBuf,
    /// Where it came from, for people.
    pub source: String,
}

impl Manifest {
    pub fn new(servers: Vec<Server>, tools: BTreeMap<String, PathBuf>) -> Self {
        Self { servers, tools }
    }

    /// Writes the file at once or not at all: a test run may be reading it.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        if fs::read_to_string(path).is_ok_and(|existing| existing == text) {
            return Ok(());
        }
        let new = path.with_extension("json.new");
        fs::write(&new, text).with_context(|| format!("{} could not be written", new.display()))?;
        fs::rename(&new, path).with_context(|| format!("{} could not be put in place", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_shape_that_the_tests_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("servers.json");
        let server = Server { major: 18, version: "18.4".into(), bindir: "/servers/18/bin".into(), source: "npm".into() };
        let tools = BTreeMap::from([("psql".to_owned(), PathBuf::from("/usr/bin/psql"))]);
        Manifest::new(vec![server], tools).write(&path).unwrap();
        let read: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let expected = serde_json::json!({
            "servers": [{"major": 18, "version": "18.4", "bindir": "/servers/18/bin", "source": "npm"}],
            "tools": {"psql": "/usr/bin/psql"},
        });
        assert_eq!(read, expected);
    }
}
