//! The command line: a file a command.

mod agent;
pub mod output;
pub mod source;
mod status;

use clap::{Args, Parser, Subcommand};
use output::Format;
use pgtend_model::error::Result;
use std::path::PathBuf;

/// pgtend looks after PostgreSQL: it watches a server, says what is wrong and what to do, and does it safely.
#[derive(Debug, Parser)]
#[command(name = "pgtend", version, propagate_version = true, max_term_width = 120)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Ask PostgreSQL itself instead of an agent: a connection string, or a service file's entry.
    #[arg(long, global = true, value_name = "DSN")]
    pub connection: Option<String>,
    /// Which of the agent's servers.
    #[arg(long, global = true, value_name = "NAME")]
    pub server: Option<String>,
    /// The agent's Unix socket.
    #[arg(long, global = true, value_name = "PATH", env = "PGTEND_SOCKET")]
    pub socket: Option<PathBuf>,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    Agent(agent::Agent),
    Status(status::Status),
}

impl Cli {
    /// Does what was asked; gives the exit code.
    ///
    /// # Errors
    /// What went wrong, for the person who asked.
    pub async fn run(self) -> Result<u8> {
        match self.command {
            Command::Agent(command) => command.run(&self.global).await,
            Command::Status(command) => command.run(&self.global).await,
        }
    }
}
