//! Bringing WAL to the repositories that need not have it at once: what the required ones have and they lack, oldest first.

use super::origin::Origin;
use super::places::{Place, Places};
use pgtend_model::error::{Error, Kind, Result};
use std::collections::HashSet;
use std::path::Path;

/// Brings what is missing to every repository that is not required. How many files that were, and what stood in the way by repository.
/// `goes_on` is asked before each file. Blocks.
pub fn round(places: &Places, server: &str, data: &Path, level: i32, goes_on: &dyn Fn() -> bool) -> (usize, Vec<(String, Error)>) {
    let mut brought = 0;
    let mut troubles = Vec::new();
    for other in places.others() {
        let done = Origin::of_data(server, data)
            .and_then(|origin| places.required().try_for_each(|source| bring(&origin, source, other, data, level, goes_on, &mut brought)));
        if let Err(error) = done {
            troubles.push((other.name().to_owned(), error));
        }
    }
    (brought, troubles)
}

fn bring(
    origin: &Origin,
    source: &Place,
    other: &Place,
    data: &Path,
    level: i32,
    goes_on: &dyn Fn() -> bool,
    brought: &mut usize,
) -> Result<()> {
    let there: HashSet<String> = other.repository()?.wal(&origin.owner)?.into_iter().map(|object| object.name).collect();
    let all = source.repository()?.wal(&origin.owner)?;
    for object in all.iter().filter(|object| !there.contains(&object.name)) {
        if !goes_on() {
            return Ok(());
        }
        let Some(content) = content(origin, source, data, &object.name)? else { continue };
        other.push(origin, &object.name, &content, level)?;
        *brought += 1;
    }
    Ok(())
}

/// From `pg_wal` while it is there, since a host may write without being able to read; otherwise from the repository that has it.
fn content(origin: &Origin, source: &Place, data: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let path = data.join("pg_wal").join(name);
    let is_segment = name.len() == 24;
    // The server may rename a segment for new WAL while it is read: then its header is another one, or it is gone under this name.
    let whole = |content: &Vec<u8>| origin.check(name, content).is_ok() && path.exists();
    let read = std::fs::read(&path).ok().filter(|content| is_segment && whole(content));
    if let Some(content) = read {
        return Ok(Some(content));
    }
    if !source.repository()?.reads() {
        return Err(Error::new(Kind::Conflict, format!("{name} is not in pg_wal any more, and this host cannot read what it wrote"))
            .hint("a repository with encryption = \"recipients\" cannot be caught up later: make the other one required"));
    }
    source.get(&origin.owner, name)
}
