//! What every storage must do, as a repository relies on it. The tests of each run it.

use super::{Put, Storage};
use pgtend_model::error::{Error, Kind, Result};
use std::sync::Barrier;

/// Writers that want one key at once.
const WRITERS: u8 = 16;
/// Bytes of a pack as it is written.
const LARGE: usize = 17 << 20;

type Checked = Result<(), String>;

/// Does with an empty storage everything that a repository does.
///
/// # Errors
/// The first thing that is not as it must be.
pub fn conforms(storage: &dyn Storage) -> Checked {
    storage.probe().map_err(|error| format!("probe: {error}"))?;
    what_is_written_is_read(storage)?;
    a_key_is_written_once(storage)?;
    what_is_absent_is_told(storage)?;
    parts_are_read(storage)?;
    lists_are_whole_and_sorted(storage)
}

fn said<T>(what: &str, result: Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error}"))
}

fn holds(what: &str, holds: bool) -> Checked {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn is<T>(kind: Kind, result: &Result<T>) -> bool {
    matches!(result, Err(Error { kind: found, .. }) if *found == kind)
}

fn large() -> Vec<u8> {
    (0..LARGE).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn what_is_written_is_read(storage: &dyn Storage) -> Checked {
    for (name, content) in [("empty", Vec::new()), ("small", b"\0\n\xff small".to_vec()), ("large", large())] {
        let key = format!("packs/aa/{name}");
        holds("a new object is made", said(name, storage.put_new(&key, &content))? == Put::Made)?;
        holds("an object is read as it was written", said(name, storage.get(&key))? == content)?;
        said(name, storage.delete(&key))?;
        holds("an object that was removed is gone", is(Kind::NotFound, &storage.get(&key)))?;
    }
    Ok(())
}

fn a_key_is_written_once(storage: &dyn Storage) -> Checked {
    let key = "locks/once";
    holds("the first is made", said("put_new", storage.put_new(key, b"first"))? == Put::Made)?;
    holds("the second is not", said("put_new", storage.put_new(key, b"second"))? == Put::Exists)?;
    holds("the same content is not, either", said("put_new", storage.put_new(key, b"first"))? == Put::Exists)?;
    holds("the first stays", said("get", storage.get(key))? == b"first")?;
    said("replace", storage.replace(key, b"third"))?;
    holds("it can be replaced", said("get", storage.get(key))? == b"third")?;
    said("delete", storage.delete(key))?;
    holds("a key that was removed is free", said("put_new", storage.put_new(key, b"fourth"))? == Put::Made)?;
    said("delete", storage.delete(key))
}

fn what_is_absent_is_told(storage: &dyn Storage) -> Checked {
    holds("get of what is absent", is(Kind::NotFound, &storage.get("backups/none/head")))?;
    holds("get_range of what is absent", is(Kind::NotFound, &storage.get_range("backups/none/head", 0, 1)))?;
    said("delete of what is absent", storage.delete("backups/none/head"))?;
    holds("list of what is absent", said("list", storage.list("backups/none"))?.is_empty())
}

fn parts_are_read(storage: &dyn Storage) -> Checked {
    let key = "packs/aa/parts";
    said("put_new", storage.put_new(key, b"0123456789"))?;
    for (offset, bytes, part) in [(0, 1, "0"), (3, 4, "3456"), (9, 1, "9"), (0, 10, "0123456789")] {
        holds("a part is read", said("get_range", storage.get_range(key, offset, bytes))? == part.as_bytes())?;
    }
    for (offset, bytes) in [(9, 2), (10, 1), (0, 11), (1 << 40, 1)] {
        holds("a part beyond the end is no short answer", is(Kind::Conflict, &storage.get_range(key, offset, bytes)))?;
    }
    said("delete", storage.delete(key))
}

fn lists_are_whole_and_sorted(storage: &dyn Storage) -> Checked {
    let mut keys: Vec<String> = (0..20).map(|n| format!("wal/main/{}/0000000{n:x}", n % 3)).collect();
    keys.push("wal/main-2/1/a".into());
    keys.push("wal/mainly".into());
    for key in &keys {
        said("put_new", storage.put_new(key, key.as_bytes()))?;
    }
    keys.sort();
    for below in ["", "wal", "wal/main", "wal/main/1", "wal/main-2"] {
        let prefix = if below.is_empty() { String::new() } else { format!("{below}/") };
        let wanted: Vec<&String> = keys.iter().filter(|key| key.starts_with(&prefix)).collect();
        let listed = said("list", storage.list(below))?;
        let found: Vec<&String> = listed.iter().map(|object| &object.key).collect();
        holds(&format!("a list of \"{below}\" has everything, sorted: {found:?}"), found == wanted)?;
        holds("a list tells sizes", listed.iter().all(|object| object.bytes == object.key.len() as u64))?;
    }
    for key in &keys {
        said("delete", storage.delete(key))?;
    }
    holds("nothing is left", said("list", storage.list(""))?.is_empty())
}

/// Many writers want one key at once, again and again: one gets it, and what is there is what that one wrote.
///
/// # Errors
/// The first race that did not end so.
pub fn one_writer_wins(storage: &dyn Storage, rounds: u8) -> Checked {
    for round in 0..rounds {
        let key = format!("locks/race-{round}");
        let barrier = Barrier::new(WRITERS.into());
        let write = |writer: u8| {
            barrier.wait();
            storage.put_new(&key, &[writer])
        };
        let ends: Vec<Result<Put>> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
            let panicked = |_| Err(Error::new(Kind::Internal, "a writer ended in a panic"));
            writers.into_iter().map(|writer| writer.join().unwrap_or_else(panicked)).collect()
        });
        let mut winners = Vec::new();
        for (writer, end) in (0..WRITERS).zip(ends) {
            if said(&key, end)? == Put::Made {
                winners.push(writer);
            }
        }
        holds(&format!("{key}: one writer wins, not {winners:?}"), winners.len() == 1)?;
        holds(&format!("{key}: what is there is the winner's"), said(&key, storage.get(&key))? == winners)?;
        said(&key, storage.delete(&key))?;
    }
    Ok(())
}
