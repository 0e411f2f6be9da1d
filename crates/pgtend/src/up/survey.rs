//! What there is: the directory, the cluster, the programs, the ports. Nothing is changed here.

use super::archiving;
use super::layout::{Layout, default_directory};
use super::options::Options;
use crate::runtime_dir::RuntimeDir;
use jiff::Timestamp;
use pgtend_model::config::Listen;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::up::{Archiving, Cluster, DEFAULT_PORT, Directory, Listener, Marker, Port, Runs, View};
use pgtend_postgres::process::create::UNFINISHED;
use pgtend_postgres::process::os_user::{OsUser, user_name};
use pgtend_postgres::process::running::{State, orphans, status};
use pgtend_postgres::process::{find, machine, port, system};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Files that say nothing about whose a directory is: our own lock, and what `mkfs` makes.
const IGNORED: &[&str] = &["pgtend.lock", "pgtend.json.new", "lost+found"];

/// What was found, and what is needed to act on it.
#[derive(Debug)]
pub struct Survey {
    /// What the plan follows from.
    pub view: View,
    /// The user who runs PostgreSQL.
    pub user: Result<OsUser>,
    /// What lies where.
    pub layout: Layout,
    /// The marker of the directory, or the one that it would get.
    pub marker: Marker,
}

/// Looks.
///
/// # Errors
/// When what matters cannot be looked at.
pub fn survey(options: &Options) -> Result<Survey> {
    let layout = Layout::of(&options.directory.clone().map_or_else(default_directory, Ok)?)?;
    let directory = directory(&layout)?;
    let marker = match &directory {
        Directory::Ours(marker) => marker.clone(),
        _ => new_marker()?,
    };
    let ours = matches!(directory, Directory::Ours(_));
    let cluster = if ours { cluster(&layout.data()) } else { Cluster::Absent };
    let user = OsUser::choose(options.os_user.as_deref().or(owner_for_root(&cluster)));
    let installations = match &user {
        Ok(user) => find::find(options.bindir.as_deref(), user).map(|found| found.usable),
        Err(error) => Err(error.clone()),
    };
    let runs = if matches!(cluster, Cluster::Of { .. }) { runs(&layout.data())? } else { Runs::Nothing };
    let sized = match (&cluster, &installations, &user) {
        (Cluster::Absent, Ok(found), Ok(user)) => found.first().map(|installation| machine::survey(installation, user, layout.root())),
        _ => None,
    };
    let major = if let Cluster::Of { major, .. } = cluster { Some(major) } else { None };
    let view = View {
        root: layout.root().to_path_buf(),
        stranger: stranger(layout.root()),
        unfinished: if ours { unfinished(layout.root())? } else { Vec::new() },
        how_to_install: find::how_to_install(major),
        os_user: user.as_ref().map(|user| user.name().to_owned()).map_err(Error::clone),
        blocked: user.as_ref().ok().map(|user| blocked(user, &layout)).transpose()?.flatten(),
        machine: sized,
        free_bytes: machine::free_bytes(layout.root()),
        port: pg_port(options.pg_port, &marker, &runs),
        api: listener("the API", "--api", options.api, 8080),
        metrics: listener("the metrics", "--metrics", options.metrics, 9187),
        archiving: match &user {
            Ok(user) => archiving::survey(user, &layout)?,
            Err(_) => Archiving { command: None, found: None },
        },
        short_directory: short_directory(&marker),
        directory,
        cluster,
        runs,
        installations,
    };
    Ok(Survey { view, user, layout, marker })
}

/// As root, what exists is run by its owner.
fn owner_for_root(cluster: &Cluster) -> Option<&str> {
    match cluster {
        Cluster::Of { owner, .. } if rustix::process::geteuid().is_root() => Some(owner),
        _ => None,
    }
}

fn directory(layout: &Layout) -> Result<Directory> {
    let root = layout.root();
    match fs::metadata(root) {
        Ok(found) if !found.is_dir() => return Ok(Directory::NotADirectory),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Directory::Missing),
        Err(error) => return Err(system("could not look at the directory", root, &error)),
    }
    match fs::read_to_string(layout.marker()) {
        Ok(text) => return Ok(read_marker(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(system("could not read it", &layout.marker(), &error)),
    }
    if let Ok(major) = fs::read_to_string(root.join("PG_VERSION")) {
        return Ok(Directory::DataDirectory { major: major.trim().to_owned() });
    }
    let entries = fs::read_dir(root).map_err(|error| system("could not look into the directory", root, &error))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !IGNORED.contains(&name.as_str())).collect();
    names.sort();
    if names.is_empty() {
        return Ok(Directory::Empty);
    }
    if names.len() > 3 {
        let more = names.len() - 3;
        names.truncate(3);
        names.push(format!("{more} more"));
    }
    Ok(Directory::Foreign { names })
}

fn stranger(root: &Path) -> Option<String> {
    let owner = fs::metadata(root).ok()?.uid();
    (owner != 0 && owner != rustix::process::geteuid().as_raw()).then(|| user_name(owner))
}

fn read_marker(text: &str) -> Directory {
    let format = serde_json::from_str::<serde_json::Value>(text).ok().and_then(|value| value.get("format")?.as_u64());
    match (format, serde_json::from_str::<Marker>(text)) {
        (Some(format), _) if format > u64::from(Marker::FORMAT) => {
            Directory::Unreadable(format!("in a newer way ({format}) than this version knows"))
        }
        (_, Ok(marker)) => Directory::Ours(marker),
        (_, Err(error)) => Directory::Unreadable(format!("it cannot be read: {error}")),
    }
}

fn new_marker() -> Result<Marker> {
    let mut bytes = [0_u8; 4];
    getrandom::fill(&mut bytes).map_err(|error| Error::new(Kind::System, format!("no random numbers: {error}")))?;
    Ok(Marker {
        format: Marker::FORMAT,
        id: format!("{:08x}", u32::from_be_bytes(bytes)),
        made_by: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: Timestamp::now(),
        major: None,
        port: None,
    })
}

fn cluster(data: &Path) -> Cluster {
    let owner = match fs::metadata(data) {
        Ok(found) => user_name(found.uid()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Cluster::Absent,
        Err(error) => return Cluster::Unrecognized(format!("it cannot be looked at: {error}")),
    };
    match fs::read_to_string(data.join("PG_VERSION")) {
        Ok(text) => match text.trim().parse() {
            Ok(major) => Cluster::Of { major, owner },
            Err(_) => Cluster::Unrecognized(format!("its PG_VERSION says {:?}", text.trim())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Cluster::Unrecognized("it has no PG_VERSION".to_owned()),
        Err(error) => Cluster::Unrecognized(format!("it belongs to the user {owner} and cannot be read: {error}")),
    }
}

fn runs(data: &Path) -> Result<Runs> {
    Ok(match status(data)? {
        State::Down => Runs::Nothing,
        State::Stale { pid, why } => Runs::LeftBehind { pid, why, orphans: orphans(data) },
        State::SingleUser { pid } => Runs::SingleUser { pid },
        State::Running(postmaster) => {
            let file = postmaster.file();
            let socket_directory = file.socket_directory.clone();
            Runs::Postmaster { pid: postmaster.pid(), phase: file.phase, port: file.port.unwrap_or(DEFAULT_PORT), socket_directory }
        }
    })
}

fn unfinished(root: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root).map_err(|error| system("could not look into the directory", root, &error))?;
    let mut paths: Vec<PathBuf> =
        entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED)).map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

fn blocked(user: &OsUser, layout: &Layout) -> Result<Option<Error>> {
    let data = layout.data();
    Ok(user.blocked_on_the_way_to(&data)?.map(|blocked| blocked.error(user, &data)))
}

fn pg_port(asked: Option<u16>, marker: &Marker, runs: &Runs) -> Port {
    let wanted = asked.or(marker.port).unwrap_or(DEFAULT_PORT);
    let is_running = matches!(runs, Runs::Postmaster { .. });
    let holder = if is_running || wanted == 0 || port::is_free(wanted) { None } else { Some(who_listens_on(wanted)) };
    let nearby = holder.as_ref().and_then(|_| port::next_free(wanted));
    Port { asked, wanted, holder, nearby, any: port::any_free().ok() }
}

fn listener(name: &'static str, option: &'static str, asked: Option<Listen>, port: u16) -> Listener {
    let usual = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let wanted = asked.map_or(Some(usual), Listen::address);
    let taken = wanted.filter(|address| TcpListener::bind(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse));
    Listener { name, option, asked, usual, holder: taken.map(|address| who_listens_on(address.port())) }
}

fn who_listens_on(port: u16) -> String {
    port::holder(port).unwrap_or_else(|| "another process".to_owned())
}

/// For PostgreSQL's socket, where its own place has too long a path. It is named after the directory's identity, because several may need one.
fn short_directory(marker: &Marker) -> PathBuf {
    RuntimeDir::from_process().path().join(&marker.id)
}
