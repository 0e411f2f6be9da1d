//! From what was found to the steps.

use super::{
    Archiving, Cluster, Directory, Installation, Plan, Runs, Step, View, data_directory, ports, socket_directory, socket_path_fits,
};
use crate::error::{Error, Kind, Result};
use crate::postmaster::Phase;
use crate::profile::{Machine, Setting, archive, profile};
use crate::units::show_bytes;
use std::path::PathBuf;

/// A new cluster takes 40 MB, its first WAL as much again, and an empty disk is no place for a database.
const ROOM_WANTED_BYTES: u64 = 256 << 20;

/// What to do about what was found.
///
/// # Errors
/// Why nothing can be done, and what would help.
pub fn plan(view: &View) -> Result<Plan> {
    let mut plan = start_again(view)?;
    let (api, api_note) = ports::listen(&view.api)?;
    let (metrics, metrics_note) = ports::listen(&view.metrics)?;
    plan.notes.extend(api_note.into_iter().chain(metrics_note));
    plan.steps.push(Step::Watch { api, metrics });
    Ok(plan)
}

/// The same without the agent, which is there already.
///
/// # Errors
/// As [`plan`].
pub fn start_again(view: &View) -> Result<Plan> {
    accept_directory(view)?;
    accept_owner(view)?;
    let os_user = view.os_user.clone()?;
    if let Some(blocked) = &view.blocked {
        return Err(blocked.clone());
    }
    let mut plan = Plan { steps: Vec::new(), notes: Vec::new() };
    if matches!(view.directory, Directory::Missing | Directory::Empty) {
        plan.steps.push(Step::MakeDirectory { path: view.root.clone() });
    }
    plan.steps.extend(view.unfinished.iter().map(|path| Step::RemoveUnfinished { path: path.clone() }));
    match &view.cluster {
        Cluster::Unrecognized(reason) => return Err(unrecognized(view, reason)),
        Cluster::Absent => {
            let installation = first_installation(view)?;
            plan.steps.push(create(view, &installation, &os_user)?);
            start(view, &mut plan, installation, os_user)?;
        }
        Cluster::Of { major, owner } => {
            if *owner != os_user {
                return Err(other_owner(view, owner, &os_user));
            }
            plan.notes.extend(archiving_note(&view.archiving));
            run_existing(view, &mut plan, *major, os_user)?;
        }
    }
    Ok(plan)
}

fn accept_directory(view: &View) -> Result<()> {
    let root = view.root.display().to_string();
    match &view.directory {
        Directory::Missing | Directory::Empty | Directory::Ours(_) => Ok(()),
        Directory::Unreadable(reason) => Err(Error::new(Kind::Unsupported, format!("pgtend.json says that pgtend made this directory, but {reason}"))
            .at(root)
            .hint("use the version of pgtend that made it, or another directory")),
        Directory::DataDirectory { major } => Err(Error::new(Kind::Conflict, format!("this is a data directory of PostgreSQL {major} that pgtend did not make, so it is left alone"))
            .at(root)
            .hint("to watch that server, name it in a configuration for `pgtend agent`; `pgtend up` makes a directory of its own: name one that is missing or empty")),
        Directory::Foreign { names } => Err(Error::new(Kind::Conflict, format!("pgtend did not make this directory, so it is left alone; it has {} in it", names.join(", ")))
            .at(root)
            .hint("name a directory that is missing or empty")),
        Directory::NotADirectory => Err(Error::new(Kind::Conflict, "this is not a directory").at(root).hint("name a directory that is missing or empty")),
    }
    .map_err(|error| error.retry(crate::error::Retry::Never))
}

/// Whoever owns the directory can replace what is in it, so that our writing would go elsewhere.
fn accept_owner(view: &View) -> Result<()> {
    let Some(owner) = &view.stranger else { return Ok(()) };
    let root = view.root.display().to_string();
    let hint = format!("run pgtend as {owner}, name another directory, or give this one to the user who runs pgtend with chown");
    Err(Error::new(Kind::Privilege, format!("this directory belongs to the user {owner}")).at(root).hint(hint))
}

fn first_installation(view: &View) -> Result<Installation> {
    let installations = view.installations.as_ref().map_err(Error::clone)?;
    installations.first().cloned().ok_or_else(|| Error::new(Kind::NotFound, "no PostgreSQL is installed here").hint(&view.how_to_install))
}

fn create(view: &View, installation: &Installation, os_user: &str) -> Result<Step> {
    if let Some(free_bytes) = view.free_bytes.filter(|bytes| *bytes < ROOM_WANTED_BYTES) {
        return Err(Error::new(
            Kind::System,
            format!("there is too little room for a PostgreSQL: {} are free, {} are wanted", shown(free_bytes), shown(ROOM_WANTED_BYTES)),
        )
        .at(view.root.display().to_string())
        .hint("make room, or name a directory on another file system"));
    }
    let Some(machine) = &view.machine else { return Err(Error::new(Kind::Internal, "the machine was not looked at")) };
    Ok(Step::Create {
        installation: installation.clone(),
        data_directory: data_directory(&view.root),
        os_user: os_user.to_owned(),
        settings: settings(view, machine),
        made_for: made_for(machine),
    })
}

fn settings(view: &View, machine: &Machine) -> Vec<Setting> {
    let mut settings = profile(machine);
    settings.extend(view.archiving.command.iter().flat_map(|command| archive(command)));
    settings
}

fn made_for(machine: &Machine) -> String {
    let cpus = if machine.cpus == 1 { "1 CPU".to_owned() } else { format!("{} CPUs", machine.cpus) };
    format!("{} of memory and {cpus}", shown(machine.memory_bytes))
}

/// What to run where the server does not hand its WAL to this pgtend: its settings are its owner's, so they are left alone.
fn archiving_note(archiving: &Archiving) -> Option<String> {
    let command = archiving.command.as_ref()?;
    let literal = command.replace('\'', "''");
    match &archiving.found {
        None => Some(format!(
            "WAL is not archived, so there is no recovery to a moment in time; as the superuser, run: ALTER SYSTEM SET archive_mode = 'on'; ALTER SYSTEM SET archive_command = '{literal}'; ALTER SYSTEM SET archive_timeout = '60s'; then restart PostgreSQL"
        )),
        Some(found) if found.contains(" wal push ") && found != command => Some(format!(
            "archive_command calls another pgtend, or one for another directory; as the superuser, run: ALTER SYSTEM SET archive_command = '{literal}'; SELECT pg_reload_conf();"
        )),
        Some(_) => None,
    }
}

fn run_existing(view: &View, plan: &mut Plan, major: u16, os_user: String) -> Result<()> {
    match &view.runs {
        Runs::SingleUser { pid } => {
            return Err(Error::new(Kind::Conflict, format!("process {pid} runs this cluster in single-user mode"))
                .at(data_directory(&view.root).display().to_string())
                .hint("let it end first"));
        }
        Runs::Postmaster { pid, phase: Phase::Stopping, .. } => plan.steps.push(Step::WaitForEnd { pid: *pid }),
        Runs::Postmaster { pid, port, socket_directory, .. } => {
            if let Some(asked) = view.port.asked.filter(|asked| *asked != 0 && asked != port) {
                plan.notes.push(format!("PostgreSQL runs already, on port {port}: --pg-port {asked} takes effect when it is started anew"));
            }
            plan.steps.push(Step::Adopt { pid: *pid, port: *port, socket_directory: socket_directory.clone() });
            return Ok(());
        }
        Runs::LeftBehind { pid, why, orphans } => {
            plan.notes.push(format!(
                "PostgreSQL did not shut down in order last time: it will replay its WAL (postmaster.pid names process {pid}, {})",
                why.reason()
            ));
            if !orphans.is_empty() {
                plan.steps.push(Step::EndOrphans { pids: orphans.clone() });
            }
            if why.blocks_start() {
                plan.steps.push(Step::RemoveStalePidFile { pid: *pid, why: why.reason() });
            }
        }
        Runs::Nothing => {}
    }
    let installation = installation_of(view, major)?;
    start(view, plan, installation, os_user)
}

fn installation_of(view: &View, major: u16) -> Result<Installation> {
    let installations = view.installations.as_ref().map(Vec::as_slice).unwrap_or_default();
    if let Some(found) = installations.iter().find(|installation| installation.major == major) {
        return Ok(found.clone());
    }
    let there: Vec<&str> = installations.iter().map(|installation| installation.version.as_str()).collect();
    let there = if there.is_empty() { "none was found".to_owned() } else { format!("found: {}", there.join(", ")) };
    Err(Error::new(Kind::NotFound, format!("this cluster needs the programs of PostgreSQL {major}, and {there}"))
        .at(data_directory(&view.root).display().to_string())
        .hint(format!("{}, or name the directory of its programs with --bindir", view.how_to_install)))
}

fn start(view: &View, plan: &mut Plan, installation: Installation, os_user: String) -> Result<()> {
    let (port, note) = ports::choose(&view.port)?;
    plan.notes.extend(note);
    let socket_directory = socket_place(view, port, &mut plan.notes);
    plan.steps.push(Step::Start { installation, data_directory: data_directory(&view.root), os_user, port, socket_directory });
    Ok(())
}

/// The directory of PostgreSQL's socket: under the root, or the short one where the path would be too long.
fn socket_place(view: &View, port: u16, notes: &mut Vec<String>) -> PathBuf {
    let (directory, name) = (socket_directory(&view.root), format!(".s.PGSQL.{port}"));
    if socket_path_fits(&directory, &name) {
        return directory;
    }
    let short = view.short_directory.clone();
    notes.push(format!("{} is too long for the path of a Unix socket: {name} goes to {}", directory.display(), short.display()));
    short
}

fn unrecognized(view: &View, reason: &str) -> Error {
    Error::new(Kind::Conflict, format!("this is no PostgreSQL cluster: {reason}"))
        .at(data_directory(&view.root).display().to_string())
        .hint("pgtend makes a cluster in one step, so something else did this: move it away, or name another directory")
        .retry(crate::error::Retry::Never)
}

fn other_owner(view: &View, owner: &str, os_user: &str) -> Error {
    Error::new(Kind::System, format!("this cluster belongs to the user {owner}, and {os_user} would run it"))
        .at(data_directory(&view.root).display().to_string())
        .hint(format!("as root, name the owner: --os-user {owner}; otherwise log in as {owner}"))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn shown(bytes: u64) -> String {
    show_bytes(bytes as f64)
}
