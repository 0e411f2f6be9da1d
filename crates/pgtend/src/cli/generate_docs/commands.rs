//! The reference of the command line: what every command says of itself.

use crate::cli::Cli;
use clap::{Command, CommandFactory};
use std::fmt::Write;

const ABOUT: &str = "# Command line\n\nEvery command understands the options of [pgtend](#pgtend) itself. `pgtend completions SHELL` writes completions \
    for a shell, `pgtend man DIR` the manual pages.\n";

pub(super) fn document() -> String {
    let mut out = ABOUT.to_owned();
    // Neither the terminal's width nor this process's environment has a place in a reference.
    let mut root = plain(Cli::command());
    root.build();
    section(&mut out, &mut root, "pgtend");
    out
}

fn plain(command: Command) -> Command {
    command.term_width(100).mut_args(|argument| argument.hide_env_values(true)).mut_subcommands(plain)
}

fn section(out: &mut String, command: &mut Command, name: &str) {
    let _infallible = write!(out, "\n## {name}\n\n```\n{}\n```\n", command.render_help().to_string().trim_end());
    for below in command.get_subcommands_mut().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        let name = format!("{name} {}", below.get_name());
        section(out, below, &name);
    }
}
