//! A recovery from the first look to the report.

use super::act::Acting;
use super::copying::{Copied, Copying};
use super::elsewhere::{Elsewhere, Found};
use super::survey::{self, Survey};
use super::trial::Trial;
use crate::backup::restore::recover::socket_directory;
use crate::verify::{self, Options};
use jiff::Timestamp;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::recover::facts::Facts;
use pgtend_model::recover::failure::{self, Next};
use pgtend_model::recover::plan::{Action, Asked, Plan, Step, plan};
use pgtend_model::recover::report::{Done, Outcome, Report};
use pgtend_model::up::Installation;
use pgtend_model::verify::{Depth, Verdict, Verification};
use pgtend_postgres::files::scan::Progress as Scanned;
use pgtend_postgres::process::find::{find, how_to_install};
use pgtend_postgres::process::os_user::OsUser;
use pgtend_postgres::process::running::{self, State};
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Starts that are tried at most: each one after the first has a reason that the ones before had not.
const ATTEMPTS: usize = 6;

/// What is to be recovered, and how.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The data directory of the server that does not start.
    pub data: PathBuf,
    /// Where else WAL may be.
    pub elsewhere: Elsewhere,
    /// Whether steps that lose data are allowed on the copy.
    pub aggressive: bool,
    /// Where the copy goes; next to the directory where it is not said.
    pub copy_to: Option<PathBuf>,
    /// Whether the copy takes the place of the directory when it is whole.
    pub swap: bool,
    /// Whether it is only told what would be done.
    pub dry_run: bool,
    /// The server's log, where it is not in the directory.
    pub log: Option<PathBuf>,
    /// Who runs PostgreSQL.
    pub user: OsUser,
    /// Where its programs are, where they are not in the usual places.
    pub bindir: Option<PathBuf>,
}

/// Everything that was looked at before anything is done.
struct Looked {
    facts: Facts,
    found: Found,
    plan: Plan,
    installation: Option<Installation>,
    identity: Option<u64>,
}

impl Recovery {
    /// Does it; `tell` hears of every step when it begins.
    ///
    /// # Errors
    /// `Conflict` when a server runs over the directory; `System` when there is no room for the copy; what cannot be read.
    pub async fn run(&self, tell: impl Fn(&str)) -> Result<Report> {
        let began = Instant::now();
        self.refuse_running()?;
        let looked = self.look()?;
        let mut report = self.report(&looked);
        if self.dry_run || !looked.plan.stops.is_empty() {
            report.steps = looked.plan.steps.into_iter().map(|step| Done { step, good: None, told: String::new() }).collect();
            self.name_a_copy(&mut report);
            report.outcome = if self.dry_run { Outcome::Planned } else { Outcome::NotRecovered };
            return Ok(report);
        }
        let to = self.copy_to.clone().unwrap_or_else(|| self.beside());
        let copying = Copying { data: &self.data, to: &to, user: &self.user };
        copying.check_room()?;
        let sockets = socket_directory(&self.user)?;
        let copy = copying.copy_data();
        let installation = self.needed(&looked)?;
        let trial = Trial { installation, user: &self.user, data: &copy, run_directory: sockets.path() };
        let mut work = Work { recovery: self, looked: &looked, copying, trial, report, tried: Vec::new(), starts: 0, tell: &tell };
        work.all().await?;
        let mut report = work.report;
        report.copy = Some(to.display().to_string());
        self.conclude(&mut report, &copy)?;
        report.took_s = began.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Where none is made, the advice names one that a person may make.
    fn name_a_copy(&self, report: &mut Report) {
        let copy = format!("{}.copy", self.data.display());
        if report.next.iter().any(|next| next.contains("COPY")) {
            report.next.iter_mut().for_each(|next| *next = next.replace("COPY", &copy));
            report.next.push(format!(
                "for that make the copy first, with what its tablespaces lead to: cp -a --reflink=auto {} {copy}",
                self.data.display()
            ));
        }
    }

    fn refuse_running(&self) -> Result<()> {
        let busy = match running::status(&self.data) {
            Ok(State::Running(postmaster)) => Some(postmaster.pid()),
            Ok(State::SingleUser { pid }) => Some(pid),
            _ => running::orphans(&self.data).first().copied(),
        };
        match busy {
            Some(pid) => Err(Error::new(
                Kind::Conflict,
                format!("process {pid} works in this directory: recover is for a server that does not start"),
            )
            .at(self.data.display().to_string())
            .hint("for damage in a running server: pgtend verify, then pgtend repair; otherwise stop it first")),
            None => Ok(()),
        }
    }

    fn look(&self) -> Result<Looked> {
        if !self.data.is_dir() {
            return Err(Error::new(Kind::NotFound, "there is no such directory").at(self.data.display().to_string()).hint(
                "name the data directory, where PG_VERSION is; where it is gone, `pgtend restore --into DIR` brings the server back",
            ));
        }
        fs::read_dir(&self.data).map_err(|error| {
            pgtend_postgres::process::system("the data directory cannot be read", &self.data, &error)
                .hint("run it as root, or as the user who owns it")
        })?;
        if !["base", "global", "pg_wal", "PG_VERSION"].iter().any(|name| self.data.join(name).exists()) {
            return Err(Error::new(Kind::NotFound, "this is not a PostgreSQL data directory: it has neither base nor global nor pg_wal")
                .at(self.data.display().to_string()));
        }
        let first = survey::first(&self.data);
        let identity = first.control.as_ref().ok().map(|control| control.system_identifier);
        let found = self.elsewhere.look(identity, first.size)?;
        let major = pgtend_postgres::files::control::major(&self.data).ok().and_then(|major| u16::try_from(major).ok());
        let installation = find(self.bindir.as_deref(), &self.user)
            .ok()
            .and_then(|found| found.usable.into_iter().find(|installation| Some(installation.major) == major));
        let survey = Survey { data: &self.data, user: &self.user, installation: installation.as_ref(), log: self.log.as_deref() };
        let facts = survey.facts(&first, &found)?;
        let plan = plan(&facts, Asked { aggressive: self.aggressive });
        Ok(Looked { facts, found, plan, installation, identity })
    }

    fn needed<'a>(&self, looked: &'a Looked) -> Result<&'a Installation> {
        looked.installation.as_ref().ok_or_else(|| {
            let major = looked.facts.version.and_then(|version| u16::try_from(version).ok());
            let shown = major.map_or_else(|| "of this version".to_owned(), |major| major.to_string());
            Error::new(Kind::NotFound, format!("PostgreSQL {shown} is not installed here: nothing can be tried on a copy"))
                .hint(how_to_install(major))
        })
    }

    fn beside(&self) -> PathBuf {
        let data = fs::canonicalize(&self.data).unwrap_or_else(|_| self.data.clone());
        let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let name = data.file_name().unwrap_or_default().to_string_lossy().into_owned();
        data.with_file_name(format!("{name}.recover-{stamp}"))
    }

    fn report(&self, looked: &Looked) -> Report {
        let data = self.data.display().to_string();
        let findings = looked.plan.findings.iter().cloned().map(|mut finding| {
            finding.remedy = finding.remedy.replace("DIR", &data);
            finding
        });
        Report {
            at: Timestamp::now(),
            data_directory: data.clone(),
            copy: None,
            outcome: Outcome::NotRecovered,
            findings: findings.collect(),
            steps: Vec::new(),
            replayed_to: None,
            last_commit: None,
            lost: looked.plan.lost.clone(),
            verification: None,
            salvage: None,
            next: std::iter::once(&looked.plan.stops).filter(|stops| !stops.is_empty()).chain(&looked.plan.advice).cloned().collect(),
            log: looked.facts.log.clone(),
            took_s: 0.0,
        }
    }

    /// What it comes to, and what to do now.
    fn conclude(&self, report: &mut Report, copy: &Path) -> Result<()> {
        let started = report.steps.iter().any(|done| matches!(done.step.action, Action::Start { .. }) && done.good == Some(true));
        let lossy = report.steps.iter().any(|done| done.step.lossy && done.good == Some(true));
        let damaged = report.verification.as_ref().is_none_or(|found| found.verdict == Verdict::Damaged);
        let checked = report.steps.iter().all(|done| !matches!(done.step.action, Action::Check) || done.good == Some(true));
        report.outcome = match (started, lossy || damaged || !checked || !report.lost.is_empty()) {
            (false, _) => Outcome::NotRecovered,
            (true, true) => Outcome::RecoveredWithLoss,
            (true, false) => Outcome::Recovered,
        };
        let shown = copy.display().to_string();
        report.next.iter_mut().for_each(|next| *next = next.replace("COPY", &shown));
        let data = self.data.display();
        if report.outcome == Outcome::Recovered && self.swap {
            let kept = swap(&self.data, copy)?;
            report.next.push(format!(
                "the copy is now {data}; what was there is {}: keep it until the server runs and a backup was taken",
                kept.display()
            ));
        } else if report.outcome == Outcome::Recovered {
            report.next.push(format!(
                "let the copy take its place (or use --swap): mv {data} {data}.damaged && mv {shown} {data}; then start it as always"
            ));
        } else if report.outcome == Outcome::RecoveredWithLoss {
            report.next.push(format!(
                "the copy {shown} starts: dump what you need of it and load that into a new cluster, or compare it with a restored backup (pgtend restore --into NEW_DIR)"
            ));
        } else {
            report.next.push("bring the newest state back from the repository: pgtend restore --into NEW_DIR".to_owned());
        }
        Ok(())
    }
}

/// Puts the copy in the directory's place; where the directory is now.
fn swap(data: &Path, copy: &Path) -> Result<PathBuf> {
    let mut kept = data.as_os_str().to_owned();
    kept.push(format!(".damaged-{}", Timestamp::now().strftime("%Y%m%dT%H%M%SZ")));
    let kept = PathBuf::from(kept);
    let failed = |error: &std::io::Error| {
        pgtend_postgres::process::system("the copy cannot take the directory's place", data, error)
            .hint(format!("a mount point cannot be renamed: use the copy where it is, {}", copy.display()))
    };
    fs::rename(data, &kept).map_err(|error| failed(&error))?;
    if let Err(error) = fs::rename(copy, data) {
        // Back as it was.
        _ = fs::rename(&kept, data);
        return Err(failed(&error));
    }
    Ok(kept)
}

/// A recovery that goes on.
struct Work<'a, T: Fn(&str)> {
    recovery: &'a Recovery,
    looked: &'a Looked,
    copying: Copying<'a>,
    trial: Trial<'a>,
    report: Report,
    tried: Vec<Action>,
    starts: usize,
    tell: &'a T,
}

impl<T: Fn(&str)> Work<'_, T> {
    async fn all(&mut self) -> Result<()> {
        let mut queue: VecDeque<Step> = self.looked.plan.steps.iter().cloned().collect();
        while let Some(step) = queue.pop_front() {
            (self.tell)(&step.what);
            let outcome = self.step(&step.action).await;
            self.tried.push(step.action.clone());
            let failed = outcome.as_ref().err().cloned();
            let told = outcome.unwrap_or_else(|error| error.what);
            self.report.steps.push(Done { step: step.clone(), good: Some(failed.is_none()), told });
            let Some(error) = failed else {
                if step.action == Action::Check && self.recovery.aggressive && !self.report.lost.is_empty() {
                    queue.push_back(Step::new(Action::Salvage));
                }
                continue;
            };
            match &step.action {
                Action::Start { .. } => self.after_failure(&error, &mut queue),
                // What was found by looking is told; what could not be taken may not be needed.
                Action::Check | Action::Salvage => {}
                Action::TakeWal { .. } | Action::TakeFiles { .. } | Action::SetAside { .. } | Action::FillSlru { .. } => {
                    self.report.next.extend(Some(error.hint).filter(|hint| !hint.is_empty()));
                    queue.clear();
                }
                _ => return Err(error),
            }
        }
        Ok(())
    }

    fn after_failure(&mut self, error: &Error, queue: &mut VecDeque<Step>) {
        self.starts += 1;
        let failure = failure::read(&error.what);
        let asked = Asked { aggressive: self.recovery.aggressive };
        let next =
            if self.starts < ATTEMPTS { failure::next(&failure, &self.looked.facts, asked, &self.tried) } else { Next::GiveUp(Vec::new()) };
        match next {
            Next::Try(actions) => actions.into_iter().rev().for_each(|action| queue.push_front(Step::new(action))),
            Next::GiveUp(advice) => {
                self.report.next.extend(advice);
                queue.clear();
            }
        }
    }

    async fn step(&mut self, action: &Action) -> Result<String> {
        match action {
            Action::Copy => Ok(self.copied(self.copying.copy()?)),
            Action::Start { ignore_invalid_pages } => {
                let recovered = self.trial.replay(*ignore_invalid_pages)?;
                self.report.replayed_to.clone_from(&recovered.replayed_to);
                self.report.last_commit.clone_from(&recovered.last_commit);
                Ok(recovered
                    .replayed_to
                    .map_or_else(|| "it runs; there was nothing to replay".to_owned(), |to| format!("it runs; WAL was replayed to {to}")))
            }
            Action::Check => self.check().await,
            Action::Salvage => {
                let to = self.copying.to.join("salvage");
                let wrong = self.trial.salvage(&to).await?;
                self.report.salvage = Some(to.display().to_string());
                self.report.lost.extend(wrong.iter().cloned());
                Ok(format!("dumped into {}", to.display()))
            }
            _ => self.acting().act(action),
        }
    }

    fn acting(&self) -> Acting<'_> {
        let looked = self.looked;
        Acting {
            copy: self.trial.data,
            user: &self.recovery.user,
            elsewhere: &self.recovery.elsewhere,
            found: &looked.found,
            backup: looked.facts.backup.as_ref(),
            identity: looked.identity,
            size: looked.facts.wal.size,
            version: looked.facts.version,
        }
    }

    fn copied(&mut self, copied: Copied) -> String {
        self.report.lost.extend(copied.unreadable.iter().map(|what| format!("the disk does not give {what}; it is empty in the copy")));
        let how = if copied.shared { ", sharing blocks with the original" } else { "" };
        format!("{} files, {} bytes{how}", copied.files, copied.bytes)
    }

    async fn check(&mut self) -> Result<String> {
        let options = Options {
            data: Some(self.trial.data.to_owned()),
            target: None,
            silence_allowed: true,
            depth: Depth::Pages,
            threads: 2,
            relations: Vec::new(),
            parents: false,
            timeout: Duration::from_secs(600),
        };
        let found = Box::pin(verify::run(&options, &Arc::new(Scanned::default()))).await?;
        let damaged = found.errors.len() as u64 + found.errors_left_out;
        self.report.lost.extend(damaged_files(&found));
        let pages = found.checked.pages;
        let end = pgtend_postgres::files::control::read(self.trial.data)?.control.checkpoint.lsn;
        if let Some(highest) = found.checked.highest_lsn.filter(|highest| *highest > end) {
            self.report.lost.push(format!("pages are of {highest}, and the log ends at {end}: WAL is missing, and what is in it is lost"));
        }
        self.report.verification = Some(found);
        let wrong = self.trial.look().await?;
        let told = format!("{pages} pages read, {damaged} damaged; {} databases cannot be used", wrong.len());
        self.report.lost.extend(wrong);
        Ok(told)
    }
}

/// Damage a file a line.
fn damaged_files(found: &Verification) -> Vec<String> {
    let mut by_file: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for damage in &found.errors {
        *by_file.entry(damage.file.as_str()).or_default() += 1;
    }
    by_file.into_iter().map(|(file, count)| format!("{file}: {count} damaged pages or files")).collect()
}
