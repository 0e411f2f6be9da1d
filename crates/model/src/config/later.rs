//! The sections that the guides name and that a later version uses.
//!
//! A key that is silently ignored is silently wrong, so each of these is declared here. Where ignoring the section only means that
//! less is seen, it is read with a notice; where somebody would rely on what it promises (a backup, an alert, a failover), it is
//! refused. Either way `enabled = false` is accepted: nothing was asked for.

use super::hints;
use super::setting::{At, Node};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// What follows when a section of a later version is written.
enum Until {
    /// Its keys are checked, and a notice says that it is not used.
    Noted(&'static [&'static str]),
    /// It is an error, because somebody would rely on it.
    Refused(&'static str),
}

const SECTIONS: &[(&str, Until)] = &[
    ("diagnostics", Until::Noted(&["enabled", "adr_base", "max_incidents", "auto_dump_on_critical", "dump_types"])),
    ("alerts", Until::Refused("send alerts: use Prometheus' alert rules on pgtend's metrics")),
    ("cluster", Until::Refused("manage clusters: go on with the tool that fails over now")),
    ("maintenance", Until::Refused("run maintenance: keep the jobs that do it now")),
];

/// Takes a section of a later version, and says whether it is one.
pub(super) fn section(name: &str, node: &Node<'_>, at: &At<'_>) -> bool {
    let Some((_, until)) = SECTIONS.iter().find(|(section, _)| *section == name) else { return false };
    if node.get_ref().get("enabled").and_then(|enabled| enabled.get_ref().as_bool()) == Some(false) {
        return true;
    }
    match until {
        Until::Refused(what) => {
            at.wrong(format!("this version of pgtend does not {what}"), format!("remove [{name}], or set enabled = false in it"));
        }
        Until::Noted(keys) => {
            at.document.notice(&at.span, format!("[{name}] is not used by this version of pgtend"));
            if let DeValue::Table(table) = node.get_ref() {
                check_keys(name, table, keys, at);
            }
        }
    }
    true
}

/// What the reference says about them.
pub(super) fn reference() -> String {
    let mut text = String::from(
        "These names are taken. A section that only tells more is accepted with a notice and does nothing yet; one on which somebody would\n\
         rely is refused until it does what it says. With `enabled = false` each is accepted.\n\n| Section | This version |\n|---|---|\n",
    );
    for (name, until) in SECTIONS {
        text.push_str(&match until {
            Until::Noted(_) => format!("| `[{name}]` | accepted with a notice |\n"),
            Until::Refused(what) => format!("| `[{name}]` | refused: it does not {what} |\n"),
        });
    }
    text
}

fn check_keys(section: &str, table: &DeTable<'_>, keys: &[&str], at: &At<'_>) {
    let inside = At { document: at.document, span: at.span.clone(), path: section.to_owned(), key: None };
    let unknown = |name: &Spanned<DeString<'_>>| !keys.contains(&name.get_ref().as_ref());
    for (name, node) in table.iter().filter(|(name, _)| unknown(name)) {
        hints::unknown_key(&inside, name, node, keys);
    }
}
