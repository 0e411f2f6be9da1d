//! The series of postgres_exporter, so that dashboards and alert rules made for it go on working. Names, kinds and labels are those of 0.11
//! (Debian 12) and of the collectors that came up to 0.20; where releases differ, both names are there unless they contradict.

mod activity;
mod background;
mod database;
mod replication;
mod scrape;
mod settings;
mod statements;
mod tables;
mod vacuum;

use super::family::Group;

/// All of them.
pub const GROUPS: &[&dyn Group] = &[
    &scrape::SERVER,
    &activity::ACTIVITY,
    &background::BGWRITER,
    &background::CHECKPOINTER,
    &background::BGWRITER_CHECKPOINTS,
    &background::ARCHIVER,
    &background::WAL_FILES,
    &background::BUFFERCACHE,
    &database::DATABASES,
    &database::CONFLICTS,
    &database::SIZES,
    &database::LIMITS,
    &database::WRAPAROUND,
    &database::ROLES,
    &replication::STANDING,
    &replication::SENDERS,
    &replication::SLOTS,
    &replication::SLOTS_BY_TYPE,
    &replication::WAL_STATUS,
    &replication::RECEIVER,
    &settings::Settings,
    &statements::STATEMENTS,
    &tables::TABLES,
    &tables::INDEXES,
    &vacuum::PHASES,
    &vacuum::VACUUMS,
];

/// What postgres_exporter writes for a null that it does not leave out.
fn or_nan(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}
