//! `-- versions: 13-15`: each query says which majors it is for, and a probe's queries together cover them without gap or overlap.

use std::collections::BTreeMap;
use std::path::Path;

use super::{QUERIES, is_probe_query};
use crate::tidy::{Finding, Source};

const RULE: &str = "versions";
const FIRST: u32 = 13;
const LAST: u32 = 18;

/// The majors that a query is for; without an end it is for all later ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    from: u32,
    to: Option<u32>,
}

/// Every query has a range, and the ranges of a probe follow one another.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut probes: BTreeMap<&Path, Vec<(Range, &Path)>> = BTreeMap::new();
    for source in sources.iter().filter(|source| is_probe_query(&source.path)) {
        let Some(folder) = source.path.parent().filter(|folder| *folder != Path::new(QUERIES)) else { continue };
        match header(&source.text) {
            Ok(range) => probes.entry(folder).or_default().push((range, &source.path)),
            Err(message) => findings.push(Finding::new(&source.path, 1, RULE, message)),
        }
    }
    for ranges in probes.values_mut() {
        ranges.sort();
        findings.extend(breaks(ranges));
    }
    findings
}

/// Reads the header, which is the first line.
fn header(text: &str) -> Result<Range, String> {
    let wanted = "the first line is `-- versions: 13-15`, or `-- versions: 16-` for all from 16 on";
    let first = text.lines().next().unwrap_or_default();
    let stated = first.strip_prefix("-- versions: ").ok_or(wanted)?;
    let (from, to) = stated.trim_end().split_once('-').ok_or(wanted)?;
    let from: u32 = from.parse().map_err(|_| wanted)?;
    let to: Option<u32> = if to.is_empty() { None } else { Some(to.parse().map_err(|_| wanted)?) };
    if !(FIRST..=LAST).contains(&from) || to.is_some_and(|to| to < from || to > LAST) {
        return Err(format!("the range {stated} is empty, or beyond {FIRST} to {LAST}"));
    }
    if to == Some(LAST) {
        return Err(format!("{stated} ends with the newest version: leave the end open ({from}-), so that the next one is covered"));
    }
    Ok(Range { from, to })
}

/// Gaps and overlaps between ranges in ascending order. A probe may begin later than 13, but then it goes on to the open end.
fn breaks(ranges: &[(Range, &Path)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pair in ranges.windows(2) {
        let [(one, one_path), (next, next_path)] = pair else { continue };
        let other = one_path.file_name().unwrap_or_default().display();
        let expected = one.to.map(|to| to + 1);
        if expected.is_none_or(|expected| next.from < expected) {
            findings.push(Finding::new(next_path, 1, RULE, format!("version {} is also covered by {other}", next.from)));
        } else if let Some(expected) = expected.filter(|expected| next.from > *expected) {
            let gap = if expected == next.from - 1 { expected.to_string() } else { format!("{expected} to {}", next.from - 1) };
            findings.push(Finding::new(next_path, 1, RULE, format!("no query covers version {gap}, between this and {other}")));
        }
    }
    if let Some((Range { to: Some(to), .. }, path)) = ranges.last() {
        findings.push(Finding::new(
            path,
            1,
            RULE,
            format!("no query covers the versions after {to}: leave the end of the last range open"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(ranges: &[&str]) -> Vec<String> {
        let source = |(index, range): (usize, &&str)| Source {
            path: format!("{QUERIES}/io/{index}.sql").into(),
            text: format!("-- versions: {range}\nselect 1\n"),
        };
        let sources: Vec<Source> = ranges.iter().enumerate().map(source).collect();
        check(&sources).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn ranges_that_follow_one_another_are_good() {
        for good in [&["13-"][..], &["13-15", "16-17", "18-"], &["16-"], &["16-17", "18-"], &["18-", "13-13", "14-17"]] {
            assert_eq!(messages(good), Vec::<String>::new(), "{good:?}");
        }
    }

    #[test]
    fn gaps_and_overlaps_are_named() {
        assert_eq!(messages(&["13-14", "16-"]), ["no query covers version 15, between this and 0.sql"]);
        assert_eq!(messages(&["13-13", "16-"]), ["no query covers version 14 to 15, between this and 0.sql"]);
        assert_eq!(messages(&["13-16", "16-"]), ["version 16 is also covered by 0.sql"]);
        assert_eq!(messages(&["13-", "16-"]), ["version 16 is also covered by 0.sql"]);
        assert_eq!(messages(&["13-14", "15-16"]), ["no query covers the versions after 16: leave the end of the last range open"]);
    }

    #[test]
    fn a_header_is_mandatory_and_exact() {
        for bad in ["", "select 1", "-- versions 13-15", "-- versions: 13", "-- versions: 13..15", "\n-- versions: 13-"] {
            assert!(header(bad).unwrap_err().starts_with("the first line is"), "{bad:?}");
        }
        for bad in ["15-13", "12-14", "19-", "13-19"] {
            assert!(header(&format!("-- versions: {bad}")).unwrap_err().contains("is empty, or beyond"), "{bad}");
        }
        assert!(header("-- versions: 16-18").unwrap_err().contains("leave the end open (16-)"));
    }

    #[test]
    fn probes_are_judged_apart() {
        let source = |path: &str, range: &str| Source { path: format!("{QUERIES}/{path}").into(), text: format!("-- versions: {range}\n") };
        assert_eq!(check(&[source("io/16-.sql", "16-"), source("wal/14-.sql", "14-")]), []);
    }
}
