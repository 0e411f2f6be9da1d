//! Who runs a data directory: what `postmaster.pid` says, and whether the process it names is still that postmaster.
//!
//! The file outlives a crash, and process numbers are used again, so the number alone proves nothing. A postmaster is recognized by
//! its program, by its working directory (it works in the data directory) and by its start.

use std::path::{Path, PathBuf};

/// How far the start in the file and the start of the process may lie apart when the working directory cannot be read: the file has
/// whole seconds, and the system's idea of its boot moves when the clock is set.
const START_TOLERANCE_S: i64 = 10;

/// The contents of `postmaster.pid` (PostgreSQL's `pidfile.h`; the same in 13 to 18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidFile {
    /// The process; of a single-user backend too, see [`PidFile::single_user`].
    pub pid: u32,
    /// Whether a single-user backend wrote it.
    pub single_user: bool,
    /// The data directory it says it runs.
    pub data_directory: PathBuf,
    /// When it started, in seconds since 1970.
    pub started_s: i64,
    /// The TCP and socket port. Unknown in the first moments.
    pub port: Option<u16>,
    /// The first directory with a Unix socket, if it listens on one.
    pub socket_directory: Option<PathBuf>,
    /// The first address it listens on, if any.
    pub listen_address: Option<String>,
    /// How far it has come.
    pub phase: Phase,
}

/// How far a postmaster has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not accepting connections yet; it may be replaying WAL.
    Starting,
    /// Accepting connections.
    Ready,
    /// A standby that does not accept connections.
    Standby,
    /// Shutting down.
    Stopping,
}

impl PidFile {
    /// Reads the file's text. `None` when it is not one, or not complete yet.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim_end);
        let number: i64 = lines.next()?.trim().parse().ok()?;
        let data_directory = PathBuf::from(lines.next()?);
        let started_s = lines.next()?.trim().parse().ok()?;
        let port = lines.next().and_then(|line| line.trim().parse().ok());
        let mut text_line = || lines.next().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
        let socket_directory = text_line().map(PathBuf::from);
        let listen_address = text_line();
        _ = text_line();
        let phase = match text_line().as_deref() {
            Some("ready") => Phase::Ready,
            Some("standby") => Phase::Standby,
            Some("stopping") => Phase::Stopping,
            _ => Phase::Starting,
        };
        let pid = u32::try_from(number.unsigned_abs()).ok().filter(|pid| *pid > 0)?;
        Some(Self { pid, single_user: number < 0, data_directory, started_s, port, socket_directory, listen_address, phase })
    }
}

/// What the system knows of the process that the file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The name of its program.
    pub program: String,
    /// Whether it has ended and only waits for its parent to take notice.
    pub zombie: bool,
    /// When it started, in seconds since 1970.
    pub started_s: i64,
    /// Where it works; `None` when the system does not tell (another user's process).
    pub working_directory: Option<PathBuf>,
}

/// Whether the process that the file names is the postmaster of the data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Running,
    /// It is not; the file was left behind.
    Stale(Stale),
}

/// Why a `postmaster.pid` counts as left behind.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stale {
    /// There is no such process.
    Gone,
    /// It has ended, but its parent has not taken notice, so that its number is still in use.
    Zombie,
    /// The number belongs to another program now.
    OtherProgram(String),
    /// The number belongs to a PostgreSQL that works elsewhere.
    OtherDirectory(PathBuf),
    /// The number belongs to a PostgreSQL that started at another time.
    OtherStart,
}

impl Stale {
    /// Whether PostgreSQL would mistake the process for a living postmaster and refuse to start until the file is gone. It looks only
    /// whether a process of that number exists.
    pub const fn blocks_start(&self) -> bool {
        !matches!(self, Self::Gone)
    }

    /// The reason in words, after "postmaster.pid names process N, ".
    pub fn reason(&self) -> String {
        match self {
            Self::Gone => "which no longer exists".into(),
            Self::Zombie => "which has ended, though its parent has not taken notice".into(),
            Self::OtherProgram(program) => format!("which is {program} now"),
            Self::OtherDirectory(directory) => format!("which is a PostgreSQL in {} now", directory.display()),
            Self::OtherStart => "which is a PostgreSQL that started at another time".into(),
        }
    }
}

/// Judges the file in `data_directory` by what the system says of the process. Both paths are expected resolved (no symbolic links).
pub fn judge(file: &PidFile, process: Option<&Process>, data_directory: &Path) -> Verdict {
    let Some(process) = process else { return Verdict::Stale(Stale::Gone) };
    if process.zombie {
        return Verdict::Stale(Stale::Zombie);
    }
    if !matches!(process.program.as_str(), "postgres" | "postmaster" | ".postgres-wrapp") {
        return Verdict::Stale(Stale::OtherProgram(process.program.clone()));
    }
    match &process.working_directory {
        Some(directory) if directory == data_directory => Verdict::Running,
        Some(directory) => Verdict::Stale(Stale::OtherDirectory(directory.clone())),
        None if (process.started_s - file.started_s).abs() <= START_TOLERANCE_S => Verdict::Running,
        None => Verdict::Stale(Stale::OtherStart),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "4711\n/srv/pg/data\n1763680000\n5433\n/srv/pg/run\n127.0.0.1\n  5432101    131072\nready   \n";

    fn process() -> Process {
        Process { program: "postgres".into(), zombie: false, started_s: 1_763_680_000, working_directory: Some("/srv/pg/data".into()) }
    }

    fn verdict(process: Option<Process>) -> Verdict {
        judge(&PidFile::parse(TEXT).unwrap(), process.as_ref(), Path::new("/srv/pg/data"))
    }

    #[test]
    fn the_file_as_postgresql_writes_it() {
        let file = PidFile::parse(TEXT).unwrap();
        assert_eq!((file.pid, file.single_user, file.port, file.phase), (4711, false, Some(5433), Phase::Ready));
        assert_eq!(file.socket_directory.as_deref(), Some(Path::new("/srv/pg/run")));
        assert_eq!(file.listen_address.as_deref(), Some("127.0.0.1"));
    }

    #[test]
    fn the_file_in_its_first_moments_and_of_a_single_user_backend() {
        let early = PidFile::parse("4711\n/srv/pg/data\n1763680000\n5432\n\n\n").unwrap();
        assert_eq!((early.phase, early.socket_directory, early.listen_address), (Phase::Starting, None, None));
        assert!(PidFile::parse("-12\n/srv/pg/data\n1763680000\n").unwrap().single_user);
        for text in ["", "4711", "x\n/d\n1\n", "0\n/d\n1\n", "4711\n/d\n"] {
            assert_eq!(PidFile::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_postmaster_is_known_by_program_and_directory() {
        assert_eq!(verdict(Some(process())), Verdict::Running);
        assert_eq!(verdict(None), Verdict::Stale(Stale::Gone));
        assert_eq!(verdict(Some(Process { zombie: true, ..process() })), Verdict::Stale(Stale::Zombie));
        assert_eq!(verdict(Some(Process { program: "vim".into(), ..process() })), Verdict::Stale(Stale::OtherProgram("vim".into())));
        let elsewhere = Process { working_directory: Some("/var/lib/other".into()), ..process() };
        assert_eq!(verdict(Some(elsewhere)), Verdict::Stale(Stale::OtherDirectory("/var/lib/other".into())));
    }

    #[test]
    fn where_the_directory_is_hidden_the_start_decides() {
        let hidden = Process { working_directory: None, ..process() };
        assert_eq!(verdict(Some(Process { started_s: 1_763_680_004, ..hidden.clone() })), Verdict::Running);
        assert_eq!(verdict(Some(Process { started_s: 1_763_690_000, ..hidden })), Verdict::Stale(Stale::OtherStart));
    }

    #[test]
    fn only_a_number_in_use_blocks_the_start() {
        assert!(!Stale::Gone.blocks_start());
        assert!(Stale::Zombie.blocks_start() && Stale::OtherStart.blocks_start() && Stale::OtherProgram("vim".into()).blocks_start());
    }
}
