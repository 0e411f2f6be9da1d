//! Backups: what there is, what goes on, taking one, taking one away.

use super::Api;
use super::access::Caller;
use super::answer::{Answer, Body, Failed, InPath, Params};
use super::documents::Which;
use super::endpoint::{Endpoint, Routes};
use crate::agent::Server;
use crate::agent::backups::{What, Work};
use crate::backup::doctor::doctor;
use crate::backup::expire::Expired;
use axum::extract::State;
use pgtend_model::backup::annotation::Annotations;
use pgtend_model::backup::doctor::Report;
use pgtend_model::backup::{BackupHead, Label};
use pgtend_model::config::api::Role;
use pgtend_model::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Where backups are.
pub const BACKUPS: &str = "/api/v1/backups";
/// Where a retention is applied.
pub const EXPIRE: &str = "/api/v1/backups/expire";
/// Where the doctor is.
pub const DOCTOR: &str = "/api/v1/backups/doctor";
/// Where a backup is stopped.
pub const STOP: &str = "/api/v1/backups/stop";
/// Where the repositories are told.
pub const REPOSITORIES: &str = "/api/v1/backups/repositories";

/// The backups of a server and of the file trees.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct BackupList {
    /// Them, by repository, oldest first.
    pub backups: Vec<Listed>,
    /// What goes on, by repository.
    pub work: Vec<Work>,
    /// What cannot be read.
    pub damaged: Vec<Error>,
}

/// A backup, and in which repository it is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Listed {
    /// Name of the repository.
    pub repository: String,
    /// The backup.
    #[serde(flatten)]
    pub backup: BackupHead,
    /// What was written to it, and whether it is held.
    #[serde(flatten)]
    pub notes: Annotations,
}

/// Which backup.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct InList {
    /// Its name, such as `20261121T053000Z`.
    pub(super) label: String,
}

/// Which repository.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
struct InRepository {
    /// Its name; all of them where none is named.
    #[serde(default)]
    repository: Option<String>,
}

/// A backup to be taken.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct NewBackup {
    /// To this repository; to all where none is named.
    #[serde(default)]
    pub repository: Option<String>,
    /// Whether it is a logical one.
    #[serde(default)]
    pub logical: bool,
    /// Of these databases, where it is logical; of those of the configuration where none is named.
    #[serde(default)]
    pub databases: Vec<String>,
    /// Without these databases, besides those of the configuration.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Of this file tree instead of a server.
    #[serde(default)]
    pub files: Option<String>,
}

/// A retention to be applied.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Expire {
    /// In this repository; in all where none is named.
    #[serde(default)]
    pub repository: Option<String>,
    /// Whether it is only told what would go.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was expired, by repository.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ExpiredIn {
    /// Name of the repository.
    pub repository: String,
    /// What was taken away.
    #[serde(flatten)]
    pub expired: Expired,
}

/// The repositories of an agent, as whoever restores on the same host needs them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RepositoryPlaces {
    /// Each of them; secrets by the names of their files only.
    pub repositories: Vec<RepositoryPlace>,
    /// The socket where the agent brings WAL.
    pub wal_socket: String,
    /// Where copies are restored to for a while.
    #[serde(default)]
    pub scratch_directory: Option<String>,
    /// How the agent reaches its servers.
    pub servers: Vec<ServerPlace>,
}

/// How a server is reached.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ServerPlace {
    /// Its name.
    pub name: String,
    /// Its connection string, passwords masked.
    pub dsn: String,
    /// The file of its password.
    pub password_file: Option<String>,
    /// What it is called in the repositories.
    #[serde(default)]
    pub cluster: Option<String>,
}

/// Where a repository is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RepositoryPlace {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub path: Option<String>,
    /// Its bucket.
    pub url: Option<String>,
    /// By what it is encrypted.
    pub encryption: pgtend_model::config::Encryption,
    /// Its key file.
    pub key_file: String,
    /// The file of its passphrase.
    pub passphrase_file: Option<String>,
    /// How its bucket is reached.
    #[serde(default)]
    pub bucket: Option<BucketPlace>,
}

/// How a bucket is reached, as the configuration says it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct BucketPlace {
    /// Address of the service.
    pub endpoint: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Identifier of the access key; without it, credentials come from the environment.
    pub access_key_id: Option<String>,
    /// The file of the secret access key.
    pub secret_access_key_file: Option<String>,
    /// The file of authorities that are trusted.
    pub ca_file: Option<String>,
}

impl Routes {
    /// The endpoints of backups.
    pub(super) fn backups(self) -> Self {
        let list = Endpoint::get(BACKUPS, "The backups of a server, and what goes on").params::<Which>().data::<BackupList>();
        let run = Endpoint::post(BACKUPS, "Begins a backup; the list tells how far it is").params::<Which>().body::<NewBackup>();
        let stop = Endpoint::post(STOP, "Stops a backup that goes on; what was copied is kept for the next").params::<Which>();
        let expire =
            Endpoint::post(EXPIRE, "Takes away what the retention does not keep").needs(Role::Admin).params::<Which>().body::<Expire>();
        let about = "Takes one backup away";
        let delete = Endpoint::delete("/api/v1/backups/{label}", about).needs(Role::Admin).in_path::<InList>().params::<Which>();
        let places = Endpoint::get(REPOSITORIES, "Where the repositories are").needs(Role::Admin).data::<RepositoryPlaces>();
        let about = "What stands between a server and backups that can be trusted, each with its fix. Writes an object to each storage and removes it";
        let doctor = Endpoint::get(DOCTOR, about).needs(Role::Operator).params::<Which>().data::<Report>();
        self.add(doctor, show_doctor)
            .add(list, list_backups)
            .add(run.data::<BackupList>(), run_backup)
            .add(stop.data::<BackupList>(), stop_backup)
            .add(expire.data::<Vec<ExpiredIn>>(), expire_backups)
            .add(delete.params::<InRepository>().data::<BackupList>(), delete_backup)
            .add(places, tell_places)
    }
}

async fn list_backups(State(api): State<Api>, Params(which): Params<Which>) -> Result<Answer<BackupList>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    Ok(Answer::new(list(&api, &server).await))
}

async fn show_doctor(State(api): State<Api>, Params(which): Params<Which>) -> Result<Answer<Report>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    Ok(Answer::new(Box::pin(doctor(api.agent(), &server)).await?))
}

/// A repository that does not answer is told beside the others.
async fn list(api: &Api, server: &Server) -> BackupList {
    let backups = api.agent().backups();
    let mut list = BackupList { backups: Vec::new(), work: backups.work(server.name()), damaged: Vec::new() };
    let owners = [vec![backups.filed(server.name())], backups.trees()].concat();
    for configured in backups.configured(None).unwrap_or_default() {
        for owner in &owners {
            match backups.list(&configured, owner).await {
                Ok((heads, damaged)) => {
                    let mut notes = backups.annotations(&configured, owner).await.unwrap_or_default();
                    list.backups.extend(heads.into_iter().map(|backup| {
                        let notes = notes.remove(&backup.label).unwrap_or_default();
                        Listed { repository: configured.name.clone(), backup, notes }
                    }));
                    list.damaged.extend(damaged);
                }
                Err(error) => {
                    list.damaged.push(error);
                    break;
                }
            }
        }
    }
    list
}

async fn run_backup(
    State(api): State<Api>,
    caller: Caller,
    Params(which): Params<Which>,
    Body(new): Body<NewBackup>,
) -> Result<Answer<BackupList>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let settings = api.agent().settings(&server).ok_or_else(|| Error::new(Kind::Conflict, "the server is no longer watched"))?;
    match (&new.files, new.logical) {
        (Some(name), _) => api.agent().backups().run_tree(name, new.repository.as_deref())?,
        (None, logical) => {
            let (databases, exclude) = (new.databases.clone(), new.exclude.clone());
            let what = if logical { What::Logical { databases, exclude } } else { What::Physical };
            api.agent().backups().run(&settings, new.repository.as_deref(), &what)?;
        }
    }
    tracing::info!(target: "audit", who = caller.name, server = server.name(), files = new.files, logical = new.logical, "backup begun");
    Ok(Answer::new(list(&api, &server).await))
}

async fn stop_backup(State(api): State<Api>, caller: Caller, Params(which): Params<Which>) -> Result<Answer<BackupList>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    if api.agent().backups().stop(server.name()) == 0 {
        return Err(Error::new(Kind::NotFound, format!("no backup of \"{}\" goes on", server.name())).into());
    }
    tracing::info!(target: "audit", who = caller.name, server = server.name(), "backup stopped");
    Ok(Answer::new(list(&api, &server).await))
}

async fn expire_backups(
    State(api): State<Api>,
    caller: Caller,
    Params(which): Params<Which>,
    Body(wanted): Body<Expire>,
) -> Result<Answer<Vec<ExpiredIn>>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let backups = api.agent().backups();
    let mut all = Vec::new();
    for configured in backups.configured(wanted.repository.as_deref())? {
        let expired = backups.expire(&configured, server.name(), wanted.dry_run).await?;
        tracing::info!(
            target: "audit", who = caller.name, server = server.name(), repository = configured.name, dry_run = wanted.dry_run,
            removed = expired.removed.len(), "backups expired"
        );
        all.push(ExpiredIn { repository: configured.name, expired });
    }
    Ok(Answer::new(all))
}

async fn delete_backup(
    State(api): State<Api>,
    caller: Caller,
    InPath(InList { label }): InPath<InList>,
    Params(which): Params<Which>,
    Params(place): Params<InRepository>,
) -> Result<Answer<BackupList>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let label: Label = label.parse()?;
    let backups = api.agent().backups();
    let mut found = false;
    for configured in backups.configured(place.repository.as_deref())? {
        match backups.delete(&configured, server.name(), label).await {
            Ok(()) => found = true,
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !found {
        return Err(Error::new(Kind::NotFound, format!("there is no backup {label} of \"{}\"", server.name())).into());
    }
    tracing::info!(target: "audit", who = caller.name, server = server.name(), backup = %label, "backup removed");
    Ok(Answer::new(list(&api, &server).await))
}

async fn tell_places(State(api): State<Api>) -> Result<Answer<RepositoryPlaces>, Failed> {
    let config = api.agent().config();
    let place = |configured: &pgtend_model::config::Repository| RepositoryPlace {
        name: configured.name.clone(),
        path: shown(configured.path.as_ref()),
        url: configured.url.clone(),
        encryption: configured.encryption,
        key_file: crate::backup::open::key_file(configured, &config.agent.state_directory).display().to_string(),
        passphrase_file: shown(configured.passphrase_file.as_ref()),
        bucket: configured.url.is_some().then(|| BucketPlace {
            endpoint: configured.endpoint.clone(),
            region: configured.region.clone(),
            access_key_id: configured.access_key_id.clone(),
            secret_access_key_file: shown(configured.secret_access_key_file.as_ref()),
            ca_file: shown(configured.ca_file.as_ref()),
        }),
    };
    let server = |server: &pgtend_model::config::Server| ServerPlace {
        name: server.name.clone(),
        dsn: server.dsn.masked(),
        password_file: shown(server.password_file.as_ref()),
        cluster: server.cluster.clone(),
    };
    Ok(Answer::new(RepositoryPlaces {
        repositories: config.backup.repository.iter().map(place).collect(),
        wal_socket: crate::wal::socket_of(&config).display().to_string(),
        scratch_directory: shown(config.backup.scratch_directory.as_ref()),
        servers: config.server.iter().map(server).collect(),
    }))
}

fn shown(path: Option<&std::path::PathBuf>) -> Option<String> {
    path.map(|path| path.display().to_string())
}
