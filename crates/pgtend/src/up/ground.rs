//! The directory that `pgtend up` works in: made, marked, and held against a second one.

use super::layout::Layout;
use super::options::Options;
use super::survey::{self, Survey};
use crate::cli::output;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::up::{Directory, Marker, Step, plan};
use pgtend_postgres::process::os_user::OsUser;
use pgtend_postgres::process::system;
use rustix::fs::{FlockOperation, flock};
use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// The directory while it is ours. The lock ends with the process, however that ends.
#[derive(Debug)]
pub struct Ground {
    /// What lies where.
    pub layout: Layout,
    /// Who runs PostgreSQL.
    pub user: OsUser,
    /// What is known of the directory.
    pub marker: Marker,
    _lock: fs::File,
}

impl Ground {
    /// Takes the directory, making and marking it where it is new. Nothing is touched when there is no plan for it.
    ///
    /// # Errors
    /// Why there is no plan; `Conflict` when another pgtend holds it; `System` when it cannot be made.
    pub fn take(options: &Options) -> Result<Self> {
        let Survey { view, user, layout, marker } = survey::survey(options)?;
        if let Some(held) = holder(&layout) {
            return Err(held);
        }
        plan(&view)?;
        let user = user?;
        if matches!(view.directory, Directory::Missing) {
            output::progress(&Step::MakeDirectory { path: layout.root().to_path_buf() });
            make(layout.root())?;
        }
        let lock = lock(&layout)?;
        let ground = Self { layout, user, marker, _lock: lock };
        if !matches!(view.directory, Directory::Ours(_)) {
            ground.mark()?;
        }
        Ok(ground)
    }

    /// Writes the marker.
    ///
    /// # Errors
    /// `System` when it cannot be written.
    pub fn mark(&self) -> Result<()> {
        let path = self.layout.marker();
        let text = serde_json::to_string_pretty(&self.marker)
            .map_err(|error| Error::new(Kind::Internal, format!("the marker cannot be written: {error}")))?;
        replace(&path, &(text + "\n"), 0o644).map_err(|error| system("could not write it", &path, &error))
    }
}

/// Makes the directory and its parents; root's can be entered by others, since PostgreSQL runs as another user.
fn make(root: &Path) -> Result<()> {
    let mode = if rustix::process::geteuid().is_root() { 0o755 } else { 0o700 };
    let missing: Vec<&Path> = root.ancestors().take_while(|directory| !directory.exists()).collect();
    for directory in missing.into_iter().rev() {
        let made = fs::create_dir(directory).and_then(|()| fs::set_permissions(directory, fs::Permissions::from_mode(mode)));
        match made {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(system("could not make the directory", directory, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The error that says who holds the directory, if somebody does.
fn holder(layout: &Layout) -> Option<Error> {
    let file = fs::File::open(layout.lock()).ok()?;
    let held = flock(&file, FlockOperation::NonBlockingLockShared).err()?;
    (held == rustix::io::Errno::WOULDBLOCK).then(|| held_by(file, layout))
}

fn lock(layout: &Layout) -> Result<fs::File> {
    let path = layout.lock();
    let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let opened = fs::File::options().read(true).write(true).create(true).truncate(false).mode(0o644).custom_flags(no_link).open(&path);
    let mut file = opened.map_err(|error| system("could not open the lock", &path, &error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(held_by(file, layout)),
        Err(errno) => return Err(system("could not take the lock", &path, &errno.into())),
    }
    let text = format!("process {} since {}\n", std::process::id(), jiff::Timestamp::now().strftime("%F %T UTC"));
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
    written.map_err(|error| system("could not write the lock", &path, &error))?;
    Ok(file)
}

fn held_by(mut file: fs::File, layout: &Layout) -> Error {
    let mut holder = String::new();
    let who = match file.read_to_string(&mut holder) {
        Ok(_) if !holder.trim().is_empty() => holder.trim(),
        _ => "somebody else",
    };
    Error::new(Kind::Conflict, format!("another pgtend looks after this directory: {who}"))
        .at(layout.root().display().to_string())
        .hint("stop that one first, or name another directory")
}

/// Writes a file beside its place and renames it, so that there is always a whole one.
pub fn replace(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::File::options().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}
