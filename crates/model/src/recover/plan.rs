//! What to do on the copy, step by step, each with what it risks. Nothing that loses data is in a plan unless that was allowed.

use super::diagnose::{Finding, findings, start};
use super::facts::{Backup, Control, Facts, Slru};
use super::resetwal;
use crate::backup::Label;
use crate::pgdata::wal::Segment;

/// What was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked {
    /// Whether steps that lose data are allowed on the copy.
    pub aggressive: bool,
}

/// What is done with the copy.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// All files are copied.
    Copy,
    /// A file is given another name, so that PostgreSQL does not see it.
    SetAside {
        /// Its path.
        file: String,
    },
    /// Directories are made.
    MakeDirectories {
        /// Their paths.
        directories: Vec<String>,
    },
    /// `PG_VERSION` is written.
    WriteVersions {
        /// Paths of the files.
        files: Vec<String>,
    },
    /// Files are taken from a backup.
    TakeFiles {
        /// Which backup.
        label: Label,
        /// Their paths.
        files: Vec<String>,
    },
    /// WAL is brought into `pg_wal`.
    TakeWal {
        /// Names of the segments.
        segments: Vec<String>,
    },
    /// Files of transaction states are made up.
    FillSlru {
        /// Path and length of each.
        files: Vec<(String, u64)>,
    },
    /// Recovery ends with the WAL that is there, instead of following a primary or an archive.
    EndHere,
    /// PostgreSQL is started for itself alone, replays, and is stopped.
    Start {
        /// Whether pages that WAL speaks of and that are not there are passed over.
        ignore_invalid_pages: bool,
    },
    /// Every page is read, and every database is connected to.
    Check,
    /// What can be read is dumped.
    Salvage,
}

/// A step with its reason.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
    /// In words.
    pub what: String,
    /// What can go wrong by it, or what it loses.
    pub risk: String,
    /// Whether data may be lost by it.
    pub lossy: bool,
}

/// What to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Plan {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// Why it goes no further; empty when the copy is started.
    pub stops: String,
    /// What is lost on this way, as far as it is known before.
    pub lost: Vec<String>,
    /// What a person may do, and what it costs.
    pub advice: Vec<String>,
}

impl Step {
    /// A step, explained.
    pub fn new(action: Action) -> Self {
        let (what, risk, lossy) = explain(&action);
        Self { what, risk, lossy, action }
    }
}

const NONE: &str = "none: it is done to the copy, and the directory itself stays as it is";

fn explain(action: &Action) -> (String, String, bool) {
    let safe = |what: String| (what, NONE.to_owned(), false);
    match action {
        Action::Copy => safe(
            "copy the data directory with its WAL and tablespaces, but for postmaster.pid; the directory itself is only read".to_owned(),
        ),
        Action::SetAside { file } if file == "backup_label" => (
            "set backup_label aside: replay begins at the checkpoint of the control file".to_owned(),
            "where this is a restored backup after all, the result is silently damaged: dump it and load the dump, and compare".to_owned(),
            true,
        ),
        Action::SetAside { file } => safe(format!("set {file} aside; settings in it do not count in the copy")),
        Action::MakeDirectories { directories } => safe(format!("make the missing directories {}", directories.join(", "))),
        Action::WriteVersions { files } => safe(format!("write {}", files.join(", "))),
        Action::TakeFiles { label, files } => (
            format!("take {} from the backup {label}", files.join(", ")),
            "right when they had not changed since the backup; what is checked afterwards tells".to_owned(),
            false,
        ),
        Action::TakeWal { segments } => {
            let first = segments.first().map_or("", String::as_str);
            let last = segments.last().map_or("", String::as_str);
            safe(format!("bring {} segments of WAL, {first} to {last}; each header is compared with the cluster's", segments.len()))
        }
        Action::FillSlru { files } => (
            format!(
                "make up {}: their transactions count as committed",
                files.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(", ")
            ),
            "changes of transactions that were rolled back, or that failed, may appear".to_owned(),
            true,
        ),
        Action::EndHere => safe("end recovery with the WAL that is there: the copy follows nobody".to_owned()),
        Action::Start { ignore_invalid_pages: false } => {
            safe("start PostgreSQL on the copy for itself alone, replay WAL to its end, and stop it".to_owned())
        }
        Action::Start { ignore_invalid_pages: true } => (
            "start it again with ignore_invalid_pages: changes to pages that are not there are passed over".to_owned(),
            "what these pages held is lost".to_owned(),
            true,
        ),
        Action::Check => safe("read every page, connect to every database and read its catalogs".to_owned()),
        Action::Salvage => (
            "dump what can be read, with zero_damaged_pages and ignore_system_indexes in the session".to_owned(),
            "rows on damaged pages are not in the dump".to_owned(),
            true,
        ),
    }
}

/// What to do about a directory whose server does not start.
pub fn plan(facts: &Facts, asked: Asked) -> Plan {
    let mut planning = Planning { facts, asked, plan: Plan { findings: findings(facts), ..Plan::default() }, unresolved: Vec::new() };
    planning.all();
    planning.plan
}

struct Planning<'a> {
    facts: &'a Facts,
    asked: Asked,
    plan: Plan,
    unresolved: Vec<Slru>,
}

impl Planning<'_> {
    fn all(&mut self) {
        self.step(Action::Copy);
        for (file, _) in &self.facts.configuration {
            self.step(Action::SetAside { file: file.clone() });
        }
        if !self.facts.missing_directories.is_empty() {
            self.step(Action::MakeDirectories { directories: self.facts.missing_directories.clone() });
        }
        if !self.facts.missing_versions.is_empty() {
            self.step(Action::WriteVersions { files: self.facts.missing_versions.clone() });
        }
        if self.plan.findings.iter().any(|finding| finding.kind == "label_missing") {
            let what =
                "without its backup_label the replay of a restored backup begins too late: pages may be of different times, silently";
            self.plan.lost.push(what.to_owned());
        }
        let go_on = self.can_run() && self.small_files() && self.log();
        if !go_on {
            return;
        }
        if self.facts.signal.is_some() {
            self.step(Action::EndHere);
        }
        self.step(Action::Start { ignore_invalid_pages: false });
        self.step(Action::Check);
    }

    fn step(&mut self, action: Action) {
        self.plan.steps.push(Step::new(action));
    }

    /// Goes no further, and says why.
    fn stop(&mut self, why: impl Into<String>) -> bool {
        self.plan.stops = why.into();
        false
    }

    fn can_run(&mut self) -> bool {
        if self.facts.unfinished_restore {
            return self.stop("the directory is half a restore: run the same pgtend restore again with --delta");
        }
        if let Control::Foreign(why) = &self.facts.control {
            return self.stop(why.clone());
        }
        if let Some((oid, target)) = self.facts.lost_tablespaces.first() {
            return self
                .stop(format!("the tablespace {oid} is not there ({target}): without it, its tables would be lost. Mount it first"));
        }
        if self.facts.version.is_none() {
            return self.stop("the major version is not known: write PG_VERSION (for example: echo 15 > DIR/PG_VERSION), then try again");
        }
        true
    }

    /// Damaged small files and missing transaction states: from a backup, or made up where that is allowed.
    fn small_files(&mut self) -> bool {
        let mut wanted: Vec<String> = self.facts.damaged_files.iter().map(|(path, _)| path.clone()).collect();
        wanted.extend(self.facts.slru.iter().map(|gap| gap.path.clone()));
        let Some(Backup { label, .. }) = self.facts.backup else {
            if !self.facts.damaged_files.is_empty() {
                self.plan.advice.push(NO_BACKUP.to_owned());
                let names: Vec<&str> = self.facts.damaged_files.iter().map(|(path, _)| path.as_str()).collect();
                return self.stop(format!("{} cannot be made up: a backup has to give them", names.join(", ")));
            }
            self.unresolved.clone_from(&self.facts.slru);
            return self.made_up();
        };
        if !wanted.is_empty() {
            self.step(Action::TakeFiles { label, files: wanted });
        }
        true
    }

    fn made_up(&mut self) -> bool {
        if self.unresolved.is_empty() {
            return true;
        }
        let files: Vec<(String, u64)> = self.unresolved.iter().map(|gap| (gap.path.clone(), gap.bytes)).collect();
        if self.asked.aggressive {
            self.step(Action::FillSlru { files });
            return true;
        }
        self.plan.advice.push(NO_BACKUP.to_owned());
        let names: Vec<&str> = self.unresolved.iter().map(|gap| gap.path.as_str()).collect();
        self.stop(format!(
            "{}: which transactions committed is not known. --aggressive counts all of them as committed, on the copy",
            names.join(", ")
        ))
    }

    /// The control file, `backup_label` and the WAL that they want.
    fn log(&mut self) -> bool {
        if matches!(self.facts.control, Control::Missing | Control::Damaged(_)) {
            return self.control_from_backup();
        }
        let (Some(from), Some(size)) = (start(self.facts), self.facts.wal.size) else {
            return self.label_aside("backup_label is not understood");
        };
        let Some(to) = self.facts.wal.reaches(from) else {
            let why = format!("the segment {}, where replay begins, is nowhere", from.name(size));
            return if self.facts.label.is_some() { self.label_aside(&why) } else { self.no_log(&why) };
        };
        self.bring(from, to);
        let newest = self.facts.wal.newest(from.timeline).unwrap_or(to);
        let clean = matches!(&self.facts.control, Control::Good(state) if state.clean) && self.facts.label.is_none();
        if newest > to && !clean {
            let why = format!(
                "WAL ends at {}, and {} to {} are lost or cannot be reached",
                to.name(size),
                to.next().name(size),
                newest.name(size)
            );
            if !self.asked.aggressive {
                self.plan
                    .advice
                    .push(format!("look for {} (an archive, a standby, another repository) and name it with --wal", to.next().name(size)));
                return self.stop(format!("{why}. --aggressive replays up to there, on the copy, and gives up what came after"));
            }
            self.plan.lost.push(format!("{why}: what was committed after that; pages may be newer than the log"));
        }
        true
    }

    /// Brings what is elsewhere and not here, from where replay begins on.
    fn bring(&mut self, from: Segment, to: Segment) {
        let Some(size) = self.facts.wal.size else { return };
        let mut segments = Vec::new();
        let mut segment = from;
        while segment <= to {
            if !self.facts.wal.here.contains(&segment) {
                segments.push(segment.name(size));
            }
            segment = segment.next();
        }
        if !segments.is_empty() {
            self.step(Action::TakeWal { segments });
        }
    }

    /// An older control file, with the label of its backup, and all WAL since: as if the directory were that backup, copied later.
    fn control_from_backup(&mut self) -> bool {
        let Some(Backup { label, start, timeline, size }) = self.facts.backup else {
            self.plan.advice.extend([NO_BACKUP.to_owned(), resetwal::advice(self.facts)]);
            return self.stop("the control file cannot be used, and no backup was given that has one");
        };
        let from = Segment::holding(timeline, start, size);
        let newest = self.facts.wal.newest(timeline);
        let whole = |to: Segment| newest.is_none_or(|newest| newest <= to);
        match self.facts.wal.reaches(from) {
            Some(to) if whole(to) => {
                self.step(Action::TakeFiles { label, files: vec!["global/pg_control".to_owned(), "backup_label".to_owned()] });
                self.bring(from, to);
                true
            }
            _ => {
                self.plan.advice.push(resetwal::advice(self.facts));
                self.stop(format!("the backup {label} has a control file, but WAL since then, from {}, is not whole", from.name(size)))
            }
        }
    }

    fn label_aside(&mut self, why: &str) -> bool {
        let left_behind = self.facts.has_run;
        if left_behind && self.asked.aggressive && matches!(self.facts.control, Control::Good(_)) {
            self.step(Action::SetAside { file: "backup_label".to_owned() });
            return true;
        }
        let advice = if left_behind {
            "a server ran here, so backup_label may have been left behind by a backup that was cut short: --aggressive sets it aside, on the copy"
        } else {
            "this is a restored backup: bring its WAL (--wal), or restore it again with pgtend restore"
        };
        self.plan.advice.push(advice.to_owned());
        self.stop(why)
    }

    fn no_log(&mut self, why: &str) -> bool {
        self.plan.advice.extend([
            "look for that segment (an archive, a standby, a repository) and name it with --wal: then nothing is lost".to_owned(),
            resetwal::advice(self.facts),
        ]);
        self.stop(why)
    }
}

/// What is said where a backup would help.
const NO_BACKUP: &str =
    "with a repository (--from DIR, or an agent beside it) that has a backup of this cluster, more can be done; or restore: pgtend restore";
