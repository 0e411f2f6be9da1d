//! Exceptions from the rules: `tidy: allow(RULE) why` in a comment, for the same line or the next one.

use super::{Finding, Source};

struct Exception<'a> {
    source: &'a Source,
    line: usize,
    rule: &'a str,
    reason: &'a str,
    used: bool,
}

/// Drops the findings that are excused, and adds one for each exception without a reason or without a breach to excuse.
pub fn apply(sources: &[Source], findings: Vec<Finding>) -> Vec<Finding> {
    let mut exceptions: Vec<Exception<'_>> = sources.iter().flat_map(written_in).collect();
    let mut kept = Vec::new();
    for finding in findings {
        let excuse = exceptions.iter_mut().find(|exception| exception.excuses(&finding));
        match excuse {
            Some(exception) => exception.used = true,
            None => kept.push(finding),
        }
    }
    for exception in exceptions {
        let path = &exception.source.path;
        if exception.reason.is_empty() {
            kept.push(Finding::new(path, exception.line, "exception", "an exception needs a reason: `tidy: allow(RULE) why`"));
        } else if !exception.used {
            let message = format!("nothing here breaks `{}`: remove the exception", exception.rule);
            kept.push(Finding::new(path, exception.line, "exception", message));
        }
    }
    kept
}

impl Exception<'_> {
    fn excuses(&self, finding: &Finding) -> bool {
        let near = finding.line == self.line || finding.line == self.line + 1;
        near && finding.rule == self.rule && finding.path == self.source.path
    }
}

fn written_in(source: &Source) -> Vec<Exception<'_>> {
    let mut exceptions = Vec::new();
    let comment = match source.path.extension().and_then(|extension| extension.to_str()) {
        Some("rs") => "// tidy: allow(",
        Some("sql") => "-- tidy: allow(",
        Some("toml") => "# tidy: allow(",
        _ => return exceptions,
    };
    for (index, line) in source.text.lines().enumerate() {
        // A comment stands alone or after code; inside a string literal the quote before it gives it away.
        let Some((before, after)) = line.split_once(comment) else { continue };
        if before.contains('"') {
            continue;
        }
        let Some((rule, reason)) = after.split_once(')') else { continue };
        exceptions.push(Exception { source, line: index + 1, rule, reason: reason.trim(), used: false });
    }
    exceptions
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn sql(text: &str) -> [Source; 1] {
        [Source { path: PathBuf::from("a.sql"), text: text.to_owned() }]
    }

    fn breach(line: usize) -> Vec<Finding> {
        vec![Finding::new(Path::new("a.sql"), line, "qualified", "now() is not qualified")]
    }

    #[test]
    fn a_reasoned_exception_excuses_its_own_line_and_the_next() {
        let sources = sql("-- tidy: allow(qualified) the view is the user's own\nselect now()\n");
        assert_eq!(apply(&sources, breach(2)), []);
        let sources = sql("select now() -- tidy: allow(qualified) the view is the user's own\n");
        assert_eq!(apply(&sources, breach(1)), []);
    }

    #[test]
    fn it_excuses_no_other_rule_and_no_other_line() {
        let sources = sql("-- tidy: allow(tabs) copied from the manual\nselect now()\nselect now()\n");
        let messages: Vec<String> = apply(&sources, breach(2)).into_iter().map(|finding| finding.message).collect();
        assert_eq!(messages, ["now() is not qualified", "nothing here breaks `tabs`: remove the exception"]);
        let sources = sql("-- tidy: allow(qualified) ours\n\n\nselect now()\n");
        assert_eq!(apply(&sources, breach(4)).len(), 2);
    }

    #[test]
    fn an_exception_without_a_reason_is_a_breach() {
        let sources = sql("-- tidy: allow(qualified)\nselect now()\n");
        let left = apply(&sources, breach(2));
        assert_eq!(left.len(), 1);
        assert!(left[0].message.contains("needs a reason"));
    }
}
