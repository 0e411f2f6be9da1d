//! `[drill]`: when it is tried whether a server can be brought back.

use super::section::{Section, section};
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// Drills: a backup of each server that runs beside this agent is restored to scratch, WAL is replayed, and what came back is checked. By hand: `pgtend
    /// drill run`. Nothing is done without a `[[backup.repository]]`.
    pub struct Drill {
        /// When, as cron writes it, in the time zone of this machine: the newest backup and the oldest that is kept take turns. `off`: by hand only.
        schedule: String = "'0 4 1 * *'", restart;
        /// When the whole is tried as after the loss of the machine, into `full_directory`. `0 5 1 1,4,7,10 *` is once a quarter. `off`: by hand only.
        full_schedule: String = "'off'", restart;
        /// In which directory the copies are made. Not written: `backup.scratch_directory`, or `/var/tmp`.
        scratch_directory: Option<PathBuf> = none, restart;
        /// In which directory those of full drills are made, best on another disk. Not written: as the others.
        full_directory: Option<PathBuf> = none, restart;
        /// Room that a drill on schedule leaves on that disk beside the copy; where there is less, it is not begun.
        min_free_bytes: u64 as "bytes" = "'2GB'" in "0 to 1000TB", restart;
        /// Threads that restore and read.
        workers: usize = "2" in "1 to 64", restart;
        /// By how many per cent a table's rows may differ from the live server's beyond what was written there meanwhile.
        row_count_tolerance: f64 as "per cent" = "1" in "0 to 100", restart;
        /// Up to which size the live server's tables are counted. Of larger ones, and where the agent's role may not read them, the server's estimate is taken.
        exact_counts_up_to: u64 as "bytes" = "'256MB'" in "0 to 1000TB", restart;
        /// Libraries that the copy cannot do without, as `shared_preload_libraries` has them.
        preload: String = "''", restart;
        /// How long one of your own questions may take.
        check_timeout: Duration = "'5min'" in "1s to 1d", restart;
        /// How many reports are kept.
        keep: usize = "50" in "1 to 10000", restart;
        /// Your own questions to the copy.
        check: Vec<DrillCheck> = none, restart;
    }
}

section! {
    /// A question to the restored copy, and the answer that it must give.
    pub struct DrillCheck, checked by check_check {
        /// What it is called in the report.
        name: String = required, restart;
        /// In which database it is asked.
        database: String = "'postgres'", restart;
        /// The question: a query that gives one value. It may take as long as `check_timeout`.
        sql: String = required, restart;
        /// The answer, as PostgreSQL writes it. Yes is `t`.
        expect: String = "'t'", restart;
    }
}

fn check_check(check: &mut DrillCheck, section: &Section<'_>) {
    if check.name.is_empty() {
        section.reject("name", "a check has no name", "name it: the report tells it by its name");
    }
    if check.sql.trim().is_empty() {
        section.reject("sql", "a check asks nothing", "write sql = \"select …\"");
    }
}
