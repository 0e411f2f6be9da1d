//! `pgtend locks`: who blocks whom, and what to do about it.

use super::output::{Cell, Table, Tabular, Tone, print};
use super::{Global, session_table, source, visible};
use clap::Args;
use pgtend_model::document::locks::{Blocker, Locks as Document, Params, Remedy};
use pgtend_model::error::Result;
use pgtend_model::units::short_seconds;

/// Shows who blocks whom as trees, those that hold up the others first, with what to do about them
#[derive(Debug, Args)]
pub(super) struct Locks {
    /// Always on: the trees are what is shown. Taken for the sake of scripts that say so
    #[arg(long)]
    show_blocking: bool,
}

impl Locks {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let locks: Document = source::document(global, &Params::default()).await?;
        if let Some(why) = locks.unknown.get("sessions").or_else(|| locks.unknown.get("waits")) {
            return Err(visible::unknown("the locks could not be read", why));
        }
        visible::tell_of_others(&locks.unknown);
        print(&locks, global.format)?;
        Ok(0)
    }
}

const COLUMNS: [&str; 9] = ["pid", "user", "database", "app", "state", ">for", "waits for", ">waiting", "query"];

impl Tabular for Document {
    fn tables(&self) -> Vec<Table> {
        if self.roots.is_empty() {
            return vec![Table::default().or("no session waits for a lock")];
        }
        self.roots.iter().map(tree).collect()
    }

    fn records(&self) -> Table {
        let mut table =
            Table::new("", &["root", "depth", "pid", "user", "database", "app", "state", "for", "waits for", "waiting", "query"]);
        for root in &self.roots {
            walk(root, &mut |blocker, path| {
                let place = [root.pid.to_string(), path.len().to_string(), blocker.pid.to_string()].map(Cell::from);
                table.rows.push(place.into_iter().chain(figures(blocker)).collect());
            });
        }
        table
    }
}

fn tree(root: &Blocker) -> Table {
    let victims = if root.victims == 1 { "1 session".to_owned() } else { format!("{} sessions", root.victims) };
    let command = |remedy: &Remedy| remedy.command.as_ref().map(|command| format!(": {command}")).unwrap_or_default();
    let remedy = root.remedy.as_ref().map(|remedy| format!("{}{}", remedy.text, command(remedy))).unwrap_or_default();
    let who = if root.pid == 0 { "a prepared transaction".to_owned() } else { root.pid.to_string() };
    let mut table = Table::new(&format!("{who} holds up {victims}: {remedy}"), &COLUMNS);
    walk(root, &mut |blocker, path| {
        let tone = if path.is_empty() { Tone::Bad } else { Tone::Plain };
        let pid = Cell::new(format!("{}{}", branch(path), blocker.pid), tone);
        table.rows.push(std::iter::once(pid).chain(figures(blocker)).collect());
    });
    table
}

/// Visits a tree from its root; `path` says of every level above whether the branch there was the last one.
pub(crate) fn walk(root: &Blocker, visit: &mut impl FnMut(&Blocker, &[bool])) {
    fn down(blocker: &Blocker, path: &mut Vec<bool>, visit: &mut impl FnMut(&Blocker, &[bool])) {
        visit(blocker, path);
        for (number, waiter) in blocker.waiters.iter().enumerate() {
            path.push(number + 1 == blocker.waiters.len());
            down(waiter, path, visit);
            path.pop();
        }
    }
    down(root, &mut Vec::new(), visit);
}

/// The lines that lead to a place in a tree.
pub(crate) fn branch(path: &[bool]) -> String {
    let Some((last, above)) = path.split_last() else { return String::new() };
    let above = above.iter().map(|was_last| if *was_last { "   " } else { "│  " });
    above.chain([if *last { "└─ " } else { "├─ " }]).collect()
}

fn figures(blocker: &Blocker) -> Vec<Cell> {
    let Some(session) = &blocker.session else {
        let what = if blocker.pid == 0 { "(prepared transaction)" } else { "(ended meanwhile)" };
        return vec!["".into(), "".into(), "".into(), "".into(), "".into(), "".into(), "".into(), Cell::new(what, Tone::Dim)];
    };
    let text = |text: &Option<String>| Cell::from(text.clone().unwrap_or_default());
    let age = |seconds: Option<f64>| Cell::from(seconds.map(short_seconds).unwrap_or_default());
    vec![
        text(&session.user),
        text(&session.database),
        text(&session.application_name),
        session_table::state(session),
        age(session.seconds),
        awaited(blocker).into(),
        age(blocker.waits_for.as_ref().and_then(|lock| lock.seconds)),
        session_table::what(session),
    ]
}

/// The lock that a session waits for, and who else stands before it.
pub(crate) fn awaited(blocker: &Blocker) -> String {
    let Some(lock) = &blocker.waits_for else { return String::new() };
    let mode = lock.mode.as_deref().map(|mode| mode.trim_end_matches("Lock")).unwrap_or_default();
    let object = lock.object.as_deref().unwrap_or(&lock.locktype);
    let also = match blocker.also_blocked_by.len() {
        0 => String::new(),
        count => format!(", {count} more in front"),
    };
    format!("{mode} {object}{also}").trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixtures::session;
    use crate::cli::output::{Format, Medium, render};
    use pgtend_model::document::locks::{Awaited, Cause};
    use serde_json::json;

    fn waiter(pid: i64, seconds: f64, waiters: Vec<Blocker>) -> Blocker {
        Blocker {
            pid,
            session: Some(session(pid, &json!({ "doing": "blocked", "seconds": seconds, "query": "update stock set left = left - 1" }))),
            waits_for: Some(Awaited {
                locktype: "transactionid".into(),
                mode: Some("ShareLock".into()),
                object: Some("transaction 871".into()),
                seconds: Some(seconds),
            }),
            also_blocked_by: if pid == 1333 { vec![1350, 1351] } else { Vec::new() },
            in_circle: false,
            victims: waiters.len(),
            remedy: None,
            waiters,
        }
    }

    fn locks() -> Document {
        let root = Blocker {
            pid: 1201,
            session: Some(session(
                1201,
                &json!({ "doing": "idle_in_transaction", "seconds": 754.0, "query": "update stock set left = 0" }),
            )),
            waits_for: None,
            also_blocked_by: Vec::new(),
            in_circle: false,
            victims: 4,
            remedy: Some(Remedy {
                cause: Cause::OpenTransaction,
                text: "the client left its transaction open 12 min 34 s ago and holds up 4: end the session".into(),
                command: Some("pgtend connections terminate --pid 1201".into()),
            }),
            waiters: vec![
                waiter(1300, 340.0, vec![waiter(1301, 12.0, Vec::new()), waiter(1302, 2.0, Vec::new())]),
                waiter(1333, 5.0, Vec::new()),
            ],
        };
        let prepared =
            Blocker { pid: 0, session: None, remedy: None, victims: 1, waiters: vec![waiter(1400, 1.0, Vec::new())], ..root.clone() };
        Document { blocked: 5, roots: vec![root, prepared], ..Document::default() }
    }

    #[test]
    fn trees_show_the_root_first_and_what_to_do() {
        insta::assert_snapshot!(render(&locks(), Format::Table, Medium { width: None, colour: false }).unwrap());
    }

    #[test]
    fn spreadsheets_get_a_row_a_session() {
        insta::assert_snapshot!(render(&locks(), Format::Csv, Medium { width: None, colour: false }).unwrap());
    }
}
