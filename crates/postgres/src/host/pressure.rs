//! `host_pressure`: stalls for processors, memory and disks, from /proc/pressure.

use super::{Rows, int, source};
use pgtend_model::sample::{Reason, Unknown, host_pressure::HostPressure};
use procfs::{PressureRecord, parse_pressure_record};
use std::path::Path;

pub fn read() -> Result<Rows<HostPressure>, Unknown> {
    let mut rows = Vec::with_capacity(3);
    for resource in ["cpu", "memory", "io"] {
        let path = Path::new("/proc/pressure").join(resource);
        // A kernel that is able to, but has it off, has the files and answers "not supported".
        let text = source::text(&path).map_err(|unknown| {
            let detail = format!("the kernel does not count stalls ({unknown}); it takes Linux 4.20 and psi=1 on its command line");
            Unknown::new(if unknown.reason == Reason::Privilege { unknown.reason } else { Reason::Version }, detail)
        })?;
        rows.push(row(resource, &text).ok_or_else(|| source::misshapen(&path, text.trim()))?);
    }
    Ok(Rows::whole(rows))
}

fn row(resource: &str, text: &str) -> Option<HostPressure> {
    let record = |kind: &str| text.lines().find(|line| line.starts_with(kind)).and_then(|line| parse_pressure_record(line).ok());
    let some = record("some")?;
    let full = record("full");
    Some(HostPressure {
        resource: resource.into(),
        some_avg10_percent: percent(some.avg10),
        some_avg60_percent: percent(some.avg60),
        full_avg10_percent: full.as_ref().map(|record| percent(record.avg10)),
        full_avg60_percent: full.as_ref().map(|record| percent(record.avg60)),
        some_seconds: seconds(&some),
        full_seconds: full.as_ref().map(seconds),
    })
}

/// The kernel writes two decimals.
fn percent(value: f32) -> f64 {
    (f64::from(value) * 100.0).round() / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "microseconds since boot stay below 2^53 for 285 years")]
fn seconds(record: &PressureRecord) -> f64 {
    int(record.total) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_records() {
        let text = "some avg10=0.28 avg60=6.53 avg300=4.78 total=33687726\nfull avg10=0.02 avg60=1.40 avg300=0.98 total=7375658\n";
        let row = row("io", text).unwrap();
        assert_eq!((row.some_avg10_percent, row.some_avg60_percent, row.some_seconds), (0.28, 6.53, 33.687_726));
        assert_eq!((row.full_avg10_percent, row.full_avg60_percent, row.full_seconds), (Some(0.02), Some(1.4), Some(7.375_658)));
    }

    #[test]
    fn kernels_before_5_13_have_no_full_record_for_the_processors() {
        let row = row("cpu", "some avg10=1.00 avg60=2.00 avg300=3.00 total=4000000\n").unwrap();
        assert_eq!((row.some_seconds, row.full_seconds), (4.0, None));
    }
}
