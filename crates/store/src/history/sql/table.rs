//! The tables as SQLite's virtual tables.
#![expect(unsafe_code, reason = "SQLite knows virtual tables as C structures that begin with its own")]

use super::column::Sql;
use super::cursor::Rows;
use super::filter::{Filter, Operator};
use super::instant;
use super::plan::Plan;
use super::relation::{Origin, Relation};
use super::scan::Scanned;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::vtab::{
    Context, DistinctMode, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConfig, VTabConnection, VTabCursor, sqlite3_vtab,
    sqlite3_vtab_cursor,
};
use rusqlite::{Connection, Error, Result};
use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};
use std::io;
use std::sync::Arc;

/// Beyond this many other columns SQLite's own sorter, which goes to disk, is the better one.
const MOST_OTHERS: usize = 3;
/// SQLite passes over a comparison that is done here only when it is among the first.
const MOST_COMPARISONS: usize = 12;
/// What reading a table costs that is not narrowed down, in SQLite's own measure.
const COST: f64 = 1e8;

const MODULE: &Module<'static, Table> = &Module::eponymous_only_module();

/// What a table is, for SQLite to keep.
type Source = (Arc<Scanned>, Arc<Relation>);

/// Makes a table known to a connection.
pub(super) fn register(connection: &Connection, scanned: &Arc<Scanned>, relation: Relation) -> Result<()> {
    connection.create_module(relation.name, MODULE, Some((scanned.clone(), Arc::new(relation))))
}

/// A table, as SQLite knows it.
#[repr(C)]
struct Table {
    /// SQLite's own part; it must be the first.
    base: sqlite3_vtab,
    scanned: Arc<Scanned>,
    relation: Arc<Relation>,
}

// SAFETY: the structure is `repr(C)` and begins with SQLite's `sqlite3_vtab`, which nothing here touches.
unsafe impl VTab<'_> for Table {
    type Aux = Source;
    type Cursor = Cursor;

    fn connect(
        db: &mut VTabConnection,
        aux: Option<&Source>,
        _module: &[u8],
        _database: &[u8],
        _table: &[u8],
        _arguments: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        let (scanned, relation) = aux.cloned().ok_or_else(|| Error::ModuleError("a table without a source".to_owned()))?;
        db.config(VTabConfig::Innocuous)?;
        let declaration = CString::new(relation.declaration())?;
        Ok((Cow::Owned(declaration), Self { base: sqlite3_vtab::default(), scanned, relation }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let mut plan = Plan { used: used(info.col_used(), self.relation.fields.len()), ..Plan::default() };
        plan.comparisons = self.take_comparisons(info)?;
        let ordered = take_order(&mut plan, info, self.relation.fields.len());
        let narrowed = i32::try_from(plan.comparisons.len()).unwrap_or(i32::MAX);
        info.set_estimated_cost(COST * 0.3_f64.powi(narrowed));
        info.set_estimated_rows(1_000_000 >> narrowed.min(10));
        info.set_order_by_consumed(ordered);
        info.set_idx_str(&plan.write());
        Ok(true)
    }

    fn open(&mut self) -> Result<Cursor> {
        let (scanned, relation) = (self.scanned.clone(), self.relation.clone());
        Ok(Cursor { base: sqlite3_vtab_cursor::default(), scanned, relation, rows: None })
    }
}

/// The places in SQLite's mask; its last bit stands for all columns from there on.
fn used(mask: u64, columns: usize) -> Vec<usize> {
    (0..columns).filter(|place| mask >> (*place).min(63) & 1 == 1).collect()
}

impl Table {
    /// The comparisons that are done here, or help to read less.
    fn take_comparisons(&self, info: &mut IndexInfo) -> Result<Vec<(usize, Operator)>> {
        let mut collations = Vec::new();
        for place in 0..info.constraints().count() {
            collations.push(info.collation(place)?.to_lowercase());
        }
        let mut taken = Vec::new();
        for ((constraint, mut usage), collation) in info.constraints_and_usages().zip(collations) {
            let Ok(field) = usize::try_from(constraint.column()) else { continue };
            let is_time = self.relation.fields.get(field).is_some_and(|field| field.origin == Origin::Time);
            let operator = operator(&constraint.operator()).filter(|operator| is_time || *operator == Operator::Equal);
            let usual = collation == if is_time { instant::COLLATION } else { "binary" };
            let Some(operator) = operator.filter(|_| constraint.is_usable() && usual && taken.len() < MOST_COMPARISONS) else { continue };
            taken.push((field, operator));
            usage.set_argv_index(c_int::try_from(taken.len()).unwrap_or(0));
            usage.set_omit(is_time);
        }
        Ok(taken)
    }
}

fn operator(op: &IndexConstraintOp) -> Option<Operator> {
    match op {
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ => Some(Operator::Equal),
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LT => Some(Operator::Less),
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LE => Some(Operator::LessOrEqual),
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GT => Some(Operator::Greater),
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GE => Some(Operator::GreaterOrEqual),
        _ => None,
    }
}

/// Whether rows come in the order that SQLite wants: put together by columns where it groups by them, sorted where those are all it uses.
fn take_order(plan: &mut Plan, info: &IndexInfo, columns: usize) -> bool {
    let terms: Vec<(Option<usize>, bool)> = info
        .order_bys()
        .map(|term| (usize::try_from(term.column()).ok().filter(|field| *field < columns), term.is_order_by_desc()))
        .collect();
    let fields: Option<Vec<usize>> = terms.iter().map(|(field, _)| *field).collect();
    let Some(fields) = fields.filter(|fields| !fields.is_empty()) else { return false };
    let compared = |field: &usize| plan.comparisons.iter().any(|(known, _)| known == field);
    let others: Vec<usize> = plan.used.iter().copied().filter(|field| !fields.contains(field)).collect();
    match info.distinct() {
        DistinctMode::Grouped | DistinctMode::Distinct => {
            if others.len() > MOST_OTHERS {
                return false;
            }
            plan.distinct = info.distinct() == DistinctMode::Distinct && others.is_empty();
        }
        _ => {
            if !others.iter().all(compared) {
                return false;
            }
            plan.sorted = Some(terms.iter().map(|(_, down)| *down).collect());
        }
    }
    plan.groups = fields;
    true
}

/// Goes through a table, as SQLite knows it.
#[repr(C)]
struct Cursor {
    /// SQLite's own part; it must be the first.
    base: sqlite3_vtab_cursor,
    scanned: Arc<Scanned>,
    relation: Arc<Relation>,
    rows: Option<Rows>,
}

// SAFETY: the structure is `repr(C)` and begins with SQLite's `sqlite3_vtab_cursor`, which nothing here touches.
unsafe impl VTabCursor for Cursor {
    fn filter(&mut self, _number: c_int, plan: Option<&str>, values: &Filters<'_>) -> Result<()> {
        let plan = Plan::read(plan.unwrap_or_default());
        let mut filter = Filter::default();
        for ((field, operator), value) in plan.comparisons.iter().zip(values.iter()) {
            filter.add(&self.relation, *field, *operator, Value::try_from(value)?).map_err(Error::ModuleError)?;
        }
        self.rows = Some(Rows::new(self.scanned.clone(), self.relation.clone(), plan, filter).map_err(|error| failed(&error))?);
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.rows.as_mut().map_or(Ok(()), Rows::next).map_err(|error| failed(&error))
    }

    fn eof(&self) -> bool {
        self.rows.as_ref().is_none_or(Rows::is_over)
    }

    fn column(&self, context: &mut Context, column: c_int) -> Result<()> {
        let (Some(rows), Ok(field)) = (&self.rows, usize::try_from(column)) else { return Ok(()) };
        rows.cell(field, |value| context.set_result(output(value))).map_err(|error| failed(&error))?
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.rows.as_ref().map_or(0, Rows::number))
    }
}

fn output(value: Sql<'_>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        Sql::Null => ValueRef::Null,
        Sql::Int(v) => ValueRef::Integer(v),
        Sql::Real(v) => ValueRef::Real(v),
        Sql::Text(v) => ValueRef::Text(v.as_bytes()),
    })
}

fn failed(error: &io::Error) -> Error {
    Error::ModuleError(error.to_string())
}
