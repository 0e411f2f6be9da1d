//! What a journal holds: batches of session samples and readings, with every text once a batch.

use pgtend_model::ash;
use pgtend_model::sample::{Reason, Taken, Text, Unknown, Value};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What was recorded between two writes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) texts: Vec<Text>,
    pub(super) whos: Vec<Who>,
    pub(super) ticks: Vec<Tick>,
    pub(super) frames: Vec<Frame>,
}

/// A place in a batch's texts, from 1; 0 is none.
pub(super) type Index = u32;

/// Who, for the life of a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Who {
    pub(super) pid: i64,
    pub(super) backend_start_ms: Option<i64>,
    pub(super) database: Index,
    pub(super) user: Index,
    pub(super) application: Index,
    pub(super) client: Index,
    pub(super) backend_type: Index,
}

/// All sessions at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Tick {
    pub(super) at_ms: i64,
    pub(super) sessions: Vec<Seen>,
}

/// One session at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) who: u32,
    pub(super) state: Index,
    pub(super) wait_class: Index,
    pub(super) wait_type: Index,
    pub(super) wait_event: Index,
    pub(super) query_id: Option<i64>,
    pub(super) query_id_is_native: bool,
    pub(super) query_age_ms: Option<u32>,
    pub(super) xact_age_ms: Option<u32>,
    pub(super) cpu_ms: Option<f32>,
    pub(super) blocked_by: Vec<i32>,
}

/// One reading of a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Frame {
    pub(super) at_ms: i64,
    pub(super) took_ms: u32,
    pub(super) probe: Index,
    /// Names of the columns of `rows`.
    pub(super) columns: Vec<Index>,
    /// Whether rows that did not change are there too.
    pub(super) whole: bool,
    pub(super) rows: Vec<Vec<Cell>>,
    /// Rows that were there before and are no more: their labels, the other columns empty.
    pub(super) gone: Vec<Vec<Cell>>,
    /// Why there are no rows, as JSON.
    pub(super) unknown: Option<Why>,
    /// What is missing from the rows.
    pub(super) missing: Vec<Why>,
}

/// Why a figure could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Why {
    pub(super) reason: Reason,
    pub(super) detail: Index,
}

/// A column's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(Index),
    /// In µs since 1970.
    Time(i64),
    Ints(Vec<i32>),
}

/// Fills a batch, giving each text and session its index.
#[derive(Debug, Default)]
pub(super) struct Filling {
    batch: Batch,
    texts: HashMap<Text, Index>,
    whos: HashMap<Who, u32>,
    cells: usize,
}

impl Filling {
    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.ticks.is_empty() && self.batch.frames.is_empty()
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.cells * 16
    }

    /// The batch as it is.
    pub(super) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The batch, leaving an empty one.
    pub(super) fn take(&mut self) -> Batch {
        std::mem::take(self).batch
    }

    fn text(&mut self, text: &str) -> Index {
        if let Some(index) = self.texts.get(text) {
            return *index;
        }
        let text = Text::from(text);
        self.batch.texts.push(text.clone());
        let index = Index::try_from(self.batch.texts.len()).unwrap_or(0);
        self.texts.insert(text, index);
        index
    }

    fn optional(&mut self, text: Option<&Text>) -> Index {
        text.map_or(0, |text| self.text(text))
    }

    /// Adds the sessions at one instant.
    pub(super) fn tick(&mut self, tick: &ash::Tick) {
        let sessions: Vec<Seen> = tick.sessions.iter().map(|session| self.seen(session)).collect();
        self.cells += 1 + sessions.len() * 4;
        self.batch.ticks.push(Tick { at_ms: tick.at.as_millisecond(), sessions });
    }

    fn seen(&mut self, session: &ash::Session) -> Seen {
        let (wait_type, wait_event) = session.wait.as_ref().map_or((0, 0), |wait| (self.text(&wait.wait_type), self.text(&wait.event)));
        Seen {
            who: self.who(&session.who),
            state: self.text(session.state.word()),
            wait_class: self.text(session.class.name()),
            wait_type,
            wait_event,
            query_id: session.statement.as_ref().map(|statement| statement.id),
            query_id_is_native: session.statement.as_ref().is_some_and(|statement| statement.id_is_native),
            query_age_ms: session.query_age_ms,
            xact_age_ms: session.xact_age_ms,
            cpu_ms: session.cpu_ms,
            blocked_by: session.blocked_by.to_vec(),
        }
    }

    fn who(&mut self, who: &ash::Who) -> u32 {
        let who = Who {
            pid: who.pid,
            backend_start_ms: who.backend_start.map(jiff::Timestamp::as_millisecond),
            database: self.optional(who.database.as_ref()),
            user: self.optional(who.user.as_ref()),
            application: self.optional(who.application.as_ref()),
            client: self.optional(who.client.as_ref()),
            backend_type: self.optional(who.backend_type.as_ref()),
        };
        if let Some(index) = self.whos.get(&who) {
            return *index;
        }
        let index = u32::try_from(self.batch.whos.len()).unwrap_or(0);
        self.batch.whos.push(who.clone());
        self.whos.insert(who, index);
        index
    }

    /// Adds those rows of a reading that are wanted, and the labels of those that are gone.
    pub(super) fn frame(&mut self, taken: &Taken, head: Head, rows: &[usize], gone: &[Vec<Option<Owned>>]) {
        let columns = taken.probe().spec().columns;
        let names = columns.iter().map(|column| self.text(column.name)).collect();
        let mut kept = Vec::with_capacity(rows.len());
        for row in rows {
            kept.push((0..columns.len()).map(|column| self.cell(taken.value(*row, column))).collect());
        }
        let gone: Vec<Vec<Cell>> = gone.iter().map(|labels| labels.iter().map(|label| self.owned(label.as_ref())).collect()).collect();
        self.cells += (rows.len() + gone.len()) * columns.len();
        let missing = taken.missing().iter().map(|unknown| self.why(unknown)).collect();
        let probe = self.text(taken.probe().spec().name);
        self.batch.frames.push(Frame {
            at_ms: head.at_ms,
            took_ms: head.took_ms,
            probe,
            columns: names,
            whole: head.whole,
            rows: kept,
            gone,
            unknown: None,
            missing,
        });
    }

    /// Adds that a probe could not be read.
    pub(super) fn unknown(&mut self, at_ms: i64, probe: &str, unknown: &Unknown) {
        let (probe, unknown) = (self.text(probe), Some(self.why(unknown)));
        let (columns, rows, gone, missing) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        self.cells += 4;
        self.batch.frames.push(Frame { at_ms, took_ms: 0, probe, columns, whole: false, rows, gone, unknown, missing });
    }

    fn why(&mut self, unknown: &Unknown) -> Why {
        Why { reason: unknown.reason, detail: self.text(&unknown.detail) }
    }

    fn cell(&mut self, value: Value<'_>) -> Cell {
        match value {
            Value::Null => Cell::Null,
            Value::Int(v) => Cell::Int(v),
            Value::Float(v) => Cell::Float(v),
            Value::Bool(v) => Cell::Bool(v),
            Value::Text(v) => Cell::Text(self.text(v)),
            Value::Time(v) => Cell::Time(v.as_microsecond()),
            Value::Ints(v) => Cell::Ints(v.to_vec()),
        }
    }

    fn owned(&mut self, value: Option<&Owned>) -> Cell {
        match value {
            None => Cell::Null,
            Some(Owned::Int(v)) => Cell::Int(*v),
            Some(Owned::Bool(v)) => Cell::Bool(*v),
            Some(Owned::Time(v)) => Cell::Time(*v),
            Some(Owned::Text(v)) => Cell::Text(self.text(v)),
        }
    }
}

/// What identifies a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) at_ms: i64,
    pub(super) took_ms: u32,
    pub(super) whole: bool,
}

/// A label's content, kept to tell later that its row is gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Owned {
    Int(i64),
    Bool(bool),
    Time(i64),
    Text(Text),
}

impl Owned {
    /// Of a label; none where it has no content (or is no label type).
    pub(super) fn of(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Int(v) => Some(Self::Int(v)),
            Value::Bool(v) => Some(Self::Bool(v)),
            Value::Time(v) => Some(Self::Time(v.as_microsecond())),
            Value::Text(v) => Some(Self::Text(v.into())),
            Value::Null | Value::Float(_) | Value::Ints(_) => None,
        }
    }
}

impl Batch {
    /// A text by its index.
    pub(super) fn text(&self, index: Index) -> Option<&Text> {
        (index as usize).checked_sub(1).and_then(|place| self.texts.get(place))
    }

    /// Why something was not known.
    pub(super) fn why(&self, why: &Why) -> Unknown {
        Unknown::new(why.reason, self.text(why.detail).map_or("", |text| text))
    }
}
