//! One file of a server's log, as it is read.

use super::captured::CapturedPlans;
use super::{Totals, Written};
use jiff::tz::TimeZone;
use pgtend_model::logline::{Decoder, Event, Format, Position};
use pgtend_model::sample::Unknown;
use pgtend_model::sample::log::LogReading;
use pgtend_postgres::serverlog::{Piece, Place, Tail};
use std::path::Path;
use std::time::{Duration, Instant};

/// Read at once, in bytes.
const MOST_BYTES: usize = 1 << 20;
/// What may wait to be read, in bytes; of more than that the oldest is left out.
const MOST_BEHIND: u64 = 256 << 20;
/// How often is looked at the end of a file whether the server writes another one.
const LOOK_AROUND_EVERY: Duration = Duration::from_secs(1);

/// One file, as it is read.
pub(super) struct Reading {
    tail: Tail,
    decoder: Decoder,
    format: &'static str,
    pub(super) written: Written,
    room: Vec<u8>,
    looked_around: Instant,
}

/// What a look at the file gave.
pub(super) enum Step {
    /// Something new; what was left out before it.
    Read { bytes: u64, skipped: u64 },
    /// Nothing new.
    AtEnd,
}

impl Reading {
    /// Opens a file: where it was left, from its begin, or from its end on. One that was left and is no longer written is read to its end
    /// first.
    pub(super) fn open(
        place: &Place,
        left: Option<&Position>,
        from_begin: bool,
        (format, zone): (Format, TimeZone),
        written: Written,
    ) -> Result<Self, Unknown> {
        let left = left.and_then(Tail::reopen).filter(|left| left.path().extension() == place.path.extension());
        let tail = left.map_or_else(|| Tail::open(&place.path, from_begin), Ok)?;
        let word = format.word();
        let (room, looked_around) = (vec![0; MOST_BYTES], Instant::now());
        Ok(Self { tail, decoder: Decoder::new(format, zone), format: word, written, room, looked_around })
    }

    /// Reads a piece.
    pub(super) fn step(&mut self, each: &mut dyn FnMut(Event)) -> Result<Step, Unknown> {
        let skipped = self.tail.behind_bytes().saturating_sub(MOST_BEHIND);
        if skipped > 0 {
            tracing::warn!(file = %self.tail.path().display(), skipped_bytes = skipped, "the server's log grows faster than it is read");
            self.tail.skip(skipped);
            self.decoder.forget();
        }
        match self.tail.read(&mut self.room)? {
            Piece::Bytes(bytes) => {
                self.decoder.feed(&self.room[..bytes], each);
                Ok(Step::Read { bytes: bytes as u64, skipped })
            }
            Piece::Truncated => {
                self.decoder.finish(each);
                self.decoder.forget();
                Ok(Step::Read { bytes: 0, skipped })
            }
            Piece::Nothing => {
                self.decoder.finish(each);
                Ok(Step::AtEnd)
            }
        }
    }

    /// Whether it is time to look for another file.
    pub(super) fn looks_around(&mut self) -> bool {
        let due = self.looked_around.elapsed() >= LOOK_AROUND_EVERY;
        if due {
            self.looked_around = Instant::now();
        }
        due
    }

    /// Whether it is this file.
    pub(super) fn is_of(&self, place: &Place) -> bool {
        !self.tail.is_other(&place.path)
    }

    /// Goes on with the same file, which is written in another way from now on.
    pub(super) fn decode_as(&mut self, format: Format, zone: TimeZone, written: Written) {
        self.format = format.word();
        (self.decoder, self.written) = (Decoder::new(format, zone), written);
    }

    pub(super) fn path(&self) -> &Path {
        self.tail.path()
    }

    /// How far everything was given.
    pub(super) fn position(&self) -> Position {
        self.tail.position(self.decoder.waiting_bytes() as u64)
    }

    pub(super) fn not_understood(&self) -> u64 {
        self.decoder.not_understood()
    }

    /// How it goes.
    pub(super) fn row(&self, totals: &Totals, plans: &CapturedPlans, errors_per_minute: f64) -> LogReading {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        LogReading {
            file: self.tail.path().display().to_string().into(),
            format: self.format.into(),
            errors_per_minute,
            behind_bytes: count(self.tail.behind_bytes()),
            read_bytes: count(totals.read_bytes),
            skipped_bytes: count(totals.skipped_bytes),
            not_kept: count(totals.not_kept),
            not_understood: count(totals.not_understood + self.decoder.not_understood()),
            plans: count(plans.seen),
            plans_not_understood: count(plans.not_understood),
        }
    }
}
