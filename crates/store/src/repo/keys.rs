//! The keys of a repository: how they are wrapped, and who can open what (`docs/repository-format.md`).

use super::id::{ExtentId, RandomId, random};
use super::storage::{Put, Storage};
use age::secrecy::{ExposeSecret as _, SecretString};
use age::x25519;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use pgtend_model::error::{Error, Kind, Result};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr as _;
use std::sync::{Mutex, PoisonError};

const BELOW: &str = "keys";
const PASSPHRASE: &str = "keys/passphrase";
const PLAIN: &str = "plain";
const ID_CONTEXT: &str = "pgtend repository v1 extent ids";
const DOCUMENT_CONTEXT: &str = "pgtend repository v1 documents";
const CUTTING_CONTEXT: &str = "pgtend repository v1 cutting";

/// How a repository is encrypted, and by what this host may open it.
pub enum Access {
    /// Not at all: the keys lie beside the data.
    Plain,
    /// By the age identity in a key file (`AGE-SECRET-KEY-1…`).
    Identity(Identity),
    /// By a passphrase, which opens an identity that lies in the repository.
    Passphrase(SecretString),
    /// Data keys are for these recipients only; this host's identity opens the meta key.
    WriteOnly {
        /// This host's.
        host: Identity,
        /// Who may read (`age1…`).
        readers: Vec<String>,
    },
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Identity(_) => "Identity",
            Self::Passphrase(_) => "Passphrase",
            Self::WriteOnly { .. } => "WriteOnly",
        })
    }
}

/// A passphrase.
pub use age::secrecy::SecretString as Passphrase;

/// An age identity.
#[derive(Clone)]
pub struct Identity(x25519::Identity);

impl Identity {
    /// A new one.
    pub fn generate() -> Self {
        Self(x25519::Identity::generate())
    }

    /// Reads a key file: comments, and one identity.
    ///
    /// # Errors
    /// `Config` when there is none in it.
    pub fn read(text: &str) -> Result<Self> {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
        x25519::Identity::from_str(line).map(Self).map_err(|reason| {
            Error::new(Kind::Config, format!("this is no key file: {reason}")).hint("it has a line that begins with AGE-SECRET-KEY-1")
        })
    }

    /// What its key file says. Secret.
    pub fn key_file(&self) -> String {
        format!(
            "# pgtend: opens a backup repository. WITHOUT THIS FILE THERE IS NO RESTORE: keep a copy elsewhere.\n# public key: {}\n{}\n",
            self.recipient(),
            self.0.to_string().expose_secret()
        )
    }

    /// Its public key, `age1…`.
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }
}

/// What is wrapped.
#[derive(serde::Serialize, serde::Deserialize)]
struct Wrapped {
    purpose: Purpose,
    key: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Purpose {
    Meta,
    Data,
}

/// The keys that this host may use.
pub struct KeyRing {
    meta_id: RandomId,
    id_key: [u8; 32],
    document_key: [u8; 32],
    cutting_key: [u8; 32],
    /// Keys that could be opened, by their id.
    data: Mutex<HashMap<RandomId, [u8; 32]>>,
    writing: Mutex<Option<RandomId>>,
    opener: Opener,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({})", self.meta_id)
    }
}

/// By what keys are opened, and for whom new ones are wrapped.
enum Opener {
    Plain,
    Age { identity: Identity, readers: Vec<x25519::Recipient>, reads: bool },
}

impl Opener {
    fn of(access: &Access, storage: &dyn Storage) -> Result<Self> {
        match access {
            Access::Plain => Ok(Self::Plain),
            Access::Identity(identity) => Ok(Self::own(identity.clone())),
            Access::Passphrase(passphrase) => Ok(Self::own(identity_of_passphrase(storage, passphrase)?)),
            Access::WriteOnly { host, readers } => {
                let readers = readers.iter().map(|text| recipient(text)).collect::<Result<Vec<_>>>()?;
                let reads = readers.iter().any(|reader| reader.to_string() == host.recipient());
                Ok(Self::Age { identity: host.clone(), readers, reads })
            }
        }
    }

    fn own(identity: Identity) -> Self {
        let own = identity.0.to_public();
        Self::Age { identity, readers: vec![own], reads: true }
    }

    /// Where this host finds a key that is wrapped for it.
    fn own_name(&self) -> String {
        match self {
            Self::Plain => PLAIN.to_owned(),
            Self::Age { identity, .. } => recipient_name(&identity.recipient()),
        }
    }

    fn open(&self, wrapped: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Plain => Some(wrapped.to_vec()),
            Self::Age { identity, .. } => age::decrypt(&identity.0, wrapped).ok(),
        }
    }
}

impl KeyRing {
    /// Makes the keys of a new repository. What a set-up that was cut short left is used.
    ///
    /// # Errors
    /// What the storage says; `Config` when a recipient is none.
    pub fn create(storage: &dyn Storage, access: &Access) -> Result<Self> {
        if let Access::Passphrase(passphrase) = access {
            make_passphrase_identity(storage, passphrase)?;
        }
        if let Some(ring) = Self::find(storage, access, None)? {
            return Ok(ring);
        }
        let opener = Opener::of(access, storage)?;
        let meta = random::<32>()?;
        let id = RandomId::new()?;
        wrap(storage, &opener, id, Purpose::Meta, &meta)?;
        Ok(Self::with_meta(id, &meta, opener))
    }

    /// Opens the keys of a repository whose meta key has this id.
    ///
    /// # Errors
    /// `Authentication` when this host's key does not open it.
    pub fn open(storage: &dyn Storage, access: &Access, meta: RandomId) -> Result<Self> {
        Self::find(storage, access, Some(meta))?.ok_or_else(|| wrong_key(storage, access))
    }

    /// The id of the meta key.
    pub const fn meta_id(&self) -> RandomId {
        self.meta_id
    }

    /// The meta key of this id, or any: two who make a repository at once may both have left one.
    fn find(storage: &dyn Storage, access: &Access, meta: Option<RandomId>) -> Result<Option<Self>> {
        let opener = Opener::of(access, storage)?;
        let name = opener.own_name();
        for object in storage.list(BELOW)? {
            let Some(id) = key_id(&object.key, &name).filter(|id| meta.is_none_or(|meta| meta == *id)) else { continue };
            let Some(wrapped) = unwrap(&opener, &storage.get(&object.key)?) else { continue };
            if wrapped.0 == Purpose::Meta {
                return Ok(Some(Self::with_meta(id, &wrapped.1, opener)));
            }
        }
        Ok(None)
    }

    fn with_meta(meta_id: RandomId, meta: &[u8; 32], opener: Opener) -> Self {
        Self {
            meta_id,
            id_key: blake3::derive_key(ID_CONTEXT, meta),
            document_key: blake3::derive_key(DOCUMENT_CONTEXT, meta),
            cutting_key: blake3::derive_key(CUTTING_CONTEXT, meta),
            data: Mutex::default(),
            writing: Mutex::default(),
            opener,
        }
    }

    /// The seed by which content is cut in this repository.
    pub fn cutting_seed(&self) -> u64 {
        self.cutting_key.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// The name of this content in this repository.
    pub fn extent_id(&self, plain: &[u8]) -> ExtentId {
        ExtentId(*blake3::keyed_hash(&self.id_key, plain).as_bytes())
    }

    /// The key of indexes and documents, with its id.
    pub const fn document_key(&self) -> (RandomId, &[u8; 32]) {
        (self.meta_id, &self.document_key)
    }

    /// Whether this host can read what it writes.
    pub const fn reads(&self) -> bool {
        match &self.opener {
            Opener::Plain => true,
            Opener::Age { reads, .. } => *reads,
        }
    }

    /// The data key to write with: one that is there, or a new one.
    ///
    /// # Errors
    /// What the storage says.
    pub fn data_key_to_write(&self, storage: &dyn Storage) -> Result<(RandomId, [u8; 32])> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let id = match *writing {
            Some(id) => id,
            None => self.some_data_key(storage)?,
        };
        *writing = Some(id);
        Ok((id, self.data_key(storage, id)?))
    }

    fn some_data_key(&self, storage: &dyn Storage) -> Result<RandomId> {
        if self.reads() {
            let name = self.opener.own_name();
            for object in storage.list(BELOW)? {
                let Some(id) = key_id(&object.key, &name).filter(|id| *id != self.meta_id) else { continue };
                if self.data_key(storage, id).is_ok() {
                    return Ok(id);
                }
            }
        }
        let (id, key) = (RandomId::new()?, random::<32>()?);
        wrap(storage, &self.opener, id, Purpose::Data, &key)?;
        self.data.lock().unwrap_or_else(PoisonError::into_inner).insert(id, key);
        Ok(id)
    }

    /// The keys that are wrapped for this host and that it cannot open.
    ///
    /// # Errors
    /// What the storage says.
    pub fn check(&self, storage: &dyn Storage) -> Result<Vec<Error>> {
        let name = self.opener.own_name();
        let mut wrong = Vec::new();
        for object in storage.list(BELOW)? {
            let Some(id) = key_id(&object.key, &name) else { continue };
            if id != self.meta_id && unwrap(&self.opener, &storage.get(&object.key)?).is_none() {
                let what = "a key of the repository cannot be opened: what it seals cannot be read";
                wrong.push(Error::new(Kind::Conflict, what).at(object.key));
            }
        }
        Ok(wrong)
    }

    /// The data key of this id.
    ///
    /// # Errors
    /// `Authentication` when it is not for this host to open.
    pub fn data_key(&self, storage: &dyn Storage, id: RandomId) -> Result<[u8; 32]> {
        if let Some(key) = self.data.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(*key);
        }
        let at = format!("{BELOW}/{id}/{}", self.opener.own_name());
        let not_for_us = || {
            Error::new(Kind::Authentication, "this host's key does not open what is in the repository")
                .at(format!("{}: {at}", storage.shown()))
                .hint(
                    "a host with `encryption = \"recipients\"` writes without being able to read: restore with the key file of a recipient",
                )
        };
        let wrapped = storage.get(&at).map_err(|error| if error.kind == Kind::NotFound { not_for_us() } else { error })?;
        let (purpose, key) = unwrap(&self.opener, &wrapped).ok_or_else(not_for_us)?;
        if purpose != Purpose::Data {
            return Err(not_for_us());
        }
        self.data.lock().unwrap_or_else(PoisonError::into_inner).insert(id, key);
        Ok(key)
    }
}

fn wrong_key(storage: &dyn Storage, access: &Access) -> Error {
    let (what, hint) = match access {
        Access::Plain => ("the repository is encrypted, and no key is configured", "say where the key file is: key_file"),
        Access::Identity(_) => (
            "the key file does not open this repository",
            "it is the key of another repository, or the repository is encrypted in another way",
        ),
        Access::Passphrase(_) => ("the passphrase does not open this repository", "passphrases are compared exactly, with every blank"),
        Access::WriteOnly { .. } => ("this host's key file does not open this repository", "add the host where the repository was made"),
    };
    Error::new(Kind::Authentication, what).at(storage.shown()).hint(hint)
}

/// The id in `keys/<id>/<name>`.
fn key_id(key: &str, name: &str) -> Option<RandomId> {
    let (id, found) = key.strip_prefix("keys/")?.split_once('/')?;
    (found == name).then(|| RandomId::parse(id)).flatten()
}

fn recipient_name(recipient: &str) -> String {
    blake3::hash(recipient.as_bytes()).to_hex().as_str()[..16].to_owned()
}

fn recipient(text: &str) -> Result<x25519::Recipient> {
    x25519::Recipient::from_str(text.trim()).map_err(|reason| {
        Error::new(Kind::Config, format!("\"{text}\" is no age recipient: {reason}")).hint("a recipient begins with age1")
    })
}

/// Writes a key for everyone who is to open it: the meta key for this host and the readers, data keys for the readers.
fn wrap(storage: &dyn Storage, opener: &Opener, id: RandomId, purpose: Purpose, key: &[u8; 32]) -> Result<()> {
    let failed = |reason: &dyn fmt::Display| Error::new(Kind::Internal, format!("a key could not be wrapped: {reason}"));
    let json = serde_json::to_vec(&Wrapped { purpose, key: BASE64.encode(key) }).map_err(|error| failed(&error))?;
    let (own, readers) = match opener {
        Opener::Plain => return put(storage, &format!("{BELOW}/{id}/{PLAIN}"), &json),
        Opener::Age { identity, readers, .. } => (identity.0.to_public(), readers),
    };
    let host = (purpose == Purpose::Meta && !readers.iter().any(|reader| reader.to_string() == own.to_string())).then_some(&own);
    for reader in readers.iter().chain(host) {
        let sealed = age::encrypt(reader, &json).map_err(|error| failed(&error))?;
        put(storage, &format!("{BELOW}/{id}/{}", recipient_name(&reader.to_string())), &sealed)?;
    }
    Ok(())
}

fn put(storage: &dyn Storage, key: &str, content: &[u8]) -> Result<()> {
    match storage.put_new(key, content)? {
        Put::Made => Ok(()),
        Put::Exists => Err(Error::new(Kind::Conflict, "a key of the repository exists already").at(key)),
    }
}

fn unwrap(opener: &Opener, wrapped: &[u8]) -> Option<(Purpose, [u8; 32])> {
    let json: Wrapped = serde_json::from_slice(&opener.open(wrapped)?).ok()?;
    let key = BASE64.decode(json.key).ok()?.try_into().ok()?;
    Some((json.purpose, key))
}

fn make_passphrase_identity(storage: &dyn Storage, passphrase: &SecretString) -> Result<()> {
    let identity = Identity::generate();
    let recipient = age::scrypt::Recipient::new(passphrase.clone());
    let sealed = age::encrypt(&recipient, identity.0.to_string().expose_secret().as_bytes())
        .map_err(|error| Error::new(Kind::Internal, format!("the passphrase could not be used: {error}")))?;
    storage.put_new(PASSPHRASE, &sealed).map(|_| ())
}

fn identity_of_passphrase(storage: &dyn Storage, passphrase: &SecretString) -> Result<Identity> {
    let access = Access::Passphrase(passphrase.clone());
    let sealed = storage.get(PASSPHRASE).map_err(|error| match error.kind {
        Kind::NotFound => Error::new(Kind::Authentication, "the repository is not encrypted with a passphrase").at(storage.shown()),
        _ => error,
    })?;
    let plain = age::decrypt(&age::scrypt::Identity::new(passphrase.clone()), &sealed).map_err(|_| wrong_key(storage, &access))?;
    std::str::from_utf8(&plain).ok().and_then(|text| Identity::read(text).ok()).ok_or_else(|| wrong_key(storage, &access))
}
