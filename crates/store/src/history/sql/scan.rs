//! Reads the rows of a table: the files and journals that may hold some, part by part, only the columns that are used.

use super::super::layout::{JournalFile, Sealed};
use super::super::sealing::Content as Journalled;
use super::super::session_table::{ASH, Sessions, TICKS};
use super::super::{History, frame_table, journal, parquet_file, probe_table};
use super::column::{Cell, Column};
use super::filter::{Filter, Rows};
use super::relation::{Content, Origin, Relation};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, RecordBatch};
use pgtend_model::past::remembered_every;
use pgtend_model::sample::registry::{SPECS, Spec};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What a query reads.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) history: History,
    /// The only server of interest; none for all.
    pub(super) server: Option<String>,
    /// When it has taken too long.
    pub(super) deadline: Instant,
    /// The numbers of parts, the same however often they are read.
    numbers: Mutex<HashMap<(String, usize), i64>>,
}

/// Some rows that lie together: a row group of a sealed file, or what a journal holds.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) number: i64,
    server: Arc<str>,
    spec: Option<&'static Spec>,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Sealed(Arc<parquet_file::Opened>, usize),
    Loaded(RecordBatch),
}

/// Columns of some rows, at the places of the table's columns; those that are not used are null.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Rows,
}

impl Scanned {
    pub(super) fn new(history: History, server: Option<String>, deadline: Instant) -> Self {
        Self { history, server, deadline, numbers: Mutex::default() }
    }

    /// Fails once it has taken too long.
    pub(super) fn in_time(&self) -> io::Result<()> {
        if Instant::now() < self.deadline { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
    }

    fn number(&self, place: String, group: usize) -> i64 {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let next = i64::try_from(numbers.len()).unwrap_or(i64::MAX);
        *numbers.entry((place, group)).or_insert(next)
    }

    /// The parts of a table in which there may be rows that are wanted. Files are open from then on: it does not matter if one is removed.
    pub(super) fn parts(&self, relation: &Relation, filter: &Filter) -> io::Result<Vec<Part>> {
        if filter.is_nothing() {
            return Ok(Vec::new());
        }
        let _nothing_is_removed = self.history.0.files.read().unwrap_or_else(PoisonError::into_inner);
        let servers = self.history.layout().servers()?.into_iter();
        let one = filter.text(relation, Origin::Server);
        let wanted = |server: &String| one.is_none_or(|one| one == server) && self.server.as_ref().is_none_or(|only| only == server);
        let mut parts = Vec::new();
        for server in servers.filter(wanted) {
            self.parts_of(relation, filter, &server, &mut parts)?;
        }
        Ok(parts)
    }

    fn parts_of(&self, relation: &Relation, filter: &Filter, server: &str, parts: &mut Vec<Part>) -> io::Result<()> {
        let named: Arc<str> = server.into();
        let specs = self.specs(relation, filter);
        for dataset in datasets(relation, &specs) {
            let spec = specs.iter().copied().find(|spec| spec.name == dataset);
            for file in self.history.layout().sealed_files(dataset, server)?.iter().filter(|file| reaches(file, filter)) {
                self.in_time()?;
                let opened = Arc::new(parquet_file::Opened::open(&file.path)?);
                for group in opened.groups_within((filter.from_ms, filter.to_ms)) {
                    let number = self.number(file.path.display().to_string(), group);
                    parts.push(Part { number, server: named.clone(), spec, data: Data::Sealed(opened.clone(), group) });
                }
            }
        }
        for file in self.history.layout().journals(server)?.iter().filter(|file| meets(file, filter)) {
            self.in_time()?;
            for (dataset, spec, table) in of_journal(relation, &specs, file)? {
                let number = self.number(format!("{}/{dataset}", file.path.display()), 0);
                parts.push(Part { number, server: named.clone(), spec, data: Data::Loaded(table) });
            }
        }
        Ok(())
    }

    fn specs(&self, relation: &Relation, filter: &Filter) -> Vec<&'static Spec> {
        match relation.content {
            Content::Probe(spec) => vec![spec],
            Content::Metrics => {
                let one = filter.text(relation, Origin::Probe);
                let remembered = SPECS.iter().filter(|spec| remembered_every(spec.probe).is_some());
                remembered.filter(|spec| one.is_none_or(|one| one == spec.name)).collect()
            }
            Content::Sessions | Content::Ticks | Content::Frames => Vec::new(),
        }
    }
}

fn datasets(relation: &Relation, specs: &[&'static Spec]) -> Vec<&'static str> {
    match relation.content {
        Content::Sessions => vec![ASH],
        Content::Ticks => vec![TICKS],
        Content::Frames => vec![frame_table::FRAMES],
        Content::Probe(_) | Content::Metrics => specs.iter().map(|spec| spec.name).collect(),
    }
}

fn reaches(file: &Sealed, filter: &Filter) -> bool {
    let span = file.span();
    span.start.as_millisecond() < filter.to_ms && filter.from_ms < span.end.as_millisecond()
}

fn meets(file: &JournalFile, filter: &Filter) -> bool {
    let span = file.hour.span();
    span.start.as_millisecond() < filter.to_ms && filter.from_ms < span.end.as_millisecond()
}

type Table = (&'static str, Option<&'static Spec>, RecordBatch);

fn of_journal(relation: &Relation, specs: &[&'static Spec], file: &JournalFile) -> io::Result<Vec<Table>> {
    match relation.content {
        Content::Sessions | Content::Ticks => {
            let mut sessions = Sessions::default();
            journal::read(&file.path, &mut |batch| sessions.add(&batch))?;
            let ash = matches!(relation.content, Content::Sessions);
            let table = if ash { sessions.table()? } else { sessions.ticks()? };
            Ok(table.map(|table| (if ash { ASH } else { TICKS }, None, table)).into_iter().collect())
        }
        Content::Frames => {
            let mut entries = Vec::new();
            journal::read(&file.path, &mut |batch| {
                entries.extend(batch.frames.iter().filter_map(|frame| frame_table::Entry::of(&batch, frame)));
            })?;
            Ok(vec![(frame_table::FRAMES, None, frame_table::to_arrow(&mut entries)?)])
        }
        Content::Probe(_) | Content::Metrics => {
            let probes: Vec<_> = specs.iter().map(|spec| spec.probe).collect();
            let mut content = Journalled::default();
            journal::read(&file.path, &mut |batch| content.add_of(&batch, &probes, &|_| true))?;
            let table = |spec: &&'static Spec| {
                let mut rows = content.rows.remove(spec.name)?;
                probe_table::sort(spec, &mut rows);
                Some(probe_table::to_arrow(spec, &rows).map(|table| (spec.name, Some(*spec), table)))
            };
            specs.iter().filter_map(table).collect()
        }
    }
}

impl Part {
    /// Its rows that are wanted, with these columns.
    pub(super) fn load(&self, relation: &Relation, used: &[usize], filter: &Filter) -> io::Result<Vec<Chunk>> {
        let within = self.extent().is_some_and(|extent| filter.covers(extent));
        let conditions = filter.equal.iter().map(|(field, _)| *field);
        let mut fields: Vec<usize> = used.iter().copied().chain(conditions).collect();
        fields.extend((!within).then(|| relation.time()));
        fields.sort_unstable();
        fields.dedup();
        let mut chunks = Vec::new();
        match relation.content {
            Content::Metrics => {
                let Some(spec) = self.spec else { return Ok(chunks) };
                for batch in self.batches(None)? {
                    super::long_form::chunks(relation, spec, &self.server, &batch, filter, &mut chunks);
                }
            }
            Content::Sessions | Content::Ticks | Content::Frames | Content::Probe(_) => {
                let names: Vec<&str> = fields.iter().filter_map(|field| relation.needs(*field)).collect();
                for batch in self.batches(Some(&names))? {
                    chunks.push(self.chunk(relation, &fields, &batch));
                }
            }
        }
        chunks.iter_mut().for_each(|chunk| chunk.narrow(relation, filter, within));
        chunks.retain(|chunk| chunk.rows.len() > 0);
        Ok(chunks)
    }

    /// The first and the last instant, where that is known without reading.
    fn extent(&self) -> Option<(i64, i64)> {
        match &self.data {
            Data::Sealed(file, group) => file.extent(*group),
            Data::Loaded(_) => None,
        }
    }

    fn batches(&self, columns: Option<&[&str]>) -> io::Result<Vec<RecordBatch>> {
        match &self.data {
            Data::Sealed(file, group) => file.read(*group, columns),
            Data::Loaded(table) => Ok(vec![table.clone()]),
        }
    }

    fn chunk(&self, relation: &Relation, fields: &[usize], batch: &RecordBatch) -> Chunk {
        let mut columns = vec![Column::Same(Cell::Null); relation.fields.len()];
        for field in fields {
            columns[*field] = match relation.fields[*field].origin {
                Origin::Server => Column::Same(Cell::Text(self.server.clone())),
                origin => column(batch, origin),
            };
        }
        Chunk { columns, rows: Rows::All(batch.num_rows()) }
    }
}

/// A column of a file's rows.
pub(super) fn column(batch: &RecordBatch, origin: Origin) -> Column {
    let name = match origin {
        Origin::File(name) => name,
        _ => "sample_time",
    };
    let Some(array) = batch.column_by_name(name) else { return Column::Same(Cell::Null) };
    let instants = || array.as_primitive_opt::<TimestampMillisecondType>().cloned();
    match origin {
        Origin::EpochMs => instants().map_or(Column::Same(Cell::Null), Column::EpochMs),
        Origin::Bucket(bucket) => instants().map_or(Column::Same(Cell::Null), |instants| Column::Buckets(bucket, instants)),
        _ => Column::of(array),
    }
}

impl Chunk {
    /// Leaves out what is not wanted.
    fn narrow(&mut self, relation: &Relation, filter: &Filter, within: bool) {
        let mut rows = std::mem::replace(&mut self.rows, Rows::All(0));
        if let (false, Column::Instants(at)) = (within, &self.columns[relation.time()]) {
            rows = rows.only(|row| at.is_valid(row) && (filter.from_ms..filter.to_ms).contains(&at.value(row)));
        }
        for (field, value) in &filter.equal {
            rows = rows.equal(&self.columns[*field], value);
        }
        self.rows = rows;
    }
}
