//! Where the objects of a repository are kept: a directory, or a bucket.

pub mod conformance;
mod directory;
mod probe;
mod s3;

pub use directory::Directory;
pub use s3::{ObjectLock, S3, S3Options};

use jiff::Timestamp;
use pgtend_model::error::Result;
use std::fmt;

/// An object as a list tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written, by the storage's own clock.
    pub modified: Timestamp,
}

/// What became of an object that was to be new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is there now, durably.
    Made,
    /// There was one already; it is untouched.
    Exists,
}

/// A place for objects. Calls block; a failure that may pass is tried again within the call.
pub trait Storage: Send + Sync + fmt::Debug {
    /// What to call it in front of people; without secrets.
    fn shown(&self) -> String;

    /// A whole object.
    ///
    /// # Errors
    /// `NotFound` when there is none; otherwise what the storage says.
    fn get(&self, key: &str) -> Result<Vec<u8>>;

    /// A part of an object.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Conflict` when it ends before the part does; otherwise what the storage says.
    fn get_range(&self, key: &str, offset: u64, bytes: usize) -> Result<Vec<u8>>;

    /// Writes an object under a key that must be free: whole and durable, or not at all.
    ///
    /// # Errors
    /// What the storage says. Whether the object is there is unknown then; the next try tells.
    fn put_new(&self, key: &str, content: &[u8]) -> Result<Put>;

    /// Writes an object whether or not there is one: whole and durable, or the former stays.
    ///
    /// # Errors
    /// What the storage says.
    fn replace(&self, key: &str, content: &[u8]) -> Result<()>;

    /// Removes an object; none is fine.
    ///
    /// # Errors
    /// What the storage says.
    fn delete(&self, key: &str) -> Result<()>;

    /// Everything whose key begins with this and a `/`, or everything for `""`, sorted by key.
    ///
    /// # Errors
    /// What the storage says.
    fn list(&self, below: &str) -> Result<Vec<Object>>;

    /// Finds out whether the storage does what a repository needs, before there is one.
    ///
    /// # Errors
    /// `Unsupported` when it does not, with what is missing; otherwise what the storage says.
    fn probe(&self) -> Result<()> {
        Ok(())
    }

    /// What people should know of this storage, as far as it is known: each a sentence.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Bytes that are free there, where the storage can tell.
    fn free_bytes(&self) -> Option<u64> {
        None
    }
}
