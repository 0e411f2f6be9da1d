//! Which databases of a backup are brought back. The others keep their files, long as they were and empty: PostgreSQL can replay WAL over them, and nobody can
//! connect to them.

use crate::pgdata::RelationFile;
use std::collections::{BTreeMap, BTreeSet};

/// OIDs below this are of databases that PostgreSQL makes itself (`FirstNormalObjectId`): templates, which new databases are copied from.
const FIRST_OWN: u32 = 16_384;

/// What is brought back of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    left_out: BTreeMap<u32, String>,
    kept: BTreeSet<u32>,
    /// Why it is this much.
    pub reason: String,
    /// A database that was wanted and that the backup does not have.
    pub missing: Option<String>,
    /// The databases that the backup has, former names too; none where nobody asked.
    pub known: BTreeSet<String>,
}

impl Selection {
    /// All of it.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Only these databases, and PostgreSQL's own. `known` are the OIDs and names that the backup's `pg_database` has, former ones too. Where it lacks one of
    /// the names, the database was made later, and may be a copy of any other: then nothing is left out.
    pub fn of(wanted: &BTreeSet<String>, known: &[(u32, String)]) -> Self {
        let names: BTreeSet<&String> = known.iter().map(|(_, name)| name).collect();
        if let Some(missing) = wanted.iter().find(|name| !names.contains(name)) {
            let reason = format!("all databases: the backup does not have \"{missing}\", which was made or renamed later");
            let known = names.into_iter().filter(|name| !name.starts_with("template")).cloned().collect();
            return Self { reason, missing: Some(missing.clone()), known, ..Self::default() };
        }
        let kept: BTreeSet<u32> =
            known.iter().filter(|(oid, name)| *oid < FIRST_OWN || wanted.contains(name)).map(|(oid, _)| *oid).collect();
        let left_out: BTreeMap<u32, String> = known.iter().filter(|(oid, _)| !kept.contains(oid)).cloned().collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let reason = format!("only the files of {}: {} other databases are left out", wanted.join(", "), left_out.len());
        Self { left_out, kept, reason, ..Self::default() }
    }

    /// Whether the contents of this file are brought back.
    pub fn takes(&self, path: &str) -> bool {
        self.left_out.is_empty() || RelationFile::of_path(path).is_none_or(|file| !self.left_out.contains_key(&file.locator.database))
    }

    /// Whether this file has to be whole after replay: one of all, of a database that is brought back, or of PostgreSQL's own. A database that was made later
    /// may be a copy of one that is left out.
    pub fn needs(&self, path: &str) -> bool {
        let database = RelationFile::of_path(path).map(|file| file.locator.database);
        self.left_out.is_empty() || database.is_none_or(|database| database < FIRST_OWN || self.kept.contains(&database))
    }

    /// The others cannot be used: how they are dropped, in SQL.
    pub fn drop_others(&self) -> Option<String> {
        let statements = self.left_out.values().map(|name| format!("DROP DATABASE \"{}\";", name.replace('"', "\"\"")));
        let all: Vec<String> = statements.collect();
        (!all.is_empty()).then(|| all.join(" "))
    }

    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        self.left_out.is_empty()
    }

    /// The names of the databases that are left out.
    pub fn left_out(&self) -> impl Iterator<Item = &str> {
        self.left_out.values().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<(u32, String)> {
        [(1, "template1"), (5, "postgres"), (16_400, "shop"), (16_401, "archive"), (16_402, "old_name"), (16_402, "reports")]
            .map(|(oid, name)| (oid, name.to_owned()))
            .to_vec()
    }

    fn wanted(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_others_files_are_left_out_and_what_all_share_is_not() {
        let selection = Selection::of(&wanted(&["shop"]), &known());
        for path in [
            "base/16400/16500",
            "base/1/1259",
            "base/5/1259",
            "global/1262",
            "base/16401/PG_VERSION",
            "pg_xact/0000",
            "base/16401/pg_filenode.map",
        ] {
            assert!(selection.takes(path), "{path}");
        }
        for path in ["base/16401/16500", "base/16401/1259_fsm", "pg_tblspc/16390/PG_15_202209061/16402/16501.3"] {
            assert!(!selection.takes(path), "{path}");
        }
        assert_eq!(selection.left_out().collect::<Vec<_>>(), ["archive", "reports"]);
    }

    #[test]
    fn replay_may_lack_pages_of_the_others_and_of_what_came_later() {
        let selection = Selection::of(&wanted(&["shop"]), &known());
        for path in
            ["base/16400/16500", "base/16400/16500_vm", "base/5/1259", "global/1262", "pg_tblspc/16390/PG_15_202209061/16400/16501", ""]
        {
            assert!(selection.needs(path), "{path}");
        }
        for path in ["base/16401/16500", "base/16402/1259_vm", "base/20000/16500", "pg_tblspc/16390/PG_15_202209061/16402/16501"] {
            assert!(!selection.needs(path), "{path}");
        }
        assert!(Selection::everything().needs("base/20000/16500"));
    }

    #[test]
    fn a_former_name_keeps_its_database() {
        assert!(Selection::of(&wanted(&["old_name"]), &known()).takes("base/16402/16500"));
    }

    #[test]
    fn a_database_that_came_later_may_be_a_copy_of_any() {
        let selection = Selection::of(&wanted(&["shop", "new"]), &known());
        assert!(selection.is_everything() && selection.takes("base/16401/16500") && selection.reason.contains("\"new\""), "{selection:?}");
        assert_eq!(selection.missing.as_deref(), Some("new"));
        assert_eq!(selection.known.iter().collect::<Vec<_>>(), ["archive", "old_name", "postgres", "reports", "shop"]);
    }
}
