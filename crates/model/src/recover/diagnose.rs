//! What is wrong with a data directory, in the order in which it would keep the server from starting.

use super::facts::{Control, Facts, State};
use crate::pgdata::wal::Segment;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// It keeps the server from starting.
    Cause,
    /// It may, or it loses data silently.
    Suspect,
    /// Worth knowing.
    Note,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What kind, for programs.
    pub kind: &'static str,
    /// How much it matters.
    pub weight: Weight,
    /// What it is.
    pub what: String,
    /// What can be done about it on the directory itself; empty where the steps on the copy say it.
    pub remedy: String,
}

impl Finding {
    fn new(kind: &'static str, weight: Weight, what: impl Into<String>) -> Self {
        Self { kind, weight, what: what.into(), remedy: String::new() }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

/// Where replay begins, and whether something needs to be replayed at all.
pub fn start(facts: &Facts) -> Option<Segment> {
    let size = facts.wal.size?;
    if let Some((lsn, timeline)) = facts.label.as_ref().and_then(|label| label.start) {
        return Some(Segment::holding(timeline, lsn, size));
    }
    match &facts.control {
        Control::Good(state) => Some(Segment::holding(state.timeline, state.redo, size)),
        _ => None,
    }
}

/// Everything that is wrong.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    surroundings(facts, &mut found);
    control(facts, &mut found);
    label(facts, &mut found);
    wal(facts, &mut found);
    files(facts, &mut found);
    found
}

fn surroundings(facts: &Facts, found: &mut Vec<Finding>) {
    for (path, bytes) in &facts.full {
        found.push(
            Finding::new("disk_full", Weight::Cause, format!("the file system of {path} is full: {bytes} bytes are left")).remedy(
                "make room with files that are not PostgreSQL's; never remove anything from pg_wal; the server then starts by itself",
            ),
        );
    }
    let owner = &facts.owner;
    if owner.found != owner.wanted || owner.foreign > 0 {
        let first = owner.first.as_ref().map_or_else(String::new, |first| format!(", {first} among them"));
        let what =
            format!("the directory belongs to {}; {} files belong to others than {}{first}", owner.found, owner.foreign, owner.wanted);
        found.push(Finding::new("owner", Weight::Cause, what).remedy(format!("chown -R {0}: DIR", owner.wanted)));
    }
    if owner.mode & 0o027 != 0 {
        let what = format!("its mode is {:04o}: PostgreSQL starts with 0700 or 0750 only", owner.mode);
        found.push(Finding::new("mode", Weight::Cause, what).remedy("chmod 0700 DIR"));
    }
    if let Some(pid) = facts.stale_pid {
        let what = format!("postmaster.pid was left behind: process {pid}, which it names, is no PostgreSQL of this directory");
        found.push(Finding::new("stale_pid", Weight::Suspect, what).remedy("rm DIR/postmaster.pid"));
    }
    for (file, why) in &facts.configuration {
        found.push(
            Finding::new("configuration", Weight::Cause, format!("{file} is not accepted: {why}"))
                .remedy(format!("mend {file}; no data is at stake")),
        );
    }
    if facts.unfinished_restore {
        found.push(
            Finding::new("unfinished_restore", Weight::Cause, "pgtend restore was cut short in this directory: it is not whole")
                .remedy("run the same pgtend restore again with --delta"),
        );
    }
}

fn control(facts: &Facts, found: &mut Vec<Finding>) {
    match &facts.control {
        Control::Missing => found.push(Finding::new("control_missing", Weight::Cause, "global/pg_control is missing")),
        Control::Damaged(why) => found.push(Finding::new("control_damaged", Weight::Cause, why.clone())),
        Control::Foreign(why) => found.push(
            Finding::new("control_foreign", Weight::Cause, why.clone())
                .remedy("start it with the PostgreSQL, and on the machine, that it was made by"),
        ),
        Control::Good(state) if !state.clean => {
            let what =
                format!("the server was not shut down cleanly (it was {}): WAL from {} on has to be replayed", state.doing, state.redo);
            found.push(Finding::new("crashed", Weight::Note, what));
        }
        Control::Good(_) => {}
    }
    if facts.version.is_none() {
        found.push(Finding::new("version_missing", Weight::Cause, "PG_VERSION is missing or not readable"));
    }
}

fn label(facts: &Facts, found: &mut Vec<Finding>) {
    match &facts.label {
        Some(label) if label.start.is_none() => {
            found.push(Finding::new("label_damaged", Weight::Cause, "backup_label is not as PostgreSQL writes it"));
        }
        Some(label) => {
            let left_behind = facts.has_run && facts.version.is_some_and(|version| version < 15);
            let from = label.start.map_or_else(String::new, |(lsn, _)| lsn.to_string());
            let what = if left_behind {
                format!(
                    "backup_label is there although a server ran here: it was left behind by an exclusive backup, and replay would begin at {from}"
                )
            } else {
                format!("backup_label is there: this is a restored backup, whose replay has to begin at {from}")
            };
            found.push(Finding::new("backup_label", Weight::Note, what));
        }
        None if facts.manifest && !facts.has_run && matches!(&facts.control, Control::Good(state) if !state.clean) => {
            let what =
                "backup_manifest is there but no backup_label: somebody removed it from a restored backup, and replay would begin too late";
            found.push(
                Finding::new("label_missing", Weight::Suspect, what)
                    .remedy("restore the backup again; a copy without its label is silently damaged"),
            );
        }
        None => {}
    }
    if let Some(signal) = &facts.signal {
        found.push(Finding::new(
            "signal",
            Weight::Note,
            format!("{signal} is there: the server would recover from an archive, or follow a primary"),
        ));
    }
}

fn wal(facts: &Facts, found: &mut Vec<Finding>) {
    for (name, why) in &facts.wal.damaged {
        found.push(Finding::new("wal_damaged", Weight::Suspect, format!("pg_wal/{name} is no segment of this log: {why}")));
    }
    let (Some(size), Some(start)) = (facts.wal.size, start(facts)) else { return };
    let clean = matches!(&facts.control, Control::Good(state) if state.clean) && facts.label.is_none();
    if !facts.wal.here.contains(&start) {
        let where_else =
            if facts.wal.elsewhere.contains(&start) { format!("; {} has it", facts.wal.elsewhere_named) } else { String::new() };
        let what = format!("the WAL segment where replay begins, {}, is not in pg_wal{where_else}", start.name(size));
        found.push(Finding::new("wal_missing", Weight::Cause, what));
    }
    if clean {
        return;
    }
    let here_to = reach(start, |segment| facts.wal.here.contains(&segment));
    let newest_here = facts.wal.here.iter().copied().filter(|segment| segment.timeline == start.timeline).max();
    if let (Some(to), Some(newest)) = (here_to, newest_here)
        && newest > to
    {
        let what = format!(
            "WAL has a gap: {} is missing, and segments up to {} lie after it. PostgreSQL would take the gap for the end and lose what came after",
            to.next().name(size),
            newest.name(size)
        );
        found.push(Finding::new("wal_gap", Weight::Suspect, what));
    }
    if let (Some(to), Some(newest)) = (here_to, facts.wal.newest(start.timeline))
        && newest > to
        && newest_here.is_none_or(|here| newest > here)
    {
        let what = format!("{} has WAL up to {}, which pg_wal has not", facts.wal.elsewhere_named, newest.name(size));
        found.push(Finding::new("wal_short", Weight::Suspect, what));
    }
}

/// The last segment that is reached without a gap.
fn reach(start: Segment, has: impl Fn(Segment) -> bool) -> Option<Segment> {
    let mut last = has(start).then_some(start)?;
    while has(last.next()) {
        last = last.next();
    }
    Some(last)
}

fn files(facts: &Facts, found: &mut Vec<Finding>) {
    if !facts.missing_directories.is_empty() {
        let what = format!("directories are missing: {}", facts.missing_directories.join(", "));
        let remedy = "PostgreSQL keeps nothing in them that outlives a restart, or makes it anew: make them, mode 0700";
        found.push(Finding::new("directories", Weight::Cause, what).remedy(remedy));
    }
    for (oid, target) in &facts.lost_tablespaces {
        let what = format!("the tablespace {oid} is not where its link leads: {target}");
        found.push(
            Finding::new("tablespace", Weight::Cause, what)
                .remedy(format!("mount its file system, or make the link pg_tblspc/{oid} lead to where its files are")),
        );
    }
    for gap in &facts.slru {
        found.push(Finding::new("slru", Weight::Cause, format!("{}: {}", gap.path, gap.why)));
    }
    for (path, why) in &facts.damaged_files {
        found.push(Finding::new("file_damaged", Weight::Cause, format!("{path}: {why}")));
    }
    for path in &facts.missing_versions {
        found.push(Finding::new("database_version", Weight::Cause, format!("{path} is missing: nobody can connect to that database")));
    }
}

/// Up to where data was certainly written, for what may be lost.
pub fn checkpoint(state: &State) -> String {
    format!("{} on timeline {}", state.checkpoint, state.timeline)
}
