//! Runs other programs, and says which one failed with what it printed.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// Runs a program to its end and returns its standard output; a failure carries its standard error.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.output().with_context(|| format!("{name} could not be started"))?;
    if !done.status.success() {
        bail!("{} failed ({})\n{}", shown(command), done.status, String::from_utf8_lossy(&done.stderr).trim_end());
    }
    String::from_utf8(done.stdout).with_context(|| format!("{name} printed something that is not UTF-8"))
}

/// Runs a program that talks to the developer itself.
pub fn through(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{} could not be started", shown(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
