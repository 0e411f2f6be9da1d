//! A session that follows where a server's WAL ends, and keeps WAL by a physical slot.

use crate::connect::{Limits, Session, Target, error::classify};
use pgtend_model::backup::wal_stream::{Keeping, Slot};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::Lsn;
use std::time::Duration;

/// How long a session may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);

/// A session that follows the WAL.
#[derive(Debug)]
pub struct WalSession(Session);

/// Where the WAL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The timeline that is written.
    pub timeline: u32,
    /// Up to where WAL is on the server's disk.
    pub flushed: Lsn,
}

impl WalSession {
    /// Opens it.
    ///
    /// # Errors
    /// As for connecting.
    pub async fn open(target: &Target, limits: &Limits, application_name: &str) -> Result<Self> {
        Session::open(target, limits, application_name).await.map(Self)
    }

    /// How the server keeps its WAL.
    ///
    /// # Errors
    /// What the server says.
    pub async fn keeping(&self) -> Result<Keeping> {
        let sql = "select (select c.system_identifier::pg_catalog.int8 from pg_catalog.pg_control_system() as c), \
                   pg_catalog.current_setting('wal_level'), pg_catalog.current_setting('archive_mode'), \
                   coalesce(nullif(pg_catalog.current_setting('archive_library', true), ''), pg_catalog.current_setting('archive_command')), \
                   coalesce((select r.rolsuper or r.rolreplication from pg_catalog.pg_roles as r where r.rolname = current_user), false), \
                   pg_catalog.current_setting('max_replication_slots')::pg_catalog.int4, \
                   (select count(*)::pg_catalog.int4 from pg_catalog.pg_replication_slots), \
                   pg_catalog.current_setting('max_slot_wal_keep_size'), current_user::pg_catalog.text";
        let row = self.0.client().query_one(sql, &[]).await.map_err(|error| self.said(&error))?;
        let wrong = |error: tokio_postgres::Error| classify(&error);
        let text = |index| row.try_get::<_, Option<String>>(index).map(Option::unwrap_or_default).map_err(wrong);
        let number = |index| row.try_get::<_, i32>(index).map(|number| u32::try_from(number).unwrap_or(0)).map_err(wrong);
        Ok(Keeping {
            system_identifier: row.try_get::<_, i64>(0).map_err(wrong)?.cast_unsigned(),
            wal_level: text(1)?,
            archive_mode: text(2)?,
            archiver: text(3)?,
            may_replicate: row.try_get(4).map_err(wrong)?,
            most_slots: number(5)?,
            slots: number(6)?,
            max_slot_wal_keep_size: text(7)?,
            role: text(8)?,
        })
    }

    /// Where the WAL is; none on a standby, which writes none of its own.
    ///
    /// # Errors
    /// What the server says.
    pub async fn position(&self) -> Result<Option<Position>> {
        let sql = "select p.lsn::pg_catalog.text, pg_catalog.substr(pg_catalog.pg_walfile_name(p.lsn), 1, 8) \
                   from (select case when not pg_catalog.pg_is_in_recovery() then pg_catalog.pg_current_wal_flush_lsn() end as lsn) as p \
                   where p.lsn is not null";
        let row = self.0.client().query_opt(sql, &[]).await.map_err(|error| self.said(&error))?;
        let Some(row) = row else { return Ok(None) };
        let wrong = |error: tokio_postgres::Error| classify(&error);
        let (lsn, timeline): (String, String) = (row.try_get(0).map_err(wrong)?, row.try_get(1).map_err(wrong)?);
        let senseless =
            || Error::new(Kind::Unsupported, format!("the server says that its WAL is at \"{lsn}\" on timeline \"{timeline}\""));
        Ok(Some(Position {
            timeline: u32::from_str_radix(&timeline, 16).map_err(|_| senseless())?,
            flushed: lsn.parse().map_err(|_| senseless())?,
        }))
    }

    /// The slot of this name; none when there is none.
    ///
    /// # Errors
    /// What the server says.
    pub async fn slot(&self, name: &str) -> Result<Option<Slot>> {
        let sql = "select s.slot_type, s.active_pid, s.restart_lsn::pg_catalog.text, s.wal_status, \
                   pg_catalog.pg_wal_lsn_diff(case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() \
                   else pg_catalog.pg_current_wal_lsn() end, s.restart_lsn)::pg_catalog.int8 \
                   from pg_catalog.pg_replication_slots as s where s.slot_name = $1::text::pg_catalog.name";
        let row = self.0.client().query_opt(sql, &[&name]).await.map_err(|error| self.said(&error))?;
        let Some(row) = row else { return Ok(None) };
        let wrong = |error: tokio_postgres::Error| classify(&error);
        let restart: Option<String> = row.try_get(2).map_err(wrong)?;
        let held: Option<i64> = row.try_get(4).map_err(wrong)?;
        Ok(Some(Slot {
            name: name.to_owned(),
            physical: row.try_get::<_, String>(0).map_err(wrong)? == "physical",
            held_by: row.try_get(1).map_err(wrong)?,
            restart_lsn: restart.and_then(|lsn| lsn.parse().ok()),
            wal_status: row.try_get::<_, Option<String>>(3).map_err(wrong)?.unwrap_or_default(),
            held_bytes: held.and_then(|bytes| u64::try_from(bytes).ok()),
        }))
    }

    /// Makes a slot that keeps WAL from now on.
    ///
    /// # Errors
    /// `Privilege` without the right; what the server says when no slot is free.
    pub async fn make_slot(&self, name: &str) -> Result<()> {
        let sql = "select from pg_catalog.pg_create_physical_replication_slot($1::text::pg_catalog.name, true)";
        self.0.client().query(sql, &[&name]).await.map(|_| ()).map_err(|error| self.said(&error))
    }

    /// Lets a slot keep WAL from this position on only.
    ///
    /// # Errors
    /// What the server says: also when somebody else uses the slot.
    pub async fn advance_slot(&self, name: &str, to: Lsn) -> Result<()> {
        let sql = "select from pg_catalog.pg_replication_slot_advance($1::text::pg_catalog.name, $2::text::pg_catalog.pg_lsn)";
        self.0.client().query(sql, &[&name, &to.to_string()]).await.map(|_| ()).map_err(|error| self.said(&error))
    }

    /// Takes a slot away.
    ///
    /// # Errors
    /// What the server says: also when somebody else uses the slot.
    pub async fn drop_slot(&self, name: &str) -> Result<()> {
        let sql = "select from pg_catalog.pg_drop_replication_slot($1::text::pg_catalog.name)";
        self.0.client().query(sql, &[&name]).await.map(|_| ()).map_err(|error| self.said(&error))
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.0.close(GOODBYE).await;
    }

    fn said(&self, error: &tokio_postgres::Error) -> Error {
        classify(error).at(self.0.address())
    }
}
