//! Rules on probe queries (`crates/postgres/queries/<probe>/*.sql`): a version header, no tabs, every name qualified.
//!
//! A query runs in databases that others own. A function or a view that is looked up by search_path there may be somebody
//! else's, so each name says its schema.

use std::path::Path;

use super::{Finding, Source};

mod lexer;
mod qualified;
pub mod versions;

/// Where the queries of the probes are.
const QUERIES: &str = "crates/postgres/queries";

/// Whether a file is the query of a probe.
pub fn is_probe_query(path: &Path) -> bool {
    path.starts_with(QUERIES) && path.extension().is_some_and(|extension| extension == "sql")
}

/// The rules on one query; its version range is checked with its neighbours', in [`versions`].
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if source.path.strip_prefix(QUERIES).is_ok_and(|inner| inner.components().count() != 2) {
        findings.push(Finding::new(&source.path, 1, "place", format!("a query is {QUERIES}/PROBE/NAME.sql")));
    }
    for (index, line) in source.text.lines().enumerate() {
        if line.contains('\t') {
            findings.push(Finding::new(&source.path, index + 1, "tabs", "a tab: queries are indented with spaces"));
        }
    }
    match lexer::tokens(&source.text) {
        Ok(tokens) => {
            let breaches = qualified::breaches(&tokens).into_iter();
            findings.extend(breaches.map(|breach| Finding::new(&source.path, breach.line, "qualified", breach.message)));
        }
        Err(error) => findings.push(Finding::new(&source.path, error.line, "syntax", error.message)),
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        let source = Source { path: path.into(), text: text.to_owned() };
        check(&source).into_iter().map(|finding| (finding.line, finding.rule)).collect()
    }

    #[test]
    fn a_query_is_checked_whole() {
        let good = "-- versions: 13-\nselect pg_catalog.now() as now\n";
        assert_eq!(rules("crates/postgres/queries/server/13-.sql", good), []);
        let bad = "-- versions: 13-\n\tselect now() as now\n  from pg_class as c\n";
        assert_eq!(rules("crates/postgres/queries/server/13-.sql", bad), [(2, "tabs"), (2, "qualified"), (3, "qualified")]);
    }

    #[test]
    fn a_query_is_in_the_folder_of_its_probe() {
        assert_eq!(rules("crates/postgres/queries/13-.sql", "select 1\n"), [(1, "place")]);
        assert_eq!(rules("crates/postgres/queries/a/b/13-.sql", "select 1\n"), [(1, "place")]);
    }

    #[test]
    fn only_queries_are_queries() {
        assert!(is_probe_query(Path::new("crates/postgres/queries/server/13-.sql")));
        assert!(!is_probe_query(Path::new("bench/load.sql")));
        assert!(!is_probe_query(Path::new("crates/postgres/queries/README.md")));
    }
}
