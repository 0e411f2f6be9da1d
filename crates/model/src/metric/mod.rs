//! Metrics for Prometheus. Every figure is declared once, as a family: its name, its kind, what it says, and the function that makes its
//! series from what is known of a server. The text, its reference, and the test against postgres_exporter all come from there.

mod about;
mod backup;
mod bounds;
mod custom;
mod exporter;
mod family;
mod generic;
mod overview;
mod proof;
pub mod pushed;
mod scrape;
mod single;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod wal;

pub use custom::family_name as custom_family;
pub use family::{Described, Kind};
pub use scrape::{About, Scrape};

use family::Group;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::LazyLock;
use text::Text;

/// Families under a heading of the reference.
struct Section {
    title: &'static str,
    about: &'static str,
    groups: &'static [&'static dyn Group],
}

const ABOUT: Section = Section {
    title: "About pgtend",
    about: "How the watching itself goes, and what the agent's process uses.",
    groups: &[&about::Process, &about::PROBES, &custom::QUERIES],
};

const OVERVIEW: Section = Section {
    title: "What one looks at first",
    about: "PostgreSQL keeps some of these figures under other names and some not at all; each says how it is made.",
    groups: &[&overview::OVERVIEW],
};

const WAL: Section = Section {
    title: "WAL on its way to the repositories",
    about: "Where the agent archives: how it goes, how much waits, and what is missing.",
    groups: &[&wal::WAL],
};

const BACKUP: Section = Section {
    title: "Backups",
    about: "Where the agent takes backups: how it stands with them, in each repository. It looks every ten minutes, and after each backup.",
    groups: &[&backup::BACKUPS, &proof::PROOFS],
};

const EXPORTER: Section = Section {
    title: "The series of postgres_exporter",
    about: "The same names, kinds and labels, so that dashboards and alert rules made for it go on working.",
    groups: exporter::GROUPS,
};

/// Writes the metrics of a scrape in Prometheus' text format 0.0.4, and hands them on in pieces of about 64 KiB until `sink` breaks off.
pub fn render(scrape: &Scrape<'_>, sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
    let mut text = Text::new(sink);
    let sections = sections(scrape.config.exporter_names);
    for group in sections.iter().flat_map(|section| section.groups) {
        group.write(scrape, &mut text);
    }
    for group in generic(&sections) {
        group.write(scrape, &mut text);
    }
    custom::write(scrape, &mut text);
    pushed::write(scrape, &mut text);
    text.finish();
}

/// The metrics as one piece of text, for small scrapes and tests.
pub fn to_string(scrape: &Scrape<'_>) -> String {
    let mut all = Vec::new();
    render(scrape, &mut |piece| {
        all.extend_from_slice(piece);
        ControlFlow::Continue(())
    });
    String::from_utf8_lossy(&all).into_owned()
}

/// A part of the reference: its title, what it is about, and its families.
#[derive(Debug, Clone)]
pub struct Chapter {
    /// Its title.
    pub title: &'static str,
    /// What the families have in common.
    pub about: &'static str,
    /// The families, in the order in which they are written.
    pub families: Vec<Described>,
}

/// Every family there is.
pub fn reference() -> Vec<Chapter> {
    let sections = sections(true);
    let families = |groups: &[&dyn Group]| groups.iter().flat_map(|group| group.families()).collect();
    let mut chapters: Vec<Chapter> =
        sections.iter().map(|section| Chapter { title: section.title, about: section.about, families: families(section.groups) }).collect();
    chapters.push(Chapter {
        title: "Every other figure",
        about: "Each counter and gauge of each probe that no family above shows, as `pgtend_PROBE_COLUMN`.",
        families: generic(&sections).iter().flat_map(Group::families).collect(),
    });
    chapters
}

fn sections(exporter_names: bool) -> Vec<Section> {
    let mut sections = vec![ABOUT, OVERVIEW, BACKUP, WAL];
    if exporter_names {
        sections.push(EXPORTER);
    }
    sections
}

/// Whether pgtend has a family of this name itself.
pub fn is_taken(name: &str) -> bool {
    static OWN: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let families = reference().into_iter().flat_map(|chapter| chapter.families);
        families.flat_map(|family| family.kind.suffixes().iter().map(move |suffix| format!("{}{suffix}", family.name))).collect()
    });
    name.starts_with("pg_settings_") || OWN.contains(name)
}

fn generic(sections: &[Section]) -> Vec<generic::Plain> {
    let covered: HashSet<_> = sections.iter().flat_map(|section| section.groups).flat_map(|group| group.covers()).collect();
    generic::groups(&covered)
}
