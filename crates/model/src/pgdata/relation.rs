//! The names of relation files: which relation, fork and segment a file is of.

use std::fmt;

/// The OID of the tablespace `pg_default` (`pg_tablespace.dat`).
pub const DEFAULT_TABLESPACE: u32 = 1663;
/// The OID of the tablespace `pg_global` (`pg_tablespace.dat`).
pub const GLOBAL_TABLESPACE: u32 = 1664;

/// The parts of a relation, each with files of its own (`forkNames` in PostgreSQL's `relpath.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fork {
    /// The data.
    Main,
    /// The free space map.
    Fsm,
    /// The visibility map.
    Vm,
    /// What an unlogged relation is reset to after a crash.
    Init,
}

impl Fork {
    /// All of them, in the order of their numbers in PostgreSQL.
    pub const ALL: [Self; 4] = [Self::Main, Self::Fsm, Self::Vm, Self::Init];

    /// Its name in PostgreSQL, as `pg_relation_filepath` and `pg_prewarm` take it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Fsm => "fsm",
            Self::Vm => "vm",
            Self::Init => "init",
        }
    }

    /// The fork of this number (`ForkNumber` in `relpath.h`).
    pub fn of_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One fork of one relation of one database, by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Locator {
    /// The tablespace's OID; 1663 is `pg_default`, 1664 `pg_global`.
    pub tablespace: u32,
    /// The database's OID; 0 for relations that all databases share.
    pub database: u32,
    /// The number in the file's name. It is the relation's OID only until the relation is rewritten.
    pub relfilenode: u32,
    /// Which part.
    pub fork: Fork,
}

/// One file of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct RelationFile {
    /// Which relation and fork.
    pub locator: Locator,
    /// The session a temporary relation belongs to (`t3_16400`).
    pub temporary_of: Option<u32>,
    /// Which piece of it: files are cut where they reach a size (1 GiB by default); 0 is the first.
    pub segment: u32,
}

impl RelationFile {
    /// What file a path is, relative to the data directory with `/` between: `base/5/16384_fsm.2`, `global/1262`,
    /// `pg_tblspc/16400/PG_15_202209061/5/16401`. `None` for everything that is no relation's file.
    ///
    /// As `parse_filename_for_nontemp_relation` (`reinit.c`) and `looks_like_temp_rel_name` (`fd.c`), and strict about leading
    /// zeros as 17 is.
    pub fn of_path(path: &str) -> Option<Self> {
        let (folder, name) = path.rsplit_once('/')?;
        let (tablespace, database) = place(folder)?;
        Self::of_name(tablespace, database, name)
    }

    fn of_name(tablespace: u32, database: u32, name: &str) -> Option<Self> {
        let (temporary_of, name) = match name.strip_prefix('t') {
            Some(rest) => {
                let (session, name) = rest.split_once('_')?;
                (Some(plain(session)?), name)
            }
            None => (None, name),
        };
        let (stem, segment) = match name.split_once('.') {
            Some((stem, segment)) => (stem, number(segment)?),
            None => (name, 0),
        };
        let (relfilenode, fork) = match stem.split_once('_') {
            Some((relfilenode, fork)) => (relfilenode, Fork::ALL.into_iter().skip(1).find(|known| known.name() == fork)?),
            None => (stem, Fork::Main),
        };
        let locator = Locator { tablespace, database, relfilenode: number(relfilenode)?, fork };
        Some(Self { locator, temporary_of, segment })
    }

    /// The number within the whole fork of the file's first block, which page checksums depend on. `relation_segment_blocks` is
    /// `RELSEG_SIZE` of `pg_control`. `None` where there can be no such block.
    pub fn first_block(&self, relation_segment_blocks: u32) -> Option<u32> {
        self.segment.checked_mul(relation_segment_blocks)
    }

    /// The name without the folder: `16384_fsm.2`.
    pub fn name(&self) -> String {
        let mut name = self.temporary_of.map_or_else(String::new, |session| format!("t{session}_"));
        name += &self.locator.relfilenode.to_string();
        if self.locator.fork != Fork::Main {
            name = name + "_" + self.locator.fork.name();
        }
        if self.segment > 0 { format!("{name}.{}", self.segment) } else { name }
    }

    /// The path relative to the data directory. `version_folder` is what tablespaces keep a version's files in, see
    /// [`version_folder`].
    pub fn path(&self, version_folder: &str) -> String {
        let Locator { tablespace, database, .. } = self.locator;
        let name = self.name();
        match tablespace {
            GLOBAL_TABLESPACE => format!("global/{name}"),
            DEFAULT_TABLESPACE => format!("base/{database}/{name}"),
            _ => format!("pg_tblspc/{tablespace}/{version_folder}/{database}/{name}"),
        }
    }
}

/// What a tablespace keeps the files of this version in: `PG_15_202209061` (`TABLESPACE_VERSION_DIRECTORY`, `relpath.h`).
pub fn version_folder(major: u32, catalog_version: u32) -> String {
    format!("PG_{major}_{catalog_version}")
}

/// Tablespace and database of a folder that relations lie in.
fn place(folder: &str) -> Option<(u32, u32)> {
    let parts: Vec<&str> = folder.split('/').collect();
    match parts[..] {
        ["global"] => Some((GLOBAL_TABLESPACE, 0)),
        ["base", database] => Some((DEFAULT_TABLESPACE, number(database)?)),
        ["pg_tblspc", tablespace, version, database] if is_version_folder(version) => Some((number(tablespace)?, number(database)?)),
        _ => None,
    }
}

/// Whether this is the name of what a tablespace keeps some version's files in.
pub fn is_version_folder(name: &str) -> bool {
    let Some((major, catalog)) = name.strip_prefix("PG_").and_then(|rest| rest.split_once('_')) else { return false };
    number(major).is_some() && number(catalog).is_some()
}

/// A number as file names have it: positive, without leading zeros.
fn number(text: &str) -> Option<u32> {
    plain(text).filter(|number| *number > 0)
}

fn plain(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_tablespace_database_relation_fork_and_segment() {
        let cases = [
            ("base/5/1249", 1663, 5, 1249, Fork::Main, 0, None),
            ("base/5/16384_fsm.2", 1663, 5, 16384, Fork::Fsm, 2, None),
            ("global/1262_vm", 1664, 0, 1262, Fork::Vm, 0, None),
            ("pg_tblspc/16400/PG_15_202209061/5/16401_init", 16400, 5, 16401, Fork::Init, 0, None),
            ("base/5/t0_16500", 1663, 5, 16500, Fork::Main, 0, Some(0)),
            ("base/5/t12_16500_fsm.1", 1663, 5, 16500, Fork::Fsm, 1, Some(12)),
            ("base/5/4294967295", 1663, 5, u32::MAX, Fork::Main, 0, None),
        ];
        for (path, tablespace, database, relfilenode, fork, segment, temporary_of) in cases {
            let file = RelationFile::of_path(path).unwrap_or_else(|| panic!("{path}"));
            let locator = Locator { tablespace, database, relfilenode, fork };
            assert_eq!(file, RelationFile { locator, temporary_of, segment }, "{path}");
            assert_eq!(file.path("PG_15_202209061"), path);
        }
    }

    #[test]
    fn everything_else_is_no_relation() {
        for path in [
            "base/5/PG_VERSION",
            "base/5/pg_filenode.map",
            "base/5/pg_internal.init",
            "global/pg_control",
            "base/5/016384",
            "base/5/16384.0",
            "base/5/16384.01",
            "base/5/16384_main",
            "base/5/16384_fsm_vm",
            "base/5/4294967296",
            "base/5/0",
            "base/05/16384",
            "base/16384",
            "base/pgsql_tmp/16384",
            "pg_wal/16384",
            "16384",
            "pg_tblspc/16400/16401",
            "pg_tblspc/16400/PG_15/5/16401",
            "base/5/t_16384",
            "base/5/t1_",
            "base/5/16384.1.2",
            "base/5/+16384",
        ] {
            assert_eq!(RelationFile::of_path(path), None, "{path}");
        }
    }

    #[test]
    fn blocks_are_counted_through_the_whole_fork() {
        let file = RelationFile::of_path("base/5/16384.3").unwrap();
        assert_eq!(file.first_block(131_072), Some(393_216));
        assert_eq!(RelationFile::of_path("base/5/16384.4000000000").unwrap().first_block(131_072), None);
    }

    proptest::proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "(base|global|pg_tblspc/1/PG_1_1)/[t_0-9./a-z]{0,20}") {
            if let Some(file) = RelationFile::of_path(&path) {
                proptest::prop_assert_eq!(file.path("PG_1_1"), path);
            }
        }
    }
}
