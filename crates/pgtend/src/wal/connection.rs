//! One request of PostgreSQL's: who asks, what for, and the answer.

use super::fetching::Brought;
use super::origin::Origin;
use super::protocol::{Answer, Request, receive_file};
use super::service::{Inner, Serving};
use pgtend_model::error::{Error, Kind, Result, Retry};
use pgtend_store::repo::wal::WalOwner;
use rustix::net::sockopt::socket_peercred;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a client may be silent in the middle of a request.
const SILENCE: Duration = Duration::from_secs(60);

/// A connection with its one request.
pub(super) struct Connection<'a> {
    stream: UnixStream,
    inner: &'a Inner,
}

impl<'a> Connection<'a> {
    pub(super) fn new(stream: UnixStream, inner: &'a Inner) -> Self {
        Self { stream, inner }
    }

    /// Answers. A client that went away is told nothing.
    pub(super) fn serve(mut self) {
        let _best_effort = self.stream.set_read_timeout(Some(SILENCE)).and_then(|()| self.stream.set_write_timeout(Some(SILENCE)));
        let answer = match Request::read(&mut self.stream) {
            Ok(request) => self.answer(&request).unwrap_or_else(Answer::Failed),
            Err(error) => Answer::Failed(Error::new(Kind::Usage, format!("this is no request for WAL: {error}"))),
        };
        if let Err(error) = answer.write(&mut self.stream) {
            tracing::debug!(%error, "a client that asked for WAL is gone");
        }
    }

    fn answer(&mut self, request: &Request) -> Result<Answer> {
        let inner = self.inner;
        match request {
            Request::Push { server, path } => {
                let path = Path::new(path);
                let serving = if server.is_empty() { whose(inner, path)? } else { inner.server(server)? };
                self.admit(serving)?;
                self.push(serving, path).map(|()| Answer::Kept)
            }
            Request::Get { server, name, open_too } => {
                let serving = inner.server(server)?;
                self.admit(serving)?;
                let (owner, size) = match &serving.served.recovers {
                    Some((owner, size)) => (owner.clone(), *size),
                    None => of_data(serving)?,
                };
                let found = inner.fetching(serving).get(&owner, name, size, *open_too)?;
                Ok(found.map_or(Answer::Absent, |brought| match brought {
                    Brought::Whole(content) => Answer::File(content),
                    Brought::Beginning(content) => Answer::Beginning(content),
                }))
            }
        }
    }

    /// Root, the agent's own user, and the user who runs the server.
    fn admit(&self, serving: &Serving) -> Result<()> {
        let peer =
            socket_peercred(&self.stream).map_err(|error| Error::new(Kind::Privilege, format!("who asks cannot be told: {error}")))?;
        let uid = peer.uid.as_raw();
        if uid == 0 || uid == rustix::process::geteuid().as_raw() || serving.os_user() == Some(uid) {
            return Ok(());
        }
        Err(Error::new(Kind::Privilege, format!("the user with number {uid} has nothing to do with the WAL of {}", serving.served.name))
            .hint("PostgreSQL must run as the owner of the data directory; root may ask too"))
    }

    fn push(&mut self, serving: &Serving, path: &Path) -> Result<()> {
        let Some(pushing) = &serving.pushing else {
            return Err(Error::new(Kind::Conflict, "a server that is being restored archives nothing").hint("set its archive_mode = off"));
        };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        is_its_own(serving, path)?;
        if pushing.may_read(name) {
            return pushing.push(name);
        }
        Answer::Send.write(&mut self.stream).map_err(|error| Error::new(Kind::Conflict, format!("the client is gone: {error}")))?;
        let (content, control) = (receive_file(&mut self.stream)?, receive_file(&mut self.stream)?);
        pushing.push_sent(name, &content, &control)
    }
}

/// The server that a file belongs to.
fn whose<'a>(inner: &'a Inner, path: &Path) -> Result<&'a Serving> {
    let found = inner.servers.iter().find(|serving| lies_in(path, &serving.served.data));
    found.map_or_else(|| inner.server(""), Ok)
}

/// A clone has the same system identifier and may have the same `archive_command`: its directory gives it away.
fn is_its_own(serving: &Serving, path: &Path) -> Result<()> {
    let data = &serving.served.data;
    if lies_in(path, data) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Conflict,
        format!("{} is not in pg_wal of the server \"{}\", whose data directory is {}", path.display(), serving.served.name, data.display()),
    )
    .hint("a cloned server must not archive under the name of the one that it was made of: set its archive_mode = off, or give it a name and a [[server]] section of its own")
    .retry(Retry::Never))
}

/// Whether a path is one of a file in the `pg_wal` of this data directory, whatever links lead there.
fn lies_in(path: &Path, data: &Path) -> bool {
    let Some(parent) = path.parent() else { return false };
    let wal = data.join("pg_wal");
    if parent == wal {
        return true;
    }
    let of = |path: &Path| fs::canonicalize(path).ok();
    of(parent).is_some_and(|found| of(&wal) == Some(found))
}

fn of_data(serving: &Serving) -> Result<(WalOwner, pgtend_model::pgdata::wal::SegmentSize)> {
    let origin = Origin::of_data(&serving.served.filed, &serving.served.data)?;
    Ok((origin.owner, origin.control.wal_segment))
}
