//! `cargo xtask`: the project's own chores, each also called by `./dev`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool for developers; this is its output")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod docs;
mod run;
mod screenshots;
mod servers;
mod tidy;

/// Chores of the pgtend project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install the real servers that the tests run against, and write servers.json, by which the tests find them.
    Servers(servers::Arguments),
    /// Check the house rules.
    Tidy,
    /// Let pgtend write its reference (docs/reference/).
    GenDocs(docs::Arguments),
    /// Take the pictures in docs/screenshots/ anew, from a real run.
    Screenshots,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Servers(arguments) => servers::install(&arguments),
        Chore::Tidy => tidy::check(),
        Chore::GenDocs(arguments) => docs::generate(&arguments),
        Chore::Screenshots => screenshots::take(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace, wherever cargo was called from.
fn workspace_root() -> PathBuf {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.parent().unwrap_or(manifest_dir).to_path_buf()
}
