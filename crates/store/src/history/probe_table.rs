//! Readings of a probe as a table: when, whether the row is gone, and the probe's own columns.

use super::record::{Batch, Cell, Frame};
use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, ListBuilder, StringDictionaryBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use pgtend_model::sample::registry::Spec;
use pgtend_model::sample::{Column, DecodeError, Kind, RowSource, Text};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// One row as it is remembered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) at_ms: i64,
    /// Whether the row was there before and is no more: then it has its labels only.
    pub(super) gone: bool,
    /// In the order of the probe's columns.
    pub(super) cells: Vec<Value>,
}

/// A column's content.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(Text),
    Time(i64),
    Ints(Box<[i32]>),
}

/// The columns of a probe's table.
pub(super) fn schema(spec: &Spec) -> Arc<Schema> {
    let mut fields = vec![
        delta(Field::new("sample_time", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false)),
        Field::new("gone", DataType::Boolean, false),
    ];
    fields.extend(spec.columns.iter().map(field));
    Arc::new(Schema::new(fields))
}

/// A field that is written as differences from row to row.
pub(super) fn delta(field: Field) -> Field {
    field.with_metadata(HashMap::from([("delta".to_owned(), String::new())]))
}

fn field(column: &Column) -> Field {
    match kind(column) {
        Type::Int if column.kind == Kind::Counter => delta(Field::new(column.name, DataType::Int64, true)),
        Type::Int => Field::new(column.name, DataType::Int64, true),
        Type::Float => Field::new(column.name, DataType::Float64, true),
        Type::Bool => Field::new(column.name, DataType::Boolean, true),
        Type::Text => Field::new(column.name, DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()), true),
        Type::Time => Field::new(column.name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Type::Ints => Field::new(column.name, DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true))), true),
    }
}

/// The types that columns of probes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Int,
    Float,
    Bool,
    Text,
    Time,
    Ints,
}

fn kind(column: &Column) -> Type {
    let ty = column.ty.strip_prefix("Option<").and_then(|ty| ty.strip_suffix('>')).unwrap_or(column.ty).trim();
    match ty {
        "i64" => Type::Int,
        "f64" => Type::Float,
        "bool" => Type::Bool,
        "Timestamp" => Type::Time,
        "Text" => Type::Text,
        _ => Type::Ints,
    }
}

/// The rows of a probe in a batch of a journal, in the order of its columns now.
pub(super) fn rows_of(spec: &Spec, batch: &Batch, frame: &Frame) -> Vec<Row> {
    let named: HashMap<&str, usize> =
        frame.columns.iter().enumerate().filter_map(|(place, name)| Some((&**batch.text(*name)?, place))).collect();
    let places: Vec<Option<usize>> = spec.columns.iter().map(|column| named.get(column.name).copied()).collect();
    let row = |cells: &Vec<Cell>, gone: bool| {
        let cells = places.iter().map(|place| place.and_then(|place| cells.get(place)).map_or(Value::Null, |cell| value(batch, cell)));
        Row { at_ms: frame.at_ms, gone, cells: cells.collect() }
    };
    let there = frame.rows.iter().map(|cells| row(cells, false));
    let gone = frame.gone.iter().map(|labels| row(&spread(spec, labels, frame.columns.len()), true));
    there.chain(gone).collect()
}

/// Labels at the places of the columns that they are.
fn spread(spec: &Spec, labels: &[Cell], columns: usize) -> Vec<Cell> {
    let mut cells = vec![Cell::Null; columns];
    let places = spec.columns.iter().enumerate().filter(|(_, column)| column.kind == Kind::Label).map(|(place, _)| place);
    for (place, label) in places.zip(labels) {
        if let Some(cell) = cells.get_mut(place) {
            *cell = label.clone();
        }
    }
    cells
}

fn value(batch: &Batch, cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(v) => Value::Int(*v),
        Cell::Float(v) => Value::Float(*v),
        Cell::Bool(v) => Value::Bool(*v),
        Cell::Text(index) => batch.text(*index).map_or(Value::Null, |text| Value::Text(text.clone())),
        Cell::Time(v) => Value::Time(*v),
        Cell::Ints(v) => Value::Ints(v.as_slice().into()),
    }
}

/// Sorts rows so that what is alike lies together: by labels, then by time.
pub(super) fn sort(spec: &Spec, rows: &mut [Row]) {
    rows.sort_by(|a, b| labels(spec, a).cmp(&labels(spec, b)).then(a.at_ms.cmp(&b.at_ms)));
}

/// What names a row among those of its probe.
pub(super) fn labels(spec: &Spec, row: &Row) -> Vec<Label> {
    let labels = spec.columns.iter().zip(&row.cells).filter(|(column, _)| column.kind == Kind::Label);
    labels.map(|(_, value)| Label::of(value)).collect()
}

/// A label, in an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Label {
    None,
    Number(i64),
    Text(Text),
}

impl Label {
    fn of(value: &Value) -> Self {
        match value {
            Value::Int(v) | Value::Time(v) => Self::Number(*v),
            Value::Bool(v) => Self::Number(i64::from(*v)),
            Value::Text(v) => Self::Text(v.clone()),
            Value::Null | Value::Float(_) | Value::Ints(_) => Self::None,
        }
    }
}

/// Rows as a table.
pub(super) fn to_arrow(spec: &Spec, rows: &[Row]) -> io::Result<RecordBatch> {
    let at = TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.at_ms)).with_timezone("UTC");
    let gone = BooleanArray::from_iter(rows.iter().map(|row| Some(row.gone)));
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(at), Arc::new(gone)];
    arrays.extend(spec.columns.iter().enumerate().map(|(place, column)| array(kind(column), place, rows)));
    RecordBatch::try_new(schema(spec), arrays).map_err(io::Error::other)
}

fn array(ty: Type, place: usize, rows: &[Row]) -> ArrayRef {
    let cells = rows.iter().map(|row| &row.cells[place]);
    match ty {
        Type::Int => {
            let mut builder = Int64Builder::new();
            cells.for_each(|cell| builder.append_option(if let Value::Int(v) = cell { Some(*v) } else { None }));
            Arc::new(builder.finish())
        }
        Type::Float => {
            let mut builder = Float64Builder::new();
            cells.for_each(|cell| builder.append_option(if let Value::Float(v) = cell { Some(*v) } else { None }));
            Arc::new(builder.finish())
        }
        Type::Bool => {
            let mut builder = BooleanBuilder::new();
            cells.for_each(|cell| builder.append_option(if let Value::Bool(v) = cell { Some(*v) } else { None }));
            Arc::new(builder.finish())
        }
        Type::Text => {
            let mut builder = StringDictionaryBuilder::<Int32Type>::new();
            cells.for_each(|cell| builder.append_option(if let Value::Text(v) = cell { Some(&**v) } else { None }));
            Arc::new(builder.finish())
        }
        Type::Time => {
            let mut builder = TimestampMicrosecondBuilder::new();
            cells.for_each(|cell| builder.append_option(if let Value::Time(v) = cell { Some(*v) } else { None }));
            Arc::new(builder.finish().with_timezone("UTC"))
        }
        Type::Ints => {
            let mut builder = ListBuilder::new(Int32Builder::new());
            cells.for_each(|cell| {
                let ints = if let Value::Ints(v) = cell { Some(v.iter().copied().map(Some)) } else { None };
                builder.append_option(ints);
            });
            Arc::new(builder.finish())
        }
    }
}

/// A table's rows, in the order of the probe's columns now; a column that an older file has not is null.
pub(super) fn from_arrow(spec: &Spec, batch: &RecordBatch) -> Vec<Row> {
    let at = batch.column_by_name("sample_time").and_then(|array| array.as_primitive_opt::<TimestampMillisecondType>());
    let gone = batch.column_by_name("gone").and_then(|array| array.as_boolean_opt());
    let columns: Vec<Option<&ArrayRef>> = spec.columns.iter().map(|column| batch.column_by_name(column.name)).collect();
    let row = |row: usize| Row {
        at_ms: at.map_or(0, |at| at.value(row)),
        gone: gone.is_some_and(|gone| gone.value(row)),
        cells: columns.iter().map(|array| array.map_or(Value::Null, |array| read(array, row))).collect(),
    };
    (0..batch.num_rows()).map(row).collect()
}

fn read(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Int64 => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Value::Time(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row).into()),
        DataType::Dictionary(..) => array.as_dictionary_opt::<Int32Type>().map_or(Value::Null, |coded| {
            let place = usize::try_from(coded.keys().value(row)).unwrap_or(0);
            coded.values().as_string_opt::<i32>().map_or(Value::Null, |texts| Value::Text(texts.value(place).into()))
        }),
        DataType::List(_) => {
            let ints = array.as_list::<i32>().value(row);
            Value::Ints(ints.as_primitive_opt::<Int32Type>().map_or_else(Box::default, |ints| ints.values().to_vec().into()))
        }
        _ => Value::Null,
    }
}

/// A row as a source that a probe's row is read from.
#[derive(Debug)]
pub(super) struct Source<'a>(pub(super) &'a Row);

impl Source<'_> {
    fn cell(&self, column: usize) -> &Value {
        self.0.cells.get(column).unwrap_or(&Value::Null)
    }
}

fn wrong<T>(column: usize) -> Result<Option<T>, DecodeError> {
    Err(DecodeError { column: column.to_string(), problem: "the history holds another type".to_owned() })
}

macro_rules! sources {
    ($($name:ident: $ty:ty = |$cell:ident| { $($pattern:pat => $value:expr),+ };)+) => {
        impl RowSource for Source<'_> {
            $(fn $name(&mut self, column: usize) -> Result<Option<$ty>, DecodeError> {
                match self.cell(column) {
                    Value::Null => Ok(None),
                    $($pattern => Ok(Some($value)),)+
                    _ => wrong(column),
                }
            })+
        }
    };
}

sources! {
    int: i64 = |cell| { Value::Int(v) => *v };
    float: f64 = |cell| { Value::Float(v) => *v };
    bool: bool = |cell| { Value::Bool(v) => *v };
    text: Text = |cell| { Value::Text(v) => v.clone() };
    time: jiff::Timestamp = |cell| { Value::Time(v) => jiff::Timestamp::from_microsecond(*v).unwrap_or_default() };
    ints: Vec<i32> = |cell| { Value::Ints(v) => v.to_vec() };
}
