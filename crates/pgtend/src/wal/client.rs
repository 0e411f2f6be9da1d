//! `pgtend wal push` and `pgtend wal get`: what PostgreSQL runs for each segment, and so as little as can be.
//!
//! It is looked for before the command line is built and before a runtime starts: no threads, no configuration, one connection.
//!
//! How `get` ends matters to PostgreSQL (`RestoreArchivedFile`): 1 to 125 says that there is no such file, and recovery takes it for the
//! end of the WAL; above 125, and death by a signal, abort the recovery. So 1 is for "the repositories answer, and have no such file" alone.
//! Everything else ends as [`TROUBLE`]: a repository that cannot be reached never looks like the end of the WAL. A standby has no such
//! end: it asks again and again, and would only be taken down; there trouble ends with the error's own code.

use super::protocol::{Answer, Request, reach, send_file};
use crate::cli::output;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_postgres::files::wal::{Header, unwritten_page};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How `get` ends when a file is not there.
pub const ABSENT: u8 = 1;
/// How `get` ends in a recovery when it cannot be told whether a file is there. Not 128 and more by a signal's number.
pub const TROUBLE: u8 = 126;
/// How long `get` waits for a service that is being started anew.
const SERVICE_PATIENCE: Duration = Duration::from_secs(30);
/// How long a file may take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1800);

/// What is asked of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `archive_command`: this file.
    Push(PathBuf),
    /// `restore_command`: this name, to here.
    Get(String, PathBuf),
}

/// A call and whom it goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The socket of the service.
    pub socket: PathBuf,
    /// Which server; empty when there is only one.
    pub server: String,
    /// What is asked.
    pub call: Call,
}

impl Client {
    /// Reads the arguments after the program's name; none when they are not exactly those of a plain call, so that the whole command line
    /// has to look at them.
    pub fn of_arguments(arguments: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut arguments = arguments.into_iter();
        arguments.next().filter(|word| word == "wal")?;
        let verb = arguments.next()?;
        let (mut socket, mut server, mut rest) = (None, String::new(), Vec::new());
        while let Some(word) = arguments.next() {
            match word.to_str()? {
                "--socket" => socket = Some(PathBuf::from(arguments.next()?)),
                "--server" => server = arguments.next()?.into_string().ok()?,
                option if option.starts_with('-') => return None,
                plain => rest.push(plain.to_owned()),
            }
        }
        let call = match (verb.to_str()?, rest.as_slice()) {
            ("push", [path]) => Call::Push(path.into()),
            ("get", [name, destination]) => Call::Get(name.clone(), destination.into()),
            _ => return None,
        };
        Some(Self { socket: socket?, server, call })
    }

    /// Does it; gives the exit code. What went wrong is on standard error, which PostgreSQL takes into its log.
    pub fn run(&self) -> u8 {
        match &self.call {
            Call::Push(path) => self.push(path).map_or_else(
                |error| {
                    output::error(&error);
                    error.kind.exit_code()
                },
                |()| 0,
            ),
            Call::Get(name, destination) => match self.get(name, destination) {
                Ok(true) => 0,
                Ok(false) => ABSENT,
                Err(error) => {
                    output::error(&error);
                    if Path::new("standby.signal").exists() { error.kind.exit_code() } else { TROUBLE }
                }
            },
        }
    }

    fn push(&self, path: &Path) -> Result<()> {
        let absolute = std::path::absolute(path).map_err(|error| failed("the path cannot be made absolute", path, &error))?;
        let text =
            absolute.to_str().ok_or_else(|| Error::new(Kind::Unsupported, "the path is not UTF-8").at(absolute.display().to_string()))?;
        let mut stream = self.connect().map_err(|error| self.silent(&error, "PostgreSQL keeps the WAL and asks again: nothing is lost"))?;
        let request = Request::Push { server: self.server.clone(), path: text.to_owned() };
        let answer = request.write(&mut stream).and_then(|()| Answer::read(&mut stream));
        let answer = match answer {
            Ok(Answer::Send) => send(&mut stream, &absolute)?,
            other => other.map_err(|error| self.broken(&error))?,
        };
        match answer {
            Answer::Kept => Ok(()),
            Answer::Failed(error) => Err(error),
            _ => Err(Error::new(Kind::Internal, "the agent gave an answer that does not fit")),
        }
    }

    fn get(&self, name: &str, destination: &Path) -> Result<bool> {
        let ends = Instant::now() + SERVICE_PATIENCE;
        loop {
            let error = match self.ask(name) {
                Ok(Answer::File(bytes)) => return write(destination, &bytes).map(|()| true),
                Ok(Answer::Beginning(bytes)) => return begin(name, &bytes, destination),
                Ok(Answer::Absent) => return Ok(false),
                Ok(Answer::Failed(error)) => return Err(error),
                Ok(_) => return Err(Error::new(Kind::Internal, "the agent gave an answer that does not fit")),
                Err(error) => error,
            };
            let forbidden = error.kind() == io::ErrorKind::PermissionDenied;
            if forbidden || Instant::now() > ends {
                return Err(self.silent(&error, "the recovery ends here; start it again when the agent answers"));
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    fn ask(&self, name: &str) -> io::Result<Answer> {
        let mut stream = self.connect()?;
        // A standby has its primary's WAL to wait for; PostgreSQL takes what it gets here instead of a longer segment of its own.
        let open_too = Path::new("recovery.signal").exists() && !Path::new("standby.signal").exists();
        Request::Get { server: self.server.clone(), name: name.to_owned(), open_too }.write(&mut stream)?;
        Answer::read(&mut stream)
    }

    fn connect(&self) -> io::Result<UnixStream> {
        let (_directory, socket) = reach(&self.socket)?;
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
        stream.set_write_timeout(Some(ANSWER_PATIENCE))?;
        Ok(stream)
    }

    fn silent(&self, error: &io::Error, hint: &str) -> Error {
        Error::new(Kind::Unreachable, format!("the agent that keeps the WAL does not answer: {error}"))
            .at(self.socket.display().to_string())
            .hint(format!("is pgtend running? {hint}"))
    }

    fn broken(&self, error: &io::Error) -> Error {
        Error::new(Kind::Unreachable, format!("the agent that keeps the WAL ended before it answered: {error}"))
            .at(self.socket.display().to_string())
            .hint("PostgreSQL keeps the WAL and asks again: nothing is lost")
    }
}

/// Sends what the service may not read itself.
fn send(stream: &mut UnixStream, path: &Path) -> Result<Answer> {
    let bytes = fs::read(path).map_err(|error| failed("the file cannot be read", path, &error))?;
    let control = path.parent().and_then(Path::parent).map(|data| data.join("global/pg_control"));
    let control = control.and_then(|path| fs::read(path).ok()).unwrap_or_default();
    let sent = send_file(stream, &bytes).and_then(|()| send_file(stream, &control)).and_then(|()| Answer::read(stream));
    sent.map_err(|error| failed("the agent did not take the file", path, &error))
}

/// Hands over the beginning of a segment, zeros after it, where the WAL ends for PostgreSQL; not where `pg_wal` has as much of the segment or more,
/// which PostgreSQL then reads.
fn begin(name: &str, bytes: &[u8], destination: &Path) -> Result<bool> {
    let own = fs::read(Path::new("pg_wal").join(name)).unwrap_or_default();
    let Some(header) = Header::of(bytes) else {
        return Err(Error::new(Kind::Conflict, format!("what was streamed of {name} does not begin as WAL does")));
    };
    if reaches(&own, bytes, &header) {
        return Ok(false);
    }
    let mut segment = bytes.to_vec();
    segment.resize(header.segment_bytes as usize, 0);
    write(destination, &segment).map(|()| true)
}

/// Whether a file of `pg_wal` has all of a beginning, or more pages of the same place.
fn reaches(own: &[u8], beginning: &[u8], header: &Header) -> bool {
    let same_place = |own: Header| own.address == header.address && own.system_identifier == header.system_identifier;
    if !Header::of(own).is_some_and(same_place) {
        return false;
    }
    let written = unwritten_page(own, header.address, header).map_or(own.len() as u64, |end| end.0 - header.address.0);
    own.starts_with(beginning) || written > (beginning.len() as u64).next_multiple_of(u64::from(header.page_bytes.max(1)))
}

/// Writes beside the destination and renames, so that PostgreSQL never finds half a file.
fn write(destination: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = destination.file_name().unwrap_or_default().to_owned();
    name.push(".pgtend");
    let unfinished = destination.with_file_name(name);
    let written = fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, destination));
    written.map_err(|error| {
        let _not_there = fs::remove_file(&unfinished);
        failed("the file cannot be written", destination, &error)
    })
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(Kind::System, format!("{what}: {error}")).at(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Client> {
        Client::of_arguments(line.split(' ').map(OsString::from))
    }

    #[test]
    fn plain_calls_are_read_and_all_else_is_left_to_the_command_line() {
        let push = read("wal push --socket /run/x.wal --server main pg_wal/000000010000000000000001").unwrap();
        assert_eq!((push.server.as_str(), push.call), ("main", Call::Push("pg_wal/000000010000000000000001".into())));
        let get = read("wal get 00000002.history pg_wal/RECOVERYHISTORY --socket /run/x.wal").unwrap();
        assert_eq!(get.call, Call::Get("00000002.history".into(), "pg_wal/RECOVERYHISTORY".into()));
        for line in [
            "",
            "wal",
            "wal status",
            "wal push --help",
            "wal push x",
            "wal push --socket /s",
            "wal get --socket /s x",
            "wal push --socket=/s x",
            "status",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn what_ends_a_recovery_is_not_taken_for_a_signal() {
        // PostgreSQL's wait_result_is_any_signal: 126 and 127 abort, and so does 128 + n; 128 + 15 would look like its own shutdown.
        assert!([126, 127].contains(&TROUBLE));
        assert!((1..=125).contains(&ABSENT));
    }
}
