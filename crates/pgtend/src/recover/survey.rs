//! Looks at a data directory whose server does not start. Nothing is written.

use super::elsewhere::Found;
use pgtend_model::backup::BackupLabel;
use pgtend_model::error::{Kind, Result};
use pgtend_model::pgdata::wal::{Segment, SegmentSize};
use pgtend_model::recover::facts::{
    Control, Facts, MULTIXACTS_PER_SEGMENT, Owner, Slru, StartLabel, State, Wal, XIDS_PER_SEGMENT, slru_gaps,
};
use pgtend_model::up::Installation;
use pgtend_postgres::files::control::{self, ControlFile};
use pgtend_postgres::files::wal::Header;
use pgtend_postgres::process::machine::free_bytes;
use pgtend_postgres::process::os_user::{OsUser, user_name};
use pgtend_postgres::process::running;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Directories that PostgreSQL wants, although they may be empty.
const EMPTY_DIRECTORIES: &[&str] = &[
    "pg_wal",
    "pg_wal/archive_status",
    "pg_commit_ts",
    "pg_dynshmem",
    "pg_logical",
    "pg_logical/mappings",
    "pg_logical/snapshots",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_tblspc",
    "pg_twophase",
];
/// A file system with less than this is full.
const FULL_BYTES: u64 = 1 << 20;
/// How much of the server's log is looked at.
const LOG_BYTES: u64 = 64 << 10;
/// Lines of it that are told.
const LOG_LINES: usize = 10;

/// What is known before anything else: whose directory this is.
pub(super) struct First {
    pub control: Result<ControlFile>,
    pub size: Option<SegmentSize>,
}

/// Reads the control file, and the size of segments from it or from the WAL.
pub(super) fn first(data: &Path) -> First {
    let control = control::read(data).map(|reading| reading.control);
    let size = match &control {
        Ok(control) => Some(control.wal_segment),
        Err(_) => names(&data.join("pg_wal")).into_iter().find_map(|name| {
            let header = Header::read(&data.join("pg_wal").join(name)).ok().flatten()?;
            SegmentSize::new(header.segment_bytes)
        }),
    };
    First { control, size }
}

/// What to look at.
pub(super) struct Survey<'a> {
    pub data: &'a Path,
    pub user: &'a OsUser,
    pub installation: Option<&'a Installation>,
    pub log: Option<&'a Path>,
}

impl Survey<'_> {
    /// Everything that was seen.
    pub fn facts(&self, first: &First, found: &Found) -> Result<Facts> {
        let version = control::major(self.data).ok();
        let control = self.control(first);
        let wal = self.wal(first, found);
        let slru = match &control {
            Control::Good(state) => self.slru(state),
            _ => Vec::new(),
        };
        Ok(Facts {
            version,
            control,
            stale_pid: match running::status(self.data) {
                Ok(running::State::Stale { pid, .. }) => Some(pid),
                _ => None,
            },
            label: self
                .text("backup_label")
                .map(|text| StartLabel { start: BackupLabel::read(&text).ok().map(|label| (label.start_lsn, label.timeline)) }),
            manifest: self.has("backup_manifest"),
            has_run: self.has("postmaster.opts") || self.has("postmaster.pid"),
            signal: ["standby.signal", "recovery.signal"].into_iter().find(|name| self.has(name)).map(str::to_owned),
            unfinished_restore: self.has(crate::backup::restore::place::UNFINISHED),
            owner: self.owner()?,
            wal,
            missing_directories: EMPTY_DIRECTORIES
                .iter()
                .filter(|name| !self.data.join(name).is_dir())
                .map(|name| (*name).to_owned())
                .collect(),
            lost_tablespaces: self.tablespaces(),
            slru,
            slru_spans: ["pg_xact", "pg_multixact/offsets", "pg_multixact/members"].map(|directory| self.span(directory)),
            damaged_files: self.maps(version),
            missing_versions: self.versions(),
            configuration: self.configuration(),
            full: self.full(),
            backup: found.backup.clone(),
            log: self.log_lines(),
        })
    }

    fn has(&self, name: &str) -> bool {
        self.data.join(name).exists()
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read(self.data.join(name)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn control(&self, first: &First) -> Control {
        match &first.control {
            Ok(control) => Control::Good(Box::new(State {
                system_identifier: control.system_identifier,
                doing: control.state.to_string(),
                clean: control.state.is_clean(),
                checkpoint: control.checkpoint.lsn,
                redo: control.checkpoint.redo,
                timeline: control.checkpoint.timeline,
                next_xid: control.checkpoint.next_xid,
                oldest_xid: control.checkpoint.oldest_xid,
                next_multixact: control.checkpoint.next_multixact,
                oldest_multixact: control.checkpoint.oldest_multixact,
            })),
            Err(error) if error.kind == Kind::NotFound => Control::Missing,
            Err(error) if error.kind == Kind::Unsupported => {
                // A torn file may claim any format; one of another version says so in PG_VERSION too.
                let ours = control::major(self.data).is_ok_and(|major| (13..=18).contains(&major));
                if ours { Control::Damaged(error.what.clone()) } else { Control::Foreign(error.what.clone()) }
            }
            Err(error) => Control::Damaged(error.what.clone()),
        }
    }

    fn owner(&self) -> Result<Owner> {
        let metadata =
            fs::metadata(self.data).map_err(|error| pgtend_postgres::process::system("the directory cannot be read", self.data, &error))?;
        let found = user_name(metadata.uid());
        let mut owner = Owner { wanted: self.user.name().to_owned(), found, mode: metadata.mode() & 0o7777, ..Owner::default() };
        let mut pending = vec![self.data.to_owned()];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                if user_name(metadata.uid()) != owner.wanted {
                    owner.foreign += 1;
                    owner.first.get_or_insert_with(|| self.shown(&entry.path()));
                }
                if metadata.is_dir() {
                    pending.push(entry.path());
                }
            }
        }
        Ok(owner)
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(self.data).unwrap_or(path).display().to_string()
    }

    fn wal(&self, first: &First, found: &Found) -> Wal {
        let mut wal = Wal { size: first.size, elsewhere: found.segments.clone(), elsewhere_named: found.named.clone(), ..Wal::default() };
        let Some(size) = first.size else { return wal };
        let identity = first.control.as_ref().ok().map(|control| control.system_identifier);
        for name in names(&self.data.join("pg_wal")) {
            let Some(segment) = Segment::of_name(&name, size) else { continue };
            match judge(&self.data.join("pg_wal").join(&name), segment, size, identity) {
                Judged::Good => _ = wal.here.insert(segment),
                Judged::Recycled => {}
                Judged::Damaged(why) => {
                    wal.damaged_segments.insert(segment);
                    wal.damaged.push((name, why));
                }
            }
        }
        wal
    }

    fn slru(&self, state: &State) -> Vec<Slru> {
        let there = |directory: &str| -> Vec<(u64, u64)> {
            let path = self.data.join(directory);
            let sized = names(&path)
                .into_iter()
                .filter_map(|name| Some((u64::from_str_radix(&name, 16).ok()?, fs::metadata(path.join(&name)).ok()?.len())));
            sized.collect()
        };
        let next_xid = state.next_xid & 0xFFFF_FFFF;
        let mut gaps = slru_gaps("pg_xact", &there("pg_xact"), u64::from(state.oldest_xid), next_xid, XIDS_PER_SEGMENT, state.clean);
        let (oldest, next) = (u64::from(state.oldest_multixact), u64::from(state.next_multixact));
        let offsets = "pg_multixact/offsets";
        gaps.extend(slru_gaps(offsets, &there(offsets), oldest, next, MULTIXACTS_PER_SEGMENT, state.clean));
        gaps
    }

    /// First and last number among the files of a directory.
    fn span(&self, directory: &str) -> Option<(u64, u64)> {
        let numbers = || names(&self.data.join(directory)).into_iter().filter_map(|name| u64::from_str_radix(&name, 16).ok());
        Some((numbers().min()?, numbers().max()?))
    }

    fn tablespaces(&self) -> Vec<(String, String)> {
        let directory = self.data.join("pg_tblspc");
        let lost = names(&directory).into_iter().filter_map(|name| {
            let link = directory.join(&name);
            if link.is_dir() {
                return None;
            }
            Some((name, fs::read_link(&link).map_or_else(|_| "no link".to_owned(), |target| target.display().to_string())))
        });
        lost.collect()
    }

    /// The folders of databases, with `global`.
    fn databases(&self) -> Vec<String> {
        let base = names(&self.data.join("base")).into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        base.map(|name| format!("base/{name}")).collect()
    }

    fn maps(&self, version: Option<u32>) -> Vec<(String, String)> {
        let Some(major) = version else { return Vec::new() };
        let folders = self.databases().into_iter().chain(["global".to_owned()]);
        let faulty = folders.filter_map(|folder| {
            let path = format!("{folder}/pg_filenode.map");
            let why = match fs::read(self.data.join(&path)) {
                Ok(bytes) => map_fault(&bytes, major)?.to_owned(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => "it is missing".to_owned(),
                Err(error) => format!("it cannot be read: {error}"),
            };
            Some((path, why))
        });
        faulty.collect()
    }

    fn versions(&self) -> Vec<String> {
        self.databases().into_iter().map(|folder| format!("{folder}/PG_VERSION")).filter(|path| !self.has(path)).collect()
    }

    /// Has PostgreSQL read its configuration, and nothing else.
    fn configuration(&self) -> Vec<(String, String)> {
        let Some(installation) = self.installation.filter(|_| self.has("postgresql.conf")) else { return Vec::new() };
        let mut faults = Vec::new();
        for name in ["pg_hba.conf", "pg_ident.conf"] {
            if !self.has(name) {
                faults.push((name.to_owned(), "it is missing".to_owned()));
            }
        }
        let program = installation.bindir.join("postgres");
        let output = self.user.run(|| self.user.command(&program).args(["-C", "data_directory", "-D"]).arg(self.data).output());
        let Ok(Ok(output)) = output else { return faults };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success()
            && let pgtend_model::recover::failure::Failure::Configuration(file) = pgtend_model::recover::failure::read(&said)
        {
            let line = said.lines().find(|line| line.contains(&file)).unwrap_or_default();
            faults.push((file, line.split_once(":  ").map_or(line, |(_, text)| text).to_owned()));
        }
        faults
    }

    fn full(&self) -> Vec<(String, u64)> {
        let places: BTreeSet<PathBuf> =
            [self.data.to_owned(), self.data.join("pg_wal")].into_iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
        let mut seen = BTreeSet::new();
        let full = places.into_iter().filter_map(|path| {
            let free = free_bytes(&path).filter(|free| *free < FULL_BYTES)?;
            seen.insert(fs::metadata(&path).ok()?.dev()).then(|| (path.display().to_string(), free))
        });
        full.collect()
    }

    /// What the server complained of last: in the log that was named, or the newest one in the directory.
    fn log_lines(&self) -> Vec<String> {
        let newest = || {
            let logs = ["log", "pg_log"].iter().flat_map(|name| fs::read_dir(self.data.join(name)).into_iter().flatten().flatten());
            logs.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).max().map(|(_, path)| path)
        };
        let Some(path) = self.log.map(Path::to_owned).or_else(newest) else { return Vec::new() };
        let Ok(text) = tail(&path) else { return Vec::new() };
        let telling = |line: &&str| ["FATAL", "PANIC", "HINT", "could not"].iter().any(|word| line.contains(word));
        let lines: Vec<String> = text.lines().filter(telling).map(str::to_owned).collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].to_vec()
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

enum Judged {
    Good,
    Recycled,
    Damaged(String),
}

fn judge(path: &Path, segment: Segment, size: SegmentSize, identity: Option<u64>) -> Judged {
    let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
    if length != u64::from(size.bytes()) {
        return Judged::Damaged(format!("it has {length} bytes instead of {}", size.bytes()));
    }
    match Header::read(path) {
        Err(error) => Judged::Damaged(error.what),
        // One that was made ahead and never written is empty; one that is damaged at its very beginning looks the same to replay.
        Ok(None) if begins_empty(path) => Judged::Recycled,
        Ok(None) => Judged::Damaged("it does not begin as a WAL segment does".to_owned()),
        Ok(Some(header)) if identity.is_some_and(|identity| identity != header.system_identifier) => {
            Judged::Damaged(format!("it belongs to the cluster {}", header.system_identifier))
        }
        Ok(Some(header)) if header.address == segment.start(size) => Judged::Good,
        Ok(Some(header)) if header.address < segment.start(size) => Judged::Recycled,
        Ok(Some(header)) => Judged::Damaged(format!("it begins at {}", header.address)),
    }
}

fn begins_empty(path: &Path) -> bool {
    let mut bytes = [1; 64];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).is_ok() && bytes == [0; 64]
}

/// What is wrong with a relation map (`RelMapFile` of `relmapper.c`): 62 entries up to 15, 64 from 16 on, then CRC-32C.
fn map_fault(bytes: &[u8], major: u32) -> Option<&'static str> {
    let at = 8 + if major >= 16 { 64 } else { 62 } * 8;
    let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes);
    let Some((magic, stored)) = word(0).zip(word(at)) else { return Some("it is too short") };
    if magic != 0x0059_2717 {
        return Some("it is no relation map");
    }
    (crc32c::crc32c(&bytes[..at]) != stored).then_some("its checksum is wrong")
}
