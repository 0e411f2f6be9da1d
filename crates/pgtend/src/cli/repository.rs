//! Which repository a command means: that of the agent, or one that it opens by itself.

use super::{Global, source};
use crate::api::backups::{REPOSITORIES, RepositoryPlace, RepositoryPlaces, ServerPlace};
use crate::backup::open::open;
use crate::blocking::blocking;
use crate::wal::socket_of;
use clap::Args;
use pgtend_model::backup::tree::name_of;
use pgtend_model::config::{Effective, Encryption, Repository as Configured, Server, parse};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_postgres::connect::{Environment, Target};
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

/// What an agent knows beside its repositories.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// Where copies are restored to for a while.
    pub(super) scratch: Option<PathBuf>,
    /// Its servers.
    pub(super) servers: Vec<ServerPlace>,
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
        let (repository, wal_socket) = self.repository(global).await?;
        readable(&repository)?;
        let server = self.server(global, &repository).await?;
        Ok(Opened { repository, server, wal_socket })
    }

    /// What the server that is named is called in the repository; of none, the only one that is there.
    pub(super) async fn server(&self, global: &Global, repository: &Repository) -> Result<String> {
        let Some(name) = &global.server else {
            let looked = repository.clone();
            return only(blocking(move || looked.servers()).await?, repository);
        };
        let servers = self.servers(global).await?;
        let cluster = servers.into_iter().find(|server| server.name == *name).and_then(|server| server.cluster);
        Ok(cluster.unwrap_or_else(|| name.clone()))
    }

    /// The repository, whatever is in it, and where an agent brings its WAL.
    pub(super) async fn repository(&self, global: &Global) -> Result<(Repository, Option<PathBuf>)> {
        let (configured, state, wal_socket) = self.configured(global).await?;
        Ok((blocking(move || open(&configured, &state)).await?, wal_socket))
    }

    /// The servers beside the repository; of a directory alone nobody knows any.
    async fn servers(&self, global: &Global) -> Result<Vec<ServerPlace>> {
        Ok(match (&self.from, &self.config) {
            (Some(_), _) => Vec::new(),
            (None, Some(path)) => read(path)?.server.into_iter().map(place_of).collect(),
            (None, None) => source::agent(global)?.get::<RepositoryPlaces>(REPOSITORIES).await?.servers,
        })
    }

    /// How the server is reached that something of this one in the repository is restored into.
    pub(super) async fn target(&self, global: &Global, filed: &str) -> Result<Target> {
        let environment = Environment::from_process();
        if let Some(dsn) = &global.connection {
            return Target::resolve(Some(dsn), &environment);
        }
        let place = into_server(&self.servers(global).await?, global.server.as_deref(), filed)?;
        let target = Target::resolve(Some(&place.dsn), &environment)
            .map_err(|error| error.hint("name the server by --connection: its password is not told"))?;
        let Some(file) = place.password_file else { return Ok(target) };
        let text = std::fs::read_to_string(&file)
            .map_err(|error| Error::new(Kind::System, format!("the password cannot be read: {error}")).at(file))?;
        Ok(target.with_password(text.lines().next().unwrap_or_default()))
    }

    async fn configured(&self, global: &Global) -> Result<(Configured, PathBuf, Option<PathBuf>)> {
        if let Some(path) = &self.from {
            return Ok((self.of_directory(path), PathBuf::from("/"), None));
        }
        if let Some(path) = &self.config {
            let config = read(path)?;
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

    /// Where an agent restores copies to for a while, and how its servers are reached.
    pub(super) async fn surroundings(&self, global: &Global) -> Result<Surroundings> {
        if self.from.is_some() {
            return Ok(Surroundings::default());
        }
        if let Some(path) = &self.config {
            let config = read(path)?;
            let masked = |server: Server| ServerPlace { dsn: server.dsn.masked(), ..place_of(server) };
            return Ok(Surroundings { scratch: config.backup.scratch_directory, servers: config.server.into_iter().map(masked).collect() });
        }
        let places: RepositoryPlaces = source::agent(global)?.get(REPOSITORIES).await?;
        Ok(Surroundings { scratch: places.scratch_directory.map(PathBuf::from), servers: places.servers })
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

/// Whether what is in the repository can be read here.
///
/// # Errors
/// `Authentication` when this host only writes.
pub(super) fn readable(repository: &Repository) -> Result<()> {
    if repository.reads() {
        return Ok(());
    }
    Err(Error::new(Kind::Authentication, "this host writes to the repository for its recipients, and does not read it")
        .at(repository.shown())
        .hint("restore with the key of a recipient: --from DIR --key-file FILE"))
}

fn read(path: &Path) -> Result<Effective> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::new(Kind::Config, format!("the configuration cannot be read: {error}")).at(path.display().to_string()))?;
    Ok(parse(&text, &path.display().to_string())?.effective)
}

fn only(mut servers: Vec<String>, repository: &Repository) -> Result<String> {
    servers.retain(|server| name_of(server).is_none());
    match servers.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::new(Kind::NotFound, "the repository has no backups at all")
            .at(repository.shown())
            .hint("`pgtend backup run` takes one")),
        several => Err(Error::new(Kind::Usage, "which server?").hint(format!("name one with --server: {}", several.join(", ")))),
    }
}

/// Into which server: the one that is named, or the only one of what was backed up. Which of several nodes may be written to changes with every failover.
///
/// # Errors
/// `Usage` when that is none or several.
pub(super) fn into_server(servers: &[ServerPlace], named: Option<&str>, filed: &str) -> Result<ServerPlace> {
    if let Some(place) = servers.iter().find(|place| named == Some(place.name.as_str())) {
        return Ok(place.clone());
    }
    let of: Vec<&ServerPlace> = servers.iter().filter(|place| place.cluster.as_deref().unwrap_or(&place.name) == filed).collect();
    let names: Vec<&str> = of.iter().map(|place| place.name.as_str()).collect();
    match of.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(Error::new(Kind::Usage, "into which server?").hint("name it with --connection \"host=… user=… dbname=…\"")),
        _ => Err(Error::new(Kind::Usage, format!("into which server of \"{filed}\"?"))
            .hint(format!("name the primary with --server: {}", names.join(", ")))),
    }
}

fn place_of(server: Server) -> ServerPlace {
    ServerPlace {
        name: server.name,
        dsn: server.dsn.expose().to_owned(),
        password_file: server.password_file.map(|path| path.display().to_string()),
        cluster: server.cluster,
    }
}

fn of_place(place: RepositoryPlace) -> Configured {
    let bucket = place.bucket.unwrap_or_default();
    Configured {
        endpoint: bucket.endpoint,
        region: bucket.region,
        access_key_id: bucket.access_key_id,
        secret_access_key_file: bucket.secret_access_key_file.map(PathBuf::from),
        ca_file: bucket.ca_file.map(PathBuf::from),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_restored_goes_to_the_server_that_is_named_or_the_only_one_of_its_cluster() {
        let place = |name: &str, cluster: Option<&str>| ServerPlace {
            name: name.to_owned(),
            dsn: String::new(),
            password_file: None,
            cluster: cluster.map(str::to_owned),
        };
        let servers = [place("db1", Some("main")), place("db2", Some("main")), place("db3", Some("other")), place("alone", None)];
        let into = |named, filed| into_server(&servers, named, filed).map(|place| place.name);
        assert_eq!(into(Some("db2"), "main").unwrap(), "db2");
        assert_eq!(into(None, "other").unwrap(), "db3");
        assert_eq!(into(Some("other"), "other").unwrap(), "db3");
        assert_eq!(into(None, "alone").unwrap(), "alone");
        for named in [None, Some("main")] {
            let error = into(named, "main").unwrap_err();
            assert!(error.kind == Kind::Usage && error.hint.contains("--server: db1, db2"), "{error}");
        }
        assert!(into(None, "gone").unwrap_err().hint.contains("--connection"));
    }
}
