//! `pgtend`: reads the command line, does what it says, prints what went wrong.

use clap::Parser;
use pgtend::cli::{Cli, output};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| pgtend_model::error::Error::new(pgtend_model::error::Kind::System, error.to_string()))
        .and_then(|runtime| runtime.block_on(Box::pin(cli.run())));
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::error(&error);
            ExitCode::from(error.kind.exit_code())
        }
    }
}
