//! What the client and the WAL service say to each other.
//!
//! A message is one byte that tells its kind, four bytes with the length of what follows (little-endian), and that. The client sends one
//! request a connection; strings in it are separated by a zero byte, which none of them can have in it.
//!
//! | kind | from | holds |
//! |---|---|---|
//! | `P` | client | push: server (empty: the one that the path belongs to), absolute path of the file |
//! | `G` | client | get: server (empty: the only one), name of the file |
//! | `O` | client | the same; of a segment that is whole nowhere, its beginning |
//! | `S` | service | "send it": the service may not read the file; two `B` follow, the file and `global/pg_control` (empty when unreadable) |
//! | `B` | both | the bytes of a file |
//! | `b` | service | the beginning of a segment that is whole nowhere, as far as it was streamed |
//! | `K` | service | done; pushed and durable |
//! | `A` | service | there is no such file |
//! | `E` | service | an error, as JSON |

use pgtend_model::error::{Error, Kind, Result};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// The longest request: two paths.
const MOST_REQUEST_BYTES: usize = 16 << 10;
/// The longest file: the largest segment there can be.
const MOST_FILE_BYTES: usize = 1 << 30;

/// The longest path of a socket.
const SOCKET_PATH_MOST_BYTES: usize = 107;

/// What the client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// To have a file kept.
    Push {
        /// Of which server; empty when the path tells.
        server: String,
        /// Where it is.
        path: String,
    },
    /// To have a file brought.
    Get {
        /// Of which server; empty when there is only one.
        server: String,
        /// Its name.
        name: String,
        /// Whether the beginning of a segment will do where the whole is nowhere.
        open_too: bool,
    },
}

/// What the service answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The file is durable.
    Kept,
    /// The service cannot read the file itself.
    Send,
    /// Here it is.
    File(Vec<u8>),
    /// The whole segment is nowhere, and this is its beginning.
    Beginning(Vec<u8>),
    /// There is none.
    Absent,
    /// It did not work.
    Failed(Error),
}

impl Request {
    /// Sends it.
    ///
    /// # Errors
    /// What the socket says.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Push { server, path } => message(to, b'P', format!("{server}\0{path}").as_bytes()),
            Self::Get { server, name, open_too } => {
                message(to, if *open_too { b'O' } else { b'G' }, format!("{server}\0{name}").as_bytes())
            }
        }
    }

    /// Receives one.
    ///
    /// # Errors
    /// What the socket says; `InvalidData` when it is no request.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let (kind, body) = receive(from, MOST_REQUEST_BYTES)?;
        let text = String::from_utf8(body).map_err(|_| nonsense())?;
        let (server, what) = text.split_once('\0').ok_or_else(nonsense)?;
        let (server, what) = (server.to_owned(), what.to_owned());
        match kind {
            b'P' => Ok(Self::Push { server, path: what }),
            b'G' | b'O' => Ok(Self::Get { server, name: what, open_too: kind == b'O' }),
            _ => Err(nonsense()),
        }
    }
}

impl Answer {
    /// Sends it.
    ///
    /// # Errors
    /// What the socket says.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Kept => message(to, b'K', &[]),
            Self::Send => message(to, b'S', &[]),
            Self::Absent => message(to, b'A', &[]),
            Self::File(bytes) => message(to, b'B', bytes),
            Self::Beginning(bytes) => message(to, b'b', bytes),
            Self::Failed(error) => message(to, b'E', &serde_json::to_vec(error)?),
        }
    }

    /// Receives one.
    ///
    /// # Errors
    /// What the socket says; `InvalidData` when it is no answer.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let (kind, body) = receive(from, MOST_FILE_BYTES)?;
        match kind {
            b'K' => Ok(Self::Kept),
            b'S' => Ok(Self::Send),
            b'A' => Ok(Self::Absent),
            b'B' => Ok(Self::File(body)),
            b'b' => Ok(Self::Beginning(body)),
            b'E' => Ok(Self::Failed(serde_json::from_slice(&body)?)),
            _ => Err(nonsense()),
        }
    }
}

/// A path to a socket that is short enough for the system (107 bytes), and what must stay open while it is used.
///
/// # Errors
/// When the directory of a path that is too long cannot be opened.
pub fn reach(socket: &Path) -> io::Result<(Option<File>, PathBuf)> {
    let (Some(directory), Some(name)) = (socket.parent(), socket.file_name()) else { return Ok((None, socket.to_owned())) };
    if socket.as_os_str().len() <= SOCKET_PATH_MOST_BYTES {
        return Ok((None, socket.to_owned()));
    }
    let directory = File::open(directory)?;
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    Ok((Some(directory), short))
}

/// Sends the bytes of a file.
///
/// # Errors
/// What the socket says.
pub fn send_file(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    message(to, b'B', bytes)
}

/// Receives the bytes of a file.
///
/// # Errors
/// `Conflict` when the client did something else.
pub fn receive_file(from: &mut impl Read) -> Result<Vec<u8>> {
    match receive(from, MOST_FILE_BYTES) {
        Ok((b'B', body)) => Ok(body),
        Ok(_) => Err(Error::new(Kind::Conflict, "the client sent something else than the file")),
        Err(error) => Err(Error::new(Kind::Conflict, format!("the client did not send the file: {error}"))),
    }
}

fn message(to: &mut impl Write, kind: u8, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).map_err(|_| nonsense())?;
    let mut head = [kind, 0, 0, 0, 0];
    head[1..].copy_from_slice(&length.to_le_bytes());
    to.write_all(&head)?;
    to.write_all(body)?;
    to.flush()
}

fn receive(from: &mut impl Read, most: usize) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    let length = u32::from_le_bytes(length) as usize;
    if length > most {
        return Err(nonsense());
    }
    let mut body = Vec::new();
    // Memory is taken as bytes come, not as they are announced.
    from.take(length as u64).read_to_end(&mut body)?;
    if body.len() == length { Ok((kind, body)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is not what a pgtend of this version says")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_received() {
        for request in [
            Request::Push { server: String::new(), path: "/srv/it's here/pg_wal/000000010000000000000001".into() },
            Request::Get { server: "main".into(), name: "00000002.history".into(), open_too: false },
            Request::Get { server: String::new(), name: "000000010000000000000001".into(), open_too: true },
        ] {
            let mut wire = Vec::new();
            request.write(&mut wire).unwrap();
            assert_eq!(Request::read(&mut wire.as_slice()).unwrap(), request);
        }
        let failed = Answer::Failed(Error::new(Kind::Conflict, "no").at("here").hint("so"));
        for answer in [Answer::Kept, Answer::Send, Answer::Absent, Answer::File(vec![7; 100_000]), Answer::Beginning(vec![1, 2]), failed] {
            let mut wire = Vec::new();
            answer.write(&mut wire).unwrap();
            assert_eq!(Answer::read(&mut wire.as_slice()).unwrap(), answer);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for wire in
            [&b""[..], b"P", b"P\xFF\xFF\xFF\xFF", b"P\x02\0\0\0ab", b"X\x03\0\0\0a\0b", b"P\x09\0\0\0a\0b", b"GET / HTTP/1.1\r\n\r\n"]
        {
            assert!(Request::read(&mut &*wire).is_err(), "{wire:?}");
        }
    }
}
