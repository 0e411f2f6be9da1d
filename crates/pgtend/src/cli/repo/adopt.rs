//! `pgtend repo adopt`: a new cluster takes over a server's name.

use crate::api::repositories::{ADOPT, Adopt as Body};
use crate::backup::adopt::{Adoption, Cluster, adopt, unconfirmed};
use crate::blocking::blocking;
use crate::cli::output::{self, Cell, Format, Table, Tabular, Tone, print};
use crate::cli::repository::From;
use crate::cli::{Global, source};
use clap::Args;
use pgtend_model::error::{Error, Kind, Result};
use std::path::PathBuf;

/// Lets a new cluster take over a server's name: after a pg_upgrade, an initdb, or a restore that goes on as a cluster of its own
///
/// A repository knows the cluster behind each name by its system identifier, and refuses another: otherwise a clone could write among the backups of
/// the one that it was made of. What adopting means is shown first; --yes does it.
#[derive(Debug, Args)]
pub(super) struct Adopt {
    #[command(flatten)]
    from: From,
    /// The data directory of the new cluster; without it that of the agent's server
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Do it
    #[arg(long)]
    yes: bool,
}

#[derive(serde::Serialize)]
#[serde(transparent)]
struct Adoptions(Vec<Adoption>);

impl Adopt {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let adoptions = match self.from.by_itself() {
            true => vec![self.here(global).await?],
            false => {
                if self.data.is_some() {
                    return Err(
                        Error::new(Kind::Usage, "the agent knows where its server's files are").hint("--data goes with --from or --config")
                    );
                }
                let body = Body { repository: self.from.wanted().map(str::to_owned), confirmed: self.yes };
                source::agent(global)?.make(ADOPT, global.server.as_deref(), &body).await?
            }
        };
        let adoptions = Adoptions(adoptions);
        print(&adoptions, global.format)?;
        unconfirmed(&adoptions.0).map_or(Ok(0), |error| {
            if global.format == Format::Table {
                output::error(&error);
            }
            Ok(1)
        })
    }

    async fn here(&self, global: &Global) -> Result<Adoption> {
        let needs = |what: &str, hint: &str| Error::new(Kind::Usage, what).hint(hint);
        let data = self.data.clone().ok_or_else(|| needs("which cluster?", "without an agent, say where its files are: --data DIR"))?;
        let server = global.server.clone().ok_or_else(|| needs("which server?", "say whose name it takes over: --server NAME"))?;
        let (repository, name, _) = self.from.open_by_itself(global).await?;
        let (who, yes) = (format!("uid {}", rustix::process::getuid().as_raw()), self.yes);
        blocking(move || adopt(&repository, &name, &server, &Cluster::of_data(&data)?, &who, yes)).await
    }
}

impl Tabular for Adoptions {
    fn tables(&self) -> Vec<Table> {
        self.0.iter().map(table).collect()
    }
}

fn table(adoption: &Adoption) -> Table {
    let mut table = Table::new(&format!("Server \"{}\" in repository {}", adoption.server, adoption.repository), &["what", "value"]);
    let before = adoption.before.clone().unwrap_or_else(|| "none".to_owned());
    let now = format!("{} (PostgreSQL {})", adoption.system_identifier, adoption.version);
    if adoption.same {
        table.push(["cluster".to_owned(), format!("{now} has this name already: there is nothing to adopt")]);
        return table;
    }
    table.push(["cluster until now".to_owned(), before.clone()]);
    table.push(["cluster from now on".to_owned(), now]);
    let newest = adoption.newest.map_or_else(|| "none".to_owned(), |label| label.to_string());
    table.push(["its backups until now".to_owned(), format!("{}, the newest {newest}", adoption.backups)]);
    let means = [
        "the backups and the WAL of the cluster until now stay, and can be restored; the retention counts them with the new ones"
            .to_owned(),
        format!("{before} cannot write here any more under this name: is it stopped, or did it get another name?"),
        "take a backup of the new cluster at once: nothing before it can be reached by its WAL".to_owned(),
    ];
    means.into_iter().for_each(|means| table.push(["means".to_owned(), means]));
    let done = if adoption.done { Cell::new("done: pgtend backup run", Tone::Good) } else { Cell::new("not done", Tone::Warn) };
    table.push::<Cell>(["adopted".into(), done]);
    table
}
