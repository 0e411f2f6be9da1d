//! The text as it was written, with its lines: what is wrong in it is told where it stands, all of it at once.

use super::effective::Effective;
use super::secret::{Dsn, Secrets};
use super::setting::{At, Setting};
use crate::error::{Error, Kind};
use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something in the file that is no mistake, and that its writer should know.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Notice {
    /// File and line.
    pub place: String,
    /// What there is to know.
    pub text: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  where: {}", self.text, self.place)
    }
}

/// A configuration that can be used.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// What follows from the file and the defaults.
    pub effective: Effective,
    /// What the file sets itself, secrets masked.
    pub written: toml::Value,
    /// What its writer should know, in the order of the lines.
    pub notices: Vec<Notice>,
}

/// All that is wrong in a file, in the order of the lines; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Error>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join("\n"))
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for Error {
    /// The first problem, which says how many there are besides.
    fn from(problems: Problems) -> Self {
        let more = problems.0.len().saturating_sub(1);
        let mut first = problems.0.into_iter().next().unwrap_or_else(|| Self::new(Kind::Config, "the configuration cannot be used"));
        if more > 0 {
            first.what = format!("{} (and {more} more: see pgtend config check)", first.what);
        }
        first
    }
}

/// The text that is being read, and what was found in it so far.
pub(super) struct Document<'a> {
    file: &'a str,
    text: &'a str,
    /// What messages must not quote, wherever it was written, and what stands for it.
    secrets: Vec<(String, String)>,
    problems: RefCell<Vec<(usize, Error)>>,
    notices: RefCell<Vec<(usize, Notice)>>,
}

impl<'a> Document<'a> {
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, secrets: Vec::new(), problems: RefCell::default(), notices: RefCell::default() }
    }

    fn place(&self, span: &Range<usize>) -> String {
        let line = self.text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1;
        format!("{}:{line}", self.file)
    }

    pub fn problem(&self, span: &Range<usize>, error: Error) {
        let error = Error { what: self.masked(error.what), hint: self.masked(error.hint), ..error };
        self.problems.borrow_mut().push((span.start, error.at(self.place(span))));
    }

    pub fn notice(&self, span: &Range<usize>, text: String) {
        self.notices.borrow_mut().push((span.start, Notice { place: self.place(span), text: self.masked(text) }));
    }

    /// Looks for connection strings with passwords: one that was written in the wrong place is quoted by the message that says so.
    fn find_secrets(&mut self, value: &DeValue<'_>) {
        match value {
            DeValue::String(text) => {
                let dsn = Dsn::new(text.as_ref());
                if dsn.has_secret() && (text.contains("://") || text.contains("password")) {
                    self.secrets.push((text.to_string(), dsn.masked()));
                }
            }
            DeValue::Array(elements) => elements.iter().for_each(|element| self.find_secrets(element.get_ref())),
            DeValue::Table(table) => table.values().for_each(|value| self.find_secrets(value.get_ref())),
            _ => {}
        }
    }

    fn masked(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, (secret, masked)| text.replace(secret, masked))
    }

    pub fn into_problems(self) -> Vec<Error> {
        in_order(self.problems)
    }
}

fn in_order<T>(found: RefCell<Vec<(usize, T)>>) -> Vec<T> {
    let mut found = found.into_inner();
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, item)| item).collect()
}

/// Reads the text of a configuration; `file` is how messages call it.
///
/// # Errors
/// Every problem of kind `Config` that the text has. Where its syntax is wrong, only that is told.
pub fn parse(text: &str, file: &str) -> Result<Parsed, Problems> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut document = Document::new(file, text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        document.problem(&span, Error::new(Kind::Config, format!("this is not TOML: {}", error.message())));
    }
    if !document.problems.borrow().is_empty() {
        return Err(Problems(document.into_problems()));
    }
    let span = table.span();
    table.get_ref().values().for_each(|value| document.find_secrets(value.get_ref()));
    let root = Spanned::new(span, DeValue::Table(table.into_inner()));
    let effective = Effective::read(&root, &At::root(&document, &root));
    let Document { problems, notices, .. } = document;
    match effective {
        Some(effective) if problems.borrow().is_empty() => {
            let written = only_written(effective.show("", Secrets::Masked), root.get_ref());
            Ok(Parsed { effective, written, notices: in_order(notices) })
        }
        _ => Err(Problems(in_order(problems))),
    }
}

/// The part of what is shown that the file sets itself.
fn only_written(shown: Option<toml::Value>, written: &DeValue<'_>) -> toml::Value {
    match (shown, written) {
        (Some(toml::Value::Table(shown)), DeValue::Table(written)) => {
            let kept = shown.into_iter().filter_map(|(key, value)| {
                let below = written.get(key.as_str())?;
                let value = only_written(Some(value), below.get_ref());
                Some((key, value))
            });
            toml::Value::Table(kept.collect())
        }
        (Some(toml::Value::Array(shown)), DeValue::Array(written)) if shown.len() == written.len() => {
            toml::Value::Array(shown.into_iter().zip(written).map(|(value, below)| only_written(Some(value), below.get_ref())).collect())
        }
        (Some(shown), _) => shown,
        (None, _) => toml::Value::Table(toml::Table::new()),
    }
}
