//! The report of a verification, in the shape of guide 1: `errors[]` with a `type` each.

use crate::pgdata::{Fork, Lsn, RelationFile};
use crate::sample::Unknown;
use jiff::Timestamp;

/// Errors that a report lists; more are counted. A wrong disk can make every page of a server an error.
pub const ERRORS_AT_MOST: usize = 10_000;

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// Files and their lengths, and a sample of the pages.
    Quick,
    /// Every page.
    Pages,
    /// Every page, and indexes and tables as the server understands them (amcheck).
    Full,
}

/// What the server was doing while its files were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// It ran: a page may be read half written, so one that looks wrong is read again.
    Running,
    /// It was shut down cleanly: the files are complete.
    Stopped,
    /// It crashed, or this is a copy that was not recovered yet: replaying WAL mends pages that were half written.
    NeedsRecovery,
}

/// What the verification comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = VerificationVerdict)]
pub enum Verdict {
    /// Everything that was asked for was looked at, and nothing is wrong.
    Clean,
    /// Nothing wrong was found, but something that was asked for could not be looked at.
    Incomplete,
    /// Something is damaged.
    Damaged,
}

impl Verdict {
    /// The exit code: 0 clean, 1 damaged, 2 incomplete.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Damaged => 1,
            Self::Incomplete => 2,
        }
    }
}

/// The kinds of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DamageKind {
    /// The page is not what was written. `expected` is the checksum it carries, `found` the one of its contents.
    ChecksumMismatch,
    /// The page's header cannot be.
    PageHeader,
    /// The page's header says that it was never used, but it is not empty.
    NewPageNotZero,
    /// The file ends within a page. `expected` is its length without the piece, `found` its length.
    PartialPage,
    /// A file of a relation is not there, although a later one is.
    MissingSegment,
    /// A file of a relation is shorter than it must be, as a later one is not empty. `expected` and `found` are lengths in bytes.
    ShortSegment,
    /// The system could not read it.
    Unreadable,
    /// amcheck found an index inconsistent with itself or with its table.
    IndexCorrupt,
    /// amcheck found a table inconsistent.
    TableCorrupt,
}

impl DamageKind {
    /// The kind as a person reads it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::ChecksumMismatch => "checksum mismatch",
            Self::PageHeader => "impossible page header",
            Self::NewPageNotZero => "new page is not empty",
            Self::PartialPage => "file ends within a page",
            Self::MissingSegment => "missing file",
            Self::ShortSegment => "file too short",
            Self::Unreadable => "cannot be read",
            Self::IndexCorrupt => "index corrupt",
            Self::TableCorrupt => "table corrupt",
        }
    }
}

/// What a relation is, as far as mending it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// A table.
    Table,
    /// An index.
    Index,
    /// What a table keeps its long values in.
    Toast,
    /// A materialized view.
    MaterializedView,
    /// A sequence.
    Sequence,
    /// Something else.
    Other,
}

impl RelationKind {
    /// From `pg_class.relkind`.
    pub const fn of_relkind(relkind: char) -> Self {
        match relkind {
            'r' | 'p' => Self::Table,
            'i' | 'I' => Self::Index,
            't' => Self::Toast,
            'm' => Self::MaterializedView,
            'S' => Self::Sequence,
            _ => Self::Other,
        }
    }
}

/// What the server calls a relation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct RelationName {
    /// Schema and name, quoted as SQL wants them: `public.orders`.
    pub name: String,
    /// Its OID.
    pub oid: u32,
    /// What it is.
    pub kind: RelationKind,
    /// Whether it belongs to the system catalogs.
    pub is_catalog: bool,
}

/// One thing that is damaged.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Damage {
    /// What is wrong.
    #[serde(rename = "type")]
    pub kind: DamageKind,
    /// The database's name. Null when the server could not be asked, and for relations that all databases share.
    pub database: Option<String>,
    /// The database's OID; 0 for relations that all databases share.
    pub database_oid: u32,
    /// The relation's name, with schema. Null when the server could not be asked or knows none.
    pub relation: Option<String>,
    /// The relation's OID, where its name is known.
    pub relation_oid: Option<u32>,
    /// What the relation is, where its name is known.
    pub relation_kind: Option<RelationKind>,
    /// Whether the relation belongs to the system catalogs, where its name is known.
    pub is_catalog: Option<bool>,
    /// The tablespace's OID.
    pub tablespace_oid: u32,
    /// The number in the file's name; 0 where amcheck speaks of a relation.
    pub relfilenode: u32,
    /// The part of the relation.
    pub fork: Fork,
    /// The page's number in the whole fork; null where the damage is no page's.
    pub block: Option<u32>,
    /// What should be there; what it is depends on the type.
    pub expected: Option<u64>,
    /// What is there instead.
    pub found: Option<u64>,
    /// The file, relative to the data directory; empty where amcheck speaks of a relation.
    pub file: String,
    /// Where in the file, in bytes.
    pub offset_bytes: Option<u64>,
    /// The page's LSN, as it stands on the page; it may be damaged too.
    #[schema(value_type = Option<String>)]
    pub lsn: Option<Lsn>,
    /// The damage in words.
    pub detail: String,
}

impl Damage {
    /// Damage of this kind in a file.
    pub fn in_file(kind: DamageKind, file: &str, relation: &RelationFile, detail: impl Into<String>) -> Self {
        let locator = relation.locator;
        Self {
            kind,
            database: None,
            database_oid: locator.database,
            relation: None,
            relation_oid: None,
            relation_kind: None,
            is_catalog: None,
            tablespace_oid: locator.tablespace,
            relfilenode: locator.relfilenode,
            fork: locator.fork,
            block: None,
            expected: None,
            found: None,
            file: file.to_owned(),
            offset_bytes: None,
            lsn: None,
            detail: detail.into(),
        }
    }

    /// With what the server calls the relation.
    pub fn name(&mut self, relation: &RelationName) {
        self.relation = Some(relation.name.clone());
        self.relation_oid = Some(relation.oid);
        self.relation_kind = Some(relation.kind);
        self.is_catalog = Some(relation.is_catalog);
    }
}

/// Something worth knowing that is no damage.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Notice {
    /// The kind, for programs: `orphan_file`, `needs_recovery`, `no_checksums`, …
    pub kind: String,
    /// In words.
    pub text: String,
}

/// Something that was asked for and could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Unchecked {
    /// What: a file, a relation, a database, or a kind of check.
    pub what: String,
    /// Why.
    #[serde(flatten)]
    pub why: Unknown,
    /// What to do so that the next time it can be.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Checked {
    /// Relation files that were opened.
    pub files: u64,
    /// Pages that were read.
    pub pages: u64,
    /// Pages that the files have; more than were read with a quick verification.
    pub pages_of_all: u64,
    /// Pages that were never used, and are empty as they should be.
    pub new_pages: u64,
    /// Pages that looked wrong at first and right when they were read again: they were being written.
    pub pages_in_flux: u64,
    /// The highest LSN on a sound page.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub highest_lsn: Option<Lsn>,
    /// Indexes that amcheck looked at.
    pub indexes: u64,
    /// Tables that amcheck looked at.
    pub tables: u64,
}

/// The report of a verification.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Verification {
    /// What it comes to.
    pub verdict: Verdict,
    /// The directory that was looked at.
    pub data_directory: String,
    /// The cluster's identifier; as text, because it has more digits than JSON's numbers keep.
    pub system_identifier: String,
    /// The major version.
    pub version: u32,
    /// What the server was doing.
    pub server: ServerState,
    /// How much was looked at.
    pub depth: Depth,
    /// Whether pages carry checksums. Without them only headers were checked.
    pub checksums: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in seconds.
    pub took_s: f64,
    /// What was looked at.
    pub checked: Checked,
    /// What is damaged.
    pub errors: Vec<Damage>,
    /// Damage beyond [`ERRORS_AT_MOST`], which is only counted.
    pub errors_left_out: u64,
    /// What is worth knowing.
    pub notices: Vec<Notice>,
    /// What could not be looked at.
    pub unchecked: Vec<Unchecked>,
}

impl Verification {
    /// What the findings come to.
    pub fn judge(&self) -> Verdict {
        if !self.errors.is_empty() || self.errors_left_out > 0 {
            Verdict::Damaged
        } else if !self.unchecked.is_empty() {
            Verdict::Incomplete
        } else {
            Verdict::Clean
        }
    }
}
