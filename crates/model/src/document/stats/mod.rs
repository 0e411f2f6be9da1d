//! Statistics: statements, transactions, shared buffers, I/O.

pub mod buffer_pool;
pub mod io;
pub mod queries;
pub mod transactions;

use crate::sample::{Reason, Unknown};
use crate::view::View;

/// A setting of the server, as PostgreSQL writes it.
fn setting<'v>(view: &'v View, name: &str) -> Result<&'v str, Unknown> {
    let sample = view.readings.settings.current().map_err(Clone::clone)?;
    let row = sample.rows.iter().find(|row| &*row.name == name);
    row.and_then(|row| row.setting.as_deref()).ok_or_else(|| Unknown::new(Reason::Version, format!("this server has no setting {name}")))
}

/// A setting that is a size, in bytes.
fn setting_bytes(view: &View, name: &str) -> Result<i64, Unknown> {
    let text = setting(view, name)?;
    let row = view.readings.settings.current().map_err(Clone::clone)?.rows.iter().find(|row| &*row.name == name);
    let unit = row.and_then(|row| row.unit.as_deref()).unwrap_or("B");
    let digits = unit.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    let times: i64 = unit[..digits].parse().unwrap_or(1);
    let size = match &unit[digits..] {
        "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        other => return Err(Unknown::new(Reason::Failed, format!("the setting {name} has the unit {other}, which is no size"))),
    };
    let value: Option<i64> = text.parse().ok();
    value
        .and_then(|value| value.checked_mul(times)?.checked_mul(size))
        .ok_or_else(|| Unknown::new(Reason::Failed, format!("the setting {name} is \"{text}\", which is no size")))
}

/// Bytes of a block: 8192 unless the server was built otherwise.
fn block_bytes(view: &View) -> i64 {
    setting(view, "block_size").ok().and_then(|text| text.parse().ok()).unwrap_or(8192)
}

/// A figure that comes from timing I/O, or why there is none.
fn timed<T>(view: &View, switch: &str, figure: impl FnOnce() -> Result<T, Unknown>) -> Result<T, Unknown> {
    match setting(view, switch) {
        Ok("off") => Err(Unknown::new(Reason::Disabled, format!("{switch} is off: the server does not measure it"))),
        Ok(_) | Err(_) => figure(),
    }
}

/// The quotient, or that there was nothing to divide.
#[expect(clippy::cast_precision_loss, reason = "a mean needs no more than a double's precision")]
fn mean(total: f64, count: i64, of_what: &str) -> Result<f64, Unknown> {
    match count {
        0 => Err(Unknown::new(Reason::Absent, format!("there was no {of_what}"))),
        count => Ok(total / count as f64),
    }
}

/// That PostgreSQL does not tell something, whatever one asks.
fn never_told(what: &str) -> Unknown {
    Unknown::new(Reason::Absent, what)
}
