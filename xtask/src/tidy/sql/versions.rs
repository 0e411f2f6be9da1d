//! `-- versions: 13-15`: each query says which majors it is for, and a probe's queries together cover them without gap or overlap.
//! With `-- extension: pg_stat_statements 1.9-1.10` the queries for the same majors are told apart by the extension's version.

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

/// A version of an extension.
type Dotted = (u32, u32);

/// The first and the last version of an extension that a query is for, and the query.
type ExtensionQuery<'a> = (Dotted, Option<Dotted>, &'a Path);

/// Every query has a range, and the ranges of a probe follow one another.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut probes: BTreeMap<&Path, Vec<(Range, &Path)>> = BTreeMap::new();
    let mut extensions: BTreeMap<(&Path, Range), Vec<ExtensionQuery<'_>>> = BTreeMap::new();
    for source in sources.iter().filter(|source| is_probe_query(&source.path)) {
        let Some(folder) = source.path.parent().filter(|folder| *folder != Path::new(QUERIES)) else { continue };
        match header(&source.text).and_then(|range| Ok((range, extension(&source.text)?))) {
            Ok((range, None)) => probes.entry(folder).or_default().push((range, &source.path)),
            Ok((range, Some((from, to)))) => extensions.entry((folder, range)).or_default().push((from, to, &source.path)),
            Err(message) => findings.push(Finding::new(&source.path, 1, RULE, message)),
        }
    }
    for ((folder, range), mut queries) in extensions {
        queries.sort();
        findings.extend(extension_breaks(&queries));
        // Together they stand for one query of these majors.
        probes.entry(folder).or_default().extend(queries.first().map(|(_, _, path)| (range, *path)));
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

/// Reads the versions of the extension that a query is for, if it needs one.
fn extension(text: &str) -> Result<Option<(Dotted, Option<Dotted>)>, String> {
    let wanted = "an extension is given as `-- extension: NAME 1.9-1.10`, or with an open end as `-- extension: NAME 1.12-`";
    let mut comments = text.lines().take_while(|line| line.starts_with("--"));
    let Some(stated) = comments.find_map(|line| line.strip_prefix("-- extension: ")) else { return Ok(None) };
    let dotted = |text: &str| text.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let (_, range) = stated.trim_end().split_once(' ').ok_or(wanted)?;
    let (from, to) = range.split_once('-').ok_or(wanted)?;
    let to = if to.is_empty() { None } else { Some(dotted(to).ok_or(wanted)?) };
    Ok(Some((dotted(from).ok_or(wanted)?, to)))
}

/// Gaps and overlaps between versions of an extension in ascending order. What is older than the first is told to update.
fn extension_breaks(queries: &[ExtensionQuery<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pair in queries.windows(2) {
        let [(_, to, path), (from, _, next_path)] = pair else { continue };
        if to.is_none_or(|(major, minor)| *from != (major, minor + 1)) {
            let other = path.file_name().unwrap_or_default().display();
            findings.push(Finding::new(next_path, 1, RULE, format!("{}.{} does not follow the last version of {other}", from.0, from.1)));
        }
    }
    if let Some((_, Some(_), path)) = queries.last() {
        findings.push(Finding::new(path, 1, RULE, "leave the end of the last range of the extension's versions open"));
    }
    findings
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
    fn versions_of_an_extension_follow_one_another_too() {
        let found = |versions: &[&str]| {
            let source = |(index, versions): (usize, &&str)| Source {
                path: format!("{QUERIES}/statements/{index}.sql").into(),
                text: format!("-- versions: 13-\n-- extension: pg_stat_statements {versions}\nselect 1\n"),
            };
            let sources: Vec<Source> = versions.iter().enumerate().map(source).collect();
            check(&sources).into_iter().map(|finding| finding.message).collect::<Vec<_>>()
        };
        assert_eq!(found(&["1.9-1.10", "1.8-1.8", "1.11-"]), Vec::<String>::new());
        assert_eq!(found(&["1.8-1.8", "1.10-"]), ["1.10 does not follow the last version of 0.sql"]);
        assert_eq!(found(&["1.8-1.9", "1.9-"]), ["1.9 does not follow the last version of 0.sql"]);
        assert_eq!(found(&["1.8-1.9"]), ["leave the end of the last range of the extension's versions open"]);
        assert_eq!(found(&["1.8-1.9", "9"]).len(), 2);
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
