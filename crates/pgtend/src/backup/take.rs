//! Taking a backup, from the lock to the head.

use super::copy::{Copied, Copy, PageFormat};
use super::progress::{Phase, Progress};
use super::standby;
use super::wal_needed::Needed;
use crate::backup::nice::nicely;
use crate::blocking::blocking;
use jiff::Timestamp;
use pgtend_model::backup::{BackupHead, BackupKind, BackupLabel, Checksums, Extent, FileEntry, FileType, Tablespace};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::Lsn;
use pgtend_model::pgdata::wal::Segment;
use pgtend_postgres::backup::{BackupSession, Facts, Stopped};
use pgtend_postgres::connect::Target;
use pgtend_postgres::files::{control, walk};
use pgtend_store::repo::Repository;
use pgtend_store::repo::backups::Identity;
use pgtend_store::repo::lock::Lock;
use pgtend_store::repo::wal::WalOwner;
use pgtend_store::repo::write::{Options, Writing};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How a backup is taken.
#[derive(Debug, Clone)]
pub struct How {
    /// Nice value of the threads that copy, 0 to 19.
    pub nice: u8,
    /// Threads that read, compress and encrypt.
    pub workers: usize,
    /// How extents are written.
    pub options: Options,
    /// How long WAL is waited for.
    pub wal_timeout: Duration,
    /// Whether the checkpoint at the start is made at once.
    pub fast_checkpoint: bool,
    /// Whether every file is read, also those that were not written since the last backup.
    pub read_all: bool,
    /// What pgtend calls itself at the server.
    pub application_name: String,
}

/// A backup to be taken.
#[derive(Debug, Clone)]
pub struct Take {
    /// Name of the server in the configuration.
    pub server: String,
    /// How to reach it.
    pub target: Target,
    /// Where it goes.
    pub repository: Repository,
    /// Others that may be its primary, where it is a standby.
    pub peers: Vec<Target>,
    /// How.
    pub how: How,
}

/// What is known before files are copied.
struct Ground {
    data: PathBuf,
    control: control::ControlFile,
    owner: WalOwner,
    major: u32,
}

/// What the copying threads came back with.
struct Outcome {
    copied: Copied,
    listing: walk::Listing,
    stored_bytes: u64,
}

impl Take {
    /// Takes the backup; gives its head.
    ///
    /// # Errors
    /// Whatever stands in the way. Nothing is published then, and what was copied is found again by the next backup.
    pub async fn run(self, progress: &Progress) -> Result<BackupHead> {
        let started = Timestamp::now();
        let session = BackupSession::open(&self.target, Duration::from_secs(10), &self.how.application_name).await?;
        let outcome = Box::pin(self.in_session(&session, started, progress)).await;
        session.close().await;
        outcome
    }

    async fn in_session(&self, session: &BackupSession, started: Timestamp, progress: &Progress) -> Result<BackupHead> {
        let facts = session.facts().clone();
        let ground = Arc::new(ground(&self.server, &facts)?);
        let (lock, before) = self.blocking(move |take| take.prepare(&facts, started)).await?;
        let facts = session.facts();
        if !facts.archives() && !facts.in_recovery {
            session.keep_wal(&format!("pgtend_backup_{}", std::process::id())).await?;
        }
        let label = self.blocking(move |take| take.repository.free_label(&take.server, started)).await?;
        let start = session.start(&format!("pgtend {label}"), self.how.fast_checkpoint).await?;
        if facts.in_recovery {
            let at = Segment::holding(ground.control.checkpoint.timeline, start, ground.control.wal_segment);
            let ground = Arc::clone(&ground);
            self.blocking(move |take| standby::wal_is_there(&take.repository, &ground.owner, at, ground.control.wal_segment)).await?;
        }
        progress.enter(Phase::Copying);
        let outcome = tokio::select! {
            outcome = self.copy(&ground, before, start, progress) => outcome?,
            error = session.closed() => {
                progress.cancel();
                return Err(error.hint("the server ends a backup when its session is lost: take it again, what was copied is kept"));
            }
        };
        session.check_unchanged().await?;
        // On a standby it says up to where the files have been written to, and so must be read after them and before the backup's end is fixed.
        let data = ground.data.clone();
        let control = self.blocking(move |_| control::read(&data)).await?;
        let stopped = session.stop().await?;
        progress.enter(Phase::WaitingForWal);
        let start = BackupLabel::read(&stopped.backup_label)?;
        if facts.in_recovery {
            standby::kept_its_timeline(&control.control, &start)?;
        }
        let size = ground.control.wal_segment;
        let needed = Needed::of(ground.owner.clone(), start.timeline, start.start_lsn, stopped.stop_lsn, size);
        if facts.in_recovery {
            standby::finish_segment(&self.peers, facts, &self.how.application_name).await;
        }
        self.wal(session, &ground, needed.clone(), progress).await?;
        progress.enter(Phase::Publishing);
        let (files, summary) = self.with_special_files(&ground, outcome.listing, outcome.copied, control.bytes, &stopped).await?;
        let head = BackupHead {
            system_identifier: ground.owner.system_identifier.clone(),
            postgresql_version: facts.version,
            finished: Timestamp::now(),
            start_lsn: start.start_lsn,
            stop_lsn: stopped.stop_lsn,
            timeline: start.timeline,
            start_wal: start.start_wal,
            stop_wal: needed.last().to_owned(),
            wal_segment_bytes: u64::from(size.bytes()),
            from_standby: facts.in_recovery,
            checksums: summary.checksums,
            tablespaces: summary.tablespaces,
            bytes: summary.bytes,
            new_bytes: summary.new_bytes,
            stored_bytes: outcome.stored_bytes + summary.stored_bytes,
            files: summary.files,
            notes: [summary.notes, self.repository.storage().notes(), unarchived(facts)].concat(),
            ..BackupHead::begun(BackupKind::Physical, &self.server, label, started)
        };
        let published = head.clone();
        self.blocking(move |take| {
            lock.check()?;
            take.repository.publish(&published, &files)
        })
        .await?;
        Ok(head)
    }

    /// The lock, and what an earlier backup has.
    fn prepare(&self, facts: &Facts, now: Timestamp) -> Result<(Lock, Before)> {
        let identity =
            Identity { system_identifier: facts.system_identifier.to_string(), postgresql_version: facts.version, first_seen: now };
        if facts.in_recovery {
            standby::is_filed_with_its_primary(&self.repository, &self.server, facts)?;
        }
        self.repository.claim_server(&self.server, &identity)?;
        let lock = self.repository.lock(&format!("backup-{}", self.server), &format!("backup of {}", self.server), now)?;
        let (heads, damaged) = self.repository.backups(&self.server)?;
        for error in damaged {
            tracing::error!(error = error.what, place = error.place, "a backup cannot be read");
        }
        let last =
            heads.into_iter().rev().find(|head| head.kind == BackupKind::Physical && head.system_identifier == identity.system_identifier);
        let files = last.as_ref().map(|head| self.repository.files(&self.server, head.label)).transpose();
        let files = files.unwrap_or_else(|error| {
            tracing::error!(
                error = error.what,
                place = error.place,
                "the last backup's list of files cannot be read: every file is read anew"
            );
            None
        });
        let started_ns = last.filter(|_| !self.how.read_all).map_or(0, |head| i64::try_from(head.started.as_nanosecond()).unwrap_or(0));
        Ok((lock, Before { files: files.unwrap_or_default(), started_ns }))
    }

    async fn copy(&self, ground: &Arc<Ground>, before: Before, begun: Lsn, progress: &Progress) -> Result<Outcome> {
        let (ground, progress) = (Arc::clone(ground), progress.clone());
        self.blocking(move |take| {
            let listing = walk::list(&ground.data, &ground.control.version_folder(ground.major))?;
            if let Some((path, why)) = listing.unreadable.first() {
                return Err(Error::new(Kind::System, format!("a part of the data directory cannot be read: {why}"))
                    .at(ground.data.join(path).display().to_string())
                    .hint("a backup without it would not be one: pgtend must run as root or as the owner, and every tablespace must be mounted"));
            }
            let copy = Copy {
                data: &ground.data,
                files: entries(&listing)?,
                before: before.files.iter().map(|file| (file.path.as_str(), file)).collect(),
                before_started_ns: before.started_ns,
                pages: ground.control.has_checksums().then_some(PageFormat {
                    page_bytes: ground.control.block_bytes as usize,
                    file_blocks: ground.control.relation_segment_blocks,
                    begun,
                }),
            };
            let writing = take.repository.write(take.how.options, &take.repository.condemned()?)?;
            let copied = nicely(take.how.nice, || copy.run(&writing, take.how.workers, &progress))?;
            let stored_bytes = writing.finish()?;
            Ok(Outcome { copied, listing, stored_bytes })
        })
        .await
    }

    async fn wal(&self, session: &BackupSession, ground: &Arc<Ground>, needed: Needed, progress: &Progress) -> Result<()> {
        let facts = session.facts();
        let (archives, in_recovery) = (facts.archives(), facts.in_recovery);
        let failing = if archives { session.archiver_failure().await? } else { None };
        let (ground, progress) = (Arc::clone(ground), progress.clone());
        self.blocking(move |take| {
            if !archives && !in_recovery {
                return needed.bring(&take.repository, &ground.data, take.how.options.level);
            }
            let why = || match (&failing, in_recovery) {
                (Some(segment), _) => format!("archive_command fails for {segment}: see the server's log and `pgtend wal status`"),
                (None, true) => standby::LATE.to_owned(),
                (None, false) => "does archive_command call `pgtend wal push`? see `pgtend wal status`".to_owned(),
            };
            needed.wait(&take.repository, take.how.wal_timeout, &progress, why)?;
            // A standby's files of WAL are written by what streams, and may differ beyond what counts.
            if in_recovery { Ok(()) } else { needed.is_own(&take.repository, &ground.data) }
        })
        .await
    }

    /// `pg_control`, read after all others, and what `pg_backup_stop` gave; and the head as far as the files tell it.
    async fn with_special_files(
        &self,
        ground: &Arc<Ground>,
        listing: walk::Listing,
        copied: Copied,
        control: Vec<u8>,
        stopped: &Stopped,
    ) -> Result<(Vec<FileEntry>, Summary)> {
        let ground = Arc::clone(ground);
        let stopped = stopped.clone();
        self.blocking(move |take| {
            let writing = take.repository.write(take.how.options, &take.repository.condemned()?)?;
            let mut special = vec![(control::PATH, control), ("backup_label", stopped.backup_label.into_bytes())];
            if !stopped.tablespace_map.is_empty() {
                special.push(("tablespace_map", stopped.tablespace_map.into_bytes()));
            }
            let mut files = copied.files;
            files.retain(|file| file.path != control::PATH);
            let mut new_bytes = copied.new_bytes;
            files.extend(special_entries(&writing, &special, &mut new_bytes)?);
            let stored_bytes = writing.finish()?;
            let bytes = files.iter().map(|file| file.bytes).sum();
            let count = files.len() as u64;
            files.extend(directories(&listing)?);
            files.sort_by(|a, b| a.path.cmp(&b.path));
            let pages = copied.pages.conclude(stopped.stop_lsn);
            let checksums = Checksums {
                enabled: ground.control.has_checksums(),
                checked_pages: pages.checked,
                wrong: pages.named,
                wrong_pages: pages.wrong,
            };
            let (tablespaces, notes) = (tablespaces(&listing), notes(&listing));
            Ok((files, Summary { bytes, new_bytes, stored_bytes, files: count, checksums, tablespaces, notes }))
        })
        .await
    }

    /// Runs what blocks on a thread of its own.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> Result<T> + Send + 'static) -> Result<T> {
        let take = self.clone();
        blocking(move || work(&take)).await
    }
}

/// What an earlier backup has.
struct Before {
    files: Vec<FileEntry>,
    started_ns: i64,
}

/// What the head says of the files.
struct Summary {
    bytes: u64,
    new_bytes: u64,
    stored_bytes: u64,
    files: u64,
    checksums: Checksums,
    tablespaces: Vec<Tablespace>,
    notes: Vec<String>,
}

/// The server must run here: its control file is the one that it tells of.
fn ground(server: &str, facts: &Facts) -> Result<Ground> {
    let data = facts.data_directory.clone();
    let reading = control::read(&data).map_err(|error| {
        error.hint("a backup reads the server's files: pgtend must run on its host, as root or as the user that owns them")
    })?;
    if reading.control.system_identifier != facts.system_identifier {
        return Err(Error::new(Kind::Conflict, "the data directory here is not the one of the server that answers")
            .at(data.display().to_string())
            .hint("the connection leads to another host: back the server up where it runs"));
    }
    let owner = WalOwner { server: server.to_owned(), system_identifier: facts.system_identifier.to_string() };
    Ok(Ground { data, control: reading.control, owner, major: facts.major() })
}

fn entries(listing: &walk::Listing) -> Result<Vec<FileEntry>> {
    listing
        .files
        .iter()
        .map(|file| {
            Ok(FileEntry {
                bytes: file.size_bytes,
                modified_ns: nanoseconds(file.modified_ns),
                changed_ns: nanoseconds(file.changed_ns),
                inode: file.inode,
                ..entry(&file.path, FileType::File, file.mode)?
            })
        })
        .collect()
}

fn directories(listing: &walk::Listing) -> Result<Vec<FileEntry>> {
    let links = listing.tablespaces.iter().filter_map(|tablespace| {
        let target = tablespace.location.as_ref()?;
        let link = entry(Path::new(&format!("pg_tblspc/{}", tablespace.oid)), FileType::Link, 0o777);
        Some(link.map(|link| FileEntry { target: target.display().to_string(), ..link }))
    });
    let directories = listing.directories.iter().map(|directory| entry(&directory.path, FileType::Directory, directory.mode));
    directories.chain(links).collect()
}

fn entry(path: &Path, file_type: FileType, mode: u32) -> Result<FileEntry> {
    let path = path.to_str().ok_or_else(|| {
        Error::new(Kind::Unsupported, "a file's name in the data directory is not UTF-8")
            .at(path.display().to_string())
            .hint("PostgreSQL makes no such files: move it elsewhere")
    })?;
    Ok(FileEntry { path: path.to_owned(), file_type, mode, ..FileEntry::default() })
}

/// Files that are made of what is in memory.
fn special_entries(writing: &Writing, special: &[(&str, Vec<u8>)], new_bytes: &mut u64) -> Result<Vec<FileEntry>> {
    let mut writer = writing.writer()?;
    let mut entries = Vec::new();
    for (path, content) in special {
        let stored = writer.add(content, None)?;
        if stored.new_bytes.is_some() {
            *new_bytes += content.len() as u64;
        }
        let crc32c = crc32c::crc32c(content);
        let extents = vec![Extent { id: stored.id, crc32c }];
        entries.push(FileEntry { bytes: content.len() as u64, crc32c, extents, ..entry(Path::new(path), FileType::File, 0o600)? });
    }
    writer.finish()?;
    Ok(entries)
}

fn tablespaces(listing: &walk::Listing) -> Vec<Tablespace> {
    let named = listing.tablespaces.iter().filter_map(|tablespace| {
        let path = tablespace.location.as_ref()?.display().to_string();
        Some(Tablespace { oid: tablespace.oid, path })
    });
    named.collect()
}

/// A backup that had to bring its own WAL ends where that does.
fn unarchived(facts: &Facts) -> Vec<String> {
    if facts.archives() || facts.in_recovery {
        return Vec::new();
    }
    vec![BackupHead::UNARCHIVED.to_owned()]
}

/// What somebody who restores should know.
fn notes(listing: &walk::Listing) -> Vec<String> {
    let has = |name: &str| listing.files.iter().any(|file| file.path == Path::new(name));
    let missing: Vec<&str> = ["postgresql.conf", "pg_hba.conf", "pg_ident.conf"].into_iter().filter(|name| !has(name)).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    vec![format!("not in the data directory, and so not in this backup: {}", missing.join(", "))]
}

fn nanoseconds(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(0)
}
