//! File names that carry an order: changelog fragments by issue, decisions by date.

use super::{Finding, Source};

const RULE: &str = "names";

pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let (Some(folder), Some(name)) = (source.path.parent(), source.path.file_name()) else { continue };
        let name = name.to_string_lossy();
        if name == "README.md" {
            continue;
        }
        let (good, wanted) = match folder.to_str() {
            Some("changelog.d") => (is_fragment(&name), "a changelog fragment is named ISSUE-slug.md, for example 002-first-watch.md"),
            Some("docs/decisions") => (is_decision(&name), "a decision is named YYYY-MM-DD-slug.md, by the day it was taken"),
            _ => continue,
        };
        if !good {
            findings.push(Finding::new(&source.path, 1, RULE, wanted));
        }
    }
    findings
}

/// `NNN-slug.md`
fn is_fragment(name: &str) -> bool {
    let Some((number, slug)) = name.strip_suffix(".md").and_then(|stem| stem.split_once('-')) else { return false };
    number.len() == 3 && is_number(number) && is_slug(slug)
}

/// `YYYY-MM-DD-slug.md`
fn is_decision(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".md") else { return false };
    let parts: Vec<&str> = stem.splitn(4, '-').collect();
    let [year, month, day, slug] = parts[..] else { return false };
    let between = |text: &str, from: u32, to: u32| text.len() == 2 && text.parse().is_ok_and(|number| (from..=to).contains(&number));
    year.len() == 4 && is_number(year) && between(month, 1, 12) && between(day, 1, 31) && is_slug(slug)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && text.split('-').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_start_with_the_issue() {
        for good in ["002-first-watch.md", "117-s3.md"] {
            assert!(is_fragment(good), "{good}");
        }
        for bad in
            ["2-first-watch.md", "002.md", "002-First.md", "002-first-watch.txt", "002--watch.md", "002-first watch.md", "abc-watch.md"]
        {
            assert!(!is_fragment(bad), "{bad}");
        }
    }

    #[test]
    fn decisions_start_with_the_day() {
        assert!(is_decision("2026-11-02-one-connection.md"));
        for bad in [
            "2026-13-02-x.md",
            "2026-11-32-x.md",
            "26-11-02-x.md",
            "2026-11-02.md",
            "2026-11-02-.md",
            "one-connection.md",
            "2026-1-02-x.md",
        ] {
            assert!(!is_decision(bad), "{bad}");
        }
    }

    #[test]
    fn only_those_folders_are_looked_at() {
        let source = |path: &str| Source { path: path.into(), text: String::new() };
        let sources =
            ["changelog.d/README.md", "docs/decisions/README.md", "docs/start.md", "changelog.d/wrong.md", "docs/decisions/wrong.md"];
        let found: Vec<_> = check(&sources.map(source)).into_iter().map(|finding| finding.path).collect();
        assert_eq!(found, [std::path::PathBuf::from("changelog.d/wrong.md"), "docs/decisions/wrong.md".into()]);
    }
}
