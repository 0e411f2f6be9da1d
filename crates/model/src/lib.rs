//! What pgtend knows and what it would do: no I/O, no async, no clock.
//!
//! Everything here is a plain value or a pure function. Time comes in as an argument, decisions go out with their reasons; the
//! crates that touch the world (`pgtend-postgres`, `pgtend-store`, `pgtend`) carry them out and choose nothing.

pub mod ash;
pub mod awr;
pub mod backup;
pub mod config;
pub mod delta;
pub mod derive;
pub mod document;
pub mod drill;
pub mod error;
pub mod figures;
pub mod fingerprint;
pub mod health;
pub mod locktree;
pub mod logline;
pub mod metric;
pub mod past;
pub mod pgdata;
pub mod plan;
pub mod postmaster;
pub mod profile;
pub mod query_id;
pub mod recover;
pub mod repair;
pub mod restore_table;
pub mod sample;
pub mod schedule;
pub mod signal;
pub mod sql;
pub mod supervise;
pub mod units;
pub mod up;
pub mod usage;
pub mod verify;
pub mod view;
