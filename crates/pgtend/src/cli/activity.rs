//! `pgtend activity`: the sessions that do something.

use super::output::print;
use super::{Global, filter, source, visible};
use clap::Args;
use pgtend_model::document::sessions::{Params, Sessions};
use pgtend_model::error::Result;

/// Shows the sessions that do something: statements, waits, open transactions, background work
#[derive(Debug, Args)]
pub(super) struct Activity {
    #[command(flatten)]
    filter: filter::Filter,
    /// In this state
    #[arg(long, value_enum)]
    state: Option<filter::State>,
    /// At most so many sessions
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

impl Activity {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let params = Params { limit: self.limit, ..self.filter.params(self.state) };
        let sessions: Sessions = source::document(global, &params).await?;
        visible::check(&sessions, &params)?;
        print(&sessions, global.format)?;
        Ok(0)
    }
}
