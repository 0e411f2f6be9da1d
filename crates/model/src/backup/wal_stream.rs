//! Streaming of WAL: who keeps it on the server until the repository has it, what stands in the way, and how it goes.

use crate::error::{Error, Kind, Result, Retry};
use crate::pgdata::Lsn;
use crate::units::show_bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest name of a slot.
const LONGEST_NAME: usize = 63;

/// What a server says of how it keeps WAL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keeping {
    /// The cluster's identity.
    pub system_identifier: u64,
    /// `wal_level`.
    pub wal_level: String,
    /// `archive_mode`: off, on or always.
    pub archive_mode: String,
    /// `archive_command`, or the library that archives.
    pub archiver: String,
    /// Whether the role may make slots.
    pub may_replicate: bool,
    /// `max_replication_slots`.
    pub most_slots: u32,
    /// Slots that there are.
    pub slots: u32,
    /// `max_slot_wal_keep_size`, as the server shows it; `-1` is any.
    pub max_slot_wal_keep_size: String,
    /// The role that asks.
    pub role: String,
}

/// A slot as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Whether it is physical.
    pub physical: bool,
    /// The server process that uses it now.
    pub held_by: Option<i32>,
    /// From where on it keeps WAL; none when it keeps none any more.
    pub restart_lsn: Option<Lsn>,
    /// `wal_status`: reserved, extended, unreserved or lost.
    pub wal_status: String,
    /// Bytes that it keeps.
    pub held_bytes: Option<u64>,
}

/// Who keeps WAL on the server until the repository has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeper {
    /// PostgreSQL, for `archive_command`.
    Archiver,
    /// A slot of this name.
    Slot(String),
}

/// What is to be done with the slot before streaming starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotStep {
    /// It is made.
    Make,
    /// It is there, and keeps WAL from this position on.
    Use(Lsn),
    /// It let WAL go that it should have kept: it is made anew, and there may be a gap.
    Renew,
}

/// The name of a server's slot, where none is written.
pub fn slot_name(server: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = "pgtend_".chars().chain(server.chars().map(legal)).collect();
    name.chars().take(LONGEST_NAME).collect()
}

/// Whether a slot may have this name.
pub fn is_slot_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(legal)
}

/// Decides who keeps the WAL. Where `archive_command` brings it here, a slot would only be another way to fill the server's disk.
pub fn keeper(keeping: &Keeping, server: &str, written: Option<&str>) -> Keeper {
    let comes_here = keeping.archive_mode != "off" && keeping.archiver.contains("wal push");
    match written {
        Some(name) => Keeper::Slot(name.to_owned()),
        None if comes_here => Keeper::Archiver,
        None => Keeper::Slot(slot_name(server)),
    }
}

/// Whether the server can be streamed from.
///
/// # Errors
/// `Unsupported` with a `wal_level` of `minimal`.
pub fn check(keeping: &Keeping) -> Result<()> {
    if keeping.wal_level != "minimal" {
        return Ok(());
    }
    Err(Error::new(Kind::Unsupported, "with wal_level = minimal, WAL brings nothing back")
        .hint("ALTER SYSTEM SET wal_level = replica, then restart the server and take a backup")
        .retry(Retry::Never))
}

/// Decides what is done with the slot.
///
/// # Errors
/// `Conflict` when it is somebody else's; `Privilege` when it cannot be made; `Config` when no slot is free.
pub fn slot_step(keeping: &Keeping, name: &str, found: Option<&Slot>) -> Result<SlotStep> {
    let Some(slot) = found else { return may_make(keeping, name).map(|()| SlotStep::Make) };
    if !slot.physical {
        return Err(Error::new(Kind::Conflict, format!("the slot \"{name}\" is a logical one"))
            .hint("name another one with stream_slot in [backup]")
            .retry(Retry::Never));
    }
    if let Some(pid) = slot.held_by {
        return Err(Error::new(Kind::Conflict, format!("the slot \"{name}\" is used by somebody else: server process {pid}"))
            .hint(format!(
                "pgtend holds no connection to its slot: a standby or a pg_receivewal uses it. select * from pg_stat_replication where pid = {pid} tells who; give that one another slot, or name another one with stream_slot in [backup]"
            )));
    }
    if !keeping.may_replicate {
        return Err(no_right(keeping));
    }
    match slot.restart_lsn {
        Some(lsn) if slot.wal_status != "lost" => Ok(SlotStep::Use(lsn)),
        _ => Ok(SlotStep::Renew),
    }
}

fn may_make(keeping: &Keeping, name: &str) -> Result<()> {
    if !keeping.may_replicate {
        return Err(no_right(keeping));
    }
    if keeping.slots >= keeping.most_slots {
        return Err(Error::new(
            Kind::Config,
            format!("there is no room for the slot \"{name}\": all {} replication slots are in use", keeping.most_slots),
        )
        .hint("raise max_replication_slots (needs a restart), drop one that nobody uses, or archive instead: archive_mode = on"));
    }
    Ok(())
}

fn no_right(keeping: &Keeping) -> Error {
    Error::new(Kind::Privilege, format!("nobody archives this server's WAL, and the role \"{}\" may not keep it by a slot", keeping.role))
        .hint(format!(
            "ALTER ROLE \"{}\" REPLICATION; or archive instead: archive_mode = on, archive_command = 'pgtend wal push …'",
            keeping.role
        ))
}

/// How streaming stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamState {
    /// It has not begun yet.
    #[default]
    Starting,
    /// What is flushed gets to every required repository.
    Streaming,
    /// The server is a standby: its WAL is its primary's.
    Standby,
    /// Something stands in the way.
    Failing,
    /// It is switched off, and its slot is still there.
    Off,
}

/// How the streaming of a server's WAL goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Streaming {
    /// How it stands.
    pub state: StreamState,
    /// Why, where something stands in the way.
    pub error: Option<Error>,
    /// Since when.
    pub failing_since: Option<Timestamp>,
    /// Up to where WAL is on the server's disk.
    #[schema(value_type = Option<String>)]
    pub flushed_lsn: Option<Lsn>,
    /// Up to where it is in every required repository.
    #[schema(value_type = Option<String>)]
    pub streamed_lsn: Option<Lsn>,
    /// What would be lost with the machine, in bytes.
    pub lag_bytes: Option<u64>,
    /// What would be lost with the machine, in seconds: since when not all that was flushed is in every required repository.
    pub lag_seconds: Option<f64>,
    /// Pieces of segments that were stored.
    pub pieces: u64,
    /// Bytes that they took in all repositories.
    pub stored_bytes: u64,
    /// The slot that keeps WAL for it; none where `archive_command` does.
    pub slot: Option<String>,
    /// What the slot keeps on the server.
    pub slot_held_bytes: Option<u64>,
    /// What PostgreSQL says of that: reserved, extended, unreserved or lost.
    pub slot_wal_status: Option<String>,
    /// Repositories that lag behind or fail, with why.
    pub troubles: Vec<StreamTrouble>,
}

/// What is told where a slot of streaming is still there that is not used, because it is switched off or has another one: nothing moves it on.
pub fn left_over(slot: &str, held_bytes: Option<u64>) -> Streaming {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let held = held_bytes.map_or_else(String::new, |bytes| format!(" ({} now)", show_bytes(bytes as f64)));
    let error = Error::new(
        Kind::Conflict,
        format!("streaming does not use its slot \"{slot}\" any more, and that makes the server keep all WAL{held}"),
    )
    .hint(format!(
        "select pg_drop_replication_slot('{slot}'); or let streaming use it again: stream_wal = true, stream_slot = \"{slot}\" in [backup]"
    ));
    Streaming {
        state: StreamState::Off,
        error: Some(error),
        slot: Some(slot.to_owned()),
        slot_held_bytes: held_bytes,
        ..Streaming::default()
    }
}

/// A repository that pieces do not get to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StreamTrouble {
    /// Its name.
    pub repository: String,
    /// What stands in the way.
    pub error: Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeping() -> Keeping {
        Keeping { archive_mode: "off".into(), most_slots: 10, may_replicate: true, role: "pgtend".into(), ..Keeping::default() }
    }

    fn slot() -> Slot {
        Slot {
            name: "s".into(),
            physical: true,
            held_by: None,
            restart_lsn: Some(Lsn(7)),
            wal_status: "reserved".into(),
            held_bytes: Some(1),
        }
    }

    #[test]
    fn a_slot_is_used_only_where_nobody_brings_wal_here() {
        let archives = |mode: &str, command: &str, written| {
            let keeping = Keeping { archive_mode: mode.into(), archiver: command.into(), ..keeping() };
            keeper(&keeping, "Main-1", written)
        };
        let own = Keeper::Slot("pgtend_main_1".into());
        assert_eq!(archives("on", "/usr/bin/pgtend wal push \"%p\"", None), Keeper::Archiver);
        assert_eq!(archives("on", "pgbackrest archive-push %p", None), own);
        assert_eq!(archives("off", "(disabled)", None), own);
        assert_eq!(archives("on", "pgtend wal push \"%p\"", Some("mine")), Keeper::Slot("mine".into()));
        assert!(is_slot_name(&slot_name(&"Ä".repeat(80))));
        assert!(!is_slot_name("No") && !is_slot_name(""));
    }

    #[test]
    fn what_is_in_the_way_is_said_with_the_fix() {
        let step = |keeping: &Keeping, slot: Option<Slot>| slot_step(keeping, "s", slot.as_ref());
        assert_eq!(step(&keeping(), None).unwrap(), SlotStep::Make);
        assert_eq!(step(&keeping(), Some(slot())).unwrap(), SlotStep::Use(Lsn(7)));
        assert_eq!(step(&keeping(), Some(Slot { wal_status: "lost".into(), ..slot() })).unwrap(), SlotStep::Renew);
        assert_eq!(step(&keeping(), Some(Slot { restart_lsn: None, ..slot() })).unwrap(), SlotStep::Renew);
        let error = step(&Keeping { may_replicate: false, ..keeping() }, None).unwrap_err();
        assert!(error.hint.starts_with("ALTER ROLE \"pgtend\" REPLICATION"), "{error}");
        let error = step(&Keeping { slots: 10, ..keeping() }, None).unwrap_err();
        assert!(error.hint.contains("max_replication_slots"), "{error}");
        let error = step(&keeping(), Some(Slot { held_by: Some(42), ..slot() })).unwrap_err();
        assert!(error.what.contains("server process 42"), "{error}");
        assert!(step(&keeping(), Some(Slot { physical: false, ..slot() })).is_err());
        assert!(check(&Keeping { wal_level: "minimal".into(), ..keeping() }).is_err());
    }
}
