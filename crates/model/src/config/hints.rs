//! What to say about a name that is not known: the nearest one that is, and the mistakes that people are known to make.

use super::effective::Effective;
use super::later;
use super::setting::{At, Node, Setting};
use toml::Spanned;
use toml::de::{DeString, DeValue};

/// Keys that do not exist, that people write all the same, and what they should do: section, key, hint.
const KNOWN_MISTAKES: &[(&str, &str, &str)] = &[
    ("server", "host", CONNECTION),
    ("server", "hostaddr", CONNECTION),
    ("server", "port", CONNECTION),
    ("server", "user", CONNECTION),
    ("server", "username", CONNECTION),
    ("server", "dbname", CONNECTION),
    ("server", "database", CONNECTION),
    ("server", "sslmode", CONNECTION),
    ("server", "service", CONNECTION),
    ("server", "password", "name a file that holds it with password_file, or keep it in ~/.pgpass"),
    ("logging", "log_directory", LOG_FILES),
    ("logging", "max_file_size_mb", LOG_FILES),
    ("logging", "max_files", LOG_FILES),
    ("logging", "compress_rotated", LOG_FILES),
    ("logging", "slow_queries", SERVER_LOG),
    ("logging", "audit", SERVER_LOG),
];
const CONNECTION: &str = "connection parameters stand in dsn, for example dsn = \"host=db1 user=pgtend dbname=postgres sslmode=require\"";
const LOG_FILES: &str = "pgtend logs to standard error; journald or the container runtime keeps and rotates it";
const SERVER_LOG: &str = "this section is about pgtend's own log; what the server logs is set in postgresql.conf";

/// Notes a key that its section does not know.
pub(super) fn unknown_key(at: &At<'_>, name: &Spanned<DeString<'_>>, node: &Node<'_>, known: &[&str]) {
    let key = name.get_ref();
    let here = At { document: at.document, span: name.span(), path: at.path.clone(), key: at.key };
    let at_top = at.path.is_empty();
    if at_top && later::section(key, node, &here) {
        return;
    }
    let is_section = matches!(node.get_ref(), DeValue::Table(_) | DeValue::Array(_));
    let what = match (at_top, is_section) {
        (true, true) => format!("unknown section [{key}]"),
        (true, false) => format!("{key} stands before any section"),
        _ => format!("unknown key \"{key}\" in {}", at.header()),
    };
    let mistake = KNOWN_MISTAKES.iter().find(|(section, wrong, _)| *section == at.path && *wrong == key.as_ref());
    let home = Effective::KEYS.iter().find(|section| section.keys.iter().any(|inner| inner.name == key.as_ref()));
    let hint = match (mistake, home) {
        (Some((_, _, hint)), _) => (*hint).to_owned(),
        (None, Some(section)) if at_top && !is_section => format!("write it below [{}]", section.name),
        _ => {
            let list = if at_top { "sections".to_owned() } else { format!("keys of {}", at.header()) };
            format!("{}{list}: {}", did_you_mean(key, known), known.join(", "))
        }
    };
    here.wrong(what, hint);
}

/// What is wrong with a word that is none of a few, and a hint.
pub(super) fn unknown_word(text: &str, path: &str, words: &[&str]) -> (String, String) {
    (format!("{path} cannot be \"{text}\""), format!("{}write one of {}", did_you_mean(text, words), words.join(", ")))
}

/// `did you mean "x"? ` for a name that is like a known one; empty otherwise.
pub fn did_you_mean(name: &str, known: &[&str]) -> String {
    nearest(name, known).map_or(String::new(), |near| format!("did you mean \"{near}\"? "))
}

/// The known name that is most like another, if any is.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let likeness = |candidate: &str| {
        let (name, candidate) = (name.to_lowercase(), candidate.to_lowercase());
        let contains = name.len() >= 4 && candidate.contains(&name) || candidate.len() >= 4 && name.contains(&candidate);
        strsim::jaro_winkler(&name, &candidate).max(if contains { 0.9 } else { 0.0 })
    };
    known.iter().copied().filter(|candidate| likeness(candidate) >= 0.8).max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}
