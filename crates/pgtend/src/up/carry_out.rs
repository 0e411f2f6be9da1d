//! Carrying out a plan, step by step. Nothing is chosen here.

use super::archiving::{make_repository, provide_program};
use super::coming::Coming;
use super::ground::Ground;
use crate::runtime_dir::RuntimeDir;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::profile::render;
use pgtend_model::up::{Plan, Step, socket_directory};
use pgtend_postgres::process::create::{NewCluster, create};
use pgtend_postgres::process::passfile::{Passwords, add_socket_directory};
use pgtend_postgres::process::running::{Postmaster, State, end_orphans, orphans, remove_stale_pid_file, status};
use pgtend_postgres::process::start::{Start, start};
use pgtend_postgres::process::system;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a postmaster that is shutting down is waited for.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(300);
/// How long backends without a postmaster may take to end.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(10);

/// Takes the steps up to a PostgreSQL that is on its way, or there already.
///
/// # Errors
/// What a step met. What was done before stays, and the next plan takes it into account.
pub fn carry_out(plan: &Plan, ground: &mut Ground, say: &dyn Fn(&Step)) -> Result<Coming> {
    let mut coming = None;
    for step in &plan.steps {
        if !matches!(step, Step::Watch { .. }) {
            say(step);
        }
        match step {
            Step::MakeDirectory { .. } | Step::Watch { .. } => {}
            Step::RemoveUnfinished { path } => remove_unfinished(path)?,
            Step::Create { .. } => make_cluster(step, ground)?,
            Step::WaitForEnd { .. } => wait_for_end(&ground.layout.data())?,
            Step::EndOrphans { .. } => end_backends(&ground.layout.data())?,
            Step::RemoveStalePidFile { .. } => remove_stale_pid_file(&ground.layout.data())?,
            Step::Start { .. } => coming = Some(launch(step, ground)?),
            Step::Adopt { .. } => coming = Some(Coming::Adopted(adopt(ground)?)),
        }
    }
    coming.ok_or_else(|| Error::new(Kind::Internal, "the plan neither starts a PostgreSQL nor takes one up"))
}

/// The initdb of a pgtend that was killed may still be at work in there for a moment.
fn remove_unfinished(path: &Path) -> Result<()> {
    let deadline = Instant::now() + ORPHAN_PATIENCE;
    loop {
        end_orphans(path);
        match fs::remove_dir_all(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(system("could not remove it", path, &error)),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The passwords are on disk before the cluster appears in its place, so that there is never a cluster without them.
fn make_cluster(step: &Step, ground: &mut Ground) -> Result<()> {
    let Step::Create { installation, settings, made_for, .. } = step else { return Ok(()) };
    make_repository(&ground.layout)?;
    let passwords = Passwords::generate()?;
    passwords.write(&ground.layout.pgpass(), &socket_directory(ground.layout.root()))?;
    let made_for = format!("PostgreSQL {} on a machine with {made_for}", installation.version);
    let configuration = render(settings, &made_for, &jiff::Timestamp::now().strftime("%F").to_string());
    let data = ground.layout.data();
    create(&NewCluster { installation, user: &ground.user, data: &data, configuration: &configuration, passwords: &passwords })?;
    ground.marker.major = Some(installation.major);
    ground.mark()
}

fn launch(step: &Step, ground: &mut Ground) -> Result<Coming> {
    let Step::Start { installation, data_directory, port, socket_directory, .. } = step else {
        return Err(Error::new(Kind::Internal, "this step starts nothing"));
    };
    directory_for_postgresql(&ground.layout.log(), 0o750, ground)?;
    if socket_directory.parent() != Some(ground.layout.root()) {
        RuntimeDir::from_process().create()?;
    }
    directory_for_postgresql(socket_directory, 0o755, ground)?;
    if let Some(blocked) = ground.user.blocked_on_the_way_to(socket_directory)? {
        return Err(blocked.error(&ground.user, socket_directory));
    }
    add_socket_directory(&ground.layout.pgpass(), socket_directory)?;
    provide_program(ground)?;
    if ground.marker.port != Some(*port) {
        ground.marker.port = Some(*port);
        ground.mark()?;
    }
    let what = Start {
        installation: installation.clone(),
        user: ground.user.clone(),
        data: data_directory.clone(),
        log_directory: ground.layout.log(),
        port: *port,
        socket_directory: socket_directory.clone(),
    };
    start(what).map(|starting| Coming::Started(Box::new(starting)))
}

fn adopt(ground: &Ground) -> Result<Postmaster> {
    let data = ground.layout.data();
    match status(&data)? {
        State::Running(postmaster) => {
            if let Some(directory) = &postmaster.file().socket_directory {
                add_socket_directory(&ground.layout.pgpass(), directory)?;
            }
            Ok(postmaster)
        }
        _ => Err(Error::new(Kind::Conflict, "PostgreSQL ended just now").at(data.display().to_string())),
    }
}

/// A directory that PostgreSQL writes to.
fn directory_for_postgresql(path: &Path, mode: u32, ground: &Ground) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let made = fs::create_dir(path).and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)));
    made.map_err(|error| system("could not make the directory", path, &error))?;
    ground.user.own(path)
}

fn wait_for_end(data: &Path) -> Result<()> {
    let State::Running(postmaster) = status(data)? else { return Ok(()) };
    if postmaster.wait_for_end(SHUTDOWN_PATIENCE) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Timeout,
        format!("PostgreSQL, process {}, has been shutting down for {} s", postmaster.pid(), SHUTDOWN_PATIENCE.as_secs()),
    )
    .at(data.display().to_string())
    .hint("see its log; `pg_ctl stop -m immediate` ends it at once, and the next start replays the WAL"))
}

fn end_backends(data: &Path) -> Result<()> {
    let deadline = Instant::now() + ORPHAN_PATIENCE;
    loop {
        end_orphans(data);
        let left = orphans(data);
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let pids: Vec<String> = left.iter().map(ToString::to_string).collect();
            return Err(Error::new(Kind::Conflict, format!("backends of the former postmaster do not end: {}", pids.join(", ")))
                .at(data.display().to_string())
                .hint("a process that waits for a disk cannot be ended; PostgreSQL does not start beside it"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
