//! Gives out the rows of a table, one after the other.

use super::column::{Ref, Sql};
use super::filter::Filter;
use super::groups::{Details, Groups, Order};
use super::plan::Plan;
use super::relation::Relation;
use super::scan::{Chunk, Part, Scanned};
use std::cell::OnceCell;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// The rows that a plan gives.
#[derive(Debug)]
pub(super) struct Rows {
    scanned: Arc<Scanned>,
    relation: Arc<Relation>,
    plan: Plan,
    filter: Filter,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// As they lie.
    Stream(Stream),
    /// Group after group.
    Groups { parts: Vec<Part>, groups: Groups, details: OnceCell<Details>, place: usize, within: usize, row: usize },
}

#[derive(Debug, Default)]
struct Stream {
    parts: VecDeque<Part>,
    chunks: VecDeque<Chunk>,
    /// The number of the part that is read, and rows of it before the chunk.
    part: i64,
    before: usize,
    place: usize,
}

impl Rows {
    pub(super) fn new(scanned: Arc<Scanned>, relation: Arc<Relation>, plan: Plan, filter: Filter) -> io::Result<Self> {
        let parts = scanned.parts(&relation, &filter)?;
        let way = if plan.groups.is_empty() {
            Way::Stream(Stream { parts: parts.into(), ..Stream::default() })
        } else {
            let order = plan.sorted.as_ref().map_or(Order::Any, |down| Order::Sorted(down));
            let groups = Groups::count(&scanned, &relation, &parts, &plan.groups, &filter, order)?;
            Way::Groups { parts, groups, details: OnceCell::new(), place: 0, within: 0, row: 0 }
        };
        let mut rows = Self { scanned, relation, plan, filter, way };
        rows.fill()?;
        Ok(rows)
    }

    /// Reads on until there is a row, or none are left.
    fn fill(&mut self) -> io::Result<()> {
        let Way::Stream(stream) = &mut self.way else { return Ok(()) };
        while stream.chunks.is_empty() {
            let Some(part) = stream.parts.pop_front() else { return Ok(()) };
            self.scanned.in_time()?;
            stream.chunks = part.load(&self.relation, &self.plan.used, &self.filter)?.into();
            (stream.part, stream.before, stream.place) = (part.number, 0, 0);
        }
        Ok(())
    }

    /// Goes to the next row.
    pub(super) fn next(&mut self) -> io::Result<()> {
        match &mut self.way {
            Way::Stream(stream) => {
                stream.place += 1;
                let Some(chunk) = stream.chunks.front() else { return Ok(()) };
                if stream.place < chunk.rows.len() {
                    return Ok(());
                }
                stream.before += chunk.rows.len();
                stream.place = 0;
                stream.chunks.pop_front();
                self.fill()
            }
            Way::Groups { groups, place, within, row, .. } => {
                (*within, *row) = (*within + 1, *row + 1);
                if self.plan.distinct || *within >= groups.rows(*place) {
                    *row += groups.rows(*place) - *within;
                    (*place, *within) = (*place + 1, 0);
                }
                Ok(())
            }
        }
    }

    /// Whether there is none left.
    pub(super) fn is_over(&self) -> bool {
        match &self.way {
            Way::Stream(stream) => stream.chunks.is_empty(),
            Way::Groups { groups, place, .. } => *place >= groups.len(),
        }
    }

    /// A number of the row that stays the same however it is found.
    pub(super) fn number(&self) -> i64 {
        match &self.way {
            Way::Stream(stream) => {
                let within = stream.chunks.front().map_or(0, |chunk| stream.before + chunk.rows.row(stream.place));
                (stream.part << 32) | i64::try_from(within).unwrap_or(0)
            }
            Way::Groups { row, .. } => i64::try_from(*row).unwrap_or(0),
        }
    }

    /// The cell of a column.
    pub(super) fn cell<T>(&self, field: usize, set: impl FnOnce(Sql<'_>) -> T) -> io::Result<T> {
        let cell = match &self.way {
            Way::Stream(stream) => stream.chunks.front().map_or(Ref::Null, |chunk| chunk.columns[field].get(chunk.rows.row(stream.place))),
            Way::Groups { parts, groups, details, place, row, .. } => match groups.cell(*place, field) {
                Some(cell) => cell,
                None => self.details(parts, groups, details)?.cell(*row, field),
            },
        };
        Ok(cell.to_sql(set))
    }

    fn details<'a>(&self, parts: &[Part], groups: &Groups, details: &'a OnceCell<Details>) -> io::Result<&'a Details> {
        if let Some(details) = details.get() {
            return Ok(details);
        }
        let read = groups.details(&self.scanned, &self.relation, parts, &self.plan.others(), &self.filter)?;
        Ok(details.get_or_init(|| read))
    }
}
