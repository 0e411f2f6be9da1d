//! csvlog: one record a message, which may go over many lines.

use super::{Event, Severity, instant, query_id, some};
use csv::{ReaderBuilder, StringRecord};
use jiff::tz::TimeZone;

/// Fields of the oldest version that is supported.
const FEWEST: usize = 24;

/// The event of a record; none where it is no message.
pub(super) fn read(record: &[u8], zone: &TimeZone) -> Option<Event> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(record);
    let fields: StringRecord = reader.records().next()?.ok()?;
    if fields.len() < FEWEST {
        return None;
    }
    let text = |place: usize| fields.get(place).and_then(some);
    let at = instant::read(&text(0)?, zone)?;
    let sqlstate = text(12);
    // A client on the Unix socket is [local]; elsewhere a port follows the address.
    let client = text(4).map(|from| from.rsplit_once(':').map_or(from.clone(), |(host, _)| host.to_owned()));
    Some(Event {
        at: Some(at),
        severity: Severity::of(&text(11)?, sqlstate.as_deref()),
        sqlstate,
        pid: text(3).and_then(|pid| pid.parse().ok()),
        user: text(1),
        database: text(2),
        application: text(22),
        client,
        backend_type: text(23),
        message: text(13).unwrap_or_default(),
        detail: text(14),
        hint: text(15),
        context: text(18),
        query: text(19),
        query_id: fields.get(25).and_then(query_id),
    })
}

/// How far quotes are open, from piece to piece of a record.
#[derive(Debug, Default)]
pub(super) struct Quotes {
    open: bool,
    looked_at: usize,
}

impl Quotes {
    /// The length of the first record of what is there, its line break included; none while it is not whole. A doubled quote closes and
    /// opens again, which is the same here.
    pub(super) fn record(&mut self, bytes: &[u8]) -> Option<usize> {
        for (place, byte) in bytes.iter().enumerate().skip(self.looked_at) {
            match byte {
                b'"' => self.open = !self.open,
                b'\n' if !self.open => {
                    *self = Self::default();
                    return Some(place + 1);
                }
                _ => {}
            }
        }
        self.looked_at = bytes.len();
        None
    }
}
