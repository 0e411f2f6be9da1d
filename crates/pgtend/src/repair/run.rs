//! A repair by a report: what is damaged, step by step, and a look afterwards whether it is mended.

use super::pages::{Pages, Which};
use super::salvage::salvage;
use crate::backup::Progress;
use crate::verify::place::{self, Place};
use crate::verify::{self, Options};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::Fork;
use pgtend_model::pgdata::relation::{GLOBAL_TABLESPACE, Locator};
use pgtend_model::repair::page::{Allowed, shown};
use pgtend_model::repair::plan::{Action, Asked, Means, Step, plan};
use pgtend_model::repair::report::{Done, Repaired};
use pgtend_model::signal::APPLICATION_NAME;
use pgtend_model::verify::{Depth, ServerState, Verification};
use pgtend_postgres::connect::Target;
use pgtend_postgres::files::scan::Progress as Scanned;
use pgtend_postgres::process::os_user::OsUser;
use pgtend_postgres::writing::{Writing, literal};
use pgtend_store::repo::Repository;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a lock is waited for by what locks a table for a moment.
const LOCK: Duration = Duration::from_secs(30);

/// Where pages may come from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The repository.
    pub repository: Repository,
    /// Name of the server in it.
    pub server: String,
}

/// A repair.
#[derive(Debug, Clone)]
pub struct Repair {
    /// What was found.
    pub report: Verification,
    /// The data directory, where it is another one than the report's.
    pub data: Option<PathBuf>,
    /// The server.
    pub target: Option<Target>,
    /// Where pages may come from.
    pub source: Option<Source>,
    /// What was asked for.
    pub asked: Asked,
    /// Whether it is only told what would be done.
    pub dry_run: bool,
    /// The backup that was taken first.
    pub backup: Option<String>,
    /// Where a backup is restored meanwhile.
    pub scratch: PathBuf,
    /// Who runs PostgreSQL.
    pub user: OsUser,
    /// Where its programs are.
    pub bindir: Option<PathBuf>,
}

impl Repair {
    /// Does it; `tell` hears of every step when it begins.
    ///
    /// # Errors
    /// `Conflict` when the report is of another cluster; what keeps the server or its files from being looked at.
    pub async fn run(&self, tell: impl Fn(&str), progress: &Progress) -> Result<Repaired> {
        let data = self.data.clone().unwrap_or_else(|| PathBuf::from(&self.report.data_directory));
        let options = self.options(Some(data), self.target.clone(), Vec::new());
        let place = place::find(&options).await?;
        if place.control.system_identifier.to_string() != self.report.system_identifier {
            return Err(Error::new(Kind::Conflict, "the report is of another cluster")
                .at(place.data.display().to_string())
                .hint("verify this one first"));
        }
        let mut report = self.report.clone();
        name(&mut report, &place).await;
        let steps = plan(&report, self.means(&place), self.asked);
        let mut repaired = Repaired {
            dry_run: self.dry_run,
            data_directory: place.data.display().to_string(),
            backup: self.backup.clone(),
            steps: Vec::new(),
            verification: None,
        };
        let mut done = false;
        let all = steps.clone();
        for mut step in steps {
            if step.waits.is_none() && self.is_behind_its_table(&step, &all, &repaired, &place).await {
                step.waits = Some("the table's own pages come first: VACUUM and REINDEX read them".to_owned());
            }
            if self.dry_run || step.waits.is_some() {
                let told = step.waits.clone().unwrap_or_default();
                repaired.steps.push(Done { step, good: None, told });
                continue;
            }
            tell(&format!("{}: {}", step.hurt.relation.as_deref().unwrap_or(&step.hurt.file), step.why));
            let outcome = Box::pin(self.step(&step, &place, progress)).await;
            done = true;
            let good = outcome.is_ok();
            let told =
                outcome.unwrap_or_else(|error| if error.hint.is_empty() { error.what } else { format!("{} ({})", error.what, error.hint) });
            repaired.steps.push(Done { step, good: Some(good), told });
        }
        if done {
            repaired.verification = Some(self.look_again(&place).await?);
        }
        Ok(repaired)
    }

    fn options(&self, data: Option<PathBuf>, target: Option<Target>, relations: Vec<String>) -> Options {
        Options {
            data,
            target,
            silence_allowed: false,
            depth: Depth::Pages,
            threads: 2,
            relations,
            parents: false,
            timeout: Duration::from_secs(3600),
        }
    }

    fn means(&self, place: &Place) -> Means {
        Means {
            runs: place.server == ServerState::Running,
            answers: place.server == ServerState::Running && place.asked.is_some(),
            standby: place.asked.as_ref().is_some_and(|(_, cluster)| cluster.in_recovery),
            backup: self.source.is_some(),
        }
    }

    /// Whether this has to read a table whose own pages are damaged yet.
    async fn is_behind_its_table(&self, step: &Step, all: &[Step], repaired: &Repaired, place: &Place) -> bool {
        if !matches!(step.action, Action::Reindex { .. } | Action::RebuildVisibilityMap | Action::RebuildFreeSpaceMap) {
            return false;
        }
        let (Some((target, _)), Some(relation)) = (&place.asked, &step.hurt.relation) else { return false };
        let target = step.hurt.database.as_ref().map_or_else(|| target.clone(), |database| target.with_database(database));
        let table = table_of(&target, relation).await.unwrap_or_else(|_| relation.clone());
        let of_table = |other: &Step| {
            other.hurt.relation.as_ref() == Some(&table) && other.hurt.database == step.hurt.database && other.hurt.fork == Fork::Main
        };
        let mends = |other: &Step| matches!(other.action, Action::RestorePages { .. } | Action::ZeroPages { .. });
        let done = |done: &Done| {
            of_table(&done.step) && mends(&done.step) && (done.good == Some(true) || self.dry_run && done.step.waits.is_none())
        };
        all.iter().any(of_table) && !repaired.steps.iter().any(done)
    }

    async fn step(&self, step: &Step, place: &Place, progress: &Progress) -> Result<String> {
        if let Action::RestorePages { pages } = &step.action {
            return self.restore(step, pages, place, progress).await;
        }
        let (Some((target, _)), Some(relation)) = (&place.asked, &step.hurt.relation) else {
            return Err(Error::new(Kind::Unreachable, "the server has to be asked for this"));
        };
        let target = step.hurt.database.as_ref().map_or_else(|| target.clone(), |database| target.with_database(database));
        let session = Writing::open(&target, LOCK).await?;
        let outcome = by_sql(&session, &step.action, relation).await;
        session.close().await;
        outcome
    }

    async fn restore(&self, step: &Step, pages: &[u32], place: &Place, progress: &Progress) -> Result<String> {
        let source = self.source.clone().ok_or_else(|| Error::new(Kind::Internal, "no repository is known"))?;
        let runs = place.server == ServerState::Running;
        let which = match (&step.hurt.database, &step.hurt.relation) {
            (Some(database), Some(relation)) if runs => Which::Name { database: database.clone(), relation: relation.clone() },
            (database, _) => Which::File { path: step.hurt.file.clone(), database: database.clone() },
        };
        let restore = Pages {
            data: Some(place.data.clone()),
            target: place.asked.as_ref().map(|(target, _)| target.clone()),
            which,
            fork: step.hurt.fork,
            blocks: pages.to_vec(),
            backup: None,
            repository: source.repository,
            server: source.server,
            online: self.asked.online,
            allowed: Allowed::default(),
            dry_run: false,
            keep: None,
            scratch: self.scratch.clone(),
            user: self.user.clone(),
            bindir: self.bindir.clone(),
        };
        let restored = Box::pin(restore.run(progress)).await?;
        let told: Vec<String> = restored.pages.iter().map(|page| format!("page {}: {}", page.block, page.told)).collect();
        if restored.exit_code() == 0 { Ok(told.join("; ")) } else { Err(Error::new(Kind::Conflict, told.join("; "))) }
    }

    /// Reads once more what was damaged.
    async fn look_again(&self, place: &Place) -> Result<Verification> {
        if let Some((target, _)) = place.asked.as_ref().filter(|_| place.server == ServerState::Running) {
            // What was made anew is in memory yet.
            let session = Writing::open(target, LOCK).await?;
            let written = session.run("checkpoint").await;
            session.close().await;
            if let Err(error) = written {
                tracing::debug!(%error, "no checkpoint before the second look");
            }
        }
        let files: BTreeSet<String> =
            self.report.errors.iter().filter(|damage| !damage.file.is_empty()).map(|damage| first_file(&damage.file)).collect();
        let options =
            self.options(Some(place.data.clone()), place.asked.as_ref().map(|(target, _)| target.clone()), files.into_iter().collect());
        Box::pin(verify::run(&options, &Arc::new(Scanned::default()))).await
    }
}

/// The first file of the main fork that a file belongs to.
fn first_file(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    format!("{folder}/{}", name.split(['.', '_']).next().unwrap_or(name))
}

/// Gives relations their names, where the report has none and the server knows them.
async fn name(report: &mut Verification, place: &Place) {
    let Some((target, cluster)) = &place.asked else { return };
    let mut nameless: BTreeMap<u32, BTreeSet<Locator>> = BTreeMap::new();
    for damage in report.errors.iter().filter(|damage| damage.relation.is_none() && damage.relfilenode > 0) {
        let file =
            Locator { tablespace: damage.tablespace_oid, database: damage.database_oid, relfilenode: damage.relfilenode, fork: Fork::Main };
        nameless.entry(damage.database_oid).or_default().insert(file);
    }
    for (oid, files) in nameless {
        let database = cluster.databases.iter().find(|database| database.oid == oid);
        let target = match database {
            Some(database) if database.allows_connections => target.with_database(&database.name),
            None if oid == 0 => target.clone(),
            _ => continue,
        };
        let files: Vec<Locator> = files.into_iter().collect();
        let Ok(names) = pgtend_postgres::verify::names(&target, &files, APPLICATION_NAME).await else { continue };
        for damage in report.errors.iter_mut().filter(|damage| damage.database_oid == oid) {
            if let Some(name) = names.get(&(damage.tablespace_oid, damage.relfilenode)) {
                damage.name(name);
            }
            if damage.tablespace_oid != GLOBAL_TABLESPACE {
                damage.database = database.map(|database| database.name.clone());
            }
        }
    }
}

/// The table of an index; any other relation itself.
async fn table_of(target: &Target, relation: &str) -> Result<String> {
    let session = Writing::open(target, LOCK).await?;
    let sql = format!(
        "select pg_catalog.format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_index as i \
         join pg_catalog.pg_class as c on c.oid = i.indrelid join pg_catalog.pg_namespace as n on n.oid = c.relnamespace \
         where i.indexrelid = pg_catalog.to_regclass({})",
        literal(relation)
    );
    let table = session.ask(&sql).await;
    session.close().await;
    Ok(table?.unwrap_or_else(|| relation.to_owned()))
}

/// Builds an index anew. One that fails midway leaves an invalid one behind, which every write would have to keep up: it goes.
async fn reindex(session: &Writing, relation: &str, concurrently: bool) -> Result<String> {
    if !concurrently {
        session.run(&format!("reindex index {relation}")).await?;
        return Ok("built anew".to_owned());
    }
    let leftovers = format!(
        "select pg_catalog.string_agg(pg_catalog.format('%I.%I', n.nspname, c.relname), ',') from pg_catalog.pg_index as i \
         join pg_catalog.pg_class as c on c.oid = i.indexrelid join pg_catalog.pg_namespace as n on n.oid = c.relnamespace \
         where not i.indisvalid and i.indexrelid <> pg_catalog.to_regclass({0}) and c.relname ~ '_cc(new|old)[0-9]*$' \
             and i.indrelid = (select indrelid from pg_catalog.pg_index where indexrelid = pg_catalog.to_regclass({0}))",
        literal(relation)
    );
    let before = session.ask(&leftovers).await?.unwrap_or_default();
    let outcome = session.run(&format!("reindex index concurrently {relation}")).await;
    if outcome.is_err() {
        let after = session.ask(&leftovers).await?.unwrap_or_default();
        let known: BTreeSet<&str> = before.split(',').collect();
        for name in after.split(',').filter(|name| !name.is_empty() && !known.contains(name)) {
            session.run(&format!("drop index concurrently {name}")).await?;
        }
    }
    outcome.map(|()| "built anew".to_owned())
}

async fn by_sql(session: &Writing, action: &Action, relation: &str) -> Result<String> {
    match action {
        Action::Reindex { concurrently } => reindex(session, relation, *concurrently).await,
        Action::RebuildVisibilityMap => {
            let extension = "select pg_catalog.quote_ident(n.nspname) from pg_catalog.pg_extension as e \
                join pg_catalog.pg_namespace as n on n.oid = e.extnamespace where e.extname = 'pg_visibility'";
            if let Some(schema) = session.ask(extension).await? {
                session.run(&format!("select {schema}.pg_truncate_visibility_map({}::regclass)", literal(relation))).await?;
            }
            // Without the extension: a damaged page of the map counts as empty, and is written anew.
            session.run(&format!("vacuum (disable_page_skipping) {relation}")).await?;
            Ok("made anew by VACUUM".to_owned())
        }
        Action::RebuildFreeSpaceMap => {
            session.run(&format!("vacuum (disable_page_skipping) {relation}")).await?;
            Ok("made anew by VACUUM".to_owned())
        }
        Action::Refresh => {
            session.run(&format!("refresh materialized view {relation}")).await?;
            Ok("refreshed".to_owned())
        }
        Action::Salvage { pages } => Ok(salvage(session, relation, pages).await?.told()),
        Action::ZeroPages { pages } => {
            // A page that is empty in memory is written by nobody: only a rewrite leaves it behind.
            session.run("set zero_damaged_pages = on").await?;
            session.run(&format!("vacuum full {relation}")).await?;
            Ok(format!("rewritten without the pages {}, with all its indexes", shown(pages)))
        }
        Action::RestorePages { .. } | Action::ByHand => Err(Error::new(Kind::Internal, "this step is none of SQL")),
    }
}
