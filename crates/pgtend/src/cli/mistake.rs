//! Mistakes on the command line, told in the words of whoever made them.

use super::Cli;
use clap::error::{ContextKind, ContextValue};
use clap::{Command, CommandFactory};

/// Names the option of an error as it was written: clap knows it by its first name only, whichever alias stood there.
pub fn as_written(error: &mut clap::Error, words: &[String]) {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return };
    let Some((name, rest)) = shown.strip_prefix("--").map(|shown| shown.split_once(' ').unwrap_or((shown, ""))) else { return };
    let aliases = aliases(&Cli::command(), name);
    let is_written = |name: &str| words.iter().any(|word| word.strip_prefix("--").and_then(|word| word.split('=').next()) == Some(name));
    if let Some(alias) = aliases.iter().find(|alias| is_written(alias) && !is_written(name)) {
        let told = format!("--{alias} {rest}").trim_end().to_owned();
        error.insert(ContextKind::InvalidArg, ContextValue::String(told));
    }
}

/// Other names of an option, of whichever command it is.
fn aliases(command: &Command, name: &str) -> Vec<String> {
    let own = command.get_arguments().filter(|option| option.get_long() == Some(name)).filter_map(clap::Arg::get_visible_aliases).flatten();
    let below = command.get_subcommands().flat_map(|command| aliases(command, name));
    own.map(str::to_owned).chain(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn told(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut error = Cli::try_parse_from(&words).unwrap_err();
        as_written(&mut error, &words);
        error.to_string()
    }

    #[test]
    fn an_alias_stays_what_it_was() {
        for (line, named) in [
            ("pgtend activity --min-duration soon", "'--min-duration <DURATION>'"),
            ("pgtend query list --min-duration=soon", "'--min-duration <DURATION>'"),
            ("pgtend activity --duration soon", "'--duration <DURATION>'"),
            ("pgtend activity --application", "'--application <NAME>'"),
            ("pgtend activity --pid me", "'--pid <PID>'"),
        ] {
            assert!(told(line).contains(named), "{}", told(line));
        }
    }
}
