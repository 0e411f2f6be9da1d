//! The query files by probe, version range and extension.

use pgtend_model::sample::{Reason, Spec, Unknown};

include!(concat!(env!("OUT_DIR"), "/queries.rs"));

/// One query file.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// The probe it belongs to, by name.
    pub probe: &'static str,
    /// First major version it is meant for.
    pub from: u32,
    /// Last major version it is meant for.
    pub to: u32,
    /// The extension it reads, with the versions of it that it is meant for.
    pub extension: Option<Extension>,
    /// What to do when the role may not read it, where pg_monitor is not enough.
    pub privilege: Option<&'static str>,
    /// Whether a null among its numbers stands for zero, which costs the server less to send.
    pub nulls_are_zero: bool,
    /// The query; `{schema}` stands for the extension's schema.
    pub sql: &'static str,
}

/// An extension that a query needs, with a range of its versions (major, minor), both ends included.
#[derive(Debug, Clone, Copy)]
pub struct Extension {
    /// Its name.
    pub name: &'static str,
    /// The oldest version that the query is meant for.
    pub from: (u16, u16),
    /// The newest version that the query is meant for.
    pub to: (u16, u16),
}

/// An extension as installed in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installed {
    pub(super) schema: String,
    pub(super) version: (u16, u16),
}

/// All query files of a probe, for the reference and for the test of their ranges.
pub fn ranges(probe: &str) -> impl Iterator<Item = &'static Query> {
    QUERIES.iter().filter(move |query| query.probe == probe)
}

/// The extension that a probe needs on this major version, if any.
pub(super) fn extension(spec: &Spec, major: u32) -> Option<&'static str> {
    on_major(spec, major).find_map(|query| query.extension).map(|extension| extension.name)
}

/// What to do when the role may not read a probe's source on this major version, where pg_monitor is not enough.
pub(super) fn privilege(spec: &Spec, major: u32) -> Option<&'static str> {
    on_major(spec, major).find_map(|query| query.privilege)
}

/// The query for this server.
pub(super) fn choose(spec: &Spec, major: u32, installed: Option<&Installed>) -> Result<&'static Query, Unknown> {
    let mut candidates = on_major(spec, major).peekable();
    if candidates.peek().is_none() {
        return Err(no_version(spec, major));
    }
    let mut needs = "";
    for query in candidates {
        let Some(extension) = query.extension else { return Ok(query) };
        needs = extension.name;
        if installed.is_some_and(|found| (extension.from..=extension.to).contains(&found.version)) {
            return Ok(query);
        }
    }
    Err(match installed {
        None => Unknown::new(
            Reason::Extension,
            format!(
                "the extension {needs} is not installed in this database; run: CREATE EXTENSION {needs} (some also need shared_preload_libraries)"
            ),
        ),
        Some(Installed { version: (major, minor), .. }) => {
            Unknown::new(Reason::Extension, format!("{needs} {major}.{minor} is too old; run: ALTER EXTENSION {needs} UPDATE"))
        }
    })
}

fn on_major(spec: &Spec, major: u32) -> impl Iterator<Item = &'static Query> {
    ranges(spec.name).filter(move |query| (query.from..=query.to).contains(&major))
}

fn no_version(spec: &Spec, major: u32) -> Unknown {
    let first = ranges(spec.name).map(|query| query.from).min().unwrap_or(0);
    let detail = if major < first {
        format!("PostgreSQL {major} has no such figures; they come with {first}")
    } else {
        format!("PostgreSQL {major} no longer has these figures")
    };
    Unknown::new(Reason::Version, detail)
}
