//! Finds out whether a storage does what a repository relies on.

use super::super::id::RandomId;
use super::{Put, Storage};
use pgtend_model::error::{Error, Kind, Result};

/// Where what is tried lies.
pub(super) const BELOW: &str = "probe";

/// Tries, under a key that nobody else has, everything that a repository needs.
///
/// # Errors
/// `Unsupported` with what is missing; otherwise what the storage says.
pub(super) fn probe(storage: &dyn Storage) -> Result<()> {
    let below = format!("{BELOW}/{}", RandomId::new()?);
    let key = format!("{below}/object");
    let missing = missing(storage, &below, &key);
    let removed = storage.delete(&key);
    let missing = missing?;
    if !missing.is_empty() {
        return Err(Error::new(Kind::Unsupported, format!("the storage cannot hold a repository: {}", missing.join("; ")))
            .at(storage.shown())
            .hint("a storage that speaks S3 in full is needed"));
    }
    removed
}

fn missing(storage: &dyn Storage, below: &str, key: &str) -> Result<Vec<&'static str>> {
    let mut missing = Vec::new();
    let mut needs = |holds: bool, what: &'static str| {
        if !holds {
            missing.push(what);
        }
    };
    needs(storage.put_new(key, b"0123456789")? == Put::Made, "a key that was free is called taken");
    needs(storage.put_new(key, b"another")? == Put::Exists, "a key that is taken can be written again (no If-None-Match)");
    needs(storage.get(key)? == b"0123456789", "an object is not read as it was written");
    let listed = storage.list(below)?;
    needs(listed.len() == 1 && listed[0].key == key && listed[0].bytes == 10, "an object is not listed right after it was written");
    needs(storage.get_range(key, 3, 4).is_ok_and(|part| part == b"3456"), "a part of an object cannot be read (no Range)");
    storage.replace(key, b"replaced")?;
    needs(storage.get(key)? == b"replaced", "an object that was replaced is read as it was before");
    storage.delete(key)?;
    needs(storage.get(key).is_err_and(|error| error.kind == Kind::NotFound), "an object that was removed can still be read");
    needs(storage.list(below)?.is_empty(), "an object that was removed is still listed");
    Ok(missing)
}
