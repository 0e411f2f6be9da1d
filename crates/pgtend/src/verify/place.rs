//! Which data directory is meant, which server runs it, and whether the two belong together.

use super::Options;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::postmaster::Phase;
use pgtend_model::signal::APPLICATION_NAME;
use pgtend_model::verify::ServerState;
use pgtend_postgres::connect::{Environment, Target};
use pgtend_postgres::files::control::{self, ControlFile};
use pgtend_postgres::process::running::{self, Postmaster, State};
use pgtend_postgres::verify::{Cluster, cluster};
use std::path::{Path, PathBuf};

/// What is verified.
pub(crate) struct Place {
    /// The data directory.
    pub data: PathBuf,
    /// Its control file.
    pub control: ControlFile,
    /// Its major version.
    pub major: u32,
    /// What its server is doing.
    pub server: ServerState,
    /// The server, with what it said of itself.
    pub asked: Option<(Target, Cluster)>,
    /// Why the server could not be asked.
    pub silence: Option<Error>,
}

/// Finds it, and looks whether the server is the one of the directory.
pub(crate) async fn find(options: &Options) -> Result<Place> {
    let mut silence = None;
    let mut asked = match &options.target {
        Some(target) => match cluster(target, APPLICATION_NAME).await {
            Ok(cluster) => Some((target.clone(), cluster)),
            Err(error) if options.silence_allowed && options.data.is_some() => {
                silence = Some(error);
                None
            }
            Err(error) => return Err(error),
        },
        None => None,
    };
    let data = match (&options.data, &asked) {
        (Some(data), _) => data.clone(),
        (None, Some((target, cluster))) => of_server(target, cluster)?,
        (None, None) => {
            return Err(Error::new(Kind::Usage, "verify what?")
                .hint("name a data directory with --data, or a server on this machine with --connection"));
        }
    };
    let control = control::read(&data)?.control;
    let major = control::major(&data)?;
    let (server, postmaster) = server(&data, &control)?;
    if asked.is_none()
        && options.target.is_none()
        && let Some(postmaster) = &postmaster
    {
        match by_socket(postmaster).await {
            Ok(found) => asked = Some(found),
            Err(error) => silence = Some(error),
        }
    }
    if let Some((target, cluster)) = &asked
        && cluster.system_identifier != control.system_identifier
    {
        return Err(Error::new(Kind::Conflict, "the server that answers is not the one of this data directory")
            .at(format!("{} and {}", target.address(), data.display()))
            .hint("name the connection and the directory of one server, or leave one of them out"));
    }
    Ok(Place { data, control, major, server, asked, silence })
}

/// Where a server says that its files are: they have to be on this machine.
fn of_server(target: &Target, cluster: &Cluster) -> Result<PathBuf> {
    let Some(data) = &cluster.data_directory else {
        return Err(Error::new(Kind::Privilege, "the role may not know where the server's files are")
            .at(target.address())
            .hint("name the directory with --data, or: grant pg_read_all_settings to the role"));
    };
    if !data.join(control::PATH).exists() {
        return Err(Error::new(
            Kind::NotFound,
            format!("the server's files are in {}, which is not on this machine or may not be read", data.display()),
        )
        .at(target.address())
        .hint("run pgtend verify on the server's own machine, as a user who may read its files"));
    }
    Ok(data.clone())
}

fn server(data: &Path, control: &ControlFile) -> Result<(ServerState, Option<Postmaster>)> {
    match running::status(data)? {
        State::Running(postmaster) => return Ok((ServerState::Running, Some(postmaster))),
        State::SingleUser { .. } => return Ok((ServerState::Running, None)),
        State::Down | State::Stale { .. } => {}
    }
    if !running::orphans(data).is_empty() {
        return Ok((ServerState::Running, None));
    }
    let complete = control.state.is_clean() && !data.join("backup_label").exists();
    Ok((if complete { ServerState::Stopped } else { ServerState::NeedsRecovery }, None))
}

/// Asks the server over the socket that it listens on: as the user that the environment names, and as a local tool would.
async fn by_socket(postmaster: &Postmaster) -> Result<(Target, Cluster)> {
    let file = postmaster.file();
    let (Some(directory), Some(port), Phase::Ready) = (&file.socket_directory, file.port, file.phase) else {
        return Err(Error::new(Kind::Rejecting, "the server accepts no connections over a socket now"));
    };
    let environment = Environment::from_process();
    // Where nothing says otherwise: root is hardly ever a role, the cluster's owner is.
    let user = if environment.user == "root" && !environment.variables.contains_key("PGUSER") { " user=postgres" } else { "" };
    let dsn = format!("host='{}' port={port} dbname=postgres{user}", directory.display());
    let target = Target::resolve(Some(&dsn), &environment)?;
    let cluster = cluster(&target, APPLICATION_NAME).await?;
    Ok((target, cluster))
}
