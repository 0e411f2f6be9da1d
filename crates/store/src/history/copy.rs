//! Copies sealed files to an object store, laid out as they are here, for others to read.
//!
//! A file is copied once. When a day's file is there, what it was made of is removed there too; nothing else ever is.

use super::{History, failed};
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use pgtend_model::error::{Error, Kind, Result, Retry};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A file larger than this is sent in parts.
const ONE_PART: u64 = 16 << 20;

/// Where a copy goes.
#[derive(Debug, Clone, Default)]
pub struct CopyTo {
    /// `s3://bucket/prefix` or `file:///directory`.
    pub url: String,
    /// The S3 service's address, where it is not Amazon's.
    pub endpoint: Option<String>,
    /// The bucket's region.
    pub region: Option<String>,
    /// Access key and secret; without them the environment's or the machine's own.
    pub keys: Option<(String, String)>,
}

/// Keeps a copy of a history.
#[derive(Debug)]
pub struct Copier {
    history: History,
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    shown: String,
    /// What is there, with its size; none before the first look.
    there: Option<HashMap<String, u64>>,
}

/// What one round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files copied.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files removed there because a day's file stands for them.
    pub removed: usize,
}

/// A file to be copied.
#[derive(Debug, Clone)]
struct Local {
    path: PathBuf,
    bytes: u64,
    /// Whether it is written anew under its name now and then.
    renewed: bool,
}

impl Copier {
    /// Keeps a copy of a history there.
    ///
    /// # Errors
    /// `Config` when the address is none that is known.
    pub fn new(history: History, to: &CopyTo) -> Result<Self> {
        let (store, prefix) = open(to)?;
        Ok(Self { history, store, prefix, shown: to.url.clone(), there: None })
    }

    /// Copies what is new.
    ///
    /// # Errors
    /// `Unreachable` when the store does not answer or refuses; what was copied before stays.
    pub async fn round(&mut self) -> Result<Copied> {
        let local = self.local()?;
        let mut there = match self.there.take() {
            Some(there) => there,
            None => self.look().await?,
        };
        let done = self.send(&local, &mut there).await;
        let removed = match &done {
            Ok(_) => self.tidy(&local, &mut there).await,
            Err(_) => Ok(0),
        };
        self.there = Some(there);
        Ok(Copied { removed: removed?, ..done? })
    }

    /// The files there are here, by their names relative to the history.
    fn local(&self) -> Result<BTreeMap<String, Local>> {
        let files = || -> io::Result<BTreeMap<String, Local>> {
            let layout = self.history.layout();
            let mut files = BTreeMap::new();
            for server in layout.servers()? {
                for dataset in layout.datasets()? {
                    for file in layout.sealed_files(&dataset, &server)? {
                        files.insert(file.path.clone(), Local { path: file.path, bytes: file.bytes, renewed: false });
                    }
                }
                let path = layout.texts(&server);
                if let Ok(metadata) = path.metadata() {
                    files.insert(path.clone(), Local { path, bytes: metadata.len(), renewed: true });
                }
            }
            let name = |path: PathBuf| path.strip_prefix(layout.root()).map(|name| name.to_string_lossy().into_owned()).ok();
            Ok(files.into_iter().filter_map(|(path, local)| Some((name(path)?, local))).collect())
        };
        files().map_err(|error| failed(self.history.layout().root(), &error))
    }

    fn key(&self, name: &str) -> Key {
        let parts = name.split('/').map(object_store::path::PathPart::from);
        self.prefix.parts().chain(parts).map(|part| part.as_ref().to_owned()).collect()
    }

    async fn look(&self) -> Result<HashMap<String, u64>> {
        let skip = self.prefix.parts().count();
        let listed: Vec<object_store::ObjectMeta> =
            self.store.list(Some(&self.prefix)).try_collect().await.map_err(|error| self.refused(&error))?;
        let name = |key: &Key| key.parts().skip(skip).map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
        Ok(listed.iter().map(|object| (name(&object.location), object.size)).collect())
    }

    async fn send(&self, local: &BTreeMap<String, Local>, there: &mut HashMap<String, u64>) -> Result<Copied> {
        let mut copied = Copied::default();
        for (name, file) in local {
            let key = self.key(name);
            if there.get(key_name(&key, &self.prefix).as_str()) == Some(&file.bytes) {
                continue;
            }
            let content = match std::fs::read(&file.path) {
                Ok(content) => content,
                // Its time was over, or a day's file took its place meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&file.path, &error)),
            };
            let bytes = content.len() as u64;
            self.put(&key, content).await?;
            there.insert(key_name(&key, &self.prefix), bytes);
            copied.files += 1;
            copied.bytes += bytes;
        }
        Ok(copied)
    }

    async fn put(&self, key: &Key, content: Vec<u8>) -> Result<()> {
        if content.len() as u64 <= ONE_PART {
            return self.store.put(key, PutPayload::from(content)).await.map(|_| ()).map_err(|error| self.refused(&error));
        }
        let parts = self.store.put_multipart(key).await.map_err(|error| self.refused(&error))?;
        let mut parts = WriteMultipart::new(parts);
        parts.put(content.into());
        parts.finish().await.map(|_| ()).map_err(|error| self.refused(&error))
    }

    /// Removes there what a day's file stands for.
    async fn tidy(&self, local: &BTreeMap<String, Local>, there: &mut HashMap<String, u64>) -> Result<usize> {
        let kept: HashMap<String, bool> = local
            .iter()
            .filter(|(_, file)| !file.renewed)
            .map(|(name, _)| {
                let name = key_name(&self.key(name), &self.prefix);
                let is_day = file_of(&name).starts_with("day-");
                (name, is_day)
            })
            .collect();
        let days: Vec<&str> = kept.iter().filter(|(_, is_day)| **is_day).map(|(name, _)| directory_of(name)).collect();
        let stale: Vec<String> =
            there.keys().filter(|name| days.contains(&directory_of(name)) && !kept.contains_key(*name)).cloned().collect();
        for name in &stale {
            let key: Key = self.prefix.parts().map(|part| part.as_ref().to_owned()).chain(name.split('/').map(str::to_owned)).collect();
            match self.store.delete(&key).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {
                    there.remove(name);
                }
                Err(error) => return Err(self.refused(&error)),
            }
        }
        Ok(stale.len())
    }

    fn refused(&self, error: &object_store::Error) -> Error {
        let hint = match error {
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                "the key must be allowed to list, put and delete objects there"
            }
            object_store::Error::NotFound { .. } => "the bucket must be there: pgtend makes none",
            _ => "check copy_to and copy_endpoint of [history], and the way there",
        };
        Error::new(Kind::Unreachable, format!("the history could not be copied: {error}"))
            .at(self.shown.clone())
            .hint(hint)
            .retry(Retry::Later)
    }
}

/// The name of an object as the store writes it, without the prefix.
fn key_name(key: &Key, prefix: &Key) -> String {
    key.parts().skip(prefix.parts().count()).map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/")
}

fn directory_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn file_of(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, file)| file)
}

fn open(to: &CopyTo) -> Result<(Arc<dyn ObjectStore>, Key)> {
    let unknown =
        || Error::new(Kind::Config, format!("history.copy_to is \"{}\"", to.url)).hint("write s3://bucket/prefix, or file:///directory");
    if let Some(directory) = to.url.strip_prefix("file://").filter(|directory| directory.starts_with('/')) {
        let made = std::fs::create_dir_all(directory);
        made.map_err(|error| Error::new(Kind::System, format!("the directory cannot be made: {error}")).at(to.url.clone()))?;
        let store = object_store::local::LocalFileSystem::new_with_prefix(directory).map_err(|_| unknown())?;
        return Ok((Arc::new(store), Key::default()));
    }
    let rest = to.url.strip_prefix("s3://").ok_or_else(unknown)?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.len() < 3 {
        return Err(unknown());
    }
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    if let Some(endpoint) = &to.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    if let Some(region) = &to.region {
        builder = builder.with_region(region);
    }
    if let Some((id, secret)) = &to.keys {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret);
    }
    let store =
        builder.build().map_err(|error| Error::new(Kind::Config, format!("the S3 store cannot be used: {error}")).at(to.url.clone()))?;
    Ok((Arc::new(store), Key::from(prefix.trim_matches('/'))))
}
