//! stderr: lines that are put together to messages. A line break within a text is followed by a tab.

use super::prefix::{Line, Prefix};
use super::{Event, decode::MOST};
use jiff::tz::TimeZone;

/// A message as it comes together.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    event: Option<Event>,
    part: Part,
    /// Bytes of its lines.
    pub(super) bytes: usize,
}

/// Which text a line that follows goes on with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Message,
    Detail,
    Hint,
    Context,
    Query,
    None,
}

impl Part {
    fn of(word: &str) -> Self {
        match word {
            "DETAIL" => Self::Detail,
            "HINT" => Self::Hint,
            "CONTEXT" => Self::Context,
            "STATEMENT" => Self::Query,
            _ => Self::None,
        }
    }

    fn text(self, event: &mut Event) -> Option<&mut String> {
        match self {
            Self::Message => Some(&mut event.message),
            Self::Detail => Some(event.detail.get_or_insert_default()),
            Self::Hint => Some(event.hint.get_or_insert_default()),
            Self::Context => Some(event.context.get_or_insert_default()),
            Self::Query => Some(event.query.get_or_insert_default()),
            Self::None => None,
        }
    }
}

impl Assembly {
    /// Takes a line; gives the message before where this begins another. False where it is no line of a message.
    pub(super) fn line(&mut self, line: &[u8], prefix: &Prefix, zone: &TimeZone) -> (Option<Event>, bool) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\n', '\r']);
        if let (Some(rest), Some(event)) = (text.strip_prefix('\t'), &mut self.event) {
            self.bytes += line.len();
            if let Some(text) = self.part.text(event).filter(|text| text.len() < MOST) {
                text.push('\n');
                text.push_str(rest);
            }
            return (None, true);
        }
        match prefix.read(text, zone) {
            Line::Message(event) => {
                let before = self.finish();
                (self.event, self.part, self.bytes) = (Some(*event), Part::Message, line.len());
                (before, true)
            }
            Line::Part(word, rest) => {
                self.bytes += line.len();
                self.part = Part::of(word);
                let Some(event) = &mut self.event else { return (None, false) };
                if let Some(text) = self.part.text(event) {
                    rest.clone_into(text);
                }
                (None, true)
            }
            Line::Other => {
                self.bytes += line.len();
                (None, text.is_empty())
            }
        }
    }

    /// The message as far as it came.
    pub(super) fn finish(&mut self) -> Option<Event> {
        self.bytes = 0;
        self.event.take()
    }
}
