//! The reference of probes: what each tells, where from, and what its columns mean.

use pgtend_model::sample::registry::SPECS;
use pgtend_model::sample::{Column, Kind, Origin, Scope, Spec};
use pgtend_model::units::exact_duration;
use pgtend_postgres::probe::{Query, ranges};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Probes

A probe is one question that pgtend asks a PostgreSQL again and again, or one thing that it reads on the server's machine. Metrics,
sessions, documents and checks are made of their rows. `[probes.NAME]` in the [configuration](configuration.md) sets how often each
runs and what it may cost. A probe that fails or takes too long is *unknown*, with the reason, and does not stop the others.

A *counter* only grows until it is reset, a *gauge* goes up and down, *labels* say what the row is about, and *info* is the rest. Columns
that can be unknown in a single row are marked with `?`.
";

/// The reference of probes, as a Markdown document.
pub(super) fn document() -> String {
    let mut text = INTRODUCTION.to_owned();
    text.push_str("\n| Probe | Tells | From | Runs |\n|---|---|---|---|\n");
    for spec in SPECS {
        let _ = writeln!(text, "| [{0}](#{0}) | {1} | {2} | {3} |", spec.name, line(spec.about), origin(spec), cadence(spec));
    }
    for spec in SPECS {
        probe(&mut text, spec);
    }
    text
}

fn probe(text: &mut String, spec: &Spec) {
    let _ = write!(text, "\n## {}\n\n{}\n\n", spec.name, line(spec.about));
    let scope = match spec.scope {
        Scope::Server => "Once a server",
        Scope::Database => "Once in each database",
    };
    let _ = writeln!(text, "{scope}, {}.\n", cadence(spec));
    match spec.origin {
        Origin::Host => text.push_str("Read from /proc and the file systems, where the agent runs on the server's machine.\n"),
        Origin::Log => text.push_str("Read from the server's log, where the agent runs on the server's machine: see [logs](../logs.md).\n"),
        Origin::Query => {
            let queries: Vec<String> = ranges(spec.name).map(query).collect();
            let _ = writeln!(text, "Queries: {}.", queries.join("; "));
        }
    }
    text.push_str("\n| Column | Kind | Type | Unit | Meaning |\n|---|---|---|---|---|\n");
    for column in spec.columns {
        let _ =
            writeln!(text, "| `{}` | {} | {} | {} | {} |", column.name, kind(column.kind), type_of(column), column.unit, line(column.help));
    }
}

fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn origin(spec: &Spec) -> &'static str {
    match spec.origin {
        Origin::Query => "a query",
        Origin::Host => "the machine",
        Origin::Log => "the server's log",
    }
}

fn cadence(spec: &Spec) -> String {
    if spec.every.is_zero() {
        return "only when somebody asks".to_owned();
    }
    format!("every {}", exact_duration(spec.every))
}

fn query(query: &Query) -> String {
    let versions = match (query.from, query.to) {
        (from, u32::MAX) => format!("PostgreSQL {from} and later"),
        (from, to) if from == to => format!("PostgreSQL {from}"),
        (from, to) => format!("PostgreSQL {from} to {to}"),
    };
    let Some(extension) = query.extension else { return versions };
    let dotted = |(major, minor): (u16, u16)| format!("{major}.{minor}");
    let range = match (extension.from, extension.to) {
        ((0, 0), (u16::MAX, _)) => String::new(),
        (from, (u16::MAX, _)) => format!(" {} and later", dotted(from)),
        (from, to) => format!(" {} to {}", dotted(from), dotted(to)),
    };
    format!("{versions} with {}{range}", extension.name)
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Label => "label",
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Info => "info",
    }
}

/// The column's type in words, with `?` where single rows may lack it.
fn type_of(column: &Column) -> String {
    let declared: String = column.ty.split_whitespace().collect();
    let inner = declared.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>'));
    let name = inner.unwrap_or(&declared);
    let words = match name.rsplit("::").next().unwrap_or(name) {
        "i64" => "integer",
        "f64" => "number",
        "bool" => "boolean",
        "Text" => "text",
        "Timestamp" => "time",
        "Vec<i32>" => "integers",
        other => other,
    };
    format!("{words}{}", if inner.is_some() { "?" } else { "" })
}
