//! The rows of the table `metrics`: each counter and gauge of a probe's row as one of its own.

use super::column::{Cell, Column};
use super::filter::{Filter, Rows};
use super::relation::{Origin, Relation};
use super::scan::{self, Chunk};
use arrow_array::{Array, Float64Array, Int32Array, RecordBatch, StringArray};
use pgtend_model::sample::Kind;
use pgtend_model::sample::registry::Spec;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// One chunk for each figure of the probe.
pub(super) fn chunks(relation: &Relation, spec: &Spec, server: &Arc<str>, batch: &RecordBatch, filter: &Filter, chunks: &mut Vec<Chunk>) {
    let one = filter.text(relation, Origin::Metric);
    let there = scan::column(batch, Origin::File("gone"));
    let labels = labels(spec, batch);
    let figures = spec.columns.iter().filter(|column| matches!(column.kind, Kind::Counter | Kind::Gauge));
    for figure in figures.filter(|column| one.is_none_or(|one| one == column.name)) {
        let Some(value) = numbers(&scan::column(batch, Origin::File(figure.name)), batch.num_rows()) else { continue };
        let known = Rows::All(batch.num_rows()).only(|row| value.is_valid(row) && there.get(row) != super::column::Ref::Int(1));
        let column = |origin: Origin| match origin {
            Origin::Server => Column::Same(Cell::Text(server.clone())),
            Origin::Probe => Column::Same(Cell::Text(spec.name.into())),
            Origin::Metric => Column::Same(Cell::Text(figure.name.into())),
            Origin::Labels => labels.clone(),
            Origin::Value => Column::Real(value.clone()),
            origin => scan::column(batch, origin),
        };
        let columns = relation.fields.iter().map(|field| column(field.origin)).collect();
        chunks.push(Chunk { columns, rows: known });
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures beyond 2^53 lose their last digit as in every chart")]
fn numbers(column: &Column, rows: usize) -> Option<Float64Array> {
    let number = |row: usize| match column.get(row) {
        super::column::Ref::Int(v) => Some(v as f64),
        super::column::Ref::Real(v) => Some(v),
        super::column::Ref::Instant(v) => Some(v as f64 / 1e3),
        super::column::Ref::Fine(v) => Some(v as f64 / 1e6),
        _ => None,
    };
    (!matches!(column, Column::Same(_))).then(|| (0..rows).map(number).collect())
}

/// The labels of each row as JSON, each written once.
fn labels(spec: &Spec, batch: &RecordBatch) -> Column {
    let columns: Vec<(&str, Column)> = spec
        .columns
        .iter()
        .filter(|column| column.kind == Kind::Label)
        .map(|column| (column.name, scan::column(batch, Origin::File(column.name))))
        .collect();
    let mut places: HashMap<String, i32> = HashMap::new();
    let mut texts: Vec<String> = Vec::new();
    let keys: Int32Array = (0..batch.num_rows())
        .map(|row| {
            let text = json(&columns, row);
            Some(*places.entry(text).or_insert_with_key(|text| {
                texts.push(text.clone());
                i32::try_from(texts.len() - 1).unwrap_or(i32::MAX)
            }))
        })
        .collect();
    Column::Words(keys, StringArray::from(texts))
}

fn json(labels: &[(&str, Column)], row: usize) -> String {
    use super::column::Sql;
    let mut json = String::from("{");
    for (name, column) in labels {
        let comma = if json.len() > 1 { "," } else { "" };
        let written = column.get(row).to_sql(|value| match value {
            Sql::Null => None,
            Sql::Int(v) => Some(v.to_string()),
            Sql::Real(v) => Some(v.to_string()),
            Sql::Text(text) => Some(quoted(text)),
        });
        if let Some(written) = written {
            let _never_fails = write!(json, "{comma}\"{name}\":{written}");
        }
    }
    json.push('}');
    json
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => {
                let _never_fails = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
