//! pg_stat_statements. No series unless `[metrics] max_statements` allows some: each statement costs five.

use crate::metric::scrape::Subject;
use crate::metric::single::singles;
use crate::sample::Probe;
use crate::sample::statements::Statement;
use std::collections::BTreeMap;

singles! {
    /// Statements by role, database and identifier.
    STATEMENTS;
    counter pg_stat_statements_calls_total { user, datname, queryid } shows Statements.calls, "Times the statement was executed.",
    |subject, series| each(subject, |labels, row| series.add(labels, row.calls));
    counter pg_stat_statements_seconds_total { user, datname, queryid } shows Statements.total_exec_time, "Time spent executing the statement.",
    |subject, series| each(subject, |labels, row| series.add(labels, row.total_exec_time / 1000.0));
    counter pg_stat_statements_rows_total { user, datname, queryid } shows Statements.rows, "Rows returned or changed by the statement.",
    |subject, series| each(subject, |labels, row| series.add(labels, row.rows));
    counter pg_stat_statements_block_read_seconds_total { user, datname, queryid } shows Statements.shared_blk_read_time, "Time the statement spent reading blocks; 0 unless track_io_timing is on.",
    |subject, series| each(subject, |labels, row| series.add(labels, row.shared_blk_read_time / 1000.0));
    counter pg_stat_statements_block_write_seconds_total { user, datname, queryid } shows Statements.shared_blk_write_time, "Time the statement spent writing blocks; 0 unless track_io_timing is on.",
    |subject, series| each(subject, |labels, row| series.add(labels, row.shared_blk_write_time / 1000.0));
}

/// Goes over the statements that have series, with the names of their role and database.
fn each(subject: &Subject<'_>, mut add: impl FnMut(&[&str], &Statement)) {
    let readings = &subject.view.readings;
    let Ok(sample) = readings.statements.current() else { return };
    let roles: BTreeMap<i64, &str> =
        readings.roles.current().iter().flat_map(|sample| &sample.rows).map(|row| (row.oid, &*row.rolname)).collect();
    let databases: BTreeMap<i64, &str> =
        readings.database.current().iter().flat_map(|sample| &sample.rows).map(|row| (row.datid, &*row.datname)).collect();
    for row in subject.selected(Probe::Statements, sample).into_iter().map(|index| &sample.rows[index]) {
        let user = roles.get(&row.userid).copied().unwrap_or("unknown");
        let datname = databases.get(&row.dbid).copied().unwrap_or("unknown");
        add(&[user, datname, &row.queryid.to_string()], row);
    }
}
