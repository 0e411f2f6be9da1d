//! The operating-system user that PostgreSQL runs as. PostgreSQL refuses root, so root hands over to `postgres`.
//!
//! Files are made and programs are started on a thread that has taken on the user's identity (on Linux each thread has its own),
//! so that ownership and permissions come out as if the user had done it, supplementary groups included.

use pgtend_model::error::{Error, Kind, Result};
use rustix::fs::{Access, access};
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::ffi::CString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who runs PostgreSQL when pgtend runs as root and `--os-user` names nobody.
pub const DEFAULT_FOR_ROOT: &str = "postgres";

/// A user of the operating system who is not root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsUser {
    name: String,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    home: PathBuf,
}

/// A directory that keeps a user from what lies below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The directory.
    pub directory: PathBuf,
    /// Its permissions, as in `0700`.
    pub mode: String,
    /// Who owns it.
    pub owner: String,
}

impl OsUser {
    /// The user that PostgreSQL shall run as: for root the one asked for or `postgres`, for everybody else themselves.
    ///
    /// # Errors
    /// `NotFound` when there is no such user, `Usage` when root was asked for, or another user by somebody who is not root.
    pub fn choose(asked: Option<&str>) -> Result<Self> {
        let own = geteuid();
        if own.is_root() {
            return Self::for_root(asked.unwrap_or(DEFAULT_FOR_ROOT));
        }
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
        let current = user.map_or_else(|| Self::nameless(own), Self::of);
        match asked {
            Some(asked) if asked != current.name => {
                Err(Error::new(Kind::Usage, format!("only root can run PostgreSQL as {asked}; this is {}", current.name))
                    .hint("leave --os-user out to run it as yourself, or start pgtend as root"))
            }
            _ => Ok(current),
        }
    }

    fn for_root(name: &str) -> Result<Self> {
        let found = nix::unistd::User::from_name(name);
        let found = found.map_err(|errno| Error::new(Kind::System, format!("could not look up the user {name}: {errno}")))?;
        let Some(user) = found else {
            let hint = format!(
                "create it with `useradd --system --user-group --create-home --home-dir /var/lib/{name} {name}`, or name another one with --os-user"
            );
            return Err(Error::new(
                Kind::NotFound,
                format!("there is no user {name} to run PostgreSQL as, and PostgreSQL refuses to run as root"),
            )
            .hint(hint));
        };
        if user.uid.is_root() {
            return Err(
                Error::new(Kind::Usage, "PostgreSQL refuses to run as root").hint("name another user with --os-user, for example postgres")
            );
        }
        Ok(Self::of(user))
    }

    fn of(user: nix::unistd::User) -> Self {
        let (uid, gid) = (Uid::from_raw(user.uid.as_raw()), Gid::from_raw(user.gid.as_raw()));
        let groups = CString::new(user.name.as_str()).ok().and_then(|name| nix::unistd::getgrouplist(&name, user.gid).ok());
        let groups = groups.unwrap_or_else(|| vec![user.gid]).into_iter().map(|group| Gid::from_raw(group.as_raw())).collect();
        Self { name: user.name, uid, gid, groups, home: user.dir }
    }

    /// Containers run programs under numbers that no user database knows.
    fn nameless(uid: Uid) -> Self {
        let gid = rustix::process::getegid();
        Self { name: uid.as_raw().to_string(), uid, gid, groups: vec![gid], home: PathBuf::from("/") }
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes this user and its group the owner of a file or directory. Nothing to do when that is who we are.
    ///
    /// # Errors
    /// `System` when the owner cannot be changed.
    pub fn own(&self, path: &Path) -> Result<()> {
        if !self.is_other() {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
            .map_err(|error| super::system(format!("could not give it to the user {}", self.name), path, &error))
    }

    /// Does some work as this user; what it starts and what files it makes are the user's. The identity is the thread's alone and ends with it.
    ///
    /// # Errors
    /// `System` when the identity cannot be taken on.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        if !self.is_other() {
            return Ok(work());
        }
        let task = || {
            set_thread_groups(&self.groups)?;
            set_thread_res_gid(self.gid, self.gid, self.gid)?;
            set_thread_res_uid(self.uid, self.uid, self.uid)?;
            Ok(work())
        };
        let ended = std::thread::scope(|scope| scope.spawn(task).join());
        let result: std::io::Result<T> = ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        result.map_err(|error| Error::new(Kind::System, format!("could not act as the user {}: {error}", self.name)))
    }

    /// A command whose environment is this user's: no `PG*` variable of the caller's, English messages, and a working directory
    /// that everybody can enter. Start it inside [`OsUser::run`].
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") || name.as_encoded_bytes().starts_with(b"LC_") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").env("HOME", &self.home).env("USER", &self.name).env("LOGNAME", &self.name).current_dir("/");
        command
    }

    /// The outermost directory on the way to `path` that this user cannot enter; parts that do not exist yet block nobody.
    ///
    /// # Errors
    /// As [`OsUser::run`].
    pub fn blocked_on_the_way_to(&self, path: &Path) -> Result<Option<Blocked>> {
        let mut way: Vec<&Path> = path.ancestors().skip(1).collect();
        way.reverse();
        let refused = |directory: &&Path| access(*directory, Access::EXEC_OK).is_err_and(|errno| errno == rustix::io::Errno::ACCESS);
        let blocking = self.run(|| way.into_iter().find(refused).map(Path::to_path_buf))?;
        Ok(blocking.map(Blocked::describe))
    }

    /// Whether acting as this user means leaving our own identity.
    fn is_other(&self) -> bool {
        self.uid != geteuid()
    }
}

impl Blocked {
    fn describe(directory: PathBuf) -> Self {
        let metadata = std::fs::metadata(&directory).ok();
        let mode = metadata.as_ref().map_or_else(|| "unknown".into(), |found| format!("{:04o}", found.mode() & 0o7777));
        let owner = metadata.map_or_else(|| "unknown".into(), |found| user_name(found.uid()));
        Self { directory, mode, owner }
    }

    /// The error for `user`, who was to reach `wanted`.
    pub fn error(&self, user: &OsUser, wanted: &Path) -> Error {
        let directory = self.directory.display();
        Error::new(Kind::System, format!("the user {} cannot reach {}: {directory} is closed to it (mode {}, owner {})", user.name, wanted.display(), self.mode, self.owner))
            .hint(format!("choose a place that {} can enter, for example /var/lib/pgtend, or open {directory} with `chmod o+x`, or name its owner with --os-user", user.name))
    }
}

/// The name of a user, or its number where it has none.
pub fn user_name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn root_is_refused_and_a_missing_user_is_named_with_the_command_that_makes_it() {
        if !geteuid().is_root() {
            let error = OsUser::choose(Some("somebody-else")).unwrap_err();
            assert_eq!(error.kind, Kind::Usage);
            return;
        }
        assert_eq!(OsUser::choose(Some("root")).unwrap_err().kind, Kind::Usage);
        let missing = OsUser::choose(Some("no-such-user")).unwrap_err();
        assert_eq!(missing.kind, Kind::NotFound);
        assert!(missing.hint.contains("useradd") && missing.hint.ends_with("name another one with --os-user"), "{missing}");
    }

    #[test]
    fn what_the_user_makes_is_the_users() {
        let user = OsUser::choose(None).unwrap();
        let directory = tempfile::tempdir().unwrap();
        user.own(directory.path()).unwrap();
        let file = directory.path().join("file");
        let script = "id -u; id -G; touch \"$0\"; pwd";
        let output = user.run(|| user.command(Path::new("/bin/sh")).args(["-c", script]).arg(&file).output()).unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = said.lines();
        assert_eq!(lines.next(), Some(user.uid.as_raw().to_string().as_str()), "{said}");
        let mut groups: Vec<u32> = lines.next().unwrap().split(' ').map(|group| group.parse().unwrap()).collect();
        let mut expected: Vec<u32> = user.groups.iter().map(|group| group.as_raw()).collect();
        groups.sort_unstable();
        expected.sort_unstable();
        if user.is_other() {
            assert_eq!(groups, expected, "the supplementary groups of the user, and none of root's");
        }
        assert_eq!(lines.next(), Some("/"));
        assert_eq!(fs::metadata(&file).unwrap().uid(), user.uid.as_raw());
        assert_eq!(geteuid(), rustix::process::getuid(), "the identity ended with its thread");
    }

    #[test]
    fn the_directory_in_the_way_is_named() {
        let user = OsUser::choose(None).unwrap();
        let outer = tempfile::tempdir().unwrap();
        user.own(outer.path()).unwrap();
        fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let closed = outer.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        let wanted = closed.join("below/data");
        let blocked = user.blocked_on_the_way_to(&wanted).unwrap().expect("the way is blocked");
        assert_eq!((blocked.directory.as_path(), blocked.mode.as_str()), (closed.as_path(), "0000"));
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(user.blocked_on_the_way_to(&wanted).unwrap(), None);
    }
}
