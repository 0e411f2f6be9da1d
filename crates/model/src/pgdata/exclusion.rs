//! What a copy of a data directory leaves out, and why.
//!
//! The rules are those of PostgreSQL's own base backup (`excludeDirContents`, `excludeFiles` and `sendDir` in `basebackup.c`, with the
//! documentation's "Backing Up The Data Directory"), and the signal files, which say what the server that is copied shall do, not the
//! copy. Tablespaces are reached through `pg_tblspc/OID`, whose links are kept.

use super::relation::{Fork, RelationFile, is_version_folder};

/// What is found at a path, without following a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A socket, a pipe, a device.
    Special,
}

/// Why something is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// WAL reaches the repository by another way, and recovery must not find any that the copy happened to meet.
    Wal,
    /// Replication slots belong to the server that was copied: on a copy they would hold back WAL for nobody.
    ReplicationSlots,
    /// PostgreSQL empties it when it starts.
    EmptiedAtStart,
    /// A temporary file of a query.
    TemporaryFile,
    /// A temporary relation: its session ends with the server.
    TemporaryRelation,
    /// An unlogged relation: recovery resets it from its init fork, which is kept.
    UnloggedRelation,
    /// A cache that PostgreSQL rebuilds.
    RelationCache,
    /// It says which process runs the server that was copied.
    RunningServer,
    /// It says what the server that was copied shall do when it starts.
    SignalFile,
    /// It was left by an earlier backup; the copy gets its own.
    EarlierBackup,
    /// It was being written when its writer died.
    UnfinishedFile,
    /// A file that is no file: socket, pipe, device. PostgreSQL uses none here.
    SpecialFile,
    /// A link that PostgreSQL knows nothing of: what it points to belongs to somebody else.
    ForeignLink,
    /// The file system keeps it for itself.
    LostAndFound,
    /// A tablespace that lies inside the data directory; it is copied through its link.
    TablespaceInside,
}

impl Reason {
    /// The reason as a person reads it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Wal => "WAL is kept by itself",
            Self::ReplicationSlots => "replication slots belong to the server that is copied",
            Self::EmptiedAtStart => "PostgreSQL empties it when it starts",
            Self::TemporaryFile => "a temporary file of a query",
            Self::TemporaryRelation => "a temporary relation",
            Self::UnloggedRelation => "an unlogged relation, which recovery resets to empty",
            Self::RelationCache => "a cache that PostgreSQL rebuilds",
            Self::RunningServer => "it says which process runs the server that is copied",
            Self::SignalFile => "it says what the server that is copied shall do when it starts",
            Self::EarlierBackup => "it was left by an earlier backup",
            Self::UnfinishedFile => "its writer did not finish it",
            Self::SpecialFile => "it is a socket, a pipe or a device",
            Self::ForeignLink => "a link that PostgreSQL knows nothing of",
            Self::LostAndFound => "the file system keeps it for itself",
            Self::TablespaceInside => "a tablespace, which is copied through its link",
        }
    }
}

/// What a copy does with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is copied; a directory with what is in it.
    Keep,
    /// The directory is made anew, empty but for [`made_anew`].
    KeepEmpty(Reason),
    /// A tablespace: the link is kept, and what it points to is copied. Where it is a directory (15 and later,
    /// `allow_in_place_tablespaces`), it is copied as one.
    Tablespace,
    /// It is not copied.
    LeaveOut(Reason),
}

/// Directories whose contents stay behind (`excludeDirContents`), and why.
const EMPTIED: &[(&str, Reason)] = &[
    ("pg_wal", Reason::Wal),
    ("pg_replslot", Reason::ReplicationSlots),
    ("pg_dynshmem", Reason::EmptiedAtStart),
    ("pg_notify", Reason::EmptiedAtStart),
    ("pg_serial", Reason::EmptiedAtStart),
    ("pg_snapshots", Reason::EmptiedAtStart),
    ("pg_stat_tmp", Reason::EmptiedAtStart),
    ("pg_subtrans", Reason::EmptiedAtStart),
];

/// Files that stay behind wherever they are (`excludeFiles`), and why.
const NAMED: &[(&str, Reason)] = &[
    ("postmaster.pid", Reason::RunningServer),
    ("postmaster.opts", Reason::RunningServer),
    ("postgresql.auto.conf.tmp", Reason::UnfinishedFile),
    ("current_logfiles.tmp", Reason::UnfinishedFile),
    ("backup_label", Reason::EarlierBackup),
    ("tablespace_map", Reason::EarlierBackup),
    ("backup_manifest", Reason::EarlierBackup),
];

/// Files that stay behind in the data directory itself.
const AT_THE_TOP: &[(&str, Reason)] = &[
    ("recovery.signal", Reason::SignalFile),
    ("standby.signal", Reason::SignalFile),
    ("backup_label.old", Reason::EarlierBackup),
    ("tablespace_map.old", Reason::EarlierBackup),
];

/// Judges one thing by its path, relative to the data directory with `/` between.
///
/// `is_unlogged` says whether a relation of the same folder has an init fork: a file `<relfilenode>_init`.
pub fn judge(path: &str, found: Found, is_unlogged: impl Fn(u32) -> bool) -> Verdict {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    if let Some(verdict) = by_place(path, found) {
        return verdict;
    }
    let leave = match found {
        Found::Special => Some(Reason::SpecialFile),
        Found::Link => Some(Reason::ForeignLink),
        Found::Directory | Found::File if name.starts_with("pgsql_tmp") => Some(Reason::TemporaryFile),
        Found::Directory => (name == "lost+found").then_some(Reason::LostAndFound),
        Found::File => by_name(path, name).or_else(|| by_relation(path, is_unlogged)),
    };
    leave.map_or(Verdict::Keep, Verdict::LeaveOut)
}

/// What is judged by where it is: the directories to empty, which may be links to elsewhere, and the tablespaces.
fn by_place(path: &str, found: Found) -> Option<Verdict> {
    if matches!(found, Found::Directory | Found::Link)
        && let Some((_, reason)) = EMPTIED.iter().find(|(emptied, _)| *emptied == path)
    {
        return Some(Verdict::KeepEmpty(*reason));
    }
    let (folder, name) = path.split_once('/')?;
    let is_tablespace = folder == "pg_tblspc" && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    (is_tablespace && matches!(found, Found::Directory | Found::Link)).then_some(Verdict::Tablespace)
}

fn by_name(path: &str, name: &str) -> Option<Reason> {
    if name.starts_with("pg_internal.init") {
        return Some(Reason::RelationCache);
    }
    let lists = [(NAMED, name), (AT_THE_TOP, path)];
    lists.iter().find_map(|(list, wanted)| list.iter().find(|(name, _)| name == wanted)).map(|(_, reason)| *reason)
}

fn by_relation(path: &str, is_unlogged: impl Fn(u32) -> bool) -> Option<Reason> {
    let file = RelationFile::of_path(path)?;
    if file.temporary_of.is_some() {
        return Some(Reason::TemporaryRelation);
    }
    let reset = file.locator.fork != Fork::Init && is_unlogged(file.locator.relfilenode);
    reset.then_some(Reason::UnloggedRelation)
}

/// Directories, in this order, that are made empty in the copy besides those that are kept or kept empty: PostgreSQL of this major
/// version does not start without them, or makes them itself only with the right owner.
pub fn made_anew(major: u32) -> &'static [&'static str] {
    if major >= 17 { &["pg_wal/archive_status", "pg_wal/summaries"] } else { &["pg_wal/archive_status"] }
}

/// Whether a folder of a tablespace is another version's, which an upgrade left there: `current` is this version's.
pub fn is_of_another_version(name: &str, current: &str) -> bool {
    is_version_folder(name) && name != current
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(path: &str, found: Found) -> Verdict {
        judge(path, found, |relfilenode| relfilenode == 16500)
    }

    #[test]
    fn a_copy_leaves_out_what_belongs_to_the_running_server() {
        let cases = [
            ("postmaster.pid", Reason::RunningServer),
            ("postmaster.opts", Reason::RunningServer),
            ("recovery.signal", Reason::SignalFile),
            ("standby.signal", Reason::SignalFile),
            ("backup_label", Reason::EarlierBackup),
            ("backup_label.old", Reason::EarlierBackup),
            ("backup_manifest", Reason::EarlierBackup),
            ("postgresql.auto.conf.tmp", Reason::UnfinishedFile),
            ("base/5/pg_internal.init", Reason::RelationCache),
            ("global/pg_internal.init.4711", Reason::RelationCache),
            ("base/pgsql_tmp/pgsql_tmp4711.0", Reason::TemporaryFile),
            ("base/5/t3_16400", Reason::TemporaryRelation),
            ("base/5/t3_16400_fsm.1", Reason::TemporaryRelation),
            ("base/5/16500", Reason::UnloggedRelation),
            ("base/5/16500.3", Reason::UnloggedRelation),
            ("base/5/16500_fsm", Reason::UnloggedRelation),
            ("pg_tblspc/16390/PG_15_202209061/5/16500_vm", Reason::UnloggedRelation),
        ];
        for (path, reason) in cases {
            assert_eq!(judged(path, Found::File), Verdict::LeaveOut(reason), "{path}");
        }
        assert_eq!(judged("base/pgsql_tmp", Found::Directory), Verdict::LeaveOut(Reason::TemporaryFile));
    }

    #[test]
    fn what_only_looks_alike_is_kept() {
        for path in [
            "base/5/16500_init",
            "base/5/16501",
            "global/pg_control",
            "base/5/pg_filenode.map",
            "base/5/PG_VERSION",
            "postgresql.auto.conf",
            "conf.d/standby.signal",
            "t3_16400",
            "log/postmaster.log",
            "pg_xact/0000",
            "current_logfiles",
        ] {
            assert_eq!(judged(path, Found::File), Verdict::Keep, "{path}");
        }
        for path in ["base", "base/5", "pg_tblspc", "pg_stat", "pg_logical/snapshots", "log", "base/pg_wal"] {
            assert_eq!(judged(path, Found::Directory), Verdict::Keep, "{path}");
        }
    }

    #[test]
    fn directories_are_emptied_even_where_they_are_links() {
        for found in [Found::Directory, Found::Link] {
            assert_eq!(judged("pg_wal", found), Verdict::KeepEmpty(Reason::Wal));
            assert_eq!(judged("pg_replslot", found), Verdict::KeepEmpty(Reason::ReplicationSlots));
            assert_eq!(judged("pg_subtrans", found), Verdict::KeepEmpty(Reason::EmptiedAtStart));
            assert_eq!(judged("pg_tblspc/16390", found), Verdict::Tablespace);
        }
    }

    #[test]
    fn links_and_special_files_are_not_followed() {
        assert_eq!(judged("postgresql.conf", Found::Link), Verdict::LeaveOut(Reason::ForeignLink));
        assert_eq!(judged("pg_tblspc/readme", Found::Link), Verdict::LeaveOut(Reason::ForeignLink));
        assert_eq!(judged(".s.PGSQL.5432", Found::Special), Verdict::LeaveOut(Reason::SpecialFile));
        assert_eq!(judged("lost+found", Found::Directory), Verdict::LeaveOut(Reason::LostAndFound));
    }
}
