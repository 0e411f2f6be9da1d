//! `log_line_prefix`, as something that recognizes the lines that begin with it.

use super::{Event, Severity, instant, query_id, some};
use jiff::tz::TimeZone;
use regex::Regex;
use std::fmt::Write as _;

/// Words behind the prefix that continue a message, with the field that they are about.
const PARTS: [&str; 7] = ["DETAIL", "HINT", "QUERY", "CONTEXT", "STATEMENT", "LOCATION", "BACKTRACE"];

/// Recognizes lines that begin with a `log_line_prefix`.
#[derive(Debug, Clone)]
pub struct Prefix(Regex);

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// The first of a message.
    Message(Box<Event>),
    /// A further part of the message before: which one, and its text.
    Part(&'a str, &'a str),
    /// No line of a message.
    Other,
}

impl Prefix {
    /// Of what the setting says; none where it cannot be told apart.
    pub fn new(setting: &str) -> Option<Self> {
        let pattern = format!("^{}([A-Z]+[0-9]?|[^\\s:]{{2,20}}) ?:  ?(.*)$", pattern(setting));
        Regex::new(&pattern).ok().map(Self)
    }

    pub(super) fn read<'a>(&self, line: &'a str, zone: &TimeZone) -> Line<'a> {
        let Some(found) = self.0.captures(line) else { return Line::Other };
        let places = found.len();
        let group = |place: usize| found.get(place).map_or("", |found| found.as_str());
        let (word, text) = (group(places - 2), group(places - 1));
        if PARTS.contains(&word) {
            return Line::Part(word, text);
        }
        let named = |name: &str| found.name(name).and_then(|found| some(found.as_str().trim()));
        let sqlstate = named("e");
        let severity = Severity::of(word, sqlstate.as_deref());
        if severity == Severity::Unknown && !word.chars().all(char::is_uppercase) {
            return Line::Other;
        }
        let at = named("m").or_else(|| named("t")).and_then(|at| instant::read(&at, zone));
        Line::Message(Box::new(Event {
            at: at.or_else(|| named("n").and_then(|at| instant::of_epoch(&at))),
            severity,
            sqlstate,
            pid: named("p").and_then(|pid| pid.parse().ok()),
            user: named("u"),
            database: named("d"),
            application: named("a"),
            client: named("h").or_else(|| named("r").map(|from| from.split('(').next().unwrap_or_default().to_owned())),
            backend_type: named("b"),
            message: text.to_owned(),
            query_id: named("Q").as_deref().and_then(query_id),
            ..Event::default()
        }))
    }
}

/// The prefix as a pattern. Every escape is named by its letter where it tells something and comes for the first time.
fn pattern(setting: &str) -> String {
    let (mut pattern, mut seen, mut session) = (String::new(), String::new(), false);
    let mut letters = setting.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            pattern.push_str(&regex::escape(&letter.to_string()));
            continue;
        }
        let mut padded = false;
        while letters.peek().is_some_and(|next| *next == '-' || next.is_ascii_digit()) {
            letters.next();
            padded = true;
        }
        let Some(escape) = letters.next() else { break };
        match what(escape) {
            Some(_) if escape == 'q' => {
                pattern.push_str("(?:");
                session = true;
            }
            Some(what) => {
                let named = !seen.contains(escape) && "mtnpudahrbeQ".contains(escape);
                seen.push(escape);
                let room = if padded { " *" } else { "" };
                let name = if named { format!("?P<{escape}>") } else { "?:".to_owned() };
                let _never_fails = write!(pattern, "{room}({name}{what}){room}");
            }
            None if escape == '%' => pattern.push('%'),
            // PostgreSQL ignores what it does not know.
            None => {}
        }
    }
    // What follows %q is there for sessions only.
    if session {
        pattern.push_str(")?");
    }
    pattern
}

/// What an escape looks like.
fn what(escape: char) -> Option<&'static str> {
    const TIME: &str = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d";
    Some(match escape {
        'm' => r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+",
        't' | 's' => r"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+)?",
        'n' => r"\d+(?:\.\d+)?",
        'p' | 'l' => r"\d+",
        'P' => r"\d*",
        'c' => r"[0-9a-f.]*",
        'e' => r"[0-9A-Z]{5}",
        'Q' => r"-?\d*",
        'x' => r"\d*",
        'v' => r"[-0-9/]*",
        'h' => r"[^\s()]*",
        'r' => r"[^\s()]*(?:\(\d+\))?",
        'u' | 'd' | 'a' | 'b' | 'i' | 'L' => r".*?",
        'q' => TIME,
        _ => return None,
    })
}
