//! `pgtend`: reads the command line, does what it says, prints what went wrong.

use clap::Parser;
use pgtend::cli::{Cli, mistake, output};
use pgtend::log;
use pgtend::wal::client::Client;
use pgtend_model::error::{Error, Kind};
use std::process::ExitCode;

fn main() -> ExitCode {
    // PostgreSQL starts these for every segment.
    if let Some(client) = Client::of_arguments(std::env::args_os().skip(1)) {
        return ExitCode::from(client.run());
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(error),
    };
    if !cli.is_daemon() && !cli.is_screen() {
        log::start_quiet();
    }
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cli.worker_threads())
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::System, error.to_string()))
        .and_then(|runtime| runtime.block_on(Box::pin(cli.run())));
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::error(&error);
            ExitCode::from(error.kind.exit_code())
        }
    }
}

/// Help and version are answers; anything else is a mistake. A `ping` that cannot be attempted ends as that of `pg_isready`.
fn refuse(mut error: clap::Error) -> ExitCode {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    mistake::as_written(&mut error, &words);
    let _nobody_reads = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let is_ping = words.iter().find(|word| !word.starts_with('-')).is_some_and(|word| word == "ping");
    ExitCode::from(if is_ping { 3 } else { Kind::Usage.exit_code() })
}
