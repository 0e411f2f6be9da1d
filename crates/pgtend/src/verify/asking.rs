//! What the server is asked for: names of relations, files that belong to none, and amcheck.

use super::Options;
use super::place::Place;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::Fork;
use pgtend_model::pgdata::relation::{GLOBAL_TABLESPACE, Locator};
use pgtend_model::sample::{Reason, Unknown};
use pgtend_model::signal::APPLICATION_NAME;
use pgtend_model::verify::{Depth, ERRORS_AT_MOST, Notice, ServerState, Unchecked, Verification};
use pgtend_postgres::connect::Target;
use pgtend_postgres::files::walk::{FileEntry, Listing};
use pgtend_postgres::verify::{Amcheck, Candidate, Cluster, Database, Manner, amcheck, files_of, names, orphans};
use std::collections::{BTreeMap, BTreeSet};

/// Orphans that are named one by one.
const ORPHANS_AT_MOST: usize = 100;

/// The server, as far as it can be asked.
pub(super) struct Asking {
    server: Option<(Target, Cluster)>,
    silence: Unknown,
    wanted_names: bool,
}

impl Asking {
    pub(super) fn new(place: &Place, options: &Options) -> Result<Self> {
        let silence = match (&place.silence, place.server) {
            (Some(error), _) => Unknown::new(Reason::Unreachable, format!("the server could not be asked: {}", error.what)),
            (None, ServerState::Running) => Unknown::new(Reason::Unreachable, "the server does not accept connections"),
            (None, _) => Unknown::new(Reason::Unreachable, "the server does not run"),
        };
        let asking = Self { server: place.asked.clone(), silence, wanted_names: false };
        if asking.server.is_none() && options.relations.iter().any(|relation| !relation.contains('/')) {
            return Err(Error::new(Kind::Unreachable, format!("a relation cannot be found by its name: {}", asking.silence.detail))
                .hint("name its file instead, for example --relation base/5/16384"));
        }
        Ok(asking)
    }

    /// The files of a relation by its name, in the database that the connection names.
    pub(super) async fn files_of(&self, relation: &str) -> Result<Vec<String>> {
        match &self.server {
            Some((target, _)) => files_of(target, relation, APPLICATION_NAME).await,
            None => Err(Error::new(Kind::Unreachable, self.silence.detail.clone())),
        }
    }

    /// Gives databases and relations their names where something is damaged.
    pub(super) async fn name(&mut self, report: &mut Verification) {
        let Some((target, cluster)) = &self.server else {
            self.wanted_names = !report.errors.is_empty();
            return;
        };
        let mut by_database: BTreeMap<u32, BTreeSet<Locator>> = BTreeMap::new();
        for damage in &report.errors {
            let (tablespace, database) = (damage.tablespace_oid, damage.database_oid);
            let file = Locator { tablespace, database, relfilenode: damage.relfilenode, fork: Fork::Main };
            by_database.entry(database).or_default().insert(file);
        }
        for (oid, files) in by_database {
            let database = cluster.databases.iter().find(|database| database.oid == oid);
            let target = match database {
                Some(database) if database.allows_connections => target.with_database(&database.name),
                // What all databases share is known in each.
                None if oid == 0 => target.clone(),
                _ => continue,
            };
            let files: Vec<Locator> = files.into_iter().collect();
            match names(&target, &files, APPLICATION_NAME).await {
                Ok(names) => {
                    for damage in report.errors.iter_mut().filter(|damage| damage.database_oid == oid) {
                        if let Some(name) = names.get(&(damage.tablespace_oid, damage.relfilenode)) {
                            damage.name(name);
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, database = target.database(), "names of damaged relations could not be had"),
            }
        }
        for damage in &mut report.errors {
            damage.database =
                cluster.databases.iter().find(|database| database.oid == damage.database_oid).map(|database| database.name.clone());
        }
    }

    /// Tells files that belong to no relation. They are no damage: space that a crash left taken.
    pub(super) async fn orphans(&self, listing: &Listing, place: &Place, report: &mut Verification) {
        let Some((target, cluster)) = &self.server else { return };
        if cluster.in_recovery || !cluster.sees_sessions {
            let why = if cluster.in_recovery { "the server recovers" } else { "the role does not see other sessions (pg_read_all_stats)" };
            report.notices.push(Notice {
                kind: "orphans_unknown".to_owned(),
                text: format!("files that belong to no relation were not looked for: {why}"),
            });
            return;
        }
        let mut found: Vec<(String, u64)> = Vec::new();
        for database in cluster.databases.iter().filter(|database| database.allows_connections) {
            let candidates = candidates(listing, database.oid);
            match orphans(&target.with_database(&database.name), candidates, APPLICATION_NAME).await {
                // What is empty by now, or gone, was dropped meanwhile.
                Ok(orphans) => found.extend(orphans.into_iter().filter_map(|orphan| {
                    let bytes = std::fs::symlink_metadata(place.data.join(&orphan.path)).ok()?.len();
                    (bytes > 0).then_some((orphan.path, bytes))
                })),
                Err(error) => tracing::debug!(%error, database = database.name, "files that belong to no relation could not be looked for"),
            }
        }
        let left_out = found.len().saturating_sub(ORPHANS_AT_MOST);
        for (path, bytes) in found.into_iter().take(ORPHANS_AT_MOST) {
            let text = format!("{path} ({bytes} bytes) belongs to no relation: a crash left it behind");
            report.notices.push(Notice { kind: "orphan_file".to_owned(), text });
        }
        if left_out > 0 {
            report.notices.push(Notice { kind: "orphan_file".to_owned(), text: format!("{left_out} more files belong to no relation") });
        }
    }

    /// Has the server check indexes and tables, one database after the other.
    pub(super) async fn amcheck(&self, only: &BTreeSet<u32>, options: &Options, report: &mut Verification) {
        let Some((target, cluster)) = &self.server else {
            report.unchecked.push(Unchecked {
                what: "indexes and tables (amcheck)".to_owned(),
                why: self.silence.clone(),
                hint: "start the server, or say with --connection how to connect".to_owned(),
            });
            return;
        };
        let only: Vec<u32> = only.iter().copied().collect();
        let parents = options.parents && !cluster.in_recovery;
        let manner = Manner { parents, timeout: options.timeout, only: &only };
        let here = |database: &&Database| database.allows_connections && (only.is_empty() || database.name == target.database());
        for database in cluster.databases.iter().filter(here) {
            match amcheck(&target.with_database(&database.name), database.oid, manner, APPLICATION_NAME).await {
                Ok(found) => merge(report, found),
                Err(error) => report.unchecked.push(Unchecked {
                    what: format!("indexes and tables of database {}", database.name),
                    why: Unknown::new(Reason::Unreachable, error.what),
                    hint: error.hint,
                }),
            }
        }
    }

    /// Says why names are missing, where they are wanted.
    pub(super) fn finish(&self, report: &mut Verification) {
        if self.wanted_names {
            let text = format!("relations are told by their numbers: {}", self.silence.detail);
            report.notices.push(Notice { kind: "names_unknown".to_owned(), text });
        }
        debug_assert!(report.depth != Depth::Full || report.checked.indexes > 0 || !report.unchecked.is_empty() || self.server.is_some());
    }
}

/// The first files of a database's relations.
fn candidates(listing: &Listing, database: u32) -> Vec<Candidate> {
    let first = |file: &&FileEntry| {
        file.relation.is_some_and(|relation| {
            let locator = relation.locator;
            locator.database == database && locator.tablespace != GLOBAL_TABLESPACE && locator.fork == Fork::Main && relation.segment == 0
        })
    };
    let files = listing.files.iter().filter(first);
    files
        .filter_map(|file| {
            Some(Candidate {
                path: file.path.to_str()?.to_owned(),
                relfilenode: file.relation?.locator.relfilenode,
                modified_ns: file.modified_ns,
            })
        })
        .collect()
}

fn merge(report: &mut Verification, found: Amcheck) {
    report.checked.indexes += found.indexes;
    report.checked.tables += found.tables;
    report.unchecked.extend(found.unchecked);
    let room = ERRORS_AT_MOST.saturating_sub(report.errors.len());
    report.errors_left_out += found.damage.len().saturating_sub(room) as u64;
    report.errors.extend(found.damage.into_iter().take(room));
}
