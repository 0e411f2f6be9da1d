//! Sessions as tables.

use super::output::{Cell, Table, Tabular, Tone};
use super::visible;
use pgtend_model::document::sessions::{Doing, Session, Sessions};
use pgtend_model::signal::Spared;
use pgtend_model::units::{one_line, short_bytes, short_seconds};
use std::collections::BTreeMap;

/// The list; processor and memory have columns only where they are known.
pub(super) fn list(sessions: &[Session]) -> Table {
    let measured = sessions.iter().any(|session| session.usage.is_some());
    let mut columns = vec![">pid", "user", "database", "app", "client", "state", ">for", ">tx", "wait"];
    if measured {
        columns.extend([">cpu", ">memory"]);
    }
    columns.push("query");
    let mut table = Table::new("", &columns);
    table.rows = sessions.iter().map(|session| row(session, measured)).collect();
    table
}

fn row(session: &Session, measured: bool) -> Vec<Cell> {
    let text = |text: &Option<String>| Cell::from(text.clone().unwrap_or_default());
    let age = |seconds: Option<f64>| Cell::from(seconds.map(short_seconds).unwrap_or_default());
    let mut cells = vec![
        session.session_id.to_string().into(),
        text(&session.user),
        text(&session.database),
        text(&session.application_name),
        client(session).into(),
        state(session),
        age(session.seconds),
        age(session.transaction_seconds),
        wait(session).into(),
    ];
    if measured {
        let usage = session.usage.unwrap_or_default();
        cells.push(usage.cpu_percent.map(|percent| format!("{percent:.0}%")).unwrap_or_default().into());
        #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
        cells.push(usage.memory_bytes.map(|bytes| short_bytes(bytes as f64)).unwrap_or_default().into());
    }
    cells.push(what(session));
    cells
}

/// What kind of process it is says more about a background process than its last statement; how pgtend looks at sessions concerns nobody.
pub(super) fn what(session: &Session) -> Cell {
    match (&session.query, session.backend_type.as_deref()) {
        _ if session.spared == Some(Spared::Own) => Cell::new("(pgtend itself)", Tone::Dim),
        (Some(query), _) if !query.is_empty() => one_line(query).into(),
        (_, Some(kind)) if kind != "client backend" => Cell::new(format!("({kind})"), Tone::Dim),
        _ => Cell::default(),
    }
}

pub(super) fn client(session: &Session) -> String {
    let is_client = session.backend_type.as_deref() == Some("client backend");
    session.client.clone().unwrap_or_else(|| if is_client { "local".to_owned() } else { String::new() })
}

/// The state with its tone.
pub(super) fn state(session: &Session) -> Cell {
    match session.doing {
        None => Cell::new("hidden", Tone::Dim),
        Some(doing @ Doing::Blocked) => Cell::new(doing.name(), Tone::Bad),
        Some(doing @ Doing::IdleInTransaction) => Cell::new(doing.name(), Tone::Warn),
        Some(doing @ Doing::Active) => Cell::new(doing.name(), Tone::Good),
        Some(doing @ Doing::Idle) => Cell::new(doing.name(), Tone::Dim),
        Some(doing @ Doing::Waiting) => doing.name().into(),
    }
}

/// What it waits for; a client that is idle waits for nothing worth a word.
pub(super) fn wait(session: &Session) -> String {
    let idles = matches!(session.doing, Some(Doing::Idle | Doing::IdleInTransaction));
    match (&session.wait_event_type, &session.wait_event) {
        (Some(wait_type), Some(event)) if !idles => format!("{wait_type}:{event}"),
        _ => String::new(),
    }
}

/// Counts by application, role and database.
pub(super) fn summary(sessions: &[Session]) -> Table {
    let mut groups: BTreeMap<[String; 3], Group> = BTreeMap::new();
    for session in sessions {
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        let key = [name(&session.application_name), name(&session.user), name(&session.database)];
        groups.entry(key).or_default().add(session);
    }
    let mut groups: Vec<([String; 3], Group)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.total));
    let columns = ["app", "user", "database", ">total", ">active", ">blocked", ">idle in transaction", ">idle", ">longest idle"];
    let mut table = Table::new("", &columns).or("no session meets the conditions");
    for (key, group) in groups {
        let counts =
            [group.total, group.active, group.blocked, group.in_transaction, group.idle].map(|count| Cell::from(count.to_string()));
        let longest = Cell::from(group.longest_idle.map(short_seconds).unwrap_or_default());
        table.rows.push(key.into_iter().map(Cell::from).chain(counts).chain([longest]).collect());
    }
    table
}

#[derive(Default)]
struct Group {
    total: usize,
    active: usize,
    blocked: usize,
    in_transaction: usize,
    idle: usize,
    longest_idle: Option<f64>,
}

impl Group {
    fn add(&mut self, session: &Session) {
        self.total += 1;
        match session.doing {
            Some(Doing::Active | Doing::Waiting) => self.active += 1,
            Some(Doing::Blocked) => self.blocked += 1,
            Some(Doing::IdleInTransaction) => self.in_transaction += 1,
            Some(Doing::Idle) => self.idle += 1,
            None => {}
        }
        if matches!(session.doing, Some(Doing::Idle | Doing::IdleInTransaction)) {
            self.longest_idle = self.longest_idle.into_iter().chain(session.seconds).max_by(f64::total_cmp);
        }
    }
}

impl Tabular for Sessions {
    fn tables(&self) -> Vec<Table> {
        vec![list(&self.sessions).or(&visible::nothing(&self.unknown))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixtures::{session, several};
    use crate::cli::output::{Format, Medium, render};
    use serde_json::json;

    fn shown(format: Format, width: Option<u16>) -> String {
        let sessions = Sessions { sessions: several(), ..Sessions::default() };
        match format {
            Format::Summary => render(&Counted(sessions.sessions), format, Medium { width, colour: false }).unwrap(),
            _ => render(&sessions, format, Medium { width, colour: false }).unwrap(),
        }
    }

    #[derive(serde::Serialize)]
    struct Counted(Vec<Session>);

    impl Tabular for Counted {
        fn tables(&self) -> Vec<Table> {
            Vec::new()
        }
        fn summary(&self) -> Option<Table> {
            Some(summary(&self.0))
        }
    }

    #[test]
    fn a_list_in_a_pipe_and_on_terminals() {
        insta::assert_snapshot!("pipe", shown(Format::Table, None));
        insta::assert_snapshot!("terminal_160", shown(Format::Table, Some(160)));
        insta::assert_snapshot!("terminal_100", shown(Format::Table, Some(100)));
    }

    #[test]
    fn a_summary_counts_by_application() {
        insta::assert_snapshot!(shown(Format::Summary, None));
    }

    #[test]
    fn usage_has_columns_only_where_it_is_known() {
        let table = list(&[session(1, &json!({}))]);
        assert!(!table.columns.iter().any(|name| name == ">cpu"), "{:?}", table.columns);
    }
}
