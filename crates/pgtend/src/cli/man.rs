//! `pgtend man`: the manual pages, one a command.

use super::{Cli, output};
use clap::{Args, CommandFactory};
use pgtend_model::error::{Error, Kind, Result};
use std::path::PathBuf;

/// Writes the manual pages into a directory
///
/// To read them: pgtend man /usr/local/share/man/man1 && man pgtend
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The directory; made if it is not there.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Man {
    pub(super) fn run(&self) -> Result<u8> {
        let failed = |error: std::io::Error| {
            Error::new(Kind::System, format!("the manual pages cannot be written: {error}")).at(self.directory.display().to_string())
        };
        std::fs::create_dir_all(&self.directory).map_err(failed)?;
        clap_mangen::generate_to(Cli::command(), &self.directory).map_err(failed)?;
        output::tell(&format!("manual pages written to {}", self.directory.display()));
        Ok(0)
    }
}
