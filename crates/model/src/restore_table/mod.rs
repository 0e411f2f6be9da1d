//! Single tables out of a backup: which are meant, where they go, and the statements that put them there.

pub mod pattern;
pub mod statements;

use crate::error::{Error, Kind, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use statements::identifier;

/// A relation of the restored copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its OID there.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `relkind`.
    pub kind: char,
    /// The table that it is a partition of, or inherits from, as SQL writes it.
    pub parent: Option<String>,
    /// Its OID.
    pub parent_oid: Option<u32>,
    /// Whether it is a partition.
    pub is_partition: bool,
}

impl Relation {
    /// Its name as SQL writes it.
    pub fn quoted(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }

    /// Whether it holds rows of its own, or has partitions that do.
    pub const fn is_table(&self) -> bool {
        matches!(self.kind, 'r' | 'p')
    }

    /// What it is, for people.
    pub const fn what(&self) -> &'static str {
        match self.kind {
            'r' | 'p' => "table",
            'v' => "view",
            'm' => "materialized view",
            'f' => "foreign table",
            'S' => "sequence",
            _ => "relation",
        }
    }
}

/// Where tables go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Into a schema of their own, beside the originals, which nothing touches.
    Schema(String),
    /// Into another database, in the schemas they were in.
    Database(String),
    /// Into their own place; the originals are moved into this schema.
    Place {
        /// Where the originals go.
        aside: String,
    },
    /// Their rows only, into the tables that are there.
    Rows {
        /// Whether the rows that are there go first.
        replace: bool,
    },
}

/// How somebody said where tables go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// `--into-schema`.
    pub schema: Option<String>,
    /// `--into-db`.
    pub database: Option<String>,
    /// `--replace`.
    pub replace: bool,
    /// `--data-only`.
    pub data_only: bool,
}

impl Asked {
    /// Where they go. `instant` names the schema that is made where none is named.
    ///
    /// # Errors
    /// `Usage` when it was said in two ways.
    pub fn destination(&self, instant: Timestamp) -> Result<Destination> {
        let stamp = instant.to_zoned(TimeZone::UTC).strftime("%Y%m%d_%H%M").to_string();
        match (&self.schema, &self.database, self.replace, self.data_only) {
            (Some(_), Some(_), ..) => Err(Error::new(Kind::Usage, "--into-schema and --into-db say two different things")
                .hint("in another database the tables keep their schemas: leave out --into-schema")),
            (Some(_), _, true, _) | (_, Some(_), true, _) => {
                Err(Error::new(Kind::Usage, "--replace puts tables where they were: with --into-schema or --into-db nothing is replaced")
                    .hint("leave out one of the two"))
            }
            (Some(_), _, _, true) | (_, Some(_), _, true) => {
                Err(Error::new(Kind::Usage, "--data-only fills the tables that are there, so it cannot go elsewhere")
                    .hint("leave out --into-schema and --into-db, or --data-only"))
            }
            (_, _, replace, true) => Ok(Destination::Rows { replace }),
            (_, _, true, false) => Ok(Destination::Place { aside: format!("replaced_{stamp}") }),
            (Some(schema), ..) => Ok(Destination::Schema(schema.clone())),
            (_, Some(database), ..) => Ok(Destination::Database(database.clone())),
            _ => Ok(Destination::Schema(format!("restored_{stamp}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_are_touched_only_when_that_is_said() {
        let at: Timestamp = "2026-11-21T03:12:45Z".parse().unwrap();
        let asked = Asked::default();
        assert_eq!(asked.destination(at).unwrap(), Destination::Schema("restored_20261121_0312".into()));
        let replace = Asked { replace: true, ..Asked::default() };
        assert_eq!(replace.destination(at).unwrap(), Destination::Place { aside: "replaced_20261121_0312".into() });
        let rows = Asked { data_only: true, ..Asked::default() };
        assert_eq!(rows.destination(at).unwrap(), Destination::Rows { replace: false });
        let schema = Asked { schema: Some("old".into()), ..Asked::default() };
        assert_eq!(schema.destination(at).unwrap(), Destination::Schema("old".into()));
        for contradiction in [
            Asked { replace: true, ..schema.clone() },
            Asked { data_only: true, ..schema.clone() },
            Asked { database: Some("d".into()), ..schema },
        ] {
            assert_eq!(contradiction.destination(at).unwrap_err().kind, Kind::Usage);
        }
    }
}
