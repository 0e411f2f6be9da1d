//! Which repository a command means: that of the agent, or one that it opens by itself.

use super::{Global, source};
use crate::api::backups::{REPOSITORIES, RepositoryPlace, RepositoryPlaces};
use crate::backup::open::open;
use crate::blocking::blocking;
use crate::wal::socket_of;
use clap::Args;
use pgtend_model::config::{Encryption, Repository as Configured, parse};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_store::repo::Repository;
use std::path::{Path, PathBuf};

/// Which repository: that of the agent that runs here, unless said otherwise.
#[derive(Debug, Args)]
#[command(next_help_heading = "From which repository")]
pub(super) struct From {
    /// The repository's directory; where no agent runs any more
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    from: Option<PathBuf>,
    /// Its key file; without it, DIR.key beside the directory
    #[arg(long, value_name = "FILE", requires = "from")]
    key_file: Option<PathBuf>,
    /// A file whose first line is its passphrase
    #[arg(long, value_name = "FILE", requires = "from", conflicts_with = "key_file")]
    passphrase_file: Option<PathBuf>,
    /// An agent's configuration that tells of the repository
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which repository, where there are several
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
}

/// A repository that was opened.
pub(super) struct Opened {
    pub(super) repository: Repository,
    pub(super) server: String,
    /// Where an agent brings its WAL.
    pub(super) wal_socket: Option<PathBuf>,
}

impl From {
    /// Whether the command opens the repository by itself, without an agent.
    pub(super) const fn by_itself(&self) -> bool {
        self.from.is_some() || self.config.is_some()
    }

    /// The name of the repository that is wanted.
    pub(super) fn wanted(&self) -> Option<&str> {
        self.repository.as_deref()
    }

    /// The repository, what it is called, and the state directory that the configuration names.
    pub(super) async fn open_by_itself(&self, global: &Global) -> Result<(Repository, String, PathBuf)> {
        let (configured, state, _) = self.configured(global).await?;
        let (name, directory) = (configured.name.clone(), state.clone());
        Ok((blocking(move || open(&configured, &state)).await?, name, directory))
    }

    /// Whether one was named; otherwise it is the agent's.
    pub(super) fn is_named(&self) -> bool {
        self.from.is_some() || self.config.is_some() || self.repository.is_some()
    }

    /// The repository, and the server's name in it.
    pub(super) async fn open(&self, global: &Global) -> Result<Opened> {
        let (configured, state, wal_socket) = self.configured(global).await?;
        let repository = blocking(move || open(&configured, &state)).await?;
        let looked = repository.clone();
        let server = match &global.server {
            Some(server) => server.clone(),
            None => only(&blocking(move || looked.servers()).await?, &repository)?,
        };
        Ok(Opened { repository, server, wal_socket })
    }

    async fn configured(&self, global: &Global) -> Result<(Configured, PathBuf, Option<PathBuf>)> {
        if let Some(path) = &self.from {
            return Ok((self.of_directory(path), PathBuf::from("/"), None));
        }
        if let Some(path) = &self.config {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Error::new(Kind::Config, format!("the configuration cannot be read: {error}")).at(path.display().to_string())
            })?;
            let config = parse(&text, &path.display().to_string())?.effective;
            let (state, socket) = (config.agent.state_directory.clone(), socket_of(&config));
            let configured = one(config.backup.repository, self.repository.as_deref(), |configured| &configured.name)?;
            return Ok((configured, state, Some(socket)));
        }
        let places: RepositoryPlaces = source::agent(global)?
            .get(REPOSITORIES)
            .await
            .map_err(|error| error.hint("where no agent runs any more: --from DIR, or --config FILE"))?;
        let place = one(places.repositories, self.repository.as_deref(), |place| &place.name)?;
        Ok((of_place(place), PathBuf::from("/"), Some(places.wal_socket.into())))
    }

    fn of_directory(&self, path: &Path) -> Configured {
        let beside = || {
            let mut name = path.as_os_str().to_owned();
            name.push(".key");
            PathBuf::from(name)
        };
        let key_file = self.key_file.clone().or_else(|| Some(beside()).filter(|path| path.exists()));
        let encryption = match (&self.passphrase_file, &key_file) {
            (Some(_), _) => Encryption::Passphrase,
            (None, Some(_)) => Encryption::KeyFile,
            (None, None) => Encryption::None,
        };
        Configured {
            path: Some(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
            encryption,
            key_file,
            passphrase_file: self.passphrase_file.clone(),
            ..Configured::named("main")
        }
    }
}

fn only(servers: &[String], repository: &Repository) -> Result<String> {
    match servers {
        [only] => Ok(only.clone()),
        [] => Err(Error::new(Kind::NotFound, "the repository has no backups at all")
            .at(repository.shown())
            .hint("`pgtend backup run` takes one")),
        several => Err(Error::new(Kind::Usage, "which server?").hint(format!("name one with --server: {}", several.join(", ")))),
    }
}

fn of_place(place: RepositoryPlace) -> Configured {
    Configured {
        path: place.path.map(PathBuf::from),
        url: place.url,
        encryption: place.encryption,
        key_file: Some(place.key_file.into()),
        passphrase_file: place.passphrase_file.map(PathBuf::from),
        ..Configured::named(&place.name)
    }
}

fn one<T>(all: Vec<T>, name: Option<&str>, name_of: impl Fn(&T) -> &String) -> Result<T> {
    let names = all.iter().map(&name_of).cloned().collect::<Vec<_>>().join(", ");
    let mut fitting: Vec<T> = all.into_iter().filter(|one| name.is_none_or(|name| name == name_of(one))).collect();
    match (fitting.len(), name) {
        (0, None) => Err(Error::new(Kind::NotFound, "the agent has no backup repository").hint("name one with --from DIR")),
        (0, Some(name)) => {
            Err(Error::new(Kind::NotFound, format!("no repository is named \"{name}\"")).hint(format!("there are: {names}")))
        }
        (_, _) => Ok(fitting.swap_remove(0)),
    }
}
