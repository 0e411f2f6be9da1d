//! Brings single pages back: a backup is restored beside, rolled forward to the end of the log, and the pages are taken from there.

use super::locked::Locked;
use super::page_file::PageFile;
use super::sound_backup::newest_sound;
use crate::backup::Progress;
use crate::backup::restore::known::known;
use crate::blocking::blocking;
use crate::scratch::{Planned, Request, Scratch};
use crate::verify::place::{self, Place};
use pgtend_model::backup::Label;
use pgtend_model::backup::restore_plan::{Target as Until, Timeline, Wanted};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::wal::{Segment, SegmentSize};
use pgtend_model::pgdata::{Fork, Lsn, RelationFile};
use pgtend_model::repair::page::{Allowed, Refusal, judge, shown};
use pgtend_model::repair::report::{Page, PagesRestored};
use pgtend_model::verify::ServerState;
use pgtend_postgres::connect::Target;
use pgtend_postgres::files::wal::HEADER_BYTES;
use pgtend_postgres::process::os_user::OsUser;
use pgtend_postgres::writing::{Writing, literal};
use pgtend_store::repo::Repository;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long the last segment is waited for to be archived.
const ARCHIVED: Duration = Duration::from_secs(120);

/// How often the repository is asked for it.
const POLL: Duration = Duration::from_secs(1);

/// Which relation.
#[derive(Debug, Clone)]
pub enum Which {
    /// By name with schema, in a database.
    Name {
        /// The database.
        database: String,
        /// The relation.
        relation: String,
    },
    /// By the first file of its main fork: `base/5/16384`.
    File {
        /// The file.
        path: String,
        /// The database, where it is known: then only its files are restored.
        database: Option<String>,
    },
}

/// Which pages are to be brought back, and from where.
#[derive(Debug, Clone)]
pub struct Pages {
    /// The data directory; asked of the server when it is not given.
    pub data: Option<PathBuf>,
    /// The server.
    pub target: Option<Target>,
    /// The relation.
    pub which: Which,
    /// The fork.
    pub fork: Fork,
    /// The pages.
    pub blocks: Vec<u32>,
    /// From this backup; the newest when none is named.
    pub backup: Option<Label>,
    /// The repository.
    pub repository: Repository,
    /// Name of the server in it.
    pub server: String,
    /// Whether the table may be locked while the server runs.
    pub online: bool,
    /// What was allowed.
    pub allowed: Allowed,
    /// Whether it is only told what would be done.
    pub dry_run: bool,
    /// Where damaged pages are kept; next to the data directory where it is not said.
    pub keep: Option<PathBuf>,
    /// Where the backup is restored meanwhile.
    pub scratch: PathBuf,
    /// Who runs PostgreSQL.
    pub user: OsUser,
    /// Where its programs are.
    pub bindir: Option<PathBuf>,
}

impl Pages {
    /// Does it.
    ///
    /// # Errors
    /// What stands in the way; what is refused for a single page is in the report.
    pub async fn run(&self, progress: &Progress) -> Result<PagesRestored> {
        let began = Instant::now();
        let place = place::find(&self.options()).await?;
        self.check_state(&place)?;
        let known_file = self.file_of_running(&place).await?;
        let label = self.label(&place, known_file).await?;
        let planned = self.plan(&place, label).await?;
        let mut report = PagesRestored {
            dry_run: self.dry_run,
            relation: self.named(),
            file: String::new(),
            backup: Some(planned.plan().backup.label.to_string()),
            replayed_to: None,
            pages: Vec::new(),
            notes: planned.plan().reasons.clone(),
            took_s: 0.0,
        };
        if self.dry_run {
            self.preview(&place, known_file, &mut report)?;
            return Ok(report);
        }
        let locked = self.lock(&place).await?;
        let needed = self.needed(&place, locked.as_ref()).await?;
        let mut scratch = Box::pin(planned.bring(progress)).await?;
        let relation = match known_file {
            Some(file) => file,
            None => {
                let file = self.file_in(&scratch).await?;
                // Only now it can be told which backup has these pages sound.
                let label = self.label(&place, Some(file)).await?;
                if label.is_some_and(|label| Some(label.to_string()) != report.backup) {
                    drop(scratch);
                    let planned = self.plan(&place, label).await?;
                    report.backup = label.map(|label| label.to_string());
                    report.notes.clone_from(&planned.plan().reasons);
                    scratch = Box::pin(planned.bring(progress)).await?;
                }
                file
            }
        };
        report.replayed_to.clone_from(&scratch.recovered().replayed_to);
        check_reached(&report, needed, place.control.wal_segment)?;
        scratch.stop();
        let end = match &locked {
            Some(locked) => locked.end().await?,
            None => place.control.checkpoint.lsn,
        };
        self.mend(&place, &scratch, relation, end, &mut report)?;
        if let Some(locked) = locked {
            release(locked, &mut report).await;
        }
        report.took_s = began.elapsed().as_secs_f64();
        Ok(report)
    }

    /// The backup to take: the one that was named, or the newest that has these pages sound, where that can be told.
    async fn label(&self, place: &Place, file: Option<RelationFile>) -> Result<Option<Label>> {
        let (None, Some(file)) = (self.backup, file) else { return Ok(self.backup) };
        let file = PageFile::new(&place.data, file, &place.control, place.major);
        let (repository, server, blocks) = (self.repository.clone(), self.server.clone(), self.blocks.clone());
        let identity = place.control.system_identifier.to_string();
        let own = repository.identities(&server)?;
        if !own.contains(&identity) {
            return Err(of_another(&own.join(", "), &identity, place));
        }
        blocking(move || newest_sound(&repository, &server, &identity, &file, &blocks)).await
    }

    fn options(&self) -> crate::verify::Options {
        crate::verify::Options {
            data: self.data.clone(),
            target: self.target.clone(),
            silence_allowed: false,
            depth: pgtend_model::verify::Depth::Pages,
            threads: 1,
            relations: Vec::new(),
            parents: false,
            timeout: Duration::from_secs(60),
        }
    }

    fn named(&self) -> String {
        match &self.which {
            Which::Name { database, relation } => format!("{relation} in {database}"),
            Which::File { path, .. } => path.clone(),
        }
    }

    /// While a server may write, pages are put in place only behind a lock.
    fn check_state(&self, place: &Place) -> Result<()> {
        let refuse = |what: &str, hint: &str| Err(Error::new(Kind::Conflict, what).at(place.data.display().to_string()).hint(hint));
        match place.server {
            ServerState::NeedsRecovery => refuse(
                "the server was not shut down cleanly: replaying its WAL may mend the page, or need it",
                "start it and stop it again; where it does not start: pgtend recover",
            ),
            ServerState::Running if !self.online && !self.dry_run => refuse(
                "the server runs: it may write the page at any time",
                "stop it (pg_ctl stop -m fast), or lock the table meanwhile with --online",
            ),
            ServerState::Running if self.online && !matches!(self.which, Which::Name { .. }) => {
                refuse("a table is locked by its name", "name it as --relation schema.table --db NAME")
            }
            _ => Ok(()),
        }
    }

    async fn plan(&self, place: &Place, backup: Option<Label>) -> Result<Planned> {
        let databases: BTreeSet<String> = match &self.which {
            Which::Name { database, .. } | Which::File { database: Some(database), .. } => BTreeSet::from([database.clone()]),
            Which::File { database: None, .. } => BTreeSet::new(),
        };
        let request = Request {
            repository: self.repository.clone(),
            server: self.server.clone(),
            wanted: Wanted { target: Until::Latest, backup, timeline: Timeline::Number(place.control.checkpoint.timeline) },
            exclusive: false,
            databases,
            directory: self.scratch.clone(),
            user: self.user.clone(),
            bindir: self.bindir.clone(),
            workers: 2,
            preload: String::new(),
            purpose: "page-restore",
            client: None,
        };
        let planned = blocking(move || request.prepare()).await?;
        let (ours, theirs) = (place.control.system_identifier.to_string(), &planned.prepared().owner.system_identifier);
        if ours != *theirs {
            return Err(of_another(theirs, &ours, place));
        }
        Ok(planned)
    }

    /// The file of the relation, as a running server says.
    async fn file_of_running(&self, place: &Place) -> Result<Option<RelationFile>> {
        match (&self.which, &place.asked) {
            (Which::File { path, .. }, _) => self.parsed(path).map(Some),
            (Which::Name { database, relation }, Some((target, _))) => self.ask(&target.with_database(database), relation).await.map(Some),
            (Which::Name { .. }, None) => Ok(None),
        }
    }

    async fn file_in(&self, scratch: &Scratch) -> Result<RelationFile> {
        match &self.which {
            Which::Name { database, relation } => self.ask(&scratch.target(database), relation).await,
            Which::File { path, .. } => self.parsed(path),
        }
    }

    async fn ask(&self, target: &Target, relation: &str) -> Result<RelationFile> {
        let session = Writing::open(target, Duration::from_secs(5)).await?;
        let path = session.ask(&format!("select pg_catalog.pg_relation_filepath(pg_catalog.to_regclass({}))", literal(relation))).await;
        session.close().await;
        let none = || {
            Error::new(Kind::NotFound, format!("there is no relation \"{relation}\" in the database \"{}\"", target.database()))
                .hint("name it with its schema, and the database with --db")
        };
        self.parsed(&path?.ok_or_else(none)?)
    }

    fn parsed(&self, path: &str) -> Result<RelationFile> {
        let file = RelationFile::of_path(path).ok_or_else(|| {
            Error::new(Kind::Usage, format!("\"{path}\" is no file of a relation"))
                .hint("it looks like base/5/16384; a name like public.orders")
        })?;
        let fork = if self.fork == Fork::Main { file.locator.fork } else { self.fork };
        let locator = pgtend_model::pgdata::relation::Locator { fork, ..file.locator };
        Ok(RelationFile { locator, segment: 0, ..file })
    }

    fn preview(&self, place: &Place, file: Option<RelationFile>, report: &mut PagesRestored) -> Result<()> {
        report.notes.push(format!("pages {} would be taken from the backup, rolled forward to the end of the log", shown(&self.blocks)));
        let Some(file) = file else { return Ok(()) };
        let live = PageFile::new(&place.data, file, &place.control, place.major);
        report.file = live.path(0);
        for &block in &self.blocks {
            let seen = live.look(block)?;
            let told = match seen {
                None => "the file has no such page",
                Some(seen) if seen.sound => "it is sound: nothing would be done",
                Some(_) => "it is damaged",
            };
            report.pages.push(Page {
                block,
                good: seen.is_some_and(|seen| seen.sound),
                restored: false,
                lsn: seen.map(|seen| seen.lsn),
                kept: None,
                told: told.to_owned(),
            });
        }
        Ok(())
    }

    async fn lock(&self, place: &Place) -> Result<Option<Locked>> {
        match (&self.which, &place.asked, place.server) {
            (Which::Name { database, relation }, Some((target, _)), ServerState::Running) => {
                Locked::table(&target.with_database(database), relation).await.map(Some)
            }
            (_, _, ServerState::Running) => Err(Error::new(Kind::Unreachable, "the server runs, but cannot be asked for a lock")
                .hint("say with --connection how to connect as a superuser, or stop it")),
            _ => Ok(None),
        }
    }

    /// The segment that must be in the repository, so that the newest change of every page is; waits for it while the server runs.
    async fn needed(&self, place: &Place, locked: Option<&Locked>) -> Result<Segment> {
        let control = &place.control;
        let (size, timeline) = (control.wal_segment, control.checkpoint.timeline);
        let Some(locked) = locked else {
            // The last record of a server that was shut down is its checkpoint; with archiving, it is the first of a new segment.
            let checkpoint = control.checkpoint.lsn;
            let segment = Segment::holding(timeline, checkpoint, size);
            let first = checkpoint.0 - segment.start(size).0 == HEADER_BYTES as u64;
            let needed = if first { Segment { number: segment.number - 1, ..segment } } else { segment };
            return if self.is_archived(needed).await? { Ok(needed) } else { Err(not_archived(&needed.name(size))) };
        };
        let needed = Segment::ending_at(timeline, locked.switch().await?, size);
        let deadline = Instant::now() + ARCHIVED;
        while !self.is_archived(needed).await? {
            if Instant::now() > deadline {
                return Err(not_archived(&needed.name(size)));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(needed)
    }

    async fn is_archived(&self, segment: Segment) -> Result<bool> {
        let (repository, server) = (self.repository.clone(), self.server.clone());
        let (_, known) = blocking(move || known(&repository, &server, None)).await?;
        Ok(known.wal.iter().any(|archived| archived.segment == segment))
    }

    fn mend(&self, place: &Place, scratch: &Scratch, file: RelationFile, end: Lsn, report: &mut PagesRestored) -> Result<()> {
        let live = PageFile::new(&place.data, file, &place.control, place.major);
        let copy = PageFile::new(scratch.data(), file, &place.control, place.major);
        report.file = live.path(0);
        if !scratch.planned().prepared().selection.takes(&report.file) {
            return Err(Error::new(Kind::Usage, "the relation is not of the database that was named").hint("name the right one with --db"));
        }
        let beside = || place.data.with_file_name("pgtend-damaged-pages");
        let keep = self.keep.clone().unwrap_or_else(beside);
        for &block in &self.blocks {
            let page = self.mend_one(&live, &copy, block, end, &keep)?;
            report.pages.push(page);
        }
        Ok(())
    }

    fn mend_one(&self, live: &PageFile, copy: &PageFile, block: u32, end: Lsn, keep: &std::path::Path) -> Result<Page> {
        let (before, after) = (live.read(block)?, copy.read(block)?);
        let see = |page: &Option<Vec<u8>>| page.as_ref().map(|page| live.seen(page, block));
        let told = |good, restored, lsn, kept, told: String| Page { block, good, restored, lsn, kept, told };
        match judge(see(&before), see(&after), live.neighbour(block)?, end, self.allowed) {
            Err(Refusal::NotDamaged) => {
                let lsn = see(&before).map(|seen| seen.lsn);
                Ok(told(true, false, lsn, None, "it is sound as it is: nothing was done".to_owned()))
            }
            Err(refusal) => Ok(told(false, false, None, None, refusal.to_string())),
            Ok(seen) => {
                let kept = before.map(|page| live.keep(keep, block, &page)).transpose()?;
                live.write(block, &after.unwrap_or_default())?;
                let good = live.look(block)?.is_some_and(|seen| seen.sound);
                let what = if good { "brought back" } else { "written, but it does not read back as it was written: the disk is failing" };
                Ok(told(good, true, Some(seen.lsn), kept.map(|path| path.display().to_string()), what.to_owned()))
            }
        }
    }
}

/// Has the server read what was brought back, and lets go of the table.
async fn release(locked: Locked, report: &mut PagesRestored) {
    let good: Vec<u32> = report.pages.iter().filter(|page| page.good).map(|page| page.block).collect();
    report.notes.push(match locked.read_and_release(&good).await {
        Ok(()) => "the server reads these pages without complaint".to_owned(),
        Err(error) => format!("the server still complains: {}", error.what),
    });
}

fn of_another(theirs: &str, ours: &str, place: &Place) -> Error {
    Error::new(Kind::Conflict, format!("the backup is of the cluster {theirs}, this is {ours}"))
        .at(place.data.display().to_string())
        .hint("name the right server of the repository with --server")
}

fn not_archived(name: &str) -> Error {
    Error::new(Kind::Conflict, format!("the segment {name} of WAL is not in the repository: the newest changes of the page may be in it"))
        .hint("pgtend wal status tells why; where the server is stopped: start it, let it archive, and stop it again")
}

/// A gap on the way would make older pages look like the newest.
fn check_reached(report: &PagesRestored, needed: Segment, size: SegmentSize) -> Result<()> {
    // Nothing to replay is only so when the backup is newer than all of it.
    let Some(reached) = report.replayed_to.as_ref().and_then(|text| text.parse::<Lsn>().ok()) else { return Ok(()) };
    if Segment::holding(needed.timeline, reached, size).number < needed.number {
        return Err(Error::new(
            Kind::Conflict,
            format!("the copy was rolled forward to {reached} only, which is before the end of the log"),
        )
        .hint("pgtend wal status shows where WAL is missing"));
    }
    Ok(())
}
