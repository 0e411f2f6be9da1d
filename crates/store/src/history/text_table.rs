//! Texts of statements as a table, for whoever reads the files without pgtend.

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use pgtend_model::sample::Text;
use std::io;
use std::sync::Arc;

/// Texts by identifier.
pub(super) fn to_arrow(texts: &[(i64, Text)]) -> io::Result<RecordBatch> {
    let schema = Schema::new(vec![Field::new("query_id", DataType::Int64, false), Field::new("text", DataType::Utf8, false)]);
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(texts.iter().map(|(id, _)| *id))),
        Arc::new(StringArray::from_iter_values(texts.iter().map(|(_, text)| &**text))),
    ];
    RecordBatch::try_new(Arc::new(schema), arrays).map_err(io::Error::other)
}
