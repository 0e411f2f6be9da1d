//! `pgtend repo`: making a backup repository, and seeing whether it is whole.

mod adopt;
mod verify;

use super::Global;
use super::output::{Table, Tabular, print};
use crate::backup::open::{key_file, open_or_make};
use crate::blocking::blocking;
use crate::config::ConfigFile;
use clap::{Args, Subcommand};
use pgtend_model::config::{Encryption, Repository as Configured};
use pgtend_model::error::{Error, Kind, Result};

/// Makes backup repositories, and says whether they are whole
#[derive(Debug, Args)]
pub(super) struct Repo {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(Init),
    Verify(Box<verify::Verify>),
    Adopt(Box<adopt::Adopt>),
}

/// Makes the repositories of a configuration, and their key files
///
/// What is there already stays as it is. Run it as the user of the agent: what it makes belongs to that user. The agent makes a repository
/// with a key file by itself; one with a passphrase, or without encryption, is made here only.
#[derive(Debug, Args)]
struct Init {
    #[command(flatten)]
    file: ConfigFile,
    /// This one only
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
}

/// A repository that is there.
#[derive(serde::Serialize)]
struct Made {
    name: String,
    place: String,
    id: String,
    encryption: Encryption,
    key_file: Option<String>,
}

#[derive(serde::Serialize)]
#[serde(transparent)]
struct All(Vec<Made>);

impl Repo {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        match &self.command {
            Command::Init(init) => init.run(global).await,
            Command::Verify(verify) => verify.run(global).await,
            Command::Adopt(adopt) => adopt.run(global).await,
        }
    }
}

impl Init {
    async fn run(&self, global: &Global) -> Result<u8> {
        let init = self;
        let config = init.file.load()?.effective;
        let wanted = |configured: &&Configured| init.repository.as_ref().is_none_or(|name| *name == configured.name);
        let configured: Vec<Configured> = config.backup.repository.iter().filter(wanted).cloned().collect();
        if configured.is_empty() {
            return Err(Error::new(Kind::NotFound, "the configuration has no such repository")
                .at(init.file.path.display().to_string())
                .hint("add [[backup.repository]] with path = \"/directory\""));
        }
        let state = config.agent.state_directory.clone();
        let made = blocking(move || configured.iter().map(|configured| make(configured, &state)).collect::<Result<Vec<Made>>>()).await?;
        print(&All(made), global.format)?;
        Ok(0)
    }
}

fn make(configured: &Configured, state: &std::path::Path) -> Result<Made> {
    let repository = open_or_make(configured, state)?;
    let has_key = matches!(configured.encryption, Encryption::KeyFile | Encryption::Recipients);
    Ok(Made {
        name: configured.name.clone(),
        place: repository.shown(),
        id: repository.description().id.clone(),
        encryption: configured.encryption,
        key_file: has_key.then(|| key_file(configured, state).display().to_string()),
    })
}

impl Tabular for All {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new("Repositories", &["name", "place", "id", "encryption", "key file (keep a copy elsewhere)"]);
        for made in &self.0 {
            let key = made.key_file.clone().unwrap_or_default();
            table.push([made.name.clone(), made.place.clone(), made.id.clone(), made.encryption.to_string(), key]);
        }
        vec![table]
    }
}
