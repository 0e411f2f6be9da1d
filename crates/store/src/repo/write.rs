//! Writing extents: what the repository has is not written again.
//!
//! Threads encode, each into a pack of its own; full packs go to threads that write. So the processor and the storage are busy at once, and
//! memory holds a pack a thread and one on its way.

use super::Repository;
use super::codec::{Encoder, Encoding};
use super::id::{ExtentId, RandomId};
use super::index::{Index, Indexed, PackInfo};
use super::pack::{self, Builder, Pack};
use super::read::{Extents, Reader};
use super::storage::Put;
use pgtend_model::error::{Error, Kind, Result};
use rustc_hash::FxHashSet;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Packs that one index tells of.
const PACKS_AN_INDEX: usize = 64;

/// How extents are written.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The level of zstd; 0 does not compress.
    pub level: i32,
    /// Threads that write packs.
    pub uploads: usize,
    /// Whether changed extents may be kept as pages that differ from what they were.
    pub deltas: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { level: 3, uploads: 2, deltas: true }
    }
}

/// A session of writing, shared by its threads.
pub struct Writing {
    shared: Arc<Shared>,
    uploads: Vec<JoinHandle<()>>,
    packs: Option<SyncSender<Pack>>,
    level: i32,
    deltas: bool,
}

struct Shared {
    repository: Repository,
    index: Arc<Index>,
    /// What this session has written or is about to.
    claimed: Mutex<FxHashSet<ExtentId>>,
    indexed: Mutex<Vec<Indexed>>,
    failed: Mutex<Option<Error>>,
    stored_bytes: AtomicU64,
}

/// One thread's end of a session.
pub struct Writer {
    shared: Arc<Shared>,
    packs: SyncSender<Pack>,
    encoder: Encoder,
    reader: Reader,
    builder: Option<Builder>,
    deltas: bool,
}

/// What became of an extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub id: [u8; 32],
    /// Bytes it takes in the repository; none when it was there already.
    pub new_bytes: Option<usize>,
}

impl Repository {
    /// Begins to write. Extents in `condemned` packs, and in damaged ones, count as absent.
    ///
    /// # Errors
    /// What the storage says; `Conflict` when an index is damaged.
    pub fn write(&self, options: Options, condemned: &HashSet<RandomId>) -> Result<Writing> {
        let index = Arc::new(self.load_index_to_write(condemned)?);
        let shared = Arc::new(Shared {
            repository: self.clone(),
            index,
            claimed: Mutex::default(),
            indexed: Mutex::default(),
            failed: Mutex::default(),
            stored_bytes: AtomicU64::new(0),
        });
        let (packs, waiting) = sync_channel(1);
        let waiting = Arc::new(Mutex::new(waiting));
        let uploads = (0..options.uploads.max(1))
            .map(|_| {
                let (shared, waiting) = (Arc::clone(&shared), Arc::clone(&waiting));
                std::thread::spawn(move || upload(&shared, &waiting))
            })
            .collect();
        Ok(Writing { shared, uploads, packs: Some(packs), level: options.level, deltas: options.deltas && self.reads() })
    }
}

fn upload(shared: &Shared, waiting: &Mutex<Receiver<Pack>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(pack) = next else { return };
        // After a failure the rest is taken and dropped, so that nobody waits for room in the queue.
        if shared.failure().is_some() {
            continue;
        }
        if let Err(error) = shared.put(pack) {
            shared.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }
}

impl Shared {
    fn failure(&self) -> Option<Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, pack: Pack) -> Result<()> {
        let at = pack::key(pack.id);
        let bytes = pack.object.len() as u64;
        if self.repository.storage.put_new(&at, &pack.object)? == Put::Exists {
            return Err(Error::new(Kind::Conflict, "a pack of this random name exists already").at(at));
        }
        self.stored_bytes.fetch_add(bytes, Ordering::Relaxed);
        let due = {
            let mut indexed = self.indexed.lock().unwrap_or_else(PoisonError::into_inner);
            indexed.push(Indexed { pack: PackInfo { id: pack.id, bytes }, entries: pack.entries });
            if indexed.len() >= PACKS_AN_INDEX { std::mem::take(&mut *indexed) } else { Vec::new() }
        };
        if due.is_empty() { Ok(()) } else { self.repository.write_index(&due) }
    }
}

impl Writing {
    /// For one thread.
    ///
    /// # Errors
    /// `Internal` when the session is over.
    pub fn writer(&self) -> Result<Writer> {
        let packs = self.packs.clone().ok_or_else(|| Error::new(Kind::Internal, "the session of writing is over"))?;
        let extents = Extents::with(self.shared.repository.clone(), Arc::clone(&self.shared.index));
        Ok(Writer {
            shared: Arc::clone(&self.shared),
            packs,
            encoder: Encoder::new(self.level),
            reader: extents.reader(),
            builder: None,
            deltas: self.deltas,
        })
    }

    /// Whether the repository had this extent when the session began.
    pub fn knows(&self, id: [u8; 32]) -> bool {
        self.shared.index.find(&ExtentId(id)).is_some()
    }

    /// Waits until everything is durable, and writes the last index. Writers must be finished before.
    ///
    /// # Errors
    /// The first failure of the session.
    pub fn finish(mut self) -> Result<u64> {
        self.packs = None;
        for upload in self.uploads.drain(..) {
            upload.join().map_err(|_| Error::new(Kind::Internal, "a thread that writes packs ended in a panic"))?;
        }
        if let Some(error) = self.shared.failure() {
            return Err(error);
        }
        let rest = std::mem::take(&mut *self.shared.indexed.lock().unwrap_or_else(PoisonError::into_inner));
        if !rest.is_empty() {
            self.shared.repository.write_index(&rest)?;
        }
        Ok(self.shared.stored_bytes.load(Ordering::Relaxed))
    }
}

impl Writer {
    /// Keeps this content. `before` is the extent that was in its place in an earlier backup: if only pages differ, only they are kept.
    ///
    /// # Errors
    /// The first failure of the session.
    pub fn add(&mut self, plain: &[u8], before: Option<[u8; 32]>) -> Result<Stored> {
        let id = self.shared.repository.keys.extent_id(plain);
        let known = self.shared.index.find(&id).is_some();
        if known || !self.shared.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
            return Ok(Stored { id: id.0, new_bytes: None });
        }
        if self.builder.is_none() {
            self.builder = Some(Builder::new(&*self.shared.repository.storage, &self.shared.repository.keys)?);
        }
        let stored = match before.filter(|_| self.deltas).and_then(|before| self.delta(plain, before)) {
            Some((base, delta)) => self.builder().add(id, plain.len(), Encoding::PageDelta, Some(base), &delta)?,
            None => {
                let (encoding, encoded) = self.encoder.whole(plain)?;
                let builder = self.builder.as_mut().ok_or_else(|| Error::new(Kind::Internal, "no pack is open"))?;
                builder.add(id, plain.len(), encoding, None, encoded)?
            }
        };
        if self.builder().is_full() {
            self.hand_over()?;
        }
        Ok(Stored { id: id.0, new_bytes: Some(stored) })
    }

    #[expect(clippy::expect_used, reason = "add makes a pack before it uses one")]
    fn builder(&mut self) -> &mut Builder {
        self.builder.as_mut().expect("a pack is open")
    }

    /// The pages that differ from what was there. Where that cannot be read, the extent is kept whole: its base must be beyond doubt.
    fn delta(&mut self, plain: &[u8], before: [u8; 32]) -> Option<(ExtentId, Vec<u8>)> {
        let before = ExtentId(before);
        let base = self.shared.index.base(&before).unwrap_or(before);
        let whole = self.shared.index.find(&base)?;
        if whole.plain as usize != plain.len() {
            return None;
        }
        let base_plain = self.reader.extent(base.0).ok()?;
        let delta = self.encoder.delta(plain, &base_plain, whole.stored as usize / 2).ok()??;
        Some((base, delta))
    }

    fn hand_over(&mut self) -> Result<()> {
        if let Some(error) = self.shared.failure() {
            return Err(error);
        }
        let Some(builder) = self.builder.take().filter(|builder| !builder.is_empty()) else { return Ok(()) };
        self.packs.send(builder.finish()).map_err(|_| Error::new(Kind::Internal, "nobody writes packs any more"))
    }

    /// Hands over what is left.
    ///
    /// # Errors
    /// The first failure of the session.
    pub fn finish(mut self) -> Result<()> {
        self.hand_over()
    }
}
