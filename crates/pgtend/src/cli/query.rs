//! `pgtend query`: statements that run now, and ending those that should not.

use super::output::{self, print};
use super::{Global, filter, signal, source, visible};
use clap::{Args, Subcommand};
use pgtend_model::document::sessions::{Params, Sessions};
use pgtend_model::error::Result;
use pgtend_model::signal::{Signal, plan};

/// Lists the statements that run now, cancels them, ends their sessions
#[derive(Debug, Args)]
pub(super) struct Query {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    /// Cancels statements; the sessions stay
    ///
    /// A statement is cancelled only if it is still the one that was seen.
    Cancel(End),
    /// Ends the sessions of statements; their transactions are rolled back
    ///
    /// A session is ended only if it still runs the statement that was seen.
    #[command(visible_alias = "kill")]
    Terminate(End),
}

/// Lists the statements that run now; with --cancel or --kill ends them
///
/// pgtend query list --min-cpu 50 --kill ends the sessions whose statement uses half a core or more.
#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    filter: filter::Filter,
    /// Cancel what is listed; the sessions stay
    #[arg(long, conflicts_with = "kill")]
    cancel: bool,
    /// End the sessions of what is listed
    #[arg(long)]
    kill: bool,
    /// Every client, where no condition is given
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    manner: signal::Manner,
}

/// Which statements to end, and how.
#[derive(Debug, Args)]
struct End {
    #[command(flatten)]
    filter: filter::Filter,
    /// Every client, where no condition is given
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    manner: signal::Manner,
}

impl Query {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        match &self.command {
            Command::List(list) => list.run(global).await,
            Command::Cancel(these) => end(global, &these.filter, these.all, &these.manner, Signal::Cancel).await,
            Command::Terminate(these) => end(global, &these.filter, these.all, &these.manner, Signal::Terminate).await,
        }
    }
}

impl List {
    async fn run(&self, global: &Global) -> Result<u8> {
        match (self.cancel, self.kill) {
            (true, _) => return end(global, &self.filter, self.all, &self.manner, Signal::Cancel).await,
            (_, true) => return end(global, &self.filter, self.all, &self.manner, Signal::Terminate).await,
            (false, false) if self.manner.is_set() => output::notice(&"neither --cancel nor --kill was given: nothing is ended"),
            (false, false) => {}
        }
        let params = running(&self.filter);
        let sessions: Sessions = source::document(global, &params).await?;
        visible::check(&sessions, &params)?;
        print(&sessions, global.format)?;
        Ok(0)
    }
}

async fn end(global: &Global, filter: &filter::Filter, all: bool, manner: &signal::Manner, signal: Signal) -> Result<u8> {
    let params = running(filter);
    signal::refuse_everybody(&Params { state: None, ..params.clone() }, all)?;
    // Whoever names a process id hears why it is left alone.
    let params = if params.pid.is_some() { Params { clients: false, state: None, ..params } } else { params };
    let mut source = source::open(global).await?;
    let sessions: Sessions = source.document(&params).await?;
    visible::check(&sessions, &params)?;
    manner.carry_out(&mut source, &plan(&sessions, signal), global).await
}

/// Statements that clients run.
fn running(filter: &filter::Filter) -> Params {
    Params { clients: true, ..filter.params(Some(filter::State::Active)) }
}
