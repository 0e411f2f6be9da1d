//! Which crate may depend on which: model ← postgres, model ← store, all ← pgtend. What model may not have at all, and what
//! nobody may have.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Finding, cargo};

const RULE: &str = "direction";

/// Every crate of the workspace with the crates of the workspace that it may see, as dependency of any kind.
const MAY_SEE: [(&str, &[&str]); 5] = [
    ("pgtend-model", &[]),
    ("pgtend-postgres", &["pgtend-model"]),
    ("pgtend-store", &["pgtend-model"]),
    ("pgtend", &["pgtend-model", "pgtend-postgres", "pgtend-store"]),
    ("xtask", &[]),
];

/// Libraries that do I/O, wait, or read a clock or randomness: model decides from what it is given. A trailing `*` is any ending.
const NOT_IN_MODEL: [&str; 18] = [
    "async-*",
    "axum*",
    "futures*",
    "getrandom",
    "hyper*",
    "libc",
    "mio",
    "nix",
    "procfs",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "rustls*",
    "tempfile",
    "tokio*",
    "tower*",
    "tracing-subscriber",
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or none for an ordinary one.
    kind: Option<String>,
}

pub fn check(root: &Path) -> Result<Vec<Finding>> {
    let metadata = cargo(root, &["metadata", "--no-deps", "--offline", "--format-version", "1"])?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata is not understood")?;
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let text = fs::read_to_string(&package.manifest_path)?;
        let path = Path::new(&package.manifest_path).strip_prefix(root)?;
        for (name, message) in breaches(package) {
            findings.push(Finding::new(path, line_of(&text, &name), RULE, message));
        }
    }
    findings.extend(banned(root)?);
    Ok(findings)
}

/// The part of deny.toml that needs no cargo-deny, which not every machine has.
#[derive(Deserialize)]
struct DenyToml {
    bans: Bans,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

/// Crates that deny.toml bans and that are built all the same. The lock file would say too much: it lists what no target needs.
fn banned(root: &Path) -> Result<Vec<Finding>> {
    let deny: DenyToml = toml::from_str(&fs::read_to_string(root.join("deny.toml"))?).context("deny.toml is not understood")?;
    let built = cargo(root, &["tree", "--workspace", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])?;
    Ok(banned_among(&built, &deny.bans.deny))
}

fn banned_among(built: &str, bans: &[Ban]) -> Vec<Finding> {
    let is_built = |ban: &&Ban| built.lines().any(|line| line.split(' ').next() == Some(ban.name.as_str()));
    let finding = |ban: &Ban| {
        let message = format!("{0} is banned ({1}); `cargo tree -i {0}` says who brings it", ban.name, ban.reason);
        Finding::new(Path::new("Cargo.lock"), 1, "banned", message)
    };
    bans.iter().filter(is_built).map(finding).collect()
}

/// The names that should not be in this package's manifest, with the reason.
fn breaches(package: &Package) -> Vec<(String, String)> {
    let Some((_, may_see)) = MAY_SEE.iter().find(|(name, _)| *name == package.name) else {
        let message = format!("the crate {} has no place in the order of crates: give it one in xtask/src/tidy/crates.rs", package.name);
        return vec![("[package]".to_owned(), message)];
    };
    let mut found = Vec::new();
    for Dependency { name, kind } in &package.dependencies {
        let ours = MAY_SEE.iter().any(|(ours, _)| ours == name);
        if ours && !may_see.contains(&name.as_str()) {
            let allowed = if may_see.is_empty() { "no other crate".to_owned() } else { format!("only {}", may_see.join(", ")) };
            found.push((name.clone(), format!("{} may not see {name}: it sees {allowed}", package.name)));
        }
        if package.name == "pgtend-model" && kind.is_none() && NOT_IN_MODEL.iter().any(|pattern| matches(pattern, name)) {
            found.push((name.clone(), format!("model has no I/O, no async and no clock, so it cannot use {name}")));
        }
    }
    found
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

/// Where a dependency, or a heading, is in its manifest.
fn line_of(manifest: &str, name: &str) -> usize {
    let starts = |line: &str| {
        line.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '-' || next == '_'))
    };
    manifest.lines().position(starts).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency { name: (*name).to_owned(), kind: kind.map(str::to_owned) };
        Package { name: name.to_owned(), manifest_path: String::new(), dependencies: dependencies.iter().map(dependency).collect() }
    }

    #[test]
    fn the_order_of_crates_is_kept() {
        assert_eq!(breaches(&package("pgtend-store", &[("pgtend-model", None), ("rusqlite", None)])), []);
        assert_eq!(breaches(&package("pgtend", &[("pgtend-model", None), ("pgtend-store", None), ("tokio", None)])), []);
    }

    #[test]
    fn a_dependency_against_the_order_is_found_whatever_its_kind() {
        for kind in [None, Some("dev"), Some("build")] {
            let found = breaches(&package("pgtend-store", &[("pgtend-postgres", kind)]));
            assert_eq!(found[0].1, "pgtend-store may not see pgtend-postgres: it sees only pgtend-model");
        }
        assert_eq!(breaches(&package("pgtend-model", &[("pgtend", Some("dev"))])).len(), 1);
    }

    #[test]
    fn model_stays_pure() {
        assert_eq!(breaches(&package("pgtend-model", &[("serde", None), ("jiff", None), ("tempfile", Some("dev"))])), []);
        for name in ["tokio", "tokio-util", "rusqlite", "futures-util", "tempfile"] {
            assert_eq!(breaches(&package("pgtend-model", &[(name, None)])).len(), 1, "{name}");
        }
    }

    #[test]
    fn an_unknown_crate_is_asked_for_its_place() {
        assert!(breaches(&package("pgtend-extra", &[]))[0].1.contains("give it one"));
    }

    #[test]
    fn the_line_is_that_of_the_whole_name() {
        let manifest = "[dependencies]\ntokio-util.workspace = true\ntokio.workspace = true\n";
        assert_eq!(line_of(manifest, "tokio"), 3);
        assert_eq!(line_of(manifest, "absent"), 1);
    }

    #[test]
    fn a_banned_crate_is_found_by_its_whole_name() {
        let bans = [Ban { name: "ring".into(), reason: "aws-lc-rs is enough".into() }];
        assert_eq!(banned_among("pgtend v0.1.0 (/src)\nstring-ring v1.0.0\n", &bans), []);
        let found = banned_among("rustls v0.23.1\nring v0.17.14\n", &bans);
        assert_eq!(found[0].message, "ring is banned (aws-lc-rs is enough); `cargo tree -i ring` says who brings it");
    }

    #[test]
    fn this_workspace_keeps_the_order() {
        assert_eq!(check(&crate::workspace_root()).unwrap(), []);
    }
}
