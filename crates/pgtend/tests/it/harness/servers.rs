//! Where the installed test servers are: `servers.json`, which `cargo xtask servers` writes.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The programs of the distribution's own PostgreSQL, in use until `servers.json` exists.
const PACKAGED: (u32, &str) = (15, "/usr/lib/postgresql/15/bin");

/// The part of `servers.json` that tests need.
#[derive(serde::Deserialize)]
struct Manifest {
    servers: Vec<Server>,
    tools: BTreeMap<String, PathBuf>,
}

/// One PostgreSQL installation.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Server {
    /// 13 to 18.
    pub major: u32,
    /// As the server says it, for example `16.14`.
    pub version: String,
    /// Where `initdb` and `postgres` are.
    pub bindir: PathBuf,
}

/// The installed server of this major; the test fails when there is none.
pub fn server(major: u32) -> Server {
    if let Some(manifest) = manifest()
        && let Some(server) = manifest.servers.into_iter().find(|server| server.major == major)
    {
        return server;
    }
    let (packaged, bindir) = PACKAGED;
    assert!(
        major == packaged && Path::new(bindir).join("postgres").exists(),
        "PostgreSQL {major} is not installed for the tests: run `cargo xtask servers`"
    );
    Server { major, version: major.to_string(), bindir: bindir.into() }
}

/// The path of a client program or another server's program, `psql` for instance.
pub fn tool(name: &str) -> PathBuf {
    if let Some(path) = manifest().and_then(|mut manifest| manifest.tools.remove(name)) {
        return path;
    }
    let path = Path::new(PACKAGED.1).join(name);
    assert!(path.exists(), "{name} is not installed for the tests: run `cargo xtask servers`");
    path
}

fn manifest() -> Option<Manifest> {
    let path = path();
    let text = fs::read_to_string(&path).ok()?;
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display())))
}

/// `PGTEND_TEST_SERVERS`, or the place where `cargo xtask servers` puts the file for this user.
fn path() -> PathBuf {
    if let Some(path) = env::var_os("PGTEND_TEST_SERVERS") {
        return path.into();
    }
    let cache = if rustix::process::geteuid().is_root() {
        PathBuf::from("/var/cache")
    } else if let Some(cache) = env::var_os("XDG_CACHE_HOME") {
        cache.into()
    } else {
        PathBuf::from(env::var_os("HOME").expect("HOME is set")).join(".cache")
    };
    cache.join("pgtend/servers/servers.json")
}
