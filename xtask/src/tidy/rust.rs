//! Rules on Rust files: the opening line, lengths, a pure model, no nameless tasks.

use std::ops::RangeInclusive;
use std::path::Path;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::{Finding, Source, paths};

/// Wanted and hard limit of lines in a file, tests not counted.
const FILE_LINES: (usize, usize) = (400, 800);
/// Hard limit of lines in a function, blank and comment lines not counted; clippy's too_many_lines counts alike.
const FUNCTION_LINES: usize = 70;
/// Where tasks are started: in one place that gives each a name, counts it and can cancel it, and where that place cannot be seen.
const SPAWNERS: [&str; 2] = [
    "crates/pgtend/src/agent/tasks.rs",
    // The driver of a connection, which lives and dies with its session.
    "crates/postgres/src/connect/session.rs",
];
const SPAWNS: [&str; 3] = ["tokio::spawn", "tokio::task::spawn", "tokio::task::spawn_local"];

/// What the model never touches: files, sockets, processes, the environment, and every clock.
const IMPURE: [&str; 16] = [
    "std::env",
    "std::fs",
    "std::io::stderr",
    "std::io::stdin",
    "std::io::stdout",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "jiff::tz::TimeZone::system",
    "tokio",
    "async",
];

pub fn check(source: &Source) -> Vec<Finding> {
    let path = source.path.as_path();
    let file = match syn::parse_file(&source.text) {
        Ok(file) => file,
        Err(error) => return vec![Finding::new(path, error.span().start().line, "syntax", format!("not Rust: {error}"))],
    };
    let mut shape = Shape { lines: source.text.lines().collect(), ..Shape::default() };
    shape.visit_file(&file);

    let mut findings = Vec::new();
    findings.extend(opening(source));
    findings.extend(file_length(path, &shape));
    findings.extend(long_functions(path, &shape));
    if !is_test_file(path) {
        let mentions = paths::mentioned(&file);
        let mentions = mentions.iter().filter(|mention| !shape.is_test(mention.line));
        findings.extend(mentions.filter_map(|mention| forbidden(path, mention)));
    }
    findings
}

/// The first line says what the file is.
fn opening(source: &Source) -> Option<Finding> {
    let first = source.text.lines().next().unwrap_or_default();
    let words = first.strip_prefix("//! ").unwrap_or_default().split_whitespace().count();
    (words < 2).then(|| Finding::new(&source.path, 1, "opening", "the first line says what this file is: `//! …`, in a few words"))
}

fn file_length(path: &Path, shape: &Shape<'_>) -> Option<Finding> {
    if is_test_file(path) {
        return None;
    }
    let test_lines: usize = shape.tests.iter().map(|range| range.end() - range.start() + 1).sum();
    let lines = shape.lines.len() - test_lines;
    let (wanted, hard) = FILE_LINES;
    if lines > hard {
        Some(Finding::new(path, 1, "file-length", format!("{lines} lines without tests; {hard} is the limit: split it by what it does")))
    } else if lines > wanted {
        Some(Finding::advice(path, 1, "file-length", format!("{lines} lines without tests; {wanted} are wanted at most")))
    } else {
        None
    }
}

fn long_functions(path: &Path, shape: &Shape<'_>) -> Vec<Finding> {
    let long = shape.functions.iter().filter(|function| function.lines > FUNCTION_LINES);
    let finding = |function: &Function| {
        let message = format!("fn {} has {} lines of code; {FUNCTION_LINES} is the limit", function.name, function.lines);
        Finding::new(path, function.line, "function-length", message)
    };
    long.map(finding).collect()
}

fn forbidden(path: &Path, mention: &paths::Mention) -> Option<Finding> {
    if path.starts_with("crates/model") && IMPURE.iter().any(|impure| mention.reaches(impure)) {
        let message = format!("model has no I/O, no async and no clock, but this is `{}`: take the value as an argument", mention.path);
        return Some(Finding::new(path, mention.line, "pure-model", message));
    }
    if !SPAWNERS.iter().any(|spawner| path == Path::new(spawner)) && SPAWNS.iter().any(|spawn| mention.path == *spawn) {
        let message = format!("`{}` starts a task that nobody can name, count or cancel: use agent::tasks", mention.path);
        return Some(Finding::new(path, mention.line, "spawn", message));
    }
    None
}

/// Files that are nothing but tests.
fn is_test_file(path: &Path) -> bool {
    let in_tests = path.parent().is_some_and(|folder| folder.iter().any(|part| part == "tests"));
    in_tests || path.file_name().is_some_and(|name| name == "tests.rs")
}

struct Function {
    name: String,
    line: usize,
    /// Lines of code between the braces.
    lines: usize,
}

/// What the length rules need of a file.
#[derive(Default)]
struct Shape<'a> {
    lines: Vec<&'a str>,
    functions: Vec<Function>,
    /// Lines of items under `#[cfg(test)]`.
    tests: Vec<RangeInclusive<usize>>,
}

impl Shape<'_> {
    fn is_test(&self, line: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&line))
    }

    fn measure(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (open, close) = (block.brace_token.span.open().start().line, block.brace_token.span.close().start().line);
        let body = self.lines.get(open..close.saturating_sub(1)).unwrap_or_default();
        let is_code = |line: &&&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
        let lines = body.iter().filter(is_code).count();
        self.functions.push(Function { name: signature.ident.to_string(), line: signature.ident.span().start().line, lines });
    }
}

impl<'ast> Visit<'ast> for Shape<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let already = self.is_test(item.span().start().line);
        if !already && attributes(item).iter().any(is_cfg_test) {
            self.tests.push(item.span().start().line..=item.span().end().line);
        }
        visit::visit_item(self, item);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.measure(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        let source = Source { path: path.into(), text: text.to_owned() };
        check(&source).into_iter().filter(|finding| !finding.advice).map(|finding| (finding.line, finding.rule)).collect()
    }

    const OPENING: &str = "//! What this file is.\n";

    #[test]
    fn the_first_line_says_what_the_file_is() {
        assert_eq!(rules("crates/store/src/a.rs", OPENING), []);
        for bad in
            ["", "// not a doc comment\n", "//! placeholder\n", "\n//! What this file is.\n", "#![allow(x)]\n//! What this file is.\n"]
        {
            assert_eq!(rules("crates/store/src/a.rs", bad), [(1, "opening")], "{bad:?}");
        }
    }

    fn file(lines: usize) -> String {
        OPENING.to_owned() + &"const A: u8 = 1;\n".repeat(lines - 1)
    }

    #[test]
    fn a_file_has_800_lines_at_most() {
        assert_eq!(rules("crates/store/src/a.rs", &file(800)), []);
        assert_eq!(rules("crates/store/src/a.rs", &file(801)), [(1, "file-length")]);
        assert_eq!(rules("crates/store/tests/it/a.rs", &file(801)), []);
        assert_eq!(rules("crates/store/src/a/tests.rs", &file(801)), []);
    }

    #[test]
    fn tests_in_the_file_are_not_counted() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "const A: u8 = 1;\n".repeat(500));
        assert_eq!(rules("crates/store/src/a.rs", &(file(800) + &tests)), []);
        assert_eq!(rules("crates/store/src/a.rs", &(file(801) + &tests)), [(1, "file-length")]);
    }

    #[test]
    fn more_than_400_lines_is_advice() {
        let source = Source { path: "crates/store/src/a.rs".into(), text: file(401) };
        let found = check(&source);
        assert!(found.len() == 1 && found[0].advice, "{found:?}");
    }

    #[test]
    fn a_function_has_70_lines_of_code_at_most() {
        let function = |lines: usize| format!("{OPENING}fn f() {{\n{}}}\n", "    g();\n\n    // why\n".repeat(lines));
        assert_eq!(rules("crates/store/src/a.rs", &function(70)), []);
        assert_eq!(rules("crates/store/src/a.rs", &function(71)), [(2, "function-length")]);
        let method = format!("{OPENING}impl A {{\n    fn f() {{\n{}    }}\n}}\n", "        g();\n".repeat(71));
        assert_eq!(rules("crates/store/src/a.rs", &method), [(3, "function-length")]);
    }

    #[test]
    fn the_model_touches_nothing() {
        let impure = [
            "use std::fs;",
            "use std::time::SystemTime;",
            "fn f() { jiff::Timestamp::now(); }",
            "use jiff::Zoned; fn f() -> Zoned { Zoned::now() }",
            "async fn f() {}",
            "use tokio::sync::Mutex;",
            "fn f() { assert!(std::env::var(\"HOME\").is_ok()); }",
        ];
        for line in impure {
            let text = format!("{OPENING}{line}\n");
            let found = rules("crates/model/src/a.rs", &text);
            assert!(!found.is_empty() && found.iter().all(|(line, rule)| (*line, *rule) == (2, "pure-model")), "{line}: {found:?}");
            assert_eq!(rules("crates/postgres/src/a.rs", &text), [], "{line}");
        }
    }

    #[test]
    fn the_model_may_measure_time_and_its_tests_may_read_files() {
        let pure = "use std::time::Duration;\nuse jiff::Timestamp;\nfn f(now: Timestamp) -> Duration { g(now) }\n";
        assert_eq!(rules("crates/model/src/a.rs", &format!("{OPENING}{pure}")), []);
        let tests = "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert_eq!(rules("crates/model/src/a.rs", &format!("{OPENING}{tests}")), []);
    }

    #[test]
    fn tasks_are_started_in_one_place() {
        let text = format!("{OPENING}fn f() {{\n    tokio::spawn(g());\n}}\n");
        assert_eq!(rules("crates/pgtend/src/agent/watch.rs", &text), [(3, "spawn")]);
        assert_eq!(rules(SPAWNERS[0], &text), []);
        assert_eq!(rules("crates/pgtend/tests/it/main.rs", &text), []);
    }

    #[test]
    fn what_is_not_rust_is_said_with_its_line() {
        assert_eq!(rules("crates/store/src/a.rs", "//! What this file is.\nfn f( {}\n").first().map(|found| found.1), Some("syntax"));
    }
}
