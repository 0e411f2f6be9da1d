//! Which tables are meant by what somebody wrote: `public.orders`, `orders`, `audit.*`, `public.order_?`.

use super::Relation;
use crate::error::{Error, Kind, Result};

/// Names that are told as probably meant, at most.
const NEAR: usize = 5;

/// The tables that are meant, in the order in which they were named; each once.
///
/// # Errors
/// `NotFound` when a name is nobody's, with names that are like it; `Usage` when it is in several schemas, or is no table.
pub fn choose<'a>(wanted: &[String], all: &'a [Relation]) -> Result<Vec<&'a Relation>> {
    let mut chosen: Vec<&Relation> = Vec::new();
    for text in wanted {
        let found = meant(text, all)?;
        for relation in found {
            if !chosen.iter().any(|known| known.oid == relation.oid) {
                chosen.push(relation);
            }
        }
    }
    Ok(chosen)
}

/// Whether these can be names of tables at all: what can be refused before anything is restored.
///
/// # Errors
/// `Usage` when one has more than a schema and a name, or lacks one of them.
pub fn check(wanted: &[String]) -> Result<()> {
    wanted.iter().try_for_each(|text| parts(text).map(drop))
}

/// Schema and name; dots between double quotes belong to a name.
fn parts(text: &str) -> Result<(Option<&str>, &str)> {
    let mut quoted = false;
    let separates = |letter: char| {
        quoted ^= letter == '"';
        letter == '.' && !quoted
    };
    let parts: Vec<&str> = text.split(separates).collect();
    match parts.as_slice() {
        [name] if !name.is_empty() => Ok((None, name)),
        [schema, name] if !schema.is_empty() && !name.is_empty() => Ok((Some(schema), name)),
        _ => Err(Error::new(Kind::Usage, format!("\"{text}\" is no table: write schema.table"))
            .hint("the database is named with --db; a dot that belongs to a name goes between double quotes")),
    }
}

fn meant<'a>(text: &str, all: &'a [Relation]) -> Result<Vec<&'a Relation>> {
    let (schema, name) = parts(text)?;
    let fits = |relation: &&Relation| schema.is_none_or(|schema| like(schema, &relation.schema)) && like(name, &relation.name);
    let matching: Vec<&Relation> = all.iter().filter(fits).collect();
    let tables: Vec<&Relation> = matching.iter().copied().filter(|relation| relation.is_table()).collect();
    let is_pattern = text.contains(['*', '?']);
    match (tables.as_slice(), matching.first()) {
        ([], Some(other)) if !is_pattern => {
            Err(Error::new(Kind::Usage, format!("{text} was a {} then: it has no rows to restore", other.what()))
                .hint("restore the tables that it reads"))
        }
        ([], _) => Err(nobody(text, name, all)),
        ([_, _, ..], _) if schema.is_none() && !is_pattern => {
            let names: Vec<String> = tables.iter().map(|table| format!("{}.{}", table.schema, table.name)).collect();
            Err(Error::new(Kind::Usage, format!("{text} is in several schemas")).hint(format!("name one of: {}", names.join(", "))))
        }
        _ => Ok(tables),
    }
}

fn nobody(text: &str, name: &str, all: &[Relation]) -> Error {
    let mut near: Vec<(f64, String)> = all
        .iter()
        .filter(|relation| relation.is_table())
        .map(|relation| {
            (strsim::jaro_winkler(&name.to_lowercase(), &relation.name.to_lowercase()), format!("{}.{}", relation.schema, relation.name))
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    let names: Vec<String> = near.into_iter().take(NEAR).map(|(_, name)| name).collect();
    let error = Error::new(Kind::NotFound, format!("there was no table {text} at that time in this database"));
    match names.as_slice() {
        [] => error.hint("it may have been made later or dropped before: choose another time with --to, or another database with --db"),
        names => {
            error.hint(format!("there were: {}; or it was made later or dropped before: choose another time with --to", names.join(", ")))
        }
    }
}

/// Whether a pattern stands for a name; as it is written, or in small letters as SQL reads it.
fn like(pattern: &str, name: &str) -> bool {
    let pattern = pattern.trim_matches('"');
    glob(pattern.as_bytes(), name.as_bytes()) || glob(pattern.to_lowercase().as_bytes(), name.as_bytes())
}

fn glob(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => glob(rest, name) || name.split_first().is_some_and(|(_, shorter)| glob(pattern, shorter)),
        (Some((b'?', rest)), Some((_, shorter))) => glob(rest, shorter),
        (Some((wanted, rest)), Some((letter, shorter))) => wanted == letter && glob(rest, shorter),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Relation> {
        let names = [
            ("public", "orders", 'r'),
            ("public", "order_lines", 'p'),
            ("audit", "orders", 'r'),
            ("public", "Mixed", 'r'),
            ("public", "open_orders", 'v'),
        ];
        let relation = |(number, (schema, name, kind)): (u32, (&str, &str, char))| Relation {
            oid: number,
            schema: schema.into(),
            name: name.into(),
            kind,
            parent: None,
            parent_oid: None,
            is_partition: false,
        };
        (1..).zip(names).map(relation).collect()
    }

    fn chosen(wanted: &[&str]) -> Result<Vec<String>> {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let all = all();
        Ok(choose(&wanted, &all)?.into_iter().map(|table| format!("{}.{}", table.schema, table.name)).collect())
    }

    #[test]
    fn names_and_wildcards() {
        assert_eq!(chosen(&["public.orders"]).unwrap(), ["public.orders"]);
        assert_eq!(chosen(&["public.order*", "public.orders"]).unwrap(), ["public.orders", "public.order_lines"]);
        assert_eq!(chosen(&["*.orders"]).unwrap(), ["public.orders", "audit.orders"]);
        assert_eq!(chosen(&["mixed"]).unwrap_err().kind, Kind::NotFound);
        assert_eq!(chosen(&["Mixed"]).unwrap(), ["public.Mixed"]);
        assert_eq!(chosen(&["PUBLIC.ORDERS"]).unwrap(), ["public.orders"]);
        assert_eq!(chosen(&["audit.?????s"]).unwrap(), ["audit.orders"]);
    }

    #[test]
    fn what_cannot_be_a_table_is_refused_before_anything_is_restored() {
        for text in ["shop.public.orders", "public.", ".orders", ""] {
            let error = check(&[text.to_owned()]).unwrap_err();
            assert!(error.kind == Kind::Usage && error.what.contains("schema.table"), "{text}: {error}");
        }
        check(&["public.\"a.b\"".to_owned(), "orders".to_owned(), "*.order?".to_owned()]).unwrap();
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let error = chosen(&["public.ordres"]).unwrap_err();
        assert!(error.kind == Kind::NotFound && error.hint.contains("public.orders"), "{error}");
        let error = chosen(&["orders"]).unwrap_err();
        assert!(error.kind == Kind::Usage && error.hint.contains("audit.orders"), "{error}");
        let error = chosen(&["open_orders"]).unwrap_err();
        assert!(error.what.contains("was a view then"), "{error}");
        assert!(chosen(&["zzz"]).unwrap_err().hint.contains("--db"));
    }
}
