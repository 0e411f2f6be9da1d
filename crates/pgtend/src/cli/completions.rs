//! `pgtend completions`: what a shell needs to complete commands and options.

use super::{Cli, output};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use pgtend_model::error::Result;

/// Prints completions for a shell
///
/// For bash: pgtend completions bash > /usr/share/bash-completion/completions/pgtend
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Result<u8> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "pgtend", &mut text);
        output::write(&String::from_utf8_lossy(&text))?;
        Ok(0)
    }
}
