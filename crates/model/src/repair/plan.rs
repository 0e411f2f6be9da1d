//! Which way to mend which damage: the one that loses nothing first, and what loses something only when it was asked for.

use super::page::shown;
use crate::pgdata::Fork;
use crate::verify::{Damage, DamageKind, RelationKind, Verification};
use std::collections::{BTreeMap, BTreeSet};

/// What there is to mend with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Means {
    /// Whether the server runs.
    pub runs: bool,
    /// Whether it could be asked.
    pub answers: bool,
    /// Whether it is a standby.
    pub standby: bool,
    /// Whether there is a backup of this cluster.
    pub backup: bool,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Tables may be locked while their pages are brought back.
    pub online: bool,
    /// Readable rows are copied out of tables that cannot be mended.
    pub salvage: bool,
    /// Pages that cannot be mended are emptied: their rows are lost.
    pub zero: bool,
}

/// A relation that is damaged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Hurt {
    /// The database's name, where it is known.
    pub database: Option<String>,
    /// The relation's name with schema, where it is known.
    pub relation: Option<String>,
    /// The first file of the damaged fork, or another name for it.
    pub file: String,
    /// The fork.
    pub fork: Fork,
}

/// How something is mended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// The index is built anew from its table.
    Reindex {
        /// Whether readers and writers go on meanwhile; not with system catalogs.
        concurrently: bool,
    },
    /// The visibility map is emptied and made anew by VACUUM.
    RebuildVisibilityMap,
    /// The free space map is made anew by VACUUM.
    RebuildFreeSpaceMap,
    /// The view's query is run again.
    Refresh,
    /// Pages are brought back from a backup, rolled forward.
    RestorePages {
        /// Which.
        pages: Vec<u32>,
    },
    /// Rows that can be read are copied into a new table.
    Salvage {
        /// Pages that cannot be read.
        pages: Vec<u32>,
    },
    /// The table is rewritten without these pages, and its indexes with it.
    ZeroPages {
        /// Which.
        pages: Vec<u32>,
    },
    /// A person has to do it.
    ByHand,
}

/// A step with its reason.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// What is mended.
    #[serde(flatten)]
    pub hurt: Hurt,
    /// How.
    #[serde(flatten)]
    pub action: Action,
    /// Why this way, in words.
    pub why: String,
    /// What can go wrong by it, or what it costs.
    pub risk: String,
    /// Whether data is lost by it.
    pub lossy: bool,
    /// Why it is not done now, with what to do; none when it is.
    pub waits: Option<String>,
}

/// What to do about a report.
pub fn plan(report: &Verification, means: Means, asked: Asked) -> Vec<Step> {
    let mut steps: Vec<Step> = groups(report).into_iter().flat_map(|(hurt, damage)| ladder(&hurt, &damage, means, asked)).collect();
    // What cannot be undone comes last; an index is built anew when its table is whole.
    steps.sort_by_key(|step| rank(&step.action));
    steps
}

const fn rank(action: &Action) -> u8 {
    match action {
        Action::RestorePages { .. } => 0,
        Action::RebuildVisibilityMap => 1,
        Action::RebuildFreeSpaceMap => 2,
        Action::Salvage { .. } => 3,
        Action::ZeroPages { .. } => 4,
        Action::Refresh => 5,
        Action::Reindex { .. } => 6,
        Action::ByHand => 7,
    }
}

/// The damage by relation and fork.
fn groups(report: &Verification) -> BTreeMap<Hurt, Vec<&Damage>> {
    let mut groups: BTreeMap<Hurt, Vec<&Damage>> = BTreeMap::new();
    for damage in &report.errors {
        let file = damage.file.split_once('.').map_or(damage.file.as_str(), |(first, _)| first);
        let file = if file.is_empty() { damage.relation.clone().unwrap_or_default() } else { file.to_owned() };
        // What amcheck says of a relation belongs to what its pages say.
        let same = groups
            .keys()
            .find(|hurt| damage.file.is_empty() && hurt.relation == damage.relation && hurt.database == damage.database)
            .cloned();
        let hurt = same.unwrap_or(Hurt { database: damage.database.clone(), relation: damage.relation.clone(), file, fork: damage.fork });
        groups.entry(hurt).or_default().push(damage);
    }
    groups
}

struct Looked<'a> {
    hurt: &'a Hurt,
    means: Means,
    asked: Asked,
    is_catalog: bool,
    kind: Option<RelationKind>,
    pages: Vec<u32>,
}

fn ladder(hurt: &Hurt, damage: &[&Damage], means: Means, asked: Asked) -> Vec<Step> {
    let kind = damage.iter().find_map(|damage| damage.relation_kind);
    let is_catalog = damage.iter().any(|damage| damage.is_catalog == Some(true)) || damage.iter().any(|damage| damage.database_oid == 0);
    let by_page = [DamageKind::ChecksumMismatch, DamageKind::PageHeader, DamageKind::NewPageNotZero, DamageKind::Unreadable];
    let pages: BTreeSet<u32> = damage.iter().filter(|damage| by_page.contains(&damage.kind)).filter_map(|damage| damage.block).collect();
    let whole_file = damage
        .iter()
        .any(|damage| !by_page.contains(&damage.kind) && !matches!(damage.kind, DamageKind::IndexCorrupt | DamageKind::TableCorrupt));
    let looked = Looked { hurt, means, asked, is_catalog, kind, pages: pages.into_iter().collect() };
    match (hurt.fork, kind) {
        (Fork::Vm, _) => {
            vec![looked.map(Action::RebuildVisibilityMap, "the visibility map says which pages VACUUM may skip; it can be made anew")]
        }
        (Fork::Fsm, _) => {
            vec![looked.map(Action::RebuildFreeSpaceMap, "the free space map only says where there is room; it can be made anew")]
        }
        (Fork::Init, _) => {
            vec![looked.by_hand("the init fork of an unlogged relation: alter table … set logged, then set unlogged again, makes it anew")]
        }
        (Fork::Main, Some(RelationKind::Index)) => vec![looked.reindex()],
        (Fork::Main, Some(RelationKind::MaterializedView)) if means.answers => vec![looked.refresh()],
        (Fork::Main, _) if whole_file => {
            vec![
                looked.by_hand("a file is missing or cut off: bring the table back (pgtend restore-table), or the server (pgtend restore)"),
            ]
        }
        (Fork::Main, _) if looked.pages.is_empty() => looked.without_bad_page(),
        (Fork::Main, _) => looked.pages(),
    }
}

impl Looked<'_> {
    fn step(&self, action: Action, why: &str, risk: &str, lossy: bool, waits: Option<String>) -> Step {
        Step { hurt: self.hurt.clone(), action, why: why.to_owned(), risk: risk.to_owned(), lossy, waits }
    }

    fn by_hand(&self, why: &str) -> Step {
        self.step(Action::ByHand, why, "", false, Some("this is for a person to decide".to_owned()))
    }

    /// Why SQL cannot mend it now.
    fn no_sql(&self) -> Option<String> {
        if !self.means.runs {
            return Some("the server has to run for this: start it, then run repair again".to_owned());
        }
        if !self.means.answers {
            return Some(
                "the server runs, but could not be asked: say with --connection how to connect as the table's owner or a superuser"
                    .to_owned(),
            );
        }
        if self.means.standby {
            return Some(
                "this is a standby: mend the primary; a page that is damaged here only comes back with pgtend page-restore, or a new copy"
                    .to_owned(),
            );
        }
        self.hurt.relation.is_none().then(|| "the server does not know what this file belongs to".to_owned())
    }

    fn reindex(&self) -> Step {
        let why = "an index holds nothing that its table has not: it is built anew";
        let risk = if self.is_catalog {
            "the catalog is locked meanwhile"
        } else {
            "none but time and room; a unique index fails where rows are double"
        };
        self.step(Action::Reindex { concurrently: !self.is_catalog }, why, risk, false, self.no_sql())
    }

    fn map(&self, action: Action, why: &str) -> Step {
        self.step(action, why, "none: VACUUM reads the whole table once", false, self.no_sql())
    }

    fn refresh(&self) -> Step {
        self.step(
            Action::Refresh,
            "a materialized view is made anew from its query",
            "none but time; it is locked meanwhile",
            false,
            self.no_sql(),
        )
    }

    /// amcheck complains, and no page is damaged as such.
    fn without_bad_page(&self) -> Vec<Step> {
        let why = "rows are wrong although their pages are sound: a page of a backup may be wrong in the same way";
        let mut steps = vec![self.by_hand(&format!(
            "{why}. Compare with the state before: pgtend restore-table --to …; and look for the cause (memory, disk, a defect)"
        ))];
        if self.asked.salvage {
            steps.push(self.salvage());
        }
        steps
    }

    fn pages(&self) -> Vec<Step> {
        if self.means.backup {
            return vec![self.restore()];
        }
        if !self.asked.salvage && !self.asked.zero {
            let why = format!(
                "pages {} of a table are damaged, and no backup is known: a standby's copy of the file, or a backup elsewhere (--from DIR), mends them without loss. \
                 Otherwise --salvage copies the rows that can be read, and --zero-pages gives up those of the damaged pages",
                shown(&self.pages)
            );
            return vec![self.by_hand(&why)];
        }
        let mut steps = Vec::new();
        if self.asked.salvage {
            steps.push(self.salvage());
        }
        if self.asked.zero {
            steps.push(self.zero());
        }
        steps
    }

    fn restore(&self) -> Step {
        let why = format!("pages {} come back from the backup, rolled forward by the WAL since", shown(&self.pages));
        let risk = "none: the damaged pages are kept aside, and what is put in place is compared first";
        let lockable = self.means.answers && self.kind == Some(RelationKind::Table) && !self.is_catalog;
        let waits = match (self.means.runs, self.asked.online && lockable) {
            (false, _) | (true, true) => None,
            (true, false) => Some(self.stop_or_online(lockable)),
        };
        self.step(Action::RestorePages { pages: self.pages.clone() }, &why, risk, false, waits)
    }

    fn stop_or_online(&self, lockable: bool) -> String {
        let online = if lockable { ", or --online locks the table meanwhile" } else { "" };
        format!("pages are put in place while the server is stopped: stop it and run repair again{online}")
    }

    fn salvage(&self) -> Step {
        let waits = self.no_sql().or_else(|| self.is_catalog.then(|| "a system catalog is not copied".to_owned()));
        let why = "rows that can be read are copied into a new table beside it; the table itself stays as it is";
        self.step(Action::Salvage { pages: self.pages.clone() }, why, "none; room for a copy", false, waits)
    }

    fn zero(&self) -> Step {
        let waits = self.no_sql().or_else(|| self.is_catalog.then(|| "pages of a system catalog are not emptied".to_owned()));
        let risk = format!(
            "ALL ROWS on the pages {} ARE LOST; the table is locked while it is rewritten, and needs room for a second one",
            shown(&self.pages)
        );
        self.step(
            Action::ZeroPages { pages: self.pages.clone() },
            "the table is rewritten without the damaged pages, as was asked for, so that the rest can be used",
            &risk,
            true,
            waits,
        )
    }
}
