//! A repository in a bucket of S3, or of what speaks its protocol.
//!
//! A call blocks its thread; requests run on threads of their own, so that it does not matter from where it comes. Objects are some
//! 16 MiB: each is one request, so that there are no parts of uploads that somebody would have to clean up.

mod failure;
mod options;
mod patience;

pub use options::{ObjectLock, S3Options};

use super::super::id::RandomId;
use super::{Object, Put, Storage, probe};
use failure::Failure;
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use object_store::aws::AmazonS3;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path as Key;
use object_store::{Attribute, Attributes, GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use patience::{Pace, Patience};
use pgtend_model::error::{Error, Kind, Result, Retry};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tokio::runtime::Runtime;

/// The user metadata by which a writer knows its own object again.
const MARKER: &str = "pgtend-put";
/// Slower than this many bytes a second is no way that works.
const SLOWEST: usize = 512 << 10;
/// Keys of objects that are replaced or removed in the ordinary course of things: they are never made immutable.
const SHORT_LIVED: [&str; 4] = ["locks/", "probe/", "gc/", "damaged/"];
/// Keys of the objects that take the room.
const BULKY: [&str; 2] = ["packs/", "wal/"];

const NOT_WRITTEN: &str = "an object cannot be written to the repository";
const NOT_READ: &str = "an object of the repository cannot be read";
const NOT_REMOVED: &str = "an object of the repository cannot be removed";
const NOT_LISTED: &str = "the repository cannot be listed";

/// A bucket.
pub struct S3 {
    bucket: Arc<Bucket>,
    /// Always there until this is dropped.
    runtime: Option<Runtime>,
    /// Whether the service writes on a condition, once that is known.
    conditional: Mutex<Option<bool>>,
}

struct Bucket {
    options: S3Options,
    name: String,
    prefix: String,
    client: AmazonS3,
    /// The client that makes objects immutable, with the day until which it does.
    locking: Mutex<Option<(Timestamp, AmazonS3)>>,
    pace: Pace,
}

/// What a request shall write, and how its writer knows it again.
#[derive(Clone)]
struct Write {
    key: String,
    content: PutPayload,
    marker: String,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3({})", self.shown())
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl S3 {
    /// The repository in this bucket. Nothing is asked of it yet.
    ///
    /// # Errors
    /// `Config` when the options cannot be.
    pub fn open(options: S3Options) -> Result<Self> {
        let (name, prefix) = options.place()?;
        let client = options.client(&name, None)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("pgtend-s3").enable_all().build();
        let runtime =
            runtime.map_err(|error| Error::new(Kind::System, format!("threads for requests to S3 cannot be started: {error}")))?;
        let pace = Pace::new(options.max_upload_bytes_per_second);
        let bucket = Bucket { options, name, prefix, client, locking: Mutex::default(), pace };
        Ok(Self { bucket: Arc::new(bucket), runtime: Some(runtime), conditional: Mutex::default() })
    }

    /// Runs requests and waits for their end, wherever the caller is.
    fn wait<T: Send + 'static, F>(&self, work: impl FnOnce(Arc<Bucket>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let ended = |_| Error::new(Kind::Internal, "a request to S3 ended in a panic");
        let runtime = self.runtime.as_ref().ok_or_else(|| Error::new(Kind::Internal, "the S3 storage is closed"))?;
        let (done, result) = mpsc::sync_channel(1);
        let work = work(Arc::clone(&self.bucket));
        runtime.spawn(async move {
            let _ = done.send(work.await);
        });
        result.recv().map_err(ended)?
    }

    /// Whether the service writes on a condition; it is tried once. What does not is refused, unless the options say otherwise.
    fn is_conditional(&self) -> Result<bool> {
        let mut known = self.conditional.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = *known {
            return Ok(known);
        }
        let key = format!("{}/{}", probe::BELOW, RandomId::new()?);
        let (first, second) = (Write::new(key.clone(), b"first")?, Write::new(key, b"second")?);
        let honoured = self.wait(|bucket| async move { bucket.honours_conditions(first, second).await })?;
        if !honoured {
            self.without_conditions()?;
        }
        *known = Some(honoured);
        Ok(honoured)
    }

    fn without_conditions(&self) -> Result<()> {
        if self.bucket.options.unsafe_writes {
            tracing::warn!(
                repository = self.shown(),
                "the storage does not write on a condition (If-None-Match): two hosts that write here at once can destroy each other's \
                 objects, and nothing will tell; conditional_writes = \"unsafe\" accepts that"
            );
            return Ok(());
        }
        Err(Error::new(Kind::Unsupported, "the storage does not honour conditional writes (If-None-Match: *)").at(self.shown()).hint(
            "two hosts that write here at once could destroy each other's objects: use a storage that has them (Amazon S3, MinIO, Ceph \
             from Squid on, Cloudflare R2), or say conditional_writes = \"unsafe\" and let one host alone write here",
        ))
    }
}

impl Write {
    fn new(key: String, content: &[u8]) -> Result<Self> {
        Ok(Self { key, content: PutPayload::from(content.to_vec()), marker: RandomId::new()?.to_string() })
    }
}

impl Bucket {
    fn key(&self, key: &str) -> Key {
        if self.prefix.is_empty() { Key::from(key) } else { Key::from(format!("{}/{key}", self.prefix)) }
    }

    fn place(&self, key: &str) -> String {
        format!("s3://{}/{}", self.name, self.key(key))
    }

    fn patience(&self, what: &'static str, key: &str) -> Patience {
        Patience::new(what, self.place(key), self.options.retry_for)
    }

    /// Waits for an answer to a request that carries so many bytes.
    async fn answer<T>(&self, bytes: usize, request: impl Future<Output = object_store::Result<T>>) -> Result<T, Failure> {
        let limit = self.options.timeout + Duration::from_secs((bytes / SLOWEST) as u64);
        match tokio::time::timeout(limit, request).await {
            Ok(answer) => answer.map_err(Failure::from),
            Err(_) => Err(Failure::Timeout),
        }
    }

    /// The client that writes this key.
    fn writer(&self, key: &str) -> Result<AmazonS3, Failure> {
        let Some(lock) = self.options.object_lock.filter(|_| !SHORT_LIVED.iter().any(|below| key.starts_with(below))) else {
            return Ok(self.client.clone());
        };
        // To the hour, so that the client is made anew once an hour.
        let kept = SignedDuration::from_hours(i64::from(lock.days) * 24 + 1);
        let hour = Timestamp::now().as_second() / 3600 * 3600;
        let until = Timestamp::from_second(hour).unwrap_or_default().saturating_add(kept).unwrap_or(Timestamp::MAX);
        let mut locking = self.locking.lock().unwrap_or_else(PoisonError::into_inner);
        match &*locking {
            Some((same, client)) if *same == until => Ok(client.clone()),
            _ => {
                let client = self.options.client(&self.name, Some(until)).map_err(|error| Failure::Other(error.what))?;
                *locking = Some((until, client.clone()));
                Ok(client)
            }
        }
    }

    async fn put_once(&self, write: &Write, mode: PutMode) -> Result<(), Failure> {
        let bytes = write.content.content_length();
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::Metadata(MARKER.into()), write.marker.clone().into());
        if let Some(class) = self.options.storage_class.as_ref().filter(|_| BULKY.iter().any(|below| write.key.starts_with(below))) {
            attributes.insert(Attribute::StorageClass, class.clone().into());
        }
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        let (client, key) = (self.writer(&write.key)?, self.key(&write.key));
        self.pace.turn(bytes).await;
        self.answer(bytes, client.put_opts(&key, write.content.clone(), options)).await.map(|_| ())
    }

    async fn put_new(&self, write: Write) -> Result<Put> {
        let mut patience = self.patience(NOT_WRITTEN, &write.key);
        loop {
            match self.put_once(&write, PutMode::Create).await {
                Ok(()) => return Ok(Put::Made),
                // An earlier try may have made it, its answer lost: then it is not somebody else's.
                Err(failure) if failure.is_taken() && patience.tried_before() => return self.whose(&write).await,
                Err(failure) if failure.is_taken() => return Ok(Put::Exists),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    /// What `put_new` can be where the service has no conditions: nearly as good with one writer, and no help against two.
    async fn put_new_unsafely(&self, write: Write) -> Result<Put> {
        if self.exists(&write.key).await? {
            return Ok(Put::Exists);
        }
        self.replace(&write).await?;
        self.whose(&write).await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        let mut patience = self.patience(NOT_READ, key);
        loop {
            match self.answer(0, self.client.get_opts(&self.key(key), GetOptions::default())).await {
                Ok(_) => return Ok(true),
                Err(failure) if failure.is_absent() => return Ok(false),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    /// Whether the object that is there is the one that was to be written.
    async fn whose(&self, write: &Write) -> Result<Put> {
        let mut patience = self.patience(NOT_READ, &write.key);
        loop {
            match self.is_own(write).await {
                Ok(true) => return Ok(Put::Made),
                Ok(false) => return Ok(Put::Exists),
                // Somebody has taken it away since.
                Err(failure) if failure.is_absent() => return Ok(Put::Exists),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    async fn is_own(&self, write: &Write) -> Result<bool, Failure> {
        let found = self.answer(0, self.client.get_opts(&self.key(&write.key), GetOptions::default())).await?;
        if let Some(marker) = found.attributes.get(&Attribute::Metadata(MARKER.into())) {
            return Ok(marker.as_ref() == write.marker);
        }
        // A service that keeps no metadata: nothing that is written here is the same twice.
        let content = self.get_once(&write.key, None).await?;
        Ok(write.content.iter().flat_map(|piece| piece.iter()).eq(&content))
    }

    async fn replace(&self, write: &Write) -> Result<()> {
        let mut patience = self.patience(NOT_WRITTEN, &write.key);
        loop {
            match self.put_once(write, PutMode::Overwrite).await {
                Ok(()) => return Ok(()),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    async fn get_once(&self, key: &str, range: Option<GetRange>) -> Result<Vec<u8>, Failure> {
        let options = GetOptions { range, ..GetOptions::default() };
        let found = self.answer(0, self.client.get_opts(&self.key(key), options)).await?;
        let bytes = usize::try_from(found.range.end.saturating_sub(found.range.start)).map_err(|_| Failure::CutOff)?;
        let mut content = Vec::with_capacity(bytes.min(1 << 30));
        let mut pieces = found.into_stream();
        while let Some(piece) = tokio::time::timeout(self.options.timeout, pieces.next()).await.map_err(|_| Failure::Timeout)? {
            content.extend_from_slice(&piece?);
        }
        if content.len() == bytes { Ok(content) } else { Err(Failure::CutOff) }
    }

    async fn get(&self, key: &str) -> Result<Vec<u8>> {
        let mut patience = self.patience(NOT_READ, key);
        loop {
            match self.get_once(key, None).await {
                Ok(content) => return Ok(content),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    async fn get_range(&self, key: &str, offset: u64, bytes: usize) -> Result<Vec<u8>> {
        let short = || {
            Error::new(Kind::Conflict, "an object of the repository is cut off")
                .at(self.place(key))
                .hint("`pgtend repo verify` names the backups that this hurts")
                .retry(Retry::Never)
        };
        let mut patience = self.patience(NOT_READ, key);
        loop {
            match self.get_once(key, Some(GetRange::Bounded(offset..offset + bytes as u64))).await {
                Ok(content) if content.len() == bytes => return Ok(content),
                Ok(_) => return Err(short()),
                Err(failure) if failure.is_beyond_end() => return Err(short()),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let mut patience = self.patience(NOT_REMOVED, key);
        loop {
            match self.answer(0, self.client.delete(&self.key(key))).await {
                Ok(()) => return Ok(()),
                Err(failure) if failure.is_absent() => return Ok(()),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    async fn list(&self, below: &str) -> Result<Vec<Object>> {
        let own = if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) };
        let prefix = if below.is_empty() { own.clone() } else { format!("{own}{below}/") };
        let mut patience = self.patience(NOT_LISTED, below);
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let page = PaginatedListOptions { page_token: next.clone(), ..PaginatedListOptions::default() };
            let listed = match self.answer(0, self.client.list_paginated(Some(&prefix), page)).await {
                Ok(listed) => listed,
                Err(failure) => {
                    patience.after(failure).await?;
                    continue;
                }
            };
            patience.went_on();
            found.extend(listed.result.objects.into_iter().filter_map(|object| {
                let key = object.location.as_ref().strip_prefix(&own)?.to_owned();
                let modified = Timestamp::from_millisecond(object.last_modified.timestamp_millis()).unwrap_or_default();
                Some(Object { key, bytes: object.size, modified })
            }));
            next = listed.page_token;
            if next.is_none() {
                break;
            }
        }
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    /// Writes a key twice: the second must be refused.
    async fn honours_conditions(&self, first: Write, second: Write) -> Result<bool> {
        let mut patience = self.patience(NOT_WRITTEN, &first.key);
        let key = first.key.clone();
        let made = loop {
            match self.put_once(&first, PutMode::Create).await {
                Ok(()) => break true,
                Err(failure) if failure.knows_no_condition() => break false,
                Err(failure) if failure.is_taken() => break true,
                Err(failure) => patience.after(failure).await?,
            }
        };
        let honoured = made && self.put_new(second).await? == Put::Exists;
        if let Err(error) = self.delete(&key).await {
            // Nobody depends on it, and some keys must not remove anything.
            tracing::info!(%error, "a probe is left in the repository");
        }
        Ok(honoured)
    }
}

impl Storage for S3 {
    fn shown(&self) -> String {
        let slash = if self.bucket.prefix.is_empty() { "" } else { "/" };
        let at = self.bucket.options.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        format!("s3://{}{slash}{}{at}", self.bucket.name, self.bucket.prefix)
    }

    fn get(&self, key: &str) -> Result<Vec<u8>> {
        let key = key.to_owned();
        self.wait(|bucket| async move { bucket.get(&key).await })
    }

    fn get_range(&self, key: &str, offset: u64, bytes: usize) -> Result<Vec<u8>> {
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let key = key.to_owned();
        self.wait(|bucket| async move { bucket.get_range(&key, offset, bytes).await })
    }

    fn put_new(&self, key: &str, content: &[u8]) -> Result<Put> {
        let conditional = self.is_conditional()?;
        let write = Write::new(key.to_owned(), content)?;
        self.wait(|bucket| async move { if conditional { bucket.put_new(write).await } else { bucket.put_new_unsafely(write).await } })
    }

    fn replace(&self, key: &str, content: &[u8]) -> Result<()> {
        let write = Write::new(key.to_owned(), content)?;
        self.wait(|bucket| async move { bucket.replace(&write).await })
    }

    fn delete(&self, key: &str) -> Result<()> {
        let key = key.to_owned();
        self.wait(|bucket| async move { bucket.delete(&key).await })
    }

    fn list(&self, below: &str) -> Result<Vec<Object>> {
        let below = below.to_owned();
        self.wait(|bucket| async move { bucket.list(&below).await })
    }

    fn probe(&self) -> Result<()> {
        self.is_conditional()?;
        probe::probe(self)
    }

    fn notes(&self) -> Vec<String> {
        let unsafe_writes = self.conditional.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|honoured| !honoured);
        let note = || format!("{} has no conditional writes: one host alone may write there", self.shown());
        unsafe_writes.then(note).into_iter().collect()
    }
}
