//! Whether a session's server runs on this host, and if so which process is its postmaster.

use super::Host;
use crate::connect::Session;
use pgtend_model::sample::{Reason, Unknown};
use procfs::process::Process;
use std::path::PathBuf;

/// A session's own process forks before it writes down when it began; the kernel counts from boot in ticks.
const CLOSE_SECONDS: f64 = 3.0;

impl Host {
    /// The host of the session's server, when that is this one.
    ///
    /// # Errors
    /// `Remote` when the server runs elsewhere, in another container, or behind a pooler; `Privilege` when it cannot be told.
    pub async fn beside(session: &Session) -> Result<Self, Unknown> {
        let sql = "select a.pid, extract(epoch from a.backend_start)::float8, pg_catalog.current_setting('data_directory', true) \
                   from pg_catalog.pg_stat_activity as a where a.pid = pg_catalog.pg_backend_pid()";
        let row = session.client().query_one(sql, &[]).await;
        let row = row.map_err(|error| hidden(&error))?;
        let (pid, began): (i32, f64) = (row.get(0), row.get(1));
        let data_directory: Option<String> = row.get(2);
        let postmaster = postmaster_of(pid, began).ok_or_else(elsewhere)?;
        Ok(Self::new(&PathBuf::from(data_directory.unwrap_or_default()), postmaster))
    }
}

/// The parent of the process, as long as it is the session's own: a number alone may belong to another process of this host.
fn postmaster_of(pid: i32, began: f64) -> Option<i32> {
    let stat = Process::new(pid).ok()?.stat().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 and ticks since boot are far below 2^52")]
    let started = procfs::boot_time_secs().ok()? as f64 + stat.starttime as f64 / procfs::ticks_per_second() as f64;
    let postmaster = Process::new(stat.ppid).ok()?.stat().ok()?;
    let is_it = (started - began).abs() < CLOSE_SECONDS && stat.comm == postmaster.comm && stat.ppid > 1;
    is_it.then_some(stat.ppid)
}

/// Without `pg_read_all_settings` the setting cannot be read, and the whole statement fails.
fn hidden(error: &tokio_postgres::Error) -> Unknown {
    let unknown = crate::connect::error::unknown(error);
    if unknown.reason != Reason::Privilege {
        return unknown;
    }
    let detail = "only a role with pg_read_all_settings, a part of pg_monitor, sees the server's data directory; without it figures of the \
                  host cannot be had from here; run: GRANT pg_monitor TO the role";
    Unknown::new(Reason::Privilege, detail)
}

fn elsewhere() -> Unknown {
    Unknown::new(Reason::Remote, "the server runs on another host or in another container; figures of the host need an agent beside it")
}
