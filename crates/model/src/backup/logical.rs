//! Logical backups: which databases, what pg_dump's complaints mean, and what stands in the way of a restore.

use super::{Dump, DumpedDatabase};
use crate::error::{Error, Kind, Result};
use std::collections::{BTreeMap, BTreeSet};

/// A database that could be dumped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Database {
    /// What the backup would say of it.
    pub database: DumpedDatabase,
    /// Whether the role may connect to it.
    pub may_connect: bool,
}

/// Which databases are dumped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selected {
    /// These.
    pub databases: Vec<DumpedDatabase>,
    /// Those that were left out on purpose.
    pub left_out: Vec<String>,
}

/// Chooses databases. `only` and `exclude` are names, in which `*` stands for anything; without `only` all are taken.
///
/// # Errors
/// `NotFound` when a name of `only` fits no database; `Privilege` when the role may not connect to one that is wanted.
pub fn select(all: Vec<Database>, only: &[String], exclude: &[String]) -> Result<Selected> {
    let names: Vec<String> = all.iter().map(|one| one.database.name.clone()).collect();
    if let Some(nobody) = only.iter().find(|pattern| !names.iter().any(|name| fits(pattern, name))) {
        return Err(
            Error::new(Kind::NotFound, format!("there is no database \"{nobody}\"")).hint(format!("there are: {}", names.join(", ")))
        );
    }
    let mut selected = Selected::default();
    for Database { database, may_connect } in all {
        let wanted = only.is_empty() || only.iter().any(|pattern| fits(pattern, &database.name));
        if !wanted || exclude.iter().any(|pattern| fits(pattern, &database.name)) {
            selected.left_out.push(database.name);
        } else if may_connect {
            selected.databases.push(DumpedDatabase { path: super::tree_path::of_database(&database.name), ..database });
        } else {
            return Err(Error::new(Kind::Privilege, format!("the role may not connect to the database \"{}\"", database.name)).hint(
                format!("GRANT CONNECT ON DATABASE \"{0}\" TO <role>; or leave it out on purpose: exclude = [\"{0}\"]", database.name),
            ));
        }
    }
    if selected.databases.is_empty() {
        return Err(
            Error::new(Kind::Usage, "no database is left to be dumped").hint("databases and exclude of [backup.logical] leave none")
        );
    }
    Ok(selected)
}

/// Whether a name is what a pattern says: `*` stands for anything.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name
            .strip_prefix(before)
            .is_some_and(|rest| rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| fits(after, &rest[at..]))),
    }
}

/// What a program of PostgreSQL complained of, as an error.
pub fn complaint(program: &str, database: &str, stderr: &str, major: u16) -> Error {
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let errors: Vec<&str> =
        lines.iter().copied().filter(|line| line.contains("error:") || line.contains("FATAL:") || line.contains("ERROR:")).collect();
    let told = if errors.is_empty() { &lines } else { &errors };
    let prefix = format!("{program}: error: ");
    let said: Vec<&str> = told.iter().take(3).map(|line| line.strip_prefix(prefix.as_str()).unwrap_or(line)).collect();
    let what = if said.is_empty() { "it said nothing".to_owned() } else { said.join("; ") };
    let (kind, hint) = meaning(stderr, major);
    Error::new(kind, format!("{program} failed: {what}")).at(database).hint(hint)
}

fn meaning(stderr: &str, major: u16) -> (Kind, String) {
    let has = |text: &str| stderr.contains(text);
    if has("permission denied") || has("must be owner") || has("must be superuser") {
        let hint = if major >= 14 {
            "GRANT pg_read_all_data TO <role>; row level security also needs BYPASSRLS, and large objects a superuser before 17".to_owned()
        } else {
            "this PostgreSQL has no pg_read_all_data: in each database GRANT USAGE on every schema and SELECT on all tables and sequences, or use a superuser".to_owned()
        };
        return (Kind::Privilege, hint);
    }
    if has("row-level security") || has("row security") {
        return (Kind::Privilege, "rows would be missing from the dump: ALTER ROLE <role> BYPASSRLS".to_owned());
    }
    // pg_dump waits for locks under a statement timeout.
    if has("lock timeout") || has("statement timeout") {
        return (Kind::Timeout, "somebody holds a lock on a table, such as an ALTER TABLE that was not committed: see `pgtend locks`; lock_wait_timeout in [backup.logical] says how long is waited".to_owned());
    }
    if has("server version mismatch") {
        return (Kind::Unsupported, format!("install the programs of PostgreSQL {major}"));
    }
    if has("No space left") {
        return (Kind::System, "the staging directory is full: staging_directory in [backup.logical] may be on another disk".to_owned());
    }
    if has("password authentication failed") || has("no password supplied") {
        return (Kind::Authentication, "the same password as for watching is used: password_file in [[server]], or .pgpass".to_owned());
    }
    if has("conflict with recovery") {
        return (
            Kind::Conflict,
            "replay on the standby took away what the dump was reading: raise max_standby_streaming_delay, or dump from the primary"
                .to_owned(),
        );
    }
    if has("could not connect") || has("connection to server") || has("server closed the connection") {
        return (Kind::Unreachable, "see the server's log".to_owned());
    }
    (Kind::Server, String::new())
}

/// A server that a dump is to be restored into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Into {
    /// As `server_version_num`.
    pub version: u32,
    /// Whether the database is there already.
    pub exists: bool,
    /// How many tables, indexes, views and sequences of its own it has.
    pub objects: u64,
    /// Whether the server is a standby.
    pub in_recovery: bool,
    /// Whether the role may make databases.
    pub may_create: bool,
    /// Its roles.
    pub roles: BTreeSet<String>,
    /// Versions of extensions that could be made there, by name.
    pub extensions: Vec<(String, String)>,
}

/// What a restore of a database would do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Plan {
    /// Whether the database is made.
    pub creates: bool,
    /// Whether what it has of the dump's objects is dropped first.
    pub cleans: bool,
    /// Who will own it, where that role is there.
    pub owner: Option<String>,
    /// What whoever restores should know.
    pub notes: Vec<String>,
}

/// Decides whether a database can be restored there.
///
/// # Errors
/// `Conflict` when the database has contents and nobody said that they may be replaced, or the server is a standby; `Unsupported` when the server is older or an
/// extension is missing; `Privilege` when the role may not make a database.
pub fn plan_restore(head_version: u32, dump: &Dump, database: &DumpedDatabase, name: &str, into: &Into, clean: bool) -> Result<Plan> {
    let (from, to) = (head_version / 10_000, into.version / 10_000);
    if into.in_recovery {
        return Err(Error::new(Kind::Conflict, "the server is a standby: nothing can be restored into it")
            .hint("name the primary with --connection"));
    }
    if to < from {
        return Err(Error::new(Kind::Unsupported, format!("the dump is of PostgreSQL {from}, and this server is {to}"))
            .hint("a dump can be restored into the same or a later major version"));
    }
    missing_extensions(database, into)?;
    if into.exists && into.objects > 0 && !clean {
        return Err(Error::new(Kind::Conflict, format!("the database \"{name}\" is there already and has {} objects", into.objects))
            .hint("name a new one with --into-db; --clean drops what it has of the backup's objects and puts theirs in their place"));
    }
    if !into.exists && !into.may_create {
        return Err(Error::new(Kind::Privilege, "the role may not make databases")
            .hint(format!("ALTER ROLE <role> CREATEDB, or make \"{name}\" yourself: an empty database is taken as it is")));
    }
    let mut notes = older_versions(database, into);
    if to > from {
        notes.push(format!("the dump is of PostgreSQL {from} and goes into {to}: run ANALYZE, and test what uses it"));
    }
    let dumped_by: u32 = dump.pg_dump.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(from);
    if dumped_by > to {
        notes.push(format!("it was written by pg_dump {}, which may use what PostgreSQL {to} does not know", dump.pg_dump));
    }
    let owner = into.roles.contains(&database.owner).then(|| database.owner.clone());
    if owner.is_none() {
        notes.push(format!(
            "there is no role \"{}\", which owned the database: globals.sql of the backup makes roles (--into DIR); or --no-owner",
            database.owner
        ));
    }
    Ok(Plan { creates: !into.exists, cleans: into.exists && into.objects > 0, owner, notes })
}

fn missing_extensions(database: &DumpedDatabase, into: &Into) -> Result<()> {
    let there: BTreeSet<&str> = into.extensions.iter().map(|(name, _)| name.as_str()).collect();
    let missing: Vec<String> = database
        .extensions
        .iter()
        .filter(|extension| !there.contains(extension.name.as_str()))
        .map(|extension| format!("{} {}", extension.name, extension.version))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Unsupported, format!("extensions of the database are not installed where it would go: {}", missing.join(", ")))
        .hint(format!("install their packages on that server (postgresql-{}-…, or postgresql-contrib)", into.version / 10_000)))
}

fn older_versions(database: &DumpedDatabase, into: &Into) -> Vec<String> {
    let mut there: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, version) in &into.extensions {
        there.entry(name).or_default().insert(version);
    }
    let differs = |name: &str, version: &str| there.get(name).is_some_and(|versions| !versions.contains(version));
    let differing = database.extensions.iter().filter(|extension| differs(&extension.name, &extension.version));
    differing
        .map(|extension| {
            let versions: Vec<&str> = there.get(extension.name.as_str()).into_iter().flatten().copied().collect();
            format!("extension {} was {}, and there it is {}", extension.name, extension.version, versions.join(", "))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::DumpedExtension;
    use super::*;

    fn databases(names: &[&str]) -> Vec<Database> {
        let of = |name: &&str| Database {
            database: DumpedDatabase { name: (*name).into(), ..DumpedDatabase::default() },
            may_connect: *name != "closed",
        };
        names.iter().map(of).collect()
    }

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn all_databases_are_dumped_unless_somebody_says_otherwise() {
        let all = || databases(&["postgres", "shop", "shop_test", "template1"]);
        let names = |selected: Selected| selected.databases.into_iter().map(|database| database.name).collect::<Vec<_>>();
        assert_eq!(names(select(all(), &[], &[]).unwrap()).len(), 4);
        assert_eq!(names(select(all(), &texts(&["shop*"]), &texts(&["*_test"])).unwrap()), ["shop"]);
        assert_eq!(select(all(), &[], &texts(&["template1"])).unwrap().left_out, ["template1"]);
    }

    #[test]
    fn a_database_that_cannot_be_dumped_is_never_left_out_silently() {
        let missing = select(databases(&["shop"]), &texts(&["shpo"]), &[]).unwrap_err();
        assert!(missing.kind == Kind::NotFound && missing.hint.contains("shop"), "{missing}");
        let closed = select(databases(&["shop", "closed"]), &[], &[]).unwrap_err();
        assert!(closed.hint.contains("GRANT CONNECT ON DATABASE \"closed\""), "{closed}");
        assert!(select(databases(&["shop", "closed"]), &[], &texts(&["closed"])).is_ok());
        assert_eq!(select(databases(&["shop"]), &[], &texts(&["*"])).unwrap_err().kind, Kind::Usage);
    }

    #[test]
    fn what_pg_dump_complains_of_says_what_to_do() {
        let said = "pg_dump: error: query failed: ERROR:  permission denied for table orders\npg_dump: detail: Query was: LOCK TABLE";
        let error = complaint("pg_dump", "shop", said, 15);
        assert_eq!((error.kind, error.place.as_str()), (Kind::Privilege, "shop"));
        assert!(
            error.what == "pg_dump failed: query failed: ERROR:  permission denied for table orders"
                && error.hint.contains("pg_read_all_data"),
            "{error}"
        );
        assert!(complaint("pg_dump", "shop", said, 13).hint.contains("has no pg_read_all_data"));
        for (said, kind) in [
            ("pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout", Kind::Timeout),
            ("pg_dump: error: could not write to file \"x\": No space left on device", Kind::System),
            (
                "pg_dump: error: server version: 18.1; pg_dump version: 15.2\npg_dump: error: aborting because of server version mismatch",
                Kind::Unsupported,
            ),
            ("pg_dump: error: query would be affected by row-level security policy for table \"t\"", Kind::Privilege),
            ("", Kind::Server),
        ] {
            assert_eq!(complaint("pg_dump", "shop", said, 15).kind, kind, "{said}");
        }
    }

    fn dumped() -> DumpedDatabase {
        let extensions = vec![DumpedExtension { name: "pg_trgm".into(), version: "1.6".into() }];
        DumpedDatabase { name: "shop".into(), owner: "shop".into(), extensions, ..DumpedDatabase::default() }
    }

    fn server() -> Into {
        let extensions = vec![("pg_trgm".to_owned(), "1.5".to_owned()), ("pg_trgm".to_owned(), "1.6".to_owned())];
        Into { version: 150_018, may_create: true, roles: BTreeSet::from(["shop".to_owned()]), extensions, ..Into::default() }
    }

    fn plan(into: &Into, clean: bool) -> Result<Plan> {
        plan_restore(150_010, &Dump { pg_dump: "15.10".into(), ..Dump::default() }, &dumped(), "copy", into, clean)
    }

    #[test]
    fn a_new_database_is_made_and_owned_as_before() {
        let plan = plan(&server(), false).unwrap();
        assert_eq!(plan, Plan { creates: true, cleans: false, owner: Some("shop".into()), notes: Vec::new() });
    }

    #[test]
    fn contents_are_never_overwritten_without_saying_so() {
        let full = Into { exists: true, objects: 12, ..server() };
        assert_eq!(plan(&full, false).unwrap_err().kind, Kind::Conflict);
        assert!(plan(&full, true).unwrap().cleans);
        assert!(!plan(&Into { exists: true, ..server() }, false).unwrap().creates, "an empty one is taken");
    }

    #[test]
    fn what_stands_in_the_way_is_told_before() {
        for (into, kind, said) in [
            (Into { version: 140_001, ..server() }, Kind::Unsupported, "this server is 14"),
            (Into { extensions: Vec::new(), ..server() }, Kind::Unsupported, "pg_trgm 1.6"),
            (Into { may_create: false, ..server() }, Kind::Privilege, "may not make databases"),
            (Into { in_recovery: true, ..server() }, Kind::Conflict, "standby"),
        ] {
            let error = plan(&into, false).unwrap_err();
            assert!(error.kind == kind && error.what.contains(said), "{error}");
        }
        let notes =
            plan(&Into { version: 170_001, roles: BTreeSet::new(), extensions: vec![("pg_trgm".into(), "1.7".into())], ..server() }, false);
        let notes = notes.unwrap().notes.join("\n");
        for said in ["was 1.6, and there it is 1.7", "goes into 17", "no role \"shop\""] {
            assert!(notes.contains(said), "{notes}");
        }
    }
}
