//! The WAL service: a Unix socket, and behind it the threads that keep and bring WAL.

use super::connection::Connection;
use super::dropping::Dropping;
use super::fetching::Fetching;
use super::health::{Archived, Health};
use super::places::Places;
use super::protocol::reach;
use super::pushing::Pushing;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::wal::SegmentSize;
use pgtend_store::repo::wal::WalOwner;
use rustix::net::{Shutdown, shutdown};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Connections at once; PostgreSQL makes one or two a server.
const MOST_CONNECTIONS: usize = 64;
/// After an accept that failed, so that the log is not flooded.
const BREATHER: Duration = Duration::from_millis(200);

/// How the service works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Level of zstd.
    pub level: i32,
    /// Files that are kept, or brought, at once.
    pub workers: usize,
    /// Segments that are fetched before recovery asks for them.
    pub prefetch: usize,
    /// What is done when too much waits; none where nothing is archived.
    pub dropping: Option<Dropping>,
}

/// A server to be served.
#[derive(Debug, Clone)]
pub struct Served {
    /// What it is called here.
    pub name: String,
    /// What it is called in the repositories.
    pub filed: String,
    /// Its data directory. Who owns it may ask.
    pub data: PathBuf,
    /// Whose WAL it gets while the directory cannot tell yet; such a server archives none.
    pub recovers: Option<(WalOwner, SegmentSize)>,
}

impl Served {
    /// A server whose WAL is archived, and brought should it recover; its data directory tells whose WAL that is.
    pub fn server(name: &str, data: &Path) -> Self {
        Self { name: name.to_owned(), filed: name.to_owned(), data: data.to_owned(), recovers: None }
    }

    /// The same, under another name in the repositories.
    #[must_use]
    pub fn filed(self, filed: &str) -> Self {
        Self { filed: filed.to_owned(), ..self }
    }

    /// A directory that is being restored: it gets this cluster's WAL, and archives none.
    pub fn recovery(owner: WalOwner, size: SegmentSize, data: &Path) -> Self {
        Self { recovers: Some((owner.clone(), size)), ..Self::server(&owner.server, data) }
    }
}

/// A server that is being served.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) served: Served,
    pub(super) health: Arc<Health>,
    pub(super) pushing: Option<Pushing>,
    fetching: OnceLock<Fetching>,
}

/// What connections work with.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) servers: Vec<Serving>,
    places: Places,
    options: Options,
    ends: AtomicBool,
    connections: AtomicUsize,
}

/// A running service. Dropping it stops it.
#[derive(Debug)]
pub struct Service {
    inner: Arc<Inner>,
    socket: PathBuf,
    listener: Arc<UnixListener>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Service {
    /// Listens at this path, which is taken over from a service that is gone.
    ///
    /// # Errors
    /// `Conflict` when another service answers there, `System` when the socket cannot be made.
    pub fn start(socket: &Path, servers: Vec<Served>, places: Places, options: Options) -> Result<Self> {
        let listener = Arc::new(bind(socket)?);
        let servers = servers.into_iter().map(|served| Serving::start(served, &places, &options)).collect();
        let inner = Arc::new(Inner { servers, places, options, ends: AtomicBool::new(false), connections: AtomicUsize::new(0) });
        let (accepts, shared) = (Arc::clone(&listener), Arc::clone(&inner));
        let accepting = std::thread::Builder::new().name("wal".into()).spawn(move || accept(&accepts, &shared));
        let accepting = accepting.map_err(|error| cannot(socket, &error))?;
        Ok(Self { inner, socket: socket.to_owned(), listener, accepting: Mutex::new(Some(accepting)) })
    }

    /// Where it answers.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// How archiving goes, by the servers' names.
    pub fn health(&self) -> Vec<(String, Archived)> {
        self.inner.servers.iter().map(|serving| (serving.served.name.clone(), serving.health.now())).collect()
    }

    /// Hands gaps over to repositories that were away.
    pub fn settle(&self) {
        self.inner.servers.iter().filter_map(|serving| serving.pushing.as_ref()).for_each(Pushing::settle);
    }

    /// Keeps a file in a server's `pg_wal` that PostgreSQL did not ask for. It is durable when this returns.
    ///
    /// # Errors
    /// As for what PostgreSQL asks for.
    pub fn keep(&self, server: &str, name: &str) -> Result<()> {
        let serving = self.inner.server(server)?;
        serving.pushing.as_ref().map_or(Ok(()), |pushing| pushing.keep(name))
    }

    /// Drops a segment that could not be kept, if that is allowed and time for it. Whether it did.
    pub fn drop_instead(&self, server: &str, name: &str, held_bytes: u64) -> bool {
        let serving = self.inner.server(server).ok();
        serving.and_then(|serving| serving.pushing.as_ref()).is_some_and(|pushing| pushing.drop_instead(name, held_bytes))
    }

    /// Whether it archives a server of this name.
    pub fn serves(&self, server: &str) -> bool {
        self.inner.servers.iter().any(|serving| serving.served.name == server)
    }

    /// Level of zstd.
    pub fn level(&self) -> i32 {
        self.inner.options.level
    }

    /// The repositories.
    pub fn places(&self) -> &Places {
        &self.inner.places
    }

    /// Ends it. What is being kept becomes durable before; whoever waits is told to ask again.
    pub fn stop(&self) {
        let Some(accepting) = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        self.inner.ends.store(true, Ordering::SeqCst);
        let _gone_already = fs::remove_file(&self.socket);
        let _wakes_accept = shutdown(&self.listener, Shutdown::Both);
        let _ended = accepting.join();
        for serving in &self.inner.servers {
            serving.stop();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Serving {
    fn start(served: Served, places: &Places, options: &Options) -> Self {
        let health = Arc::<Health>::default();
        let archives = served.recovers.is_none();
        let start = || Pushing::start(&served.filed, &served.data, places.clone(), options, Arc::clone(&health));
        let pushing = archives.then(start);
        Self { pushing, health, fetching: OnceLock::new(), served }
    }

    /// The user of the operating system who runs it: the owner of its directory.
    pub(super) fn os_user(&self) -> Option<u32> {
        fs::metadata(&self.served.data).ok().map(|metadata| metadata.uid())
    }

    fn stop(&self) {
        if let Some(pushing) = &self.pushing {
            pushing.stop();
        }
        if let Some(fetching) = self.fetching.get() {
            fetching.stop();
        }
    }
}

impl Inner {
    /// What brings this server's WAL; most servers never recover, so it starts with the first request.
    pub(super) fn fetching<'a>(&self, serving: &'a Serving) -> &'a Fetching {
        let start = || Fetching::start(self.places.clone(), self.options.prefetch, self.options.workers, Arc::clone(&serving.health));
        serving.fetching.get_or_init(start)
    }

    /// The server of this name; of none, the only one there is.
    pub(super) fn server(&self, name: &str) -> Result<&Serving> {
        let names = || self.servers.iter().map(|serving| serving.served.name.as_str()).collect::<Vec<_>>().join(", ");
        let found = match (name, self.servers.as_slice()) {
            ("", [only]) => Some(only),
            ("", _) => None,
            (name, servers) => {
                let called = |serving: &&Serving| serving.served.name == name;
                let filed = |serving: &&Serving| serving.served.filed == name;
                servers.iter().find(called).or_else(|| servers.iter().find(filed))
            }
        };
        found.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("whose WAL is meant by \"{name}\"?"))
                .hint(format!("name one with --server; this agent archives {}", names()))
        })
    }
}

fn accept(listener: &UnixListener, inner: &Arc<Inner>) {
    loop {
        let accepted = listener.accept();
        if inner.ends.load(Ordering::SeqCst) {
            return;
        }
        let started = accepted.and_then(|(stream, _)| {
            if inner.connections.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
                inner.connections.fetch_sub(1, Ordering::SeqCst);
                return Err(io::Error::other("too many connections at once"));
            }
            serve(stream, Arc::clone(inner))
        });
        if let Err(error) = started {
            tracing::warn!(%error, "a connection for WAL could not be accepted");
            std::thread::sleep(BREATHER);
        }
    }
}

fn serve(stream: UnixStream, inner: Arc<Inner>) -> io::Result<()> {
    let counted = Arc::clone(&inner);
    let started = std::thread::Builder::new().name("wal client".into()).spawn(move || {
        Connection::new(stream, &inner).serve();
        inner.connections.fetch_sub(1, Ordering::SeqCst);
    });
    started.map(|_| ()).inspect_err(|_| {
        counted.connections.fetch_sub(1, Ordering::SeqCst);
    })
}

/// Everybody may connect: who may ask is decided by who they are.
fn bind(path: &Path) -> Result<UnixListener> {
    let failed = |error: io::Error| cannot(path, &error);
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed)?;
    }
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(failed(io::Error::other("something that is no socket is there")));
        }
        let (_directory, short) = reach(path).map_err(failed)?;
        if UnixStream::connect(short).is_ok() {
            return Err(Error::new(Kind::Conflict, "another agent keeps WAL at this socket")
                .at(path.display().to_string())
                .hint("end it, or give this one another backup.wal_socket"));
        }
    }
    let mut made = path.as_os_str().to_owned();
    made.push(".new");
    let made = PathBuf::from(made);
    let _left_by_a_crash = fs::remove_file(&made);
    let (_directory, short) = reach(&made).map_err(failed)?;
    let listener = UnixListener::bind(short).map_err(failed)?;
    fs::set_permissions(&made, fs::Permissions::from_mode(0o666)).map_err(failed)?;
    fs::rename(&made, path).map_err(failed)?;
    Ok(listener)
}

fn cannot(path: &Path, error: &io::Error) -> Error {
    Error::new(Kind::System, format!("cannot listen for WAL: {error}"))
        .at(path.display().to_string())
        .hint("backup.wal_socket says where the socket is; the agent must be able to write there")
}
