//! `pgtend ash blocking`: who blocked whom.

use super::super::Global;
use super::super::output::{Cell, Table, Tabular, Tone, print};
use super::tables::ms;
use super::{Which, tell_of_gaps, time};
use clap::Args;
use pgtend_model::document::ash::blocking::{BlockedWait, Blocking as Document, Party, Root};
use pgtend_model::document::ash::report::{Report, ReportType};
use pgtend_model::error::Result;
use pgtend_model::units::one_line;
use serde::Serialize;

/// Tells who blocked whom: from when to when, with which statements, and who was at the root of it
#[derive(Debug, Args)]
pub(super) struct Blocking {
    #[command(flatten)]
    which: Which,
}

impl Blocking {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let report: Report = self.which.document(global, &self.which.of_report(Some(ReportType::Blocking), None)).await?;
        tell_of_gaps(&report.coverage, &report.unknown);
        print(&Shown(report), global.format)?;
        Ok(0)
    }
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Shown(Report);

impl Tabular for Shown {
    fn tables(&self) -> Vec<Table> {
        self.0.blocking.as_ref().map_or_else(|| vec![Table::default().or("nothing is known of blocking")], tables)
    }

    fn records(&self) -> Table {
        self.0.blocking.as_ref().map(waits).unwrap_or_default()
    }
}

/// The roots, and who waited.
pub(super) fn tables(blocking: &Document) -> Vec<Table> {
    let title = format!("Roots of blocking: others waited {} altogether", ms(blocking.waited_ms));
    let columns = ["from", "to", ">for", ">pid", "user", "app", "state", ">held up", ">at once", ">chain", ">they waited", "statement"];
    let mut roots = Table::new(&title, &columns);
    if blocking.roots.is_empty() {
        return vec![Table::default().or("no session waited for another")];
    }
    roots.rows = blocking.roots.iter().map(root).collect();
    vec![roots, waits(blocking)]
}

fn root(root: &Root) -> Vec<Cell> {
    let party = &root.blocker;
    let circle = if root.in_circle { " (deadlock)" } else { "" };
    vec![
        time(root.first_seen).into(),
        time(root.last_seen).into(),
        ms(root.duration_ms).into(),
        Cell::new(pid(party), Tone::Bad),
        text(party.user.as_deref()),
        text(party.program.as_deref()),
        format!("{}{circle}", state(party)).into(),
        root.sessions_held_up.to_string().into(),
        root.most_at_once.to_string().into(),
        root.longest_chain.to_string().into(),
        ms(root.waited_ms).into(),
        statement(party),
    ]
}

fn waits(blocking: &Document) -> Table {
    let columns = [
        "from",
        "to",
        ">for",
        ">waiter",
        "user",
        "waits for",
        ">blocker",
        "its state",
        ">root",
        "statement of the waiter",
        "statement of the blocker",
    ];
    let mut table = Table::new("Who waited for whom", &columns);
    table.rows = blocking.waits.iter().map(wait).collect();
    table
}

fn wait(wait: &BlockedWait) -> Vec<Cell> {
    vec![
        time(wait.first_seen).into(),
        time(wait.last_seen).into(),
        ms(wait.duration_ms).into(),
        pid(&wait.waiter).into(),
        text(wait.waiter.user.as_deref()),
        text(wait.wait_event.as_deref()),
        pid(&wait.blocker).into(),
        state(&wait.blocker).into(),
        wait.root_session_id.to_string().into(),
        statement(&wait.waiter),
        statement(&wait.blocker),
    ]
}

fn pid(party: &Party) -> String {
    if party.session_id == 0 { "prepared".to_owned() } else { party.session_id.to_string() }
}

fn state(party: &Party) -> &str {
    match party.session_state.as_deref() {
        Some("IDLE") => "idle in transaction",
        Some(state) => state,
        None if party.session_id == 0 => "prepared transaction",
        None => "not seen",
    }
}

fn text(text: Option<&str>) -> Cell {
    text.unwrap_or_default().into()
}

fn statement(party: &Party) -> Cell {
    one_line(party.sql_text.as_deref().unwrap_or_default()).into()
}
