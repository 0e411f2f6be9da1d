//! `pgtend status`: how a server is.

use super::output::{Table, Tabular, print};
use super::{Global, source};
use clap::Args;
use pgtend_model::document::status;
use pgtend_model::error::Result;
use pgtend_model::units::show_seconds;

/// How a server is: reachability, connections, transactions, sessions
#[derive(Debug, Args)]
pub(super) struct Status {}

impl Status {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let status: status::Status = source::document(global, &status::Params::default()).await?;
        print(&status, global.format)?;
        Ok(u8::from(status.state != "up") * 2)
    }
}

impl Tabular for status::Status {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new("", &[]);
        let mut row = |name: &str, value: Option<String>| {
            table.rows.push(vec![name.into(), value.unwrap_or_else(|| "unknown".to_owned()).into()]);
        };
        row("server", Some(format!("{} at {}: {}", self.server, self.target, self.state)));
        row("version", self.version.clone());
        row("role", self.role.clone());
        row("uptime", self.uptime.map(show_seconds));
        row("connections", self.connections.total.zip(self.connections.max).map(|(total, max)| format!("{total} of {max}")));
        row("committed", self.transactions.committed_total.map(|count| count.to_string()));
        row("transactions/s", self.transactions.per_second.map(|rate| format!("{rate:.1}")));
        row("cache hits", self.cache_hit_ratio.map(|ratio| format!("{:.1} %", ratio * 100.0)));
        row("blocked", self.sessions.blocked.map(|count| count.to_string()));
        let mut unknown = Table::new("", &[]);
        unknown.rows =
            self.unknown.iter().map(|(place, why)| vec![format!("{place} is unknown:").into(), why.detail.clone().into()]).collect();
        vec![table, unknown]
    }
}
