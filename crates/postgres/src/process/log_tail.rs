//! The last things PostgreSQL said, for the error of a start that failed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const LINES: usize = 12;

/// The last lines that were written after `since`: of `startup_log` from `offset` on, and of the newest file of the logging collector.
pub(super) fn last_lines(startup_log: &Path, offset: u64, log_directory: &Path, since: SystemTime) -> String {
    let start = read_from(startup_log, offset);
    let start = tail(start.lines().filter(|line| !is_noise(line)).map(str::to_owned).collect(), LINES);
    // A collector's file of this moment may still be that of a postmaster that was just killed: it does not push aside the new one's words.
    let collected = newest(log_directory, startup_log, since).and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let collected = tail(collected.lines().map(readable).collect(), (LINES - start.len()).max(LINES / 2));
    [start, collected].concat().join("\n")
}

fn tail(mut lines: Vec<String>, most: usize) -> Vec<String> {
    lines.split_off(lines.len().saturating_sub(most))
}

/// The length of a file that may not exist yet.
pub(super) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

fn read_from(path: &Path, offset: u64) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    String::from_utf8_lossy(&bytes[from..]).into_owned()
}

fn is_noise(line: &str) -> bool {
    line.contains("redirecting log output to logging collector") || line.contains("Future log output will appear in")
}

fn newest(directory: &Path, except: &Path, since: SystemTime) -> Option<PathBuf> {
    let files = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path()).filter(|path| path != except);
    let dated = files.filter_map(|path| Some((fs::metadata(&path).ok().filter(|found| found.len() > 0)?.modified().ok()?, path)));
    // A file's time may be a tick coarser than the clock.
    let slack = std::time::Duration::from_millis(100);
    dated.filter(|(modified, _)| *modified + slack >= since).max().map(|(_, path)| path)
}

/// A line of jsonlog as a person reads it; any other line as it is.
fn readable(line: &str) -> String {
    let Ok(serde_json::Value::Object(entry)) = serde_json::from_str(line) else { return line.to_owned() };
    let field = |name| entry.get(name).and_then(serde_json::Value::as_str);
    let (Some(severity), Some(message)) = (field("error_severity"), field("message")) else { return line.to_owned() };
    let detail = ["detail", "hint"].iter().filter_map(|name| field(name)).fold(String::new(), |text, part| format!("{text} ({part})"));
    format!("{severity}:  {message}{detail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_and_the_json_read_out() {
        let directory = tempfile::tempdir().unwrap();
        let startup = directory.path().join("startup.log");
        fs::write(&startup, "old\nnew\nLOG:  redirecting log output to logging collector process\n").unwrap();
        let collected = r#"{"error_severity":"FATAL","message":"could not create any TCP/IP sockets","hint":"wait"}"#;
        fs::write(directory.path().join("postgresql-Mon.json"), format!("{collected}\nplain\n")).unwrap();
        let lines = last_lines(&startup, 4, directory.path(), SystemTime::now() - std::time::Duration::from_secs(5));
        assert_eq!(lines, "new\nFATAL:  could not create any TCP/IP sockets (wait)\nplain");
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        assert_eq!(last_lines(&startup, 4, directory.path(), later), "new");
    }
}
