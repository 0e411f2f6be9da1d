//! What the report is about: the server, the period, and how much of it was watched.

use crate::awr::known::Known;
use crate::awr::page::{Cell, Part, Section};
use crate::sample::Unknown;
use crate::units::{show_bytes, show_seconds};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the report is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrSummary)]
pub struct Summary {
    /// The server's name.
    pub server: String,
    /// The begin of the period.
    pub begin: Boundary,
    /// The end of the period.
    pub end: Boundary,
    /// How long it is, in seconds.
    pub elapsed_seconds: f64,
    /// The time that clients' sessions spent in statements, waiting or not, in seconds: what Oracle calls DB time.
    pub db_time_seconds: Option<f64>,
    /// Clients' sessions that did something, on average.
    pub average_active_sessions: Option<f64>,
    /// Instants at which the sessions were sampled.
    pub samples: Option<usize>,
    /// The time between two of them, in seconds.
    pub sample_seconds: Option<f64>,
    /// Share of the period that was sampled, in per cent.
    pub sampled_percent: Option<f64>,
    /// PostgreSQL's version at the end.
    pub version: Option<String>,
    /// `primary` or `standby`, at the end.
    pub role: Option<String>,
    /// The server's identity, which all copies of it share.
    pub system_identifier: Option<String>,
    /// Its timeline at the end.
    pub timeline: Option<i64>,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// Processors of its host that it may use.
    pub cores: Option<f64>,
    /// Memory of its host that it may use, in bytes.
    pub memory_bytes: Option<i64>,
    /// Why there is no processor count or memory.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub host_unknown: Option<Unknown>,
    /// When the report was made.
    pub made_at: Timestamp,
}

/// One end of the period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrBoundary)]
pub struct Boundary {
    /// When.
    pub at: Timestamp,
    /// The snapshot's number; null when the report was asked for by time.
    pub snapshot_id: Option<i64>,
    /// Why the snapshot was taken.
    pub reason: Option<String>,
    /// Client sessions there were then.
    pub sessions: Option<i64>,
}

impl Summary {
    /// Works it out.
    pub fn build(known: &Known<'_>, now: Timestamp) -> Self {
        let boundary = |edge: &crate::awr::period::Edge| Boundary {
            at: edge.at,
            snapshot_id: edge.snapshot.as_ref().map(|snapshot| snapshot.id),
            reason: edge.snapshot.as_ref().map(|snapshot| snapshot.reason.clone()),
            sessions: edge.readings.server.current().ok().and_then(|sample| sample.rows.first()).map(|row| row.client_backends),
        };
        let (period, active, server) = (known.period, known.active.as_ref().ok(), known.server_now());
        let readings = &period.end.readings;
        let cpu = readings.host_cpu.current().ok().and_then(|sample| sample.rows.first());
        let memory = readings.host_memory.current().ok().and_then(|sample| sample.rows.first());
        let elapsed_seconds = period.span().seconds();
        #[expect(clippy::cast_precision_loss, reason = "a host has fewer than 2^52 processors")]
        let cores = cpu.map(|row| row.limit_cores.map_or(row.cores as f64, |limit| limit.min(row.cores as f64)));
        Self {
            server: period.server.clone(),
            begin: boundary(&period.begin),
            end: boundary(&period.end),
            elapsed_seconds,
            db_time_seconds: active.map(|active| active.sampled.seconds(active.busy())),
            average_active_sessions: active.map(|active| active.sampled.average(active.busy())),
            samples: active.map(|active| active.sampled.ticks.len()),
            sample_seconds: active.map(|active| active.sampled.pace_seconds),
            sampled_percent: active.map(|active| (100.0 * active.sampled.whole_seconds() / elapsed_seconds).min(100.0)),
            version: server.map(|row| row.version.to_string()),
            role: server.map(|row| if row.in_recovery { "standby" } else { "primary" }.to_owned()),
            system_identifier: server.and_then(|row| row.system_identifier.as_deref().map(str::to_owned)),
            timeline: server.map(|row| row.timeline),
            started_at: server.map(|row| row.started_at),
            cores,
            memory_bytes: memory.map(|row| row.limit_bytes.map_or(row.total_bytes, |limit| limit.min(row.total_bytes))),
            host_unknown: readings.host_cpu.current().err().cloned(),
            made_at: now,
        }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let fact = |name: &str, cell: Cell| (name.to_owned(), cell);
        let end = |boundary: &Boundary| {
            let at = crate::awr::page::when(boundary.at);
            let sessions = boundary.sessions.map(|sessions| format!(", {sessions} client sessions")).unwrap_or_default();
            let snapshot = boundary.snapshot_id.map(|id| format!(", snapshot {id}")).unwrap_or_default();
            Cell::from(format!("{at} UTC{snapshot}{sessions}"))
        };
        let host = self.cores.zip(self.memory_bytes).map_or_else(
            || Cell::unknown(self.host_unknown.as_ref().map_or("not known", |unknown| &unknown.detail)),
            |(cores, memory)| {
                #[expect(clippy::cast_precision_loss, reason = "what is shown is rounded")]
                let memory = show_bytes(memory as f64);
                Cell::from(format!("{cores} processors, {memory} memory"))
            },
        );
        let sampled = self.samples.zip(self.sample_seconds).zip(self.sampled_percent);
        let sampled = sampled.map_or_else(
            || Cell::unknown("the sessions were not sampled"),
            |((samples, pace), percent)| format!("{samples} samples, one every {}, {percent:.1} % of the time", show_seconds(pace)).into(),
        );
        let version = self.version.as_deref().zip(self.role.as_deref());
        let mut facts = vec![
            fact("Server", self.server.as_str().into()),
            fact("PostgreSQL", Cell::maybe(version, |(version, role)| format!("{version}, {role}").into())),
            fact("Started", Cell::maybe(self.started_at, Cell::time)),
            fact("Host", host),
            fact("Begin", end(&self.begin)),
            fact("End", end(&self.end)),
            fact("Elapsed", Cell::seconds(self.elapsed_seconds)),
            fact("DB time", Cell::maybe(self.db_time_seconds, Cell::seconds)),
            fact("Average active sessions", Cell::maybe(self.average_active_sessions, Cell::number)),
            fact("Sessions sampled", sampled),
        ];
        if let Some(identifier) = &self.system_identifier {
            let timeline = self.timeline.map(|timeline| format!(", timeline {timeline}")).unwrap_or_default();
            facts.push(fact("System identifier", format!("{identifier}{timeline}").into()));
        }
        Section::new("summary", "Summary", "").with(Part::Facts(facts))
    }
}
