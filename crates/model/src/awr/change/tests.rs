//! Growth across resets, evictions and gaps.

use super::*;
use crate::awr::period::Point;
use crate::past::Memory;
use crate::sample::Taken;
use crate::sample::database::Database;
use crate::sample::statements::Statement;
use crate::sample::testing::{row, sample};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn database(committed: i64, since: i64) -> Database {
    row(|row: &mut Database| {
        row.datid = 5;
        row.xact_commit = committed;
        row.stats_reset = Some(at(since));
    })
}

fn statement(queryid: i64, calls: i64, hit: i64) -> Statement {
    row(|row: &mut Statement| {
        row.queryid = queryid;
        row.calls = calls;
        row.total_exec_time = f64::from(i32::try_from(calls).unwrap()) * 2.0;
        row.shared_blks_hit = hit;
        row.stats_since = None;
    })
}

fn databases(readings: &[(i64, Database)]) -> Memory {
    let mut memory = Memory::default();
    for (second, row) in readings {
        memory.put(at(*second), Taken::Database(sample(*second, vec![row.clone()])));
    }
    memory
}

fn statements(readings: &[(i64, Vec<Statement>)]) -> Memory {
    let mut memory = Memory::default();
    for (second, rows) in readings {
        memory.put(at(*second), Taken::Statements(sample(*second, rows.clone())));
    }
    memory
}

fn changes<T: Probed>(memory: &Memory, from: i64, to: i64) -> Result<Changes<T>, Unknown> {
    Changes::of(&Period::between(memory, "main", Point::At(at(from)), Point::At(at(to))).unwrap())
}

#[test]
fn without_a_reset_it_is_the_difference_of_both_ends() {
    let changes = changes::<Database>(&databases(&[(10, database(100, 1)), (70, database(160, 1))]), 10, 70).unwrap();
    assert_eq!((changes.sum(|row| row.xact_commit), changes.seconds(), changes.resets.len()), (60, 60.0, 0));
    assert_eq!(changes.rows[0].fate, Fate::Kept);
}

#[test]
fn across_a_reset_the_readings_between_are_added_up() {
    let memory = databases(&[(10, database(100, 1)), (20, database(150, 1)), (30, database(7, 25)), (70, database(500, 25))]);
    let changes = changes::<Database>(&memory, 10, 70).unwrap();
    assert_eq!(changes.sum(|row| row.xact_commit), 50 + 7 + 493, "the last value alone, 500, would hide the reset");
    assert_eq!((changes.resets.clone(), changes.rows[0].fate), (vec![at(30)], Fate::Reset));
}

#[test]
fn a_reset_without_readings_between_counts_from_zero() {
    let changes = changes::<Database>(&databases(&[(10, database(100, 1)), (70, database(40, 50))]), 10, 70).unwrap();
    assert_eq!((changes.sum(|row| row.xact_commit), changes.rows[0].fate), (40, Fate::Reset));
}

#[test]
fn statements_that_come_go_and_come_back() {
    let memory = statements(&[
        (10, vec![statement(1, 100, 10), statement(2, 5, 5)]),
        (40, vec![statement(1, 130, 12), statement(2, 9, 9), statement(3, 4, 40)]),
        (70, vec![statement(1, 20, 30), statement(3, 6, 60)]),
    ]);
    let changes = changes::<Statement>(&memory, 10, 70).unwrap();
    let told: Vec<_> = changes.rows.iter().map(|row| (row.grown.queryid, row.fate, row.grown.calls, row.grown.shared_blks_hit)).collect();
    assert_eq!(told, [(1, Fate::Reset, 50, 32), (2, Fate::Vanished, 4, 4), (3, Fate::Appeared, 6, 60)]);
    assert!(changes.rows[1].after.is_none());
}

#[test]
fn history_that_begins_within_the_period_counts_from_its_first_reading() {
    let changes = changes::<Database>(&databases(&[(30, database(100, 1)), (70, database(160, 1))]), 10, 70).unwrap();
    assert_eq!((changes.from, changes.sum(|row| row.xact_commit)), (at(30), 60));
}

#[test]
fn one_reading_is_not_enough() {
    let unknown = changes::<Database>(&databases(&[(5, database(100, 1))]), 5, 6).unwrap_err();
    assert_eq!(unknown.reason, Reason::Pending);
}
