//! Rows put together by some columns, as GROUP BY and DISTINCT want them: SQLite needs no sorting then.
//!
//! First all rows are only counted, each group by itself, from the columns that are grouped by. The other columns are read when SQLite
//! asks for one of them, which for `count(*)` it never does.

use super::column::{Cell, Ref};
use super::filter::Filter;
use super::relation::Relation;
use super::scan::{Chunk, Part, Scanned};
use rustc_hash::FxHashMap;
use std::cmp::Ordering;
use std::io;
use std::sync::Arc;

/// The most that rows of other columns may take, in bytes.
const MOST_BYTES: usize = 192 << 20;
/// What a cell of another column takes.
const CELL_BYTES: usize = 9;

/// The groups of some rows.
#[derive(Debug)]
pub(super) struct Groups {
    fields: Vec<usize>,
    /// Of each group its cells, in the order of `fields`.
    cells: Vec<Vec<Cell>>,
    counts: Vec<usize>,
    /// The groups in the order in which they are given out.
    order: Vec<usize>,
}

/// How groups are to follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order<'a> {
    /// In any order.
    Any,
    /// As SQLite sorts them; of each column whether it goes down.
    Sorted(&'a [bool]),
}

impl Groups {
    /// Counts the rows of each group.
    pub(super) fn count(
        scanned: &Scanned,
        relation: &Relation,
        parts: &[Part],
        fields: &[usize],
        filter: &Filter,
        order: Order<'_>,
    ) -> io::Result<Self> {
        let mut coder = Coder::new(fields);
        let mut counts: Vec<usize> = Vec::new();
        let mut codes = Vec::new();
        for part in parts {
            scanned.in_time()?;
            for chunk in part.load(relation, fields, filter)? {
                coder.code(&chunk, &mut codes);
                counts.resize(coder.groups.len(), 0);
                codes.iter().for_each(|code| counts[*code as usize] += 1);
            }
        }
        let cells = coder.cells();
        let mut groups = Self { fields: fields.to_vec(), order: (0..cells.len()).collect(), cells, counts };
        if let Order::Sorted(down) = order {
            let cells = &groups.cells;
            groups.order.sort_by(|a, b| compare(&cells[*a], &cells[*b], down));
        }
        Ok(groups)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Rows of the group at a place.
    pub(super) fn rows(&self, place: usize) -> usize {
        self.counts[self.order[place]]
    }

    /// What the group at a place has in a column; none where it is not grouped by that.
    pub(super) fn cell(&self, place: usize, field: usize) -> Option<Ref<'_>> {
        let column = self.fields.iter().position(|known| *known == field)?;
        Some(self.cells[self.order[place]][column].get())
    }

    /// Reads the other columns, row by row in the order of the groups.
    pub(super) fn details(
        &self,
        scanned: &Scanned,
        relation: &Relation,
        parts: &[Part],
        others: &[usize],
        filter: &Filter,
    ) -> io::Result<Details> {
        let rows: usize = self.counts.iter().sum();
        if rows.saturating_mul(others.len()).saturating_mul(CELL_BYTES) > MOST_BYTES {
            let problem = format!("too many rows to group at once: {rows}; narrow sample_time, or use fewer columns");
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, problem));
        }
        let mut next = vec![0; self.counts.len()];
        let mut start = 0;
        for group in &self.order {
            next[*group] = start;
            start += self.counts[*group];
        }
        let mut details = Details { columns: others.iter().map(|field| (*field, Detail::new(rows))).collect() };
        let all: Vec<usize> = self.fields.iter().chain(others).copied().collect();
        let mut coder = Coder::new(&self.fields);
        let (mut codes, mut places) = (Vec::new(), Vec::new());
        for part in parts {
            scanned.in_time()?;
            for chunk in part.load(relation, &all, filter)? {
                coder.code(&chunk, &mut codes);
                places.clear();
                for code in &codes {
                    let place = &mut next[*code as usize];
                    places.push(*place);
                    *place += 1;
                }
                details.columns.iter_mut().for_each(|(field, detail)| detail.add(&chunk, *field, &places));
            }
        }
        Ok(details)
    }
}

/// As SQLite compares: null, numbers, texts by their bytes.
fn compare(a: &[Cell], b: &[Cell], down: &[bool]) -> Ordering {
    let each = a.iter().zip(b).zip(down).map(|((a, b), down)| {
        let order = cells_compare(a, b);
        if *down { order.reverse() } else { order }
    });
    each.fold(Ordering::Equal, Ordering::then)
}

fn cells_compare(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Int(a), Cell::Int(b))
        | (Cell::Instant(a), Cell::Instant(b))
        | (Cell::Fine(a), Cell::Fine(b))
        | (Cell::Bucket(_, a), Cell::Bucket(_, b)) => a.cmp(b),
        (Cell::Real(a), Cell::Real(b)) => a.total_cmp(b),
        (Cell::Text(a), Cell::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Cell::Null, Cell::Null) => Ordering::Equal,
        (Cell::Null, _) => Ordering::Less,
        (_, Cell::Null) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

/// Gives each group a number, in the order in which they come.
struct Coder {
    columns: Vec<(usize, Keys)>,
    /// Of each group, the codes of its columns.
    groups: Vec<Vec<u32>>,
    known: FxHashMap<Vec<u32>, u32>,
}

#[derive(Default)]
struct Keys {
    numbers: FxHashMap<(u8, i64), u32>,
    texts: FxHashMap<Arc<str>, u32>,
    cells: Vec<Cell>,
}

impl Keys {
    fn code(&mut self, value: Ref<'_>) -> u32 {
        let next = u32::try_from(self.cells.len()).unwrap_or(u32::MAX);
        let numbered = match value {
            Ref::Null => (0, 0),
            Ref::Int(v) | Ref::Instant(v) | Ref::Fine(v) | Ref::Bucket(_, v) => (1, v),
            Ref::Real(v) => (2, v.to_bits().cast_signed()),
            Ref::Text(text) => return self.text(text),
            Ref::Pids(_) => {
                let Cell::Text(text) = value.to_cell() else { return next };
                return self.text(&text);
            }
        };
        *self.numbers.entry(numbered).or_insert_with(|| {
            self.cells.push(value.to_cell());
            next
        })
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(code) = self.texts.get(text) {
            return *code;
        }
        let code = u32::try_from(self.cells.len()).unwrap_or(u32::MAX);
        let text: Arc<str> = text.into();
        self.cells.push(Cell::Text(text.clone()));
        self.texts.insert(text, code);
        code
    }

    /// The codes of a column's rows.
    fn codes(&mut self, chunk: &Chunk, field: usize) -> Vec<u32> {
        use super::column::Column;
        let column = &chunk.columns[field];
        if let Column::Same(cell) = column {
            return vec![self.code(cell.get()); chunk.rows.len()];
        }
        if let Column::Words(keys, _) = column {
            let mut known: FxHashMap<i32, u32> = FxHashMap::default();
            let mut last = (-1, 0);
            let code = |row: usize| {
                let key = if column.is_null(row) { -2 } else { keys.value(row) };
                if key != last.0 {
                    last = (key, *known.entry(key).or_insert_with(|| self.code(column.get(row))));
                }
                last.1
            };
            return chunk.rows.iter().map(code).collect();
        }
        let mut last: Option<(Ref<'_>, u32)> = None;
        let code = |row: usize| {
            let value = column.get(row);
            match last {
                Some((same, code)) if same == value => code,
                _ => {
                    let code = self.code(value);
                    last = Some((value, code));
                    code
                }
            }
        };
        chunk.rows.iter().map(code).collect()
    }
}

impl Coder {
    fn new(fields: &[usize]) -> Self {
        let columns = fields.iter().map(|field| (*field, Keys::default())).collect();
        Self { columns, groups: Vec::new(), known: FxHashMap::default() }
    }

    /// The groups of a chunk's rows.
    fn code(&mut self, chunk: &Chunk, codes: &mut Vec<u32>) {
        let columns: Vec<Vec<u32>> = self.columns.iter_mut().map(|(field, keys)| keys.codes(chunk, *field)).collect();
        codes.clear();
        let mut group: Vec<u32> = Vec::with_capacity(columns.len());
        let mut last: Option<u32> = None;
        for row in 0..chunk.rows.len() {
            let same = last.is_some() && columns.iter().zip(&group).all(|(column, code)| column[row] == *code);
            if !same {
                group.clear();
                group.extend(columns.iter().map(|column| column[row]));
                last = Some(self.number(&group));
            }
            codes.extend(last);
        }
    }

    fn number(&mut self, group: &[u32]) -> u32 {
        if let Some(number) = self.known.get(group) {
            return *number;
        }
        let number = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        self.groups.push(group.to_vec());
        self.known.insert(group.to_vec(), number);
        number
    }

    fn cells(&self) -> Vec<Vec<Cell>> {
        let cell = |(column, code): (&(usize, Keys), &u32)| column.1.cells[*code as usize].clone();
        self.groups.iter().map(|group| self.columns.iter().zip(group).map(cell).collect()).collect()
    }
}

/// The columns that are not grouped by.
#[derive(Debug)]
pub(super) struct Details {
    columns: Vec<(usize, Detail)>,
}

impl Details {
    /// A cell, by the place of its row among all.
    pub(super) fn cell(&self, row: usize, field: usize) -> Ref<'_> {
        self.columns.iter().find(|(known, _)| *known == field).map_or(Ref::Null, |(_, detail)| detail.get(row))
    }
}

/// A column row by row: its kind and its bits.
#[derive(Debug)]
struct Detail {
    kinds: Vec<u8>,
    bits: Vec<i64>,
    texts: Keys,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.cells.fmt(f)
    }
}

const NULL: u8 = 0;
const INT: u8 = 1;
const REAL: u8 = 2;
/// The bits are a place among all cells that are neither.
const OTHER: u8 = 3;
const INSTANT: u8 = 4;

impl Detail {
    fn new(rows: usize) -> Self {
        Self { kinds: vec![NULL; rows], bits: vec![0; rows], texts: Keys::default() }
    }

    fn add(&mut self, chunk: &Chunk, field: usize, places: &[usize]) {
        let column = &chunk.columns[field];
        for (row, place) in chunk.rows.iter().zip(places) {
            let (kind, bits) = match column.get(row) {
                Ref::Null => continue,
                Ref::Int(v) => (INT, v),
                Ref::Real(v) => (REAL, v.to_bits().cast_signed()),
                Ref::Instant(v) => (INSTANT, v),
                other => (OTHER, i64::from(self.texts.code(other))),
            };
            (self.kinds[*place], self.bits[*place]) = (kind, bits);
        }
    }

    fn get(&self, row: usize) -> Ref<'_> {
        let bits = self.bits[row];
        match self.kinds[row] {
            INT => Ref::Int(bits),
            REAL => Ref::Real(f64::from_bits(bits.cast_unsigned())),
            INSTANT => Ref::Instant(bits),
            OTHER => usize::try_from(bits).ok().and_then(|place| self.texts.cells.get(place)).map_or(Ref::Null, Cell::get),
            _ => Ref::Null,
        }
    }
}
