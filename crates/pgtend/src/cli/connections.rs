//! `pgtend connections`: every session, idle ones too, and ending those that should not be there.

use super::output::{Table, Tabular, print};
use super::{Global, filter, session_table, signal, source, visible};
use clap::{Args, Subcommand};
use pgtend_model::document::connections;
use pgtend_model::document::sessions::{Params, Session};
use pgtend_model::error::Result;
use pgtend_model::signal::{Signal, plan};
use serde::Serialize;

/// Lists all connections, idle ones too, and ends them
#[derive(Debug, Args)]
pub(super) struct Connections {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Terminate(Terminate),
}

/// Lists connections, idle ones too; with --format summary counts them by application
///
/// JSON and YAML are an array of sessions.
#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    filter: filter::Filter,
    /// In this state
    #[arg(long, value_enum)]
    state: Option<filter::State>,
    /// Processes of the server too: walsenders, autovacuum workers, …
    #[arg(long)]
    background: bool,
}

/// Ends sessions; their transactions are rolled back
///
/// A session is ended only if it is still the one that was seen and still does what was seen. Walsenders, replication, processes of the server
/// and pgtend itself are never touched.
#[derive(Debug, Args)]
#[command(visible_alias = "kill")]
struct Terminate {
    #[command(flatten)]
    filter: filter::Filter,
    /// In this state
    #[arg(long, value_enum)]
    state: Option<filter::State>,
    /// Every client, where no condition is given
    #[arg(long)]
    all: bool,
    /// End sessions that have begun another statement since, too: busy ones are always at another
    #[arg(long)]
    any_statement: bool,
    #[command(flatten)]
    manner: signal::Manner,
}

impl Connections {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        match &self.command {
            Command::List(list) => list.run(global).await,
            Command::Terminate(terminate) => terminate.run(global).await,
        }
    }
}

impl List {
    async fn run(&self, global: &Global) -> Result<u8> {
        let params = Params { clients: !self.background, ..self.filter.params(self.state) };
        let connections::Connections(found) = source::document(global, &params).await?;
        visible::check(&found, &params)?;
        print(&Listed(found.sessions), global.format)?;
        Ok(0)
    }
}

impl Terminate {
    async fn run(&self, global: &Global) -> Result<u8> {
        // Whoever names a process id hears why it is left alone; otherwise only clients are meant.
        let params = self.filter.params(self.state);
        signal::refuse_everybody(&params, self.all)?;
        let params = Params { clients: params.pid.is_none(), ..params };
        let mut source = source::open(global).await?;
        let connections::Connections(found) = source.document(&params).await?;
        visible::check(&found, &params)?;
        let mut plan = plan(&found, Signal::Terminate);
        if self.any_statement {
            plan.whatever_they_do();
        }
        self.manner.carry_out(&mut source, &plan, global).await
    }
}

/// Sessions alone, as guide 1's scripts read them.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Listed(Vec<Session>);

impl Tabular for Listed {
    fn tables(&self) -> Vec<Table> {
        vec![session_table::list(&self.0).or("no session meets the conditions")]
    }

    fn summary(&self) -> Option<Table> {
        Some(session_table::summary(&self.0))
    }
}
