//! `cargo xtask tidy`: the house rules as a test. Every breach is one line `file:line: what is wrong and what to do`.
//!
//! A rule gives way only to a comment on the same line or on the line before it: `tidy: allow(RULE) why` (after `//`, `--` or
//! `#`). The reason is mandatory, and an exception that excuses nothing is a breach itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{run, workspace_root};

mod crates;
mod exceptions;
mod names;
mod paths;
mod rust;
mod sql;

/// One breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Relative to the workspace.
    pub path: PathBuf,
    /// From 1.
    pub line: usize,
    /// What an exception names.
    pub rule: &'static str,
    pub message: String,
    /// Shown, but no failure.
    pub advice: bool,
}

impl Finding {
    fn new(path: &Path, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self { path: path.to_path_buf(), line, rule, message: message.into(), advice: false }
    }

    fn advice(path: &Path, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self { advice: true, ..Self::new(path, line, rule, message) }
    }
}

/// A file of the project, as the rules see it.
pub struct Source {
    /// Relative to the workspace.
    pub path: PathBuf,
    pub text: String,
}

/// Checks the whole workspace.
pub fn check() -> Result<()> {
    let root = workspace_root();
    let sources = sources(&root)?;
    let mut findings = examine(&sources);
    findings.extend(crates::check(&root)?);
    findings.sort();
    for finding in &findings {
        let kind = if finding.advice { "advice" } else { "error" };
        println!("{}:{}: {kind}: {} [{}]", finding.path.display(), finding.line, finding.message, finding.rule);
    }
    match findings.iter().filter(|finding| !finding.advice).count() {
        0 => {
            println!("tidy: {} files keep the house rules", sources.len());
            Ok(())
        }
        count => bail!("tidy: the house rules are broken in {count} places"),
    }
}

/// The rules that need no more than the files; exceptions are applied.
fn examine(sources: &[Source]) -> Vec<Finding> {
    let mut findings = names::check(sources);
    findings.extend(sql::versions::check(sources));
    for source in sources {
        let path = source.path.as_path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => findings.extend(rust::check(source)),
            Some("sql") if sql::is_probe_query(path) => findings.extend(sql::check(source)),
            _ => {}
        }
    }
    exceptions::apply(sources, findings)
}

/// What git tracks, and what it would track if it were added.
fn sources(root: &Path) -> Result<Vec<Source>> {
    let listing = Command::new("git").current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).output();
    let listing = listing.context("git could not be started")?;
    if !listing.status.success() {
        bail!("git could not list the files: {}", String::from_utf8_lossy(&listing.stderr).trim());
    }
    let mut sources = Vec::new();
    for name in String::from_utf8(listing.stdout)?.split_terminator('\0') {
        let path = PathBuf::from(name);
        // Deleted in the work tree but not yet in the index: no longer ours. Not text: nothing to say about it but its name.
        match fs::read(root.join(&path)) {
            Ok(bytes) => sources.push(Source { path, text: String::from_utf8(bytes).unwrap_or_default() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("{name} could not be read")),
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(sources)
}

/// Runs cargo in the workspace and returns what it prints.
fn cargo(root: &Path, arguments: &[&str]) -> Result<String> {
    run::output(Command::new(env!("CARGO")).current_dir(root).args(arguments))
}
