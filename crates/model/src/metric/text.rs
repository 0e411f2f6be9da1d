//! Writing Prometheus' text format 0.0.4, a piece at a time: 270,000 series are 36 MB, which nobody wants in memory at once.

use super::family::{Kind, Meta};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::ops::ControlFlow;

/// Size of the pieces that are handed on.
const PIECE_BYTES: usize = 64 << 10;

/// A figure of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A fraction.
    Float(f64),
}

/// The text, handed on in pieces as it grows.
pub struct Text<'a> {
    buffer: Vec<u8>,
    sink: &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    stopped: bool,
}

impl<'a> Text<'a> {
    /// An empty text whose pieces go to `sink` until it says that it wants no more.
    pub fn new(sink: &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Self {
        Self { buffer: Vec::with_capacity(PIECE_BYTES + (PIECE_BYTES >> 2)), sink, stopped: false }
    }

    /// Begins a family. Its series follow, and no other's among them.
    pub fn family(&mut self, meta: &Meta) {
        self.header(meta.name, meta.kind, meta.help);
    }

    /// Begins a family whose name is found out at run time.
    pub fn header(&mut self, name: &str, kind: Kind, help: &str) {
        self.push(b"# HELP ");
        self.push(name.as_bytes());
        self.push(b" ");
        for byte in help.bytes() {
            match byte {
                b'\\' => self.push(b"\\\\"),
                b'\n' => self.push(b"\\n"),
                byte => self.buffer.push(byte),
            }
        }
        self.push(b"\n# TYPE ");
        self.push(name.as_bytes());
        self.push(b" ");
        self.push(kind.word().as_bytes());
        self.push(b"\n");
    }

    /// One series: its name, its labels as [`Labels`] made them, its value.
    pub fn series(&mut self, name: &str, labels: &str, value: Number) {
        self.push(name.as_bytes());
        self.push(labels.as_bytes());
        self.push(b" ");
        self.number(value);
        self.push(b"\n");
        if self.buffer.len() >= PIECE_BYTES {
            self.hand_on();
        }
    }

    /// Whether nobody wants more of it: what follows may be left out.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Hands on what is left.
    pub fn finish(mut self) {
        self.hand_on();
    }

    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    fn number(&mut self, value: Number) {
        // Writing to memory does not fail.
        let _infallible = match value {
            Number::Int(value) => write!(self.buffer, "{value}"),
            Number::Float(value) if value.is_nan() => self.buffer.write_all(b"NaN"),
            Number::Float(value) if value.is_infinite() => self.buffer.write_all(if value > 0.0 { b"+Inf" } else { b"-Inf" }),
            // Plain digits stay readable up to here; beyond, they would be hundreds.
            Number::Float(value) if value != 0.0 && !(1e-9..1e17).contains(&value.abs()) => write!(self.buffer, "{value:e}"),
            Number::Float(value) => write!(self.buffer, "{value}"),
        };
    }

    fn hand_on(&mut self) {
        if !self.stopped && !self.buffer.is_empty() {
            self.stopped = (self.sink)(&self.buffer).is_break();
        }
        self.buffer.clear();
    }
}

/// Label sets in their written form, many in one allocation: the families over one probe's rows share them.
#[derive(Debug, Default)]
pub struct Labels {
    text: String,
    ends: Vec<usize>,
    seen: HashSet<u64>,
}

impl Labels {
    /// Adds a set. A label without a value is written with an empty one, which Prometheus takes for none.
    pub fn add<'l, V: AsRef<str>>(&mut self, labels: impl IntoIterator<Item = (&'l str, V)>) {
        let start = self.text.len();
        for (name, value) in labels {
            self.text.push(if self.text.len() == start { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(&mut self.text, value.as_ref());
            self.text.push('"');
        }
        if self.text.len() > start {
            self.text.push('}');
        }
        self.ends.push(self.text.len());
    }

    /// Adds a set unless it is there already: Prometheus refuses a whole text for one series that is in it twice.
    pub fn add_new<'l, V: AsRef<str>>(&mut self, labels: impl IntoIterator<Item = (&'l str, V)>) -> bool {
        let start = self.text.len();
        self.add(labels);
        let mut hasher = DefaultHasher::new();
        self.text[start..].hash(&mut hasher);
        let is_new = self.seen.insert(hasher.finish());
        if !is_new {
            self.text.truncate(start);
            self.ends.pop();
        }
        is_new
    }

    /// The set with this number, in the order of adding.
    pub fn get(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }
}

fn escape(text: &mut String, value: &str) {
    if !value.contains(['\\', '"', '\n']) {
        text.push_str(value);
        return;
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Text<'_>)) -> String {
        let mut all = Vec::new();
        let mut sink = |piece: &[u8]| {
            all.extend_from_slice(piece);
            ControlFlow::Continue(())
        };
        let mut text = Text::new(&mut sink);
        write(&mut text);
        text.finish();
        String::from_utf8(all).unwrap()
    }

    fn number(value: f64) -> String {
        written(|text| text.series("x", "", Number::Float(value))).trim_end().trim_start_matches("x ").to_owned()
    }

    #[test]
    fn numbers_are_read_back_as_they_were() {
        let numbers = [0.0, -0.0, 1.0, 0.1, 1.0 / 3.0, 1e-300, 1e16, 123_456_789_012_345.6, 1.7e308, 5e-324, -2.5];
        for value in numbers {
            assert_eq!(number(value).parse::<f64>().unwrap().to_bits(), value.to_bits(), "{}", number(value));
        }
        assert_eq!((number(f64::NAN), number(f64::INFINITY), number(f64::NEG_INFINITY)), ("NaN".into(), "+Inf".into(), "-Inf".into()));
        assert_eq!((number(1e300), number(0.25), number(3.0)), ("1e300".into(), "0.25".into(), "3".into()));
    }

    #[test]
    fn labels_and_help_are_escaped() {
        let mut labels = Labels::default();
        labels.add([("a", "x\"y\\z\nü"), ("b", "")]);
        labels.add([("", ""); 0]);
        labels.add([("c", "plain")]);
        assert_eq!(labels.get(0), "{a=\"x\\\"y\\\\z\\nü\",b=\"\"}");
        assert_eq!((labels.get(1), labels.get(2)), ("", "{c=\"plain\"}"));
        let text = written(|text| text.header("n", Kind::Gauge, "a \\ b\nc \"d\""));
        assert_eq!(text, "# HELP n a \\\\ b\\nc \"d\"\n# TYPE n gauge\n");
    }

    #[test]
    fn equal_label_sets_are_added_once() {
        let mut labels = Labels::default();
        assert!(labels.add_new([("a", "1")]));
        assert!(!labels.add_new([("a", "1")]));
        assert!(labels.add_new([("a", "2")]));
        assert_eq!((labels.get(0), labels.get(1)), ("{a=\"1\"}", "{a=\"2\"}"));
    }

    #[test]
    fn a_sink_that_wants_no_more_gets_no_more() {
        let mut pieces = 0;
        let mut sink = |piece: &[u8]| {
            assert!(piece.len() >= PIECE_BYTES && piece.len() < PIECE_BYTES + 200);
            pieces += 1;
            ControlFlow::Break(())
        };
        let mut text = Text::new(&mut sink);
        for value in 0..100_000 {
            text.series("a_name_of_some_length", "{label=\"value\"}", Number::Int(value));
        }
        assert!(text.is_stopped());
        text.finish();
        assert_eq!(pieces, 1);
    }
}
