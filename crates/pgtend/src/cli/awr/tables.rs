//! Snapshots and baselines as tables.

use crate::cli::output::{self, Table, Tabular, Tone};
use pgtend_model::awr::lists::{BaselineList, SnapshotDetails, SnapshotList};

impl Tabular for SnapshotList {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new("", &[">id", "taken", "why", "PostgreSQL", "server started", "not read"]).or("there are no snapshots");
        for snapshot in &self.snapshots {
            let started = snapshot.server_started_at.map_or_else(String::new, |at| format!("{at:.0}"));
            let version = snapshot.version.clone().unwrap_or_default();
            let (id, at) = (snapshot.id.to_string(), format!("{:.0}", snapshot.at));
            table.push([id, at, snapshot.reason.clone(), version, started, snapshot.missing.join(", ")]);
        }
        vec![table]
    }
}

impl Tabular for SnapshotDetails {
    fn tables(&self) -> Vec<Table> {
        let about = SnapshotList { snapshots: vec![self.snapshot.clone()], total: 1 };
        let mut probes = Table::new("What was read", &["probe", ">rows", "read", "why not"]);
        for probe in &self.probes {
            let rows = probe.rows.map_or_else(String::new, |rows| rows.to_string());
            let read = probe.read_at.filter(|_| probe.rows.is_some()).map_or_else(String::new, |at| format!("{at:.0}"));
            let why = probe.unknown.as_ref().map_or_else(String::new, |unknown| unknown.detail.clone());
            probes.push([output::Cell::from(probe.probe.clone()), rows.into(), read.into(), output::Cell::new(why, Tone::Dim)]);
        }
        about.tables().into_iter().chain([probes]).collect()
    }
}

impl Tabular for BaselineList {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new("", &["name", ">from", ">to", "begin", "end", "made", "description"]).or("there are no baselines");
        for baseline in &self.baselines {
            table.push([
                baseline.name.clone(),
                baseline.start_snapshot_id.to_string(),
                baseline.end_snapshot_id.to_string(),
                format!("{:.0}", baseline.span.start),
                format!("{:.0}", baseline.span.end),
                format!("{:.0}", baseline.created_at),
                baseline.description.clone(),
            ]);
        }
        vec![table]
    }
}
