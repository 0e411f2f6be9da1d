//! Makes events of bytes, in whatever pieces they come.

use super::stderr::Assembly;
use super::{Event, Prefix, csv, json};
use jiff::tz::TimeZone;

/// A message of more bytes than this is cut, or not understood.
pub(super) const MOST: usize = 2 << 20;

/// How a log is written.
#[derive(Debug, Clone)]
pub enum Format {
    /// `log_destination = jsonlog`, from 15 on.
    Json,
    /// `log_destination = csvlog`.
    Csv,
    /// `log_destination = stderr`, with this prefix.
    Stderr(Prefix),
}

impl Format {
    /// The word that stands for it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Json => "jsonlog",
            Self::Csv => "csvlog",
            Self::Stderr(_) => "stderr",
        }
    }
}

/// Makes events of bytes.
#[derive(Debug)]
pub struct Decoder {
    format: Format,
    zone: TimeZone,
    buffer: Vec<u8>,
    quotes: csv::Quotes,
    assembly: Assembly,
    not_understood: u64,
}

impl Decoder {
    /// Of a log of this format, whose times are in this zone.
    pub fn new(format: Format, zone: TimeZone) -> Self {
        Self { format, zone, buffer: Vec::new(), quotes: csv::Quotes::default(), assembly: Assembly::default(), not_understood: 0 }
    }

    /// Takes bytes and gives the messages that are whole.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(Event)) {
        self.buffer.extend_from_slice(bytes);
        let mut begin = 0;
        while let Some(length) = self.next(begin) {
            let record = self.buffer[begin..begin + length].to_vec();
            begin += length;
            self.record(&record, each);
        }
        self.buffer.drain(..begin);
        if self.buffer.len() > MOST {
            self.forget();
            self.not_understood += 1;
        }
    }

    /// The length of the next line or record.
    fn next(&mut self, begin: usize) -> Option<usize> {
        let rest = &self.buffer[begin..];
        match self.format {
            Format::Csv => self.quotes.record(rest),
            Format::Json | Format::Stderr(_) => rest.iter().position(|byte| *byte == b'\n').map(|place| place + 1),
        }
    }

    fn record(&mut self, record: &[u8], each: &mut dyn FnMut(Event)) {
        let (event, understood) = match &self.format {
            Format::Json => whole(json::read(record, &self.zone)),
            Format::Csv => whole(csv::read(record, &self.zone)),
            Format::Stderr(prefix) => self.assembly.line(record, prefix, &self.zone),
        };
        self.not_understood += u64::from(!understood && !record.trim_ascii().is_empty());
        event.into_iter().for_each(each);
    }

    /// Gives what can only be known to be whole when nothing follows it for a while.
    pub fn finish(&mut self, each: &mut dyn FnMut(Event)) {
        self.assembly.finish().into_iter().for_each(each);
    }

    /// Lets go of what is not whole: what follows is from elsewhere.
    pub fn forget(&mut self) {
        self.buffer.clear();
        self.quotes = csv::Quotes::default();
        self.assembly = Assembly::default();
    }

    /// Bytes taken of which nothing was given yet: whoever begins anew begins so far before.
    pub fn waiting_bytes(&self) -> usize {
        self.buffer.len() + self.assembly.bytes
    }

    /// Lines or records that were no message.
    pub fn not_understood(&self) -> u64 {
        self.not_understood
    }
}

fn whole(event: Option<Event>) -> (Option<Event>, bool) {
    let understood = event.is_some();
    (event, understood)
}
