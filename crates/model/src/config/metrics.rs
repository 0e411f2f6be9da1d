//! `[metrics]` and `[[metrics.custom]]`: what Prometheus gets.

use super::choice::choice;
use super::effective::same_names;
use super::section::{Section, section};
use super::values::{Listen, Selection};
use crate::metric;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

section! {
    /// Metrics for Prometheus.
    pub struct Metrics, checked by check_metrics {
        /// Where Prometheus fetches `/metrics`. There is no authentication: statement texts never become metrics.
        listen: Listen = "'127.0.0.1:9187'", restart;
        /// Whether the series of postgres_exporter are there too, with its names, so that dashboards and alert rules made for it work.
        exporter_names: bool = "true", now;
        /// Tables with series of their own for each server: the most active since their counters were reset. How many were cut is a metric
        /// too (`pgtend_series_cut`).
        max_tables: usize = "1000" in "0 to 1000000", now;
        /// Indexes with series of their own for each server: the most active.
        max_indexes: usize = "1000" in "0 to 1000000", now;
        /// Statements with series of their own for each server: those that take the most time. None unless you say so: identifiers come and
        /// go, and each makes some 30 series.
        max_statements: usize = "0" in "0 to 100000", now;
        /// Time that all custom metrics of a server may take in one round. Those whose turn does not come keep their last values.
        custom_budget: Duration = "'2s'" in "10ms to 10min", now;
        /// Metrics of your own, by SQL.
        custom: Vec<Custom> = none, now;
    }
}

section! {
    /// A metric of the user's own: a query whose columns are labels and values. A value's metric is called `NAME_COLUMN`.
    pub struct Custom, checked by check_custom {
        /// First part of the metrics' names: letters, digits and `_`.
        name: String = required, now;
        /// The query. It runs read-only and under the time limits; qualify what it names with schemas.
        query: String = required, now;
        /// Servers on which it runs.
        servers: Selection = "'all'", now;
        /// Databases in which it runs. Not written: in the one to which `dsn` connects.
        databases: Vec<String> = "[]", now;
        /// How often it runs.
        every: Duration = "'1min'" in "1s to 1d", now;
        /// How long it may take.
        timeout: Duration = "'1s'" in "10ms to 1min", now;
        /// Rows used at most; how many were cut is a metric too.
        max_rows: usize = "100" in "1 to 100000", now;
        /// What each column of the result is.
        columns: BTreeMap<String, Column> = none, now;
    }
}

section! {
    /// A column of a custom metric's result.
    pub struct Column {
        /// What it is.
        usage: Usage = required, now;
        /// What it says, for Prometheus' HELP.
        help: String = "''", now;
    }
}

choice! {
    /// What a column of a custom metric's result is.
    pub enum Usage {
        /// It tells rows apart.
        Label = "LABEL",
        /// It only grows, until it is reset.
        Counter = "COUNTER",
        /// It goes up and down.
        Gauge = "GAUGE",
    }
}

fn check_metrics(metrics: &mut Metrics, section: &Section<'_>) {
    same_names("custom metric", "custom", metrics.custom.iter().map(|custom| custom.name.as_str()), section);
    let mut known = HashSet::new();
    for (index, custom) in metrics.custom.iter().enumerate() {
        for column in custom.columns.iter().filter(|(_, column)| column.usage != Usage::Label).map(|(name, _)| name) {
            let family = metric::custom_family(custom, column);
            if metric::is_taken(&family) || !known.insert(family.clone()) {
                let what = format!("there is a metric \"{family}\" already");
                let path = ["custom".into(), index.into(), "columns".into(), column.as_str().into()];
                section.reject_at(&path, what, "rename the column in the query with AS, or choose another name");
            }
        }
    }
}

fn check_custom(custom: &mut Custom, section: &Section<'_>) {
    if !is_label_name(&custom.name) {
        section.reject("name", format!("\"{}\" cannot be the name of a metric", custom.name), NAME_HINT);
    } else if custom.name == "pgtend" || custom.name.starts_with("pgtend_") {
        section.reject("name", "names that begin with pgtend are pgtend's own", "choose another name");
    }
    if custom.query.trim().is_empty() {
        section.reject("query", format!("the query of the custom metric \"{}\" is empty", custom.name), "");
    }
    if custom.timeout > custom.every {
        section.reject("timeout", "metrics.custom.timeout is more than every", "a query must end before its next turn");
    }
    for column in custom.columns.keys().filter(|column| !is_label_name(column) || *column == "server") {
        let hint = format!("{NAME_HINT}; \"server\" is taken by the server's name. Rename it in the query with AS");
        let what = format!("\"{column}\" cannot be a column of the custom metric \"{}\"", custom.name);
        section.reject_at(&["columns".into(), column.as_str().into()], what, hint);
    }
    if custom.columns.values().all(|column| column.usage == Usage::Label) {
        let hint = "add [metrics.custom.columns] with NAME = { usage = \"GAUGE\", help = \"…\" }";
        section.reject("columns", format!("the custom metric \"{}\" has no value", custom.name), hint);
    }
}

const NAME_HINT: &str = "use letters, digits and '_', and begin with a letter";

/// Whether Prometheus takes it as the name of a label; names that begin with two underscores are its own.
pub(crate) fn is_label_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && !name.starts_with("__") && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
