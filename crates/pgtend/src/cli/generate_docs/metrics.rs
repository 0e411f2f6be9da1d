//! The reference of metrics: every family, with its kind, its labels, and how it is made.

use pgtend_model::metric::{Chapter, Described, reference};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Metrics

`/metrics` on the address of `[metrics] listen` and `/api/v1/metrics/prometheus` on the API give these families in Prometheus' text
format. A scrape is answered from memory: it never makes PostgreSQL do anything. `pgtend_probe_age_seconds` says how old the figures are.

What cannot be known has no series, rather than a zero: `pgtend_probe_unknown` says for each probe why. When a server does not answer,
`pg_up` is 0, and its other series end until it does.

## Labels

- With one server, series have no labels but their own. Families marked with \\* have postgres_exporter 0.11's `server=\"host:port\"` too.
- With several servers, every series of a server has `server=\"NAME\"`, its name in the configuration.
- `GET /metrics?server=NAME` gives one server of several, with the labels that it has when it is alone: a Prometheus with one target a
  server (`params` in its scrape configuration) sees what as many exporters would show.
- `[server.labels]` in the [configuration](configuration.md) adds labels to every series of a server. Where a family has a label of that
  name, its own stands.

";

/// The reference of metrics, as a Markdown document.
pub(super) fn document() -> String {
    let chapters = reference();
    let families = || chapters.iter().flat_map(|chapter| &chapter.families);
    let with = |label: &str| families().filter(|family| family.labels.last() == Some(&label)).count();
    let mut text = INTRODUCTION.to_owned();
    let _ = write!(
        text,
        "## How many

Each table has up to {} series, each index {}, each statement {}. `[metrics] max_tables`, `max_indexes` and `max_statements` bound them:
those that did most since their counters were reset have series, and `pgtend_series_cut` says how many have none. Of any other probe 1000
rows have series. Single sessions and processes have none: the API shows them.
",
        with("relname"),
        with("indexrelname"),
        with("queryid") + with("toplevel")
    );
    for chapter in &chapters {
        write_chapter(&mut text, chapter);
    }
    text
}

fn write_chapter(text: &mut String, chapter: &Chapter) {
    let _ = write!(text, "\n## {}\n\n{}\n\n", chapter.title, chapter.about);
    text.push_str("| Family | Kind | Labels | What it says |\n|---|---|---|---|\n");
    for family in &chapter.families {
        write_family(text, family);
    }
}

fn write_family(text: &mut String, family: &Described) {
    let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
    let inherited = if family.inherited { "\\*" } else { "" };
    let help = family.help.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let _ = writeln!(text, "| `{}`{inherited} | {} | {} | {help} |", family.name, family.kind.word(), labels.join(", "));
}
