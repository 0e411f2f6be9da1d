//! Session samples as blocks, as the model counts them.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use pgtend_model::ash::block::{Block, Coded, Dimension, Key, Wanted};
use pgtend_model::sample::Text;
use rustc_hash::FxHashMap;
use std::hash::Hash;

/// The columns of the dataset that answer for what is wanted.
pub(super) fn columns(wanted: &Wanted) -> Vec<&'static str> {
    let mut names = vec!["sample_time"];
    let conditions = wanted.only.iter().map(|(dimension, _)| dimension);
    for dimension in wanted.columns.dimensions.iter().chain(conditions) {
        names.extend_from_slice(columns_of(*dimension));
    }
    if wanted.columns.cpu {
        names.push("cpu_ms");
    }
    if wanted.columns.ages {
        names.extend(["query_age_ms", "xact_age_ms"]);
    }
    if wanted.columns.native {
        names.push("query_id_is_native");
    }
    if wanted.columns.blockers || wanted.blocked {
        names.push("blocked_by");
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn columns_of(dimension: Dimension) -> &'static [&'static str] {
    match dimension {
        Dimension::Query => &["query_id"],
        Dimension::WaitClass => &["wait_class"],
        Dimension::WaitEvent => &["wait_event_type", "wait_event"],
        Dimension::State => &["state"],
        Dimension::Database => &["database"],
        Dimension::User => &["user"],
        Dimension::Application => &["application"],
        Dimension::Client => &["client"],
        Dimension::BackendType => &["backend_type"],
        Dimension::Session => &["pid", "backend_start"],
    }
}

/// The block of a table's rows.
pub(super) fn block(table: &RecordBatch, wanted: &Wanted) -> Block {
    let mut block = Block { at_ms: instants(table), ..Block::default() };
    for dimension in Dimension::ALL {
        if columns_of(dimension).iter().all(|name| table.column_by_name(name).is_some()) {
            block.dimensions.insert(dimension, coded(table, dimension));
        }
    }
    block.cpu_ms = numbers(table, "cpu_ms", |cpu_ms| cpu_ms.map_or(f32::NAN, small));
    block.query_age_ms = numbers(table, "query_age_ms", |age| age.map_or(-1, i64::from));
    block.xact_age_ms = numbers(table, "xact_age_ms", |age| age.map_or(-1, i64::from));
    block.blocked_by = blockers(table);
    block.native = flags(table, "query_id_is_native");
    block.only(wanted)
}

#[expect(clippy::cast_precision_loss, reason = "ms of one sample are few")]
fn small(cpu_ms: i32) -> f32 {
    cpu_ms as f32
}

fn instants(table: &RecordBatch) -> Vec<i64> {
    let at = table.column_by_name("sample_time").and_then(|array| array.as_primitive_opt::<TimestampMillisecondType>());
    at.map_or_else(Vec::new, |at| at.values().to_vec())
}

fn numbers<T>(table: &RecordBatch, column: &str, convert: impl Fn(Option<i32>) -> T) -> Vec<T> {
    let array = table.column_by_name(column).and_then(|array| array.as_primitive_opt::<Int32Type>());
    match array {
        None => Vec::new(),
        Some(array) if array.null_count() == 0 => array.values().iter().map(|number| convert(Some(*number))).collect(),
        Some(array) => array.iter().map(convert).collect(),
    }
}

fn flags(table: &RecordBatch, column: &str) -> Vec<bool> {
    let array = table.column_by_name(column).and_then(|array| array.as_boolean_opt());
    array.map_or_else(Vec::new, |array| array.iter().map(Option::unwrap_or_default).collect())
}

fn blockers(table: &RecordBatch) -> Vec<Box<[i32]>> {
    let Some(lists) = table.column_by_name("blocked_by").and_then(|array| array.as_list_opt::<i32>()) else { return Vec::new() };
    let pids = |row: usize| -> Box<[i32]> {
        if lists.is_null(row) {
            return Box::default();
        }
        lists.value(row).as_primitive_opt::<Int32Type>().map_or_else(Box::default, |pids| pids.values().to_vec().into())
    };
    (0..lists.len()).map(pids).collect()
}

fn coded(table: &RecordBatch, dimension: Dimension) -> Coded {
    match dimension {
        Dimension::Query => queries(table),
        Dimension::Session => sessions(table),
        Dimension::WaitEvent => wait_events(table),
        Dimension::WaitClass
        | Dimension::State
        | Dimension::Database
        | Dimension::User
        | Dimension::Application
        | Dimension::Client
        | Dimension::BackendType => {
            let (texts, codes) = texts(table, columns_of(dimension)[0]);
            let keys = texts.into_iter().map(|text| text.map_or(Key::None, Key::Text)).collect();
            Coded { keys, codes }
        }
    }
}

/// The texts of a column and a code a row; the last text stands for null.
fn texts(table: &RecordBatch, column: &str) -> (Vec<Option<Text>>, Vec<u32>) {
    let Some(array) = table.column_by_name(column).and_then(|array| array.as_dictionary_opt::<Int32Type>()) else {
        return (vec![None], vec![0; table.num_rows()]);
    };
    let mut texts: Vec<Option<Text>> =
        array.values().as_string_opt::<i32>().map_or_else(Vec::new, |texts| texts.iter().map(|text| text.map(Text::from)).collect());
    let none = u32::try_from(texts.len()).unwrap_or(0);
    texts.push(None);
    let codes = if array.null_count() == 0 {
        array.keys().values().iter().map(|key| u32::try_from(*key).unwrap_or(none)).collect()
    } else {
        array.keys().iter().map(|key| key.and_then(|key| u32::try_from(key).ok()).unwrap_or(none)).collect()
    };
    (texts, codes)
}

/// Codes values that often follow one another unchanged.
fn code<T: Hash + Eq + Copy>(values: impl Iterator<Item = T>, key: impl Fn(T) -> Key) -> Coded {
    let mut known: FxHashMap<T, u32> = FxHashMap::default();
    let mut coded = Coded::default();
    let mut last: Option<(T, u32)> = None;
    for value in values {
        let code = match last {
            Some((same, code)) if same == value => code,
            _ => known.get(&value).copied().unwrap_or_else(|| {
                let code = u32::try_from(coded.keys.len()).unwrap_or(u32::MAX);
                coded.keys.push(key(value));
                known.insert(value, code);
                code
            }),
        };
        last = Some((value, code));
        coded.codes.push(code);
    }
    coded
}

fn queries(table: &RecordBatch) -> Coded {
    let Some(ids) = table.column_by_name("query_id").and_then(|array| array.as_primitive_opt::<Int64Type>()) else {
        return Coded { keys: vec![Key::None], codes: vec![0; table.num_rows()] };
    };
    if ids.null_count() == 0 {
        return code(ids.values().iter().copied(), Key::Query);
    }
    code(ids.iter(), |id| id.map_or(Key::None, Key::Query))
}

fn sessions(table: &RecordBatch) -> Coded {
    let pids = table.column_by_name("pid").and_then(|array| array.as_primitive_opt::<Int32Type>());
    let starts = table.column_by_name("backend_start").and_then(|array| array.as_primitive_opt::<TimestampMillisecondType>());
    let (Some(pids), Some(starts)) = (pids, starts) else { return Coded { keys: vec![Key::None], codes: vec![0; table.num_rows()] } };
    code(pids.values().iter().copied().zip(starts.iter()), |(pid, start)| Key::Session(i64::from(pid), start))
}

fn wait_events(table: &RecordBatch) -> Coded {
    let (types, type_codes) = texts(table, "wait_event_type");
    let (events, event_codes) = texts(table, "wait_event");
    let name = |(wait_type, event): (u32, u32)| match (&types[wait_type as usize], &events[event as usize]) {
        (Some(wait_type), Some(event)) => Key::Text(format!("{wait_type}:{event}").into()),
        _ => Key::None,
    };
    code(type_codes.iter().copied().zip(event_codes.iter().copied()), name)
}
