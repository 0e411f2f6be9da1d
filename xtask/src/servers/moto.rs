//! The S3 server of the tests: moto, from PyPI, in a virtual environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

/// The pinned version.
const VERSION: &str = "5.2.5";

/// Installs it where it is missing, and says where its program is.
pub fn install(directory: &Path) -> Result<PathBuf> {
    let home = directory.join(format!("moto-{VERSION}"));
    let (program, complete) = (home.join("bin/moto_server"), home.join("complete"));
    if complete.exists() {
        return Ok(program);
    }
    println!("fetching moto {VERSION}, an S3 server (PyPI)");
    // A virtual environment knows its own path, so it cannot be made elsewhere and moved here.
    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("{} is in the way", home.display()))?;
    }
    run::output(Command::new("python3").args(["-m", "venv"]).arg(&home)).context("python3 could not make a virtual environment")?;
    let wanted = format!("moto[server]=={VERSION}");
    let mut pip = Command::new(home.join("bin/python"));
    run::output(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", &wanted]))
        .context("moto could not be installed from PyPI")?;
    fs::write(&complete, "")?;
    Ok(program)
}
