//! The command line: a file a command.

mod activity;
mod agent;
mod ash;
mod awr;
mod backup;
mod completions;
mod config;
mod connections;
mod drill;
mod explain;
mod filter;
#[cfg(test)]
pub(crate) mod fixtures;
mod generate_docs;
mod interrupt;
pub(crate) mod locks;
mod man;
pub mod mistake;
pub mod output;
mod page_restore;
mod perf;
mod ping;
mod plan_text;
mod profile;
mod progress_bar;
mod query;
mod recover;
mod repair;
mod repo;
mod report_file;
mod repository;
mod restore;
mod restore_contents;
mod restore_table;

mod session_table;
mod signal;
pub mod source;
mod sql;
mod status;
mod token;
mod top;
mod until;
mod up;
mod verify;
mod visible;
mod wal;
pub mod when;

use clap::{Args, Parser, Subcommand};
use output::Format;
use pgtend_model::error::Result;
use std::path::PathBuf;

/// pgtend looks after PostgreSQL: it watches a server, says what is wrong and what to do, and does it safely.
#[derive(Debug, Parser)]
#[command(name = "pgtend", version, propagate_version = true, max_term_width = 120, after_long_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What [`pgtend_model::error::Kind::exit_code`] means to scripts.
const EXIT_CODES: &str = "\
Exit codes:
   0  done; for status and ping: the server answers
   1  not all of it was done: a session was refused or had changed, or nobody said yes; verify: something is damaged; recover: something is lost;
      backup doctor: a warning
   2  status: a server does not answer; verify: no damage found, but not all could be checked; recover: the copy does not run;
      backup run: not all is in the backup; backup doctor: a failure
  64  the command line makes no sense       66  what was named does not exist
  65  the state of things does not allow it 69  agent or server cannot be reached
  70  a defect of pgtend                    71  the operating system said no
  72  this PostgreSQL cannot do it          75  it took too long, or is refused for now: try again
  76  PostgreSQL reported an error          77  wrong credentials, or the role may not do this
  78  the configuration is wrong
ping answers with 0 to 3 as pg_isready does: accepting, rejecting, no response, no attempt.";

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which server, and how to print")]
pub struct Global {
    /// Ask PostgreSQL itself instead of an agent: a connection string (`host=… dbname=…`, `postgresql://…`, `service=…`)
    ///
    /// What it leaves open comes from the PG* variables, the password file and the service file, as with psql; "" takes everything
    /// from there.
    #[arg(long, global = true, value_name = "DSN")]
    pub connection: Option<String>,
    /// Which of the agent's servers
    #[arg(long, global = true, value_name = "NAME")]
    pub server: Option<String>,
    /// The agent's Unix socket
    ///
    /// Without it: the only one in /run/pgtend for root, in $XDG_RUNTIME_DIR/pgtend or /tmp/pgtend-UID for others, or in
    /// $PGTEND_RUNTIME_DIR.
    #[arg(long, global = true, value_name = "PATH", env = "PGTEND_SOCKET", hide_env_values = true)]
    pub socket: Option<PathBuf>,
    /// An agent on another machine: https://HOST:8080
    #[arg(long, global = true, value_name = "URL", env = "PGTEND_URL", hide_env_values = true)]
    pub url: Option<String>,
    /// File with the token for --url; without it the variable PGTEND_TOKEN
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Certificates (PEM) that --url trusts instead of the system's
    #[arg(long, global = true, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// How to print
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Up),
    Agent(agent::Agent),
    Ping(ping::Ping),
    Status(status::Status),
    Top(top::Top),
    Activity(activity::Activity),
    Ash(ash::Ash),
    Query(query::Query),
    Connections(connections::Connections),
    Locks(locks::Locks),
    Awr(awr::Awr),
    Backup(backup::Backup),
    Restore(Box<restore::Restore>),
    Repair(Box<repair::Repair>),
    PageRestore(Box<page_restore::PageRestore>),
    Recover(Box<recover::Recover>),
    RestoreTable(Box<restore_table::RestoreTable>),
    Drill(drill::Drill),
    Repo(repo::Repo),
    Perf(perf::Perf),
    Sql(sql::Sql),
    Explain(explain::Explain),
    Profile(profile::Profile),
    Verify(verify::Verify),
    Token(token::Token),
    Wal(wal::Wal),
    Config(config::Config),
    #[command(hide = true)]
    GenerateDocs(generate_docs::GenerateDocs),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Cli {
    /// Does what was asked; gives the exit code.
    ///
    /// # Errors
    /// What went wrong, for the person who asked.
    pub async fn run(self) -> Result<u8> {
        let global = &self.global;
        match self.command {
            Command::Up(command) => command.run(global).await,
            Command::Agent(command) => command.run(global).await,
            Command::Ping(command) => command.run(global).await,
            Command::Status(command) => command.run(global).await,
            Command::Top(command) => command.run(global).await,
            Command::Activity(command) => command.run(global).await,
            Command::Ash(command) => command.run(global).await,
            Command::Query(command) => command.run(global).await,
            Command::Connections(command) => command.run(global).await,
            Command::Locks(command) => command.run(global).await,
            Command::Awr(command) => command.run(global).await,
            Command::Backup(command) => command.run(global).await,
            Command::Restore(command) => command.run(global).await,
            Command::Repair(command) => command.run(global).await,
            Command::PageRestore(command) => command.run(global).await,
            Command::Recover(command) => command.run(global).await,
            Command::RestoreTable(command) => command.run(global).await,
            Command::Drill(command) => command.run(global).await,
            Command::Repo(command) => command.run(global).await,
            Command::Perf(command) => command.run(global).await,
            Command::Sql(command) => command.run(global).await,
            Command::Explain(command) => command.run(global).await,
            Command::Profile(command) => command.run(global).await,
            Command::Verify(command) => command.run(global).await,
            Command::Token(command) => command.run(global).await,
            Command::Wal(command) => command.run(global).await,
            Command::Config(command) => command.run(global),
            Command::GenerateDocs(command) => command.run(),
            Command::Completions(command) => command.run(),
            Command::Man(command) => command.run(),
        }
    }

    /// Whether the command runs for long and its log is what one reads; others speak for themselves.
    pub fn is_daemon(&self) -> bool {
        matches!(self.command, Command::Agent(_) | Command::Up(_))
    }

    /// Whether the command takes over the terminal, where a log would be in the way.
    pub fn is_screen(&self) -> bool {
        matches!(&self.command, Command::Top(command) if command.is_screen())
    }

    /// Threads that do the work.
    pub fn worker_threads(&self) -> usize {
        match &self.command {
            Command::Agent(command) => command.worker_threads(),
            _ => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
