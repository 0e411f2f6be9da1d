//! What tells PostgreSQL to replay: settings at the end of `postgresql.auto.conf`, and a signal file.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pgtend_model::backup::restore_plan::{Plan, Target};
use pgtend_model::error::{Error, Kind, Result};
use std::fs;
use std::io;
use std::path::Path;

const BEGIN: &str = "# pgtend restore: how this cluster is recovered; it may be removed afterwards";
const END: &str = "# pgtend restore: end";

/// What becomes of the restored cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It takes the place of the one that was lost: it archives as that did.
    Primary,
    /// It is a copy beside it: it must not archive into the same place.
    Copy,
    /// It follows a primary.
    Standby,
    /// It is asked, and thrown away: nothing of the cluster's own settings counts.
    Scratch,
}

/// What happens at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Recovery ends, and the cluster goes on on a timeline of its own.
    Promote,
    /// Recovery pauses: one may look, and go on.
    Pause,
    /// The server stops.
    Shutdown,
}

impl Action {
    const fn word(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Pause => "pause",
            Self::Shutdown => "shutdown",
        }
    }
}

/// How a cluster is recovered.
#[derive(Debug, Clone)]
pub struct Recovery<'a> {
    /// What was decided.
    pub plan: &'a Plan,
    /// Where it ends.
    pub target: &'a Target,
    /// Whether it ends before the target rather than after it.
    pub exclusive: bool,
    /// What happens there.
    pub action: Action,
    /// What it is for.
    pub purpose: Purpose,
    /// The command that brings WAL.
    pub restore_command: &'a str,
    /// How a standby reaches its primary.
    pub primary_conninfo: Option<&'a str>,
}

impl Recovery<'_> {
    /// The settings, one a line.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![setting("restore_command", self.restore_command)];
        lines.push(setting("recovery_target_timeline", &self.plan.timeline.to_string()));
        if self.purpose == Purpose::Standby {
            // A standby follows wherever its primary goes.
            lines[1] = setting("recovery_target_timeline", "latest");
            lines.extend(self.primary_conninfo.map(|conninfo| setting("primary_conninfo", conninfo)));
            return lines;
        }
        match self.target {
            Target::Latest => {}
            Target::Immediate => lines.push(setting("recovery_target", "immediate")),
            Target::Time(time) => lines.push(setting("recovery_target_time", &as_postgresql_reads_it(*time))),
            Target::Lsn(lsn) => lines.push(setting("recovery_target_lsn", &lsn.to_string())),
            Target::Xid(xid) => lines.push(setting("recovery_target_xid", &xid.to_string())),
            Target::Name(name) => lines.push(setting("recovery_target_name", name)),
        }
        if *self.target != Target::Latest {
            lines.push(setting("recovery_target_action", self.action.word()));
            lines.push(setting("recovery_target_inclusive", if self.exclusive { "off" } else { "on" }));
        }
        if matches!(self.purpose, Purpose::Copy | Purpose::Scratch) {
            lines.push(setting("archive_mode", "off"));
        }
        lines
    }

    /// Writes them, in place of what an earlier restore wrote.
    ///
    /// # Errors
    /// `System` when the files cannot be written.
    pub fn write(&self, data: &Path) -> Result<()> {
        let path = data.join("postgresql.auto.conf");
        let before = match fs::read_to_string(&path) {
            Ok(_) if self.purpose == Purpose::Scratch => String::new(),
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(&path, &error)),
        };
        let mut text = without_recovery(&before);
        for line in [BEGIN.to_owned()].into_iter().chain(self.lines()).chain([END.to_owned()]) {
            text.push_str(&line);
            text.push('\n');
        }
        fs::write(&path, text).map_err(|error| failed(&path, &error))?;
        let signal = data.join(if self.purpose == Purpose::Standby { "standby.signal" } else { "recovery.signal" });
        fs::write(&signal, "").map_err(|error| failed(&signal, &error))
    }
}

/// The text without what an earlier restore wrote, and without recovery targets from before, of which there may be only one.
fn without_recovery(text: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        inside |= line == BEGIN;
        let name = line.split(['=', ' ']).next().unwrap_or_default();
        let recovery = name.starts_with("recovery_target") || name == "restore_command" || name == "primary_conninfo";
        if !inside && !recovery {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= line != END;
    }
    kept
}

/// PostgreSQL refuses the T and the Z of ISO 8601 here.
fn as_postgresql_reads_it(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S%.6f+00").to_string()
}

fn setting(name: &str, value: &str) -> String {
    format!("{name} = '{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::new(Kind::System, format!("the recovery settings cannot be written: {error}")).at(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_restore_wrote_is_replaced() {
        let before = format!(
            "work_mem = '8MB'\nrecovery_target_time = 'x'\n{BEGIN}\nrestore_command = 'y'\narchive_mode = 'off'\n{END}\njit = 'off'\n"
        );
        assert_eq!(without_recovery(&before), "work_mem = '8MB'\njit = 'off'\n");
    }

    #[test]
    fn times_are_as_postgresql_reads_them() {
        assert_eq!(as_postgresql_reads_it("2026-11-21T07:15:45.5Z".parse().unwrap()), "2026-11-21 07:15:45.500000+00");
    }

    #[test]
    fn values_are_quoted_as_postgresql_reads_them() {
        assert_eq!(setting("restore_command", r"it's a \ path"), r"restore_command = 'it''s a \\ path'");
    }
}
