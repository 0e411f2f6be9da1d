//! The report: everything that a period has to tell, section by section.

use super::known::Known;
use super::measure::Measure;
use super::page::{Cell, Page, Section, when};
use super::period::Period;
use super::section::background::Background;
use super::section::blocking::Blocking;
use super::section::buffer_pool::BufferPool;
use super::section::databases::Databases;
use super::section::efficiency::Efficiency;
use super::section::host::Host;
use super::section::indexes::Indexes;
use super::section::io::Io;
use super::section::load_profile::LoadProfile;
use super::section::notes::{self, Note, Severity};
use super::section::plans::Plans;
use super::section::replication::Replication;
use super::section::sessions::Sessions;
use super::section::settings::Settings;
use super::section::slru::Slru;
use super::section::statements::Statements;
use super::section::summary::Summary;
use super::section::tables::Tables;
use super::section::time_model::TimeModel;
use super::section::vacuum::Vacuum;
use super::section::waits::Waits;
use super::section::wal::Wal;
use crate::error::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Statements in each order unless somebody wants another number.
pub const TOP: usize = 10;

/// Everything that a period has to tell. Figures that could not be had are null, with the reason beside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrReport)]
pub struct Report {
    /// What it is about.
    pub summary: Summary,
    /// What to know before reading.
    pub notes: Vec<Note>,
    /// What the server had to do.
    pub load_profile: LoadProfile,
    /// Ratios.
    pub efficiency: Efficiency,
    /// Where time went.
    pub time_model: TimeModel,
    /// What sessions waited for.
    pub waits: Waits,
    /// Who held up whom.
    pub blocking: Blocking,
    /// Top SQL.
    pub top_sql: Statements,
    /// Who took the time.
    pub sessions: Sessions,
    /// I/O.
    pub io: Io,
    /// Shared buffers.
    pub buffer_pool: BufferPool,
    /// Checkpoints and the background writer.
    pub checkpoints: Background,
    /// WAL and archiving.
    pub wal: Wal,
    /// Databases.
    pub databases: Databases,
    /// Tables.
    pub tables: Tables,
    /// Indexes.
    pub indexes: Indexes,
    /// Vacuum.
    pub vacuum: Vacuum,
    /// Replication.
    pub replication: Replication,
    /// Transaction state caches.
    pub slru: Slru,
    /// Plan changes.
    pub plans: Plans,
    /// Settings.
    pub settings: Settings,
    /// The server's host.
    pub host: Host,
}

impl Report {
    /// The report of a period, with so many statements in each order.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn of(period: &Period<'_>, top: usize, now: Timestamp) -> Result<Self> {
        let known = Known::of(period)?;
        let summary = Summary::build(&known, now);
        let cores = summary.cores;
        Ok(Self {
            summary,
            notes: notes::build(&known),
            load_profile: LoadProfile::build(&known),
            efficiency: Efficiency::build(&known),
            time_model: TimeModel::build(&known),
            waits: Waits::build(&known, cores),
            blocking: Blocking::build(&known),
            top_sql: Statements::build(&known, top),
            sessions: Sessions::build(&known),
            io: Io::build(&known),
            buffer_pool: BufferPool::build(&known),
            checkpoints: Background::build(&known),
            wal: Wal::build(&known),
            databases: Databases::build(&known),
            tables: Tables::build(&known),
            indexes: Indexes::build(&known),
            vacuum: Vacuum::build(&known),
            replication: Replication::build(&known),
            slru: Slru::build(&known),
            plans: Plans::build(&known),
            settings: Settings::build(&known),
            host: Host::build(&known),
        })
    }

    /// The report laid out.
    pub fn page(&self) -> Page {
        let [activity, waits] = self.waits.sections();
        let [top_sql, sql_texts] = self.top_sql.sections(&self.blocking.texts());
        let sections = vec![
            self.summary.section(),
            notes::section(&self.notes),
            self.load_profile.section(),
            activity,
            self.time_model.section(),
            waits,
            self.blocking.section(),
            top_sql,
            self.sessions.section(),
            self.efficiency.section(),
            self.io.section(),
            self.buffer_pool.section(),
            self.checkpoints.section(),
            self.wal.section(),
            self.databases.section(),
            self.tables.section(),
            self.indexes.section(),
            self.vacuum.section(),
            self.replication.section(),
            self.slru.section(),
            self.plans.section(),
            self.host.section(),
            self.settings.section(),
            sql_texts,
        ];
        let (begin, end) = (&self.summary.begin, &self.summary.end);
        let snapshots = begin.snapshot_id.zip(end.snapshot_id).map(|(first, last)| format!(", snapshots {first} to {last}"));
        Page {
            title: format!("Workload report: {}", self.summary.server),
            subtitle: format!("{} to {} UTC{}", when(begin.at), when(end.at), snapshots.unwrap_or_default()),
            highlights: self.highlights(),
            sections: sections.into_iter().map(|section| self.warned(section)).collect(),
        }
    }

    fn highlights(&self) -> Vec<(String, Cell)> {
        let figure = |name: &str| self.load_profile.figures.iter().find(|figure| figure.name == name);
        let rate = |name: &str| figure(name).map_or_else(Cell::default, Measure::shown_per_second);
        let hit = self.efficiency.ratios.iter().find(|ratio| ratio.figure.name == "buffer_hit");
        let waited = self.blocking.waited_ms.map(|ms| ms / 1000.0);
        let top = self.waits.classes.first().map(|class| format!("{} ({:.0} %)", class.wait_class.name(), class.percent));
        vec![
            ("Elapsed".to_owned(), Cell::seconds(self.summary.elapsed_seconds)),
            ("DB time".to_owned(), Cell::maybe(self.summary.db_time_seconds, Cell::seconds)),
            ("Average active sessions".to_owned(), Cell::maybe(self.summary.average_active_sessions, Cell::number)),
            ("Mostly".to_owned(), top.map_or_else(|| Cell::unknown("not known"), Cell::from)),
            ("Transactions/s".to_owned(), rate("transactions")),
            ("Statements/s".to_owned(), rate("queries")),
            ("WAL/s".to_owned(), rate("wal_bytes")),
            ("Found in shared buffers".to_owned(), hit.map_or_else(Cell::default, |ratio| ratio.figure.shown())),
            ("Waited for locks".to_owned(), Cell::maybe(waited, Cell::seconds)),
        ]
    }

    /// Warnings stand at the figures that they touch, too.
    fn warned(&self, section: Section) -> Section {
        let touches = |note: &&Note| note.severity == Severity::Warning && note.sections.iter().any(|name| name == section.id);
        let notes: Vec<String> = self.notes.iter().filter(touches).map(|note| note.text.clone()).collect();
        notes.into_iter().fold(section, Section::note)
    }
}
