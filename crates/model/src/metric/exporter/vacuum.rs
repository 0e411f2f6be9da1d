//! Running VACUUMs.

use crate::metric::single::singles;
use crate::metric::table::table;
use crate::sample::progress::Progress;
use std::borrow::Cow;

/// The phases of a VACUUM, as PostgreSQL names them.
const PHASES_OF_VACUUM: [&str; 7] = [
    "initializing",
    "scanning heap",
    "vacuuming indexes",
    "vacuuming heap",
    "cleaning up indexes",
    "truncating heap",
    "performing final cleanup",
];

/// The table's name, or its number where it is in another database.
fn relation(row: &Progress) -> Cow<'_, str> {
    match (&row.relation, row.relid) {
        (Some(relation), _) => Cow::Borrowed(relation),
        (None, Some(relid)) => Cow::Owned(relid.to_string()),
        (None, None) => Cow::Borrowed("unknown"),
    }
}

singles! {
    /// What running VACUUMs do.
    PHASES;
    gauge pg_stat_progress_vacuum_phase { datname, relname, phase }, "Whether the VACUUM is in this phase: 1 for yes.",
    |subject, series| for row in subject.view.readings.progress.current().iter().flat_map(|sample| &sample.rows).filter(|row| is_vacuum(row)) {
        for phase in PHASES_OF_VACUUM {
            series.add(&[row.datname.as_deref().unwrap_or("unknown"), &relation(row), phase], *row.phase == *phase);
        }
    };
}

fn is_vacuum(row: &Progress) -> bool {
    &*row.command == "VACUUM"
}

table! {
    /// How far running VACUUMs are.
    VACUUMS: Progress of progress(Progress) where |row| is_vacuum(row);
    labels { datname, relname = |row| relation(row) }
    gauge pg_stat_progress_vacuum_heap_blks(heap_blks_total), "Blocks of the table.";
    gauge pg_stat_progress_vacuum_heap_blks_scanned(heap_blks_scanned), "Blocks scanned.";
    gauge pg_stat_progress_vacuum_heap_blks_vacuumed(heap_blks_vacuumed), "Blocks vacuumed.";
    gauge pg_stat_progress_vacuum_index_vacuums(index_vacuum_count), "Passes over the indexes that are done.";
    gauge pg_stat_progress_vacuum_max_dead_tuples(dead_tuples_max, dead_tuple_bytes_max) = |row, _now| row.dead_tuples_max.or(row.dead_tuple_bytes_max), "Dead rows that the memory holds; from PostgreSQL 17 on the memory in bytes.";
    gauge pg_stat_progress_vacuum_num_dead_tuples(dead_tuples, dead_tuple_bytes) = |row, _now| row.dead_tuples.or(row.dead_tuple_bytes), "Dead rows gathered since the last pass over the indexes.";
}
