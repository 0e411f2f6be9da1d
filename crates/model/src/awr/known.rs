//! What is known of a period, worked out once for all sections.

use super::active::Active;
use super::change::Changes;
use super::period::Period;
use crate::error::Result;
use crate::sample::archiver::Archiver;
use crate::sample::bgwriter::Bgwriter;
use crate::sample::checkpointer::Checkpointer;
use crate::sample::database::Database;
use crate::sample::indexes::Index;
use crate::sample::io::Io;
use crate::sample::server::Server;
use crate::sample::settings::Setting;
use crate::sample::statements::{Statement, StatementsInfo};
use crate::sample::tables::Table;
use crate::sample::wal::Wal;
use crate::sample::{Text, Unknown};
use std::collections::HashMap;

/// A probe's growth, or why it is not known.
pub type Grown<T> = Result<Changes<T>, Unknown>;

/// What is known of a period.
#[derive(Debug)]
pub struct Known<'a> {
    /// The period.
    pub period: &'a Period<'a>,
    /// What its sessions did.
    pub active: Result<Active, Unknown>,
    /// The server itself.
    pub server: Grown<Server>,
    /// Databases.
    pub databases: Grown<Database>,
    /// Statements.
    pub statements: Grown<Statement>,
    /// The table of statements.
    pub statements_info: Grown<StatementsInfo>,
    /// I/O by kind of process.
    pub io: Grown<Io>,
    /// Background writer.
    pub bgwriter: Grown<Bgwriter>,
    /// Checkpoints.
    pub checkpointer: Grown<Checkpointer>,
    /// WAL.
    pub wal: Grown<Wal>,
    /// Archiver.
    pub archiver: Grown<Archiver>,
    /// Tables.
    pub tables: Grown<Table>,
    /// Indexes.
    pub indexes: Grown<Index>,
    /// Names of databases by identifier.
    pub database_names: HashMap<i64, Text>,
    /// Names of roles by identifier.
    pub role_names: HashMap<i64, Text>,
}

impl<'a> Known<'a> {
    /// Works it out.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn of(period: &'a Period<'a>) -> Result<Self> {
        let readings = &period.end.readings;
        let databases = readings.database.latest.iter().flat_map(|sample| &sample.rows);
        let roles = readings.roles.latest.iter().flat_map(|sample| &sample.rows);
        Ok(Self {
            period,
            active: Active::of(period)?,
            server: Changes::of(period),
            databases: Changes::of(period),
            statements: Changes::of(period),
            statements_info: Changes::of(period),
            io: Changes::of(period),
            bgwriter: Changes::of(period),
            checkpointer: Changes::of(period),
            wal: Changes::of(period),
            archiver: Changes::of(period),
            tables: Changes::of(period),
            indexes: Changes::of(period),
            database_names: databases.map(|row| (row.datid, row.datname.clone())).collect(),
            role_names: roles.map(|row| (row.oid, row.rolname.clone())).collect(),
        })
    }

    /// Transactions a second, committed and rolled back.
    pub fn transactions_per_second(&self) -> Option<f64> {
        let (count, seconds) = over(&self.databases, |row| row.xact_commit + row.xact_rollback).ok()?;
        (count > 0.0).then_some(count / seconds)
    }

    /// A setting's value on the server at the end.
    pub fn setting(&self, name: &str) -> Option<String> {
        let readings = &self.period.end.readings;
        let files = readings.file_settings.current().ok().map(|sample| &*sample.rows);
        let row = readings.settings.current().ok()?.rows.iter().find(|row| &*row.name == name)?;
        row.on_server(files).map(|value| value.to_string())
    }

    /// Whether a setting is on at the end; none where that is not known.
    pub fn is_on(&self, name: &str) -> Option<bool> {
        self.setting(name).map(|value| value == "on")
    }

    /// A numeric setting in bytes or seconds, at the end.
    pub fn setting_in_base_unit(&self, name: &str) -> Option<f64> {
        let row: &Setting = self.period.end.readings.settings.current().ok()?.rows.iter().find(|row| &*row.name == name)?;
        row.in_base_unit(row.setting.as_deref()?).map(|(_, value)| value)
    }

    /// Bytes of a block.
    pub fn block_bytes(&self) -> f64 {
        self.setting("block_size").and_then(|value| value.parse().ok()).unwrap_or(8192.0)
    }

    /// The server's row at the end.
    pub fn server_now(&self) -> Option<&Server> {
        self.period.end.readings.server.latest.as_ref().and_then(|sample| sample.rows.first())
    }

    /// The server's row at the begin.
    pub fn server_before(&self) -> Option<&Server> {
        self.period.begin.readings.server.latest.as_ref().and_then(|sample| sample.rows.first())
    }

    /// The text of a statement, as far as it is remembered.
    pub fn text(&self, query_id: i64) -> Option<String> {
        self.period.past.text(query_id).ok().flatten().map(|text| text.to_string()).filter(|text| !text.is_empty())
    }
}

/// A counter's growth over all rows, and the seconds in which it grew.
///
/// # Errors
/// Why it is not known.
#[expect(clippy::cast_precision_loss, reason = "growths are far below 2^53")]
pub fn over<T: super::change::Probed>(changes: &Grown<T>, counter: impl Fn(&T) -> i64) -> Result<(f64, f64), Unknown> {
    let changes = changes.as_ref().map_err(Clone::clone)?;
    Ok((changes.sum(counter) as f64, changes.seconds()))
}

/// The same for a fraction.
///
/// # Errors
/// Why it is not known.
pub fn over_f64<T: super::change::Probed>(changes: &Grown<T>, counter: impl Fn(&T) -> f64) -> Result<(f64, f64), Unknown> {
    let changes = changes.as_ref().map_err(Clone::clone)?;
    Ok((changes.sum_f64(counter), changes.seconds()))
}

/// The same for a counter that only some versions have.
///
/// # Errors
/// Why it is not known.
#[expect(clippy::cast_precision_loss, reason = "growths are far below 2^53")]
pub fn over_known<T: super::change::Probed>(
    changes: &Grown<T>,
    since: &str,
    counter: impl Fn(&T) -> Option<i64>,
) -> Result<(f64, f64), Unknown> {
    let changes = changes.as_ref().map_err(Clone::clone)?;
    Ok((changes.sum_known(counter).ok_or_else(|| only_from(since))? as f64, changes.seconds()))
}

/// The same for a fraction.
///
/// # Errors
/// Why it is not known.
pub fn over_known_f64<T: super::change::Probed>(
    changes: &Grown<T>,
    since: &str,
    counter: impl Fn(&T) -> Option<f64>,
) -> Result<(f64, f64), Unknown> {
    let changes = changes.as_ref().map_err(Clone::clone)?;
    Ok((changes.sum_known_f64(counter).ok_or_else(|| only_from(since))?, changes.seconds()))
}

/// What only newer versions tell.
pub fn only_from(since: &str) -> Unknown {
    Unknown::new(crate::sample::Reason::Version, format!("{since} or newer tells it"))
}

/// A share of a whole in per cent; none of nothing.
///
/// # Errors
/// That there was nothing.
pub fn percent(part: f64, whole: f64, of_what: &str) -> Result<f64, Unknown> {
    if whole > 0.0 {
        Ok((100.0 * part / whole).clamp(0.0, 100.0))
    } else {
        Err(Unknown::new(crate::sample::Reason::Absent, format!("there were no {of_what}")))
    }
}
