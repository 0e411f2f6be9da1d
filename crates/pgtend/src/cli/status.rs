//! `pgtend status`: how servers are.

use super::output::{Cell, Table, Tabular, Tone, print};
use super::{Global, source};
use clap::Args;
use pgtend_model::document::status::Status as Document;
use pgtend_model::error::Result;
use pgtend_model::health::{Level, Threshold};
use pgtend_model::units::{show_bytes, show_count, show_seconds};
use serde::Serialize;

/// Shows how the servers are: reachability, connections, transactions, sessions, host, replication
///
/// JSON and YAML are one object for one server, an array for several. Figures that could not be had are null; unknown says why.
#[derive(Debug, Args)]
pub(super) struct Status {}

impl Status {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let mut servers = source::open(global).await?.servers().await?;
        let down = servers.iter().any(|status| status.state != "up");
        match servers.len() {
            1 => print(&One(servers.remove(0)), global.format)?,
            _ => print(&Many(servers), global.format)?,
        }
        Ok(u8::from(down) * 2)
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct One(Document);

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Many(Vec<Document>);

impl Tabular for One {
    fn tables(&self) -> Vec<Table> {
        let mut lines = Table::new("", &[]);
        lines.rows = lines_of(&self.0);
        let mut unknown = Table::new("Unknown", &[]);
        unknown.rows = self.0.unknown.iter().map(|(place, why)| vec![place.into(), Cell::new(why.detail.clone(), Tone::Dim)]).collect();
        vec![lines, unknown]
    }

    fn records(&self) -> Table {
        rows(std::slice::from_ref(&self.0))
    }
}

impl Tabular for Many {
    fn tables(&self) -> Vec<Table> {
        vec![rows(&self.0).or("no server is configured")]
    }
}

fn lines_of(status: &Document) -> Vec<Vec<Cell>> {
    let up = status.state == "up";
    let tone = if up { Tone::Good } else { Tone::Bad };
    let mut lines = vec![vec![status.server.clone().into(), Cell::new(&status.state, tone), Cell::new(identity(status), Tone::Plain)]];
    if let Some(error) = &status.error {
        let told = error.lines().map(str::trim).map(|line| vec![Cell::default(), Cell::default(), Cell::new(line, Tone::Bad)]);
        lines.extend(told);
        lines.extend(status.since.map(|since| vec![Cell::default(), Cell::default(), Cell::new(format!("since {since:.0}"), Tone::Bad)]));
    }
    for (name, figure, note) in [
        connections(status),
        sessions(status),
        transactions(status),
        cache(status),
        processors(status),
        memory(status),
        disk(status),
        replication(status),
    ] {
        lines.push(vec![name.into(), figure, note]);
    }
    lines
}

type Line = (&'static str, Cell, Cell);

fn unknown() -> Cell {
    Cell::new("unknown", Tone::Dim)
}

fn percent(figure: Option<f64>, level: Level) -> Cell {
    figure.map_or_else(unknown, |percent| Cell::new(format!("{percent:.0} %"), toned(level)))
}

fn toned(level: Level) -> Tone {
    match level {
        Level::Down => Tone::Bad,
        Level::Degraded => Tone::Warn,
        Level::Up | Level::Unknown => Tone::Plain,
    }
}

fn notes<const N: usize>(notes: [Option<String>; N]) -> Cell {
    notes.into_iter().flatten().collect::<Vec<_>>().join(", ").into()
}

fn identity(status: &Document) -> String {
    let version = status.version.as_ref().map(|version| format!("PostgreSQL {version}"));
    let uptime = status.uptime.map(|seconds| format!("up for {}", show_seconds(seconds)));
    let target = (status.target != status.server).then(|| status.target.clone());
    let parts = [target, version, status.role.clone(), uptime];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn connections(status: &Document) -> Line {
    let of = status.connections.total.zip(status.connections.max).map(|(total, max)| format!("{total} of {max}"));
    let active = status.connections.active.map(|count| format!("{count} active"));
    ("connections", percent(status.connections.used_percent, status.connections.level), notes([of, active]))
}

fn sessions(status: &Document) -> Line {
    let (blocked, in_transaction) = (status.sessions.blocked, status.sessions.idle_in_transaction);
    let figure =
        blocked.map_or_else(unknown, |count| Cell::new(format!("{count} blocked"), if count > 0 { Tone::Bad } else { Tone::Plain }));
    let idle = in_transaction.map(|count| format!("{count} idle in transaction"));
    let oldest = status.sessions.oldest_transaction_seconds.map(|seconds| format!("oldest transaction {}", show_seconds(seconds)));
    ("sessions", figure, notes([idle, oldest]))
}

fn transactions(status: &Document) -> Line {
    let rate = status.transactions.per_second.map_or_else(unknown, |rate| format!("{rate:.1} /s").into());
    let committed = status.transactions.committed_total.map(|count| format!("{} committed", show_count(count)));
    let rolled_back = status.transactions.rolled_back_total.map(|count| format!("{} rolled back", show_count(count)));
    let deadlocks = status.transactions.deadlocks_total.filter(|count| *count > 0).map(|count| format!("{} deadlocks", show_count(count)));
    ("transactions", rate, notes([committed, rolled_back, deadlocks]))
}

fn cache(status: &Document) -> Line {
    let ratio = status.cache_hit_ratio.map_or_else(unknown, |ratio| format!("{:.1} %", ratio * 100.0).into());
    ("cache hits", ratio, Cell::default())
}

fn processors(status: &Document) -> Line {
    let cores = status.cpu.cores.map(|cores| format!("of {cores} cores"));
    let load = status.cpu.load1.map(|load| format!("load {load:.1}"));
    let iowait = status.cpu.iowait_percent.filter(|percent| *percent >= 1.0).map(|percent| format!("{percent:.0} % waiting for disks"));
    ("host cpu", percent(status.cpu.used_percent, Threshold::PROCESSORS.level(status.cpu.used_percent)), notes([cores, load, iowait]))
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn bytes(count: i64) -> String {
    show_bytes(count as f64)
}

fn memory(status: &Document) -> Line {
    let of = status.memory.total_bytes.map(|total| format!("of {}", bytes(total)));
    let swap = status.memory.swap_used_bytes.filter(|used| *used > 0).map(|used| format!("{} swapped out", bytes(used)));
    ("host memory", percent(status.memory.used_percent, status.memory.level), notes([of, swap]))
}

fn disk(status: &Document) -> Line {
    let of = status.disk.size_bytes.map(|size| format!("of {}", bytes(size)));
    let left = status.disk.available_bytes.map(|left| format!("{} left", bytes(left)));
    ("fullest disk", percent(status.disk.used_percent, status.disk.level), notes([of, left, status.disk.path.clone()]))
}

fn replication(status: &Document) -> Line {
    let standbys = status.replication.standbys.map(|count| match count {
        0 => "no standby".to_owned(),
        1 => "1 standby".to_owned(),
        count => format!("{count} standbys"),
    });
    let behind = status.replication.lag_bytes.filter(|lag| *lag > 0).map(|lag| format!("{} of WAL behind", bytes(lag)));
    ("replication", lag(status, " behind"), notes([standbys, behind]))
}

/// How far behind; a primary without standbys is not behind anybody.
fn lag(status: &Document, word: &str) -> Cell {
    let alone = status.replication.standbys == Some(0) && status.role.as_deref() == Some("primary");
    match status.replication.lag_seconds {
        Some(seconds) => Cell::new(format!("{seconds:.1} s{word}"), toned(status.replication.level)),
        None if alone => Cell::new("–", Tone::Dim),
        None => unknown(),
    }
}

/// A row a server.
fn rows(servers: &[Document]) -> Table {
    let columns = [
        "server",
        "state",
        "version",
        "role",
        ">uptime",
        ">connections",
        ">active",
        ">blocked",
        ">tx/s",
        ">hits",
        ">cpu",
        ">memory",
        ">disk",
        ">lag",
        "error",
    ];
    let mut table = Table::new("", &columns);
    for status in servers {
        let count = |count: Option<i64>| count.map_or_else(unknown, |count| count.to_string().into());
        let blocked = status.sessions.blocked.and_then(|count| i64::try_from(count).ok());
        let tone = if status.state == "up" { Tone::Good } else { Tone::Bad };
        table.rows.push(vec![
            status.server.clone().into(),
            Cell::new(&status.state, tone),
            status.version.clone().map_or_else(unknown, Cell::from),
            status.role.clone().map_or_else(unknown, Cell::from),
            status.uptime.map_or_else(unknown, |seconds| show_seconds(seconds).into()),
            percent(status.connections.used_percent, status.connections.level),
            count(status.connections.active),
            Cell { tone: if blocked > Some(0) { Tone::Bad } else { Tone::Plain }, ..count(blocked) },
            status.transactions.per_second.map_or_else(unknown, |rate| format!("{rate:.1}").into()),
            status.cache_hit_ratio.map_or_else(unknown, |ratio| format!("{:.1} %", ratio * 100.0).into()),
            percent(status.cpu.used_percent, Threshold::PROCESSORS.level(status.cpu.used_percent)),
            percent(status.memory.used_percent, status.memory.level),
            percent(status.disk.used_percent, status.disk.level),
            lag(status, ""),
            status.error.as_deref().and_then(|error| error.lines().next()).unwrap_or_default().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::{Format, Medium, render};
    use serde_json::json;

    fn status() -> Document {
        serde_json::from_value(crate::cli::fixtures::status()).unwrap()
    }

    fn down() -> Document {
        let mut value = serde_json::to_value(status()).unwrap();
        for part in ["connections", "transactions", "sessions", "cpu", "memory", "disk", "replication"] {
            value[part].as_object_mut().unwrap().values_mut().for_each(|figure| *figure = serde_json::Value::Null);
            if value[part].get("level").is_some() {
                value[part]["level"] = json!("UNKNOWN");
            }
        }
        for (name, figure) in [
            ("server", json!("archive")),
            ("state", json!("down")),
            ("error", json!("connection refused\n  where: db9:5432\n  hint: does it run?")),
        ] {
            value[name] = figure;
        }
        for name in ["version", "role", "uptime", "cache_hit_ratio"] {
            value[name] = serde_json::Value::Null;
        }
        serde_json::from_value(value).unwrap()
    }

    const PIPE: Medium = Medium { width: None, colour: false };

    #[test]
    fn one_server() {
        insta::assert_snapshot!("up", render(&One(status()), Format::Table, PIPE).unwrap());
        insta::assert_snapshot!("down", render(&One(down()), Format::Table, PIPE).unwrap());
    }

    #[test]
    fn several_servers() {
        let several = Many(vec![status(), down()]);
        insta::assert_snapshot!(render(&several, Format::Table, PIPE).unwrap());
        assert_eq!(serde_json::to_value(&several).unwrap().as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn the_health_check_of_guide_1_finds_its_fields() {
        let json: serde_json::Value = serde_json::from_str(&render(&One(status()), Format::Json, PIPE).unwrap()).unwrap();
        for (path, figure) in [
            ("/uptime", json!(270_000.0)),
            ("/connections/active", json!(9)),
            ("/memory/used_percent", json!(58.0)),
            ("/disk/used_percent", json!(91.4)),
            ("/replication/lag_seconds", json!(0.25)),
            ("/errors/rate_per_minute", json!(null)),
        ] {
            assert_eq!(json.pointer(path), Some(&figure), "{path}");
        }
        assert_eq!(json["unknown"]["errors.rate_per_minute"]["reason"], "absent");
    }
}
