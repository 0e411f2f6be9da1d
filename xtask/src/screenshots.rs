//! `cargo xtask screenshots`: renews the pictures in docs/screenshots/ from a real run.
//!
//! The integration tests have everything that takes: a server, a load, an agent and a terminal. One of them, which only runs when
//! it is asked for, writes the pictures.

use std::process::Command;

use anyhow::Result;

use crate::{run, workspace_root};

const TEST: [&str; 8] = ["test", "--package", "pgtend", "--test", "it", "screenshots::are_taken", "--", "--ignored"];

/// Takes the pictures; two minutes.
pub fn take() -> Result<()> {
    println!("screenshots: two minutes of load come first");
    run::through(Command::new(env!("CARGO")).current_dir(workspace_root()).args(TEST))?;
    println!("screenshots: renewed in docs/screenshots/");
    Ok(())
}
