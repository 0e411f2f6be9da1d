//! `pgtend top` on a terminal: it draws, heeds keys, and leaves the terminal as it was.

use super::{Person, session};
use crate::harness::{Agent, Cluster, Terminal};

async fn looks_and_leaves(person: &Person) {
    let mut terminal = Terminal::start(person.command(&["top", "--interval", "200ms"]).as_std());
    terminal.shows(&["busy", "select pg_sleep(300)", "conn", "active, 1 min"]).await;
    assert!(!terminal.text().contains("Ctrl-C"), "{}", terminal.text());
    terminal.press("?");
    terminal.shows(&["Ctrl-C"]).await;
    terminal.press("\rq");
    let left = terminal.left().await;
    assert!(left.code == 0 && left.is_restored, "exit code {}, terminal restored: {}\n{}", left.code, left.is_restored, left.text);
}

#[tokio::test]
async fn top_draws_heeds_keys_and_leaves_the_terminal_as_it_was() {
    let cluster = Cluster::start(15).await;
    let _busy = session(&cluster, "busy", "select pg_sleep(300)").await;
    looks_and_leaves(&Person::directly(&cluster.dsn())).await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/status", "/state", |state| state == "up").await;
    looks_and_leaves(&Person::over_socket(&agent)).await;
}

#[tokio::test]
async fn a_signal_leaves_the_terminal_as_it_was_too() {
    let cluster = Cluster::start(15).await;
    let terminal = Terminal::start(Person::directly(&cluster.dsn()).command(&["top"]).as_std());
    terminal.shows(&["conn"]).await;
    terminal.terminate();
    let left = terminal.left().await;
    assert!(left.code == 0 && left.is_restored, "exit code {}, terminal restored: {}\n{}", left.code, left.is_restored, left.text);
}

#[tokio::test]
async fn a_server_that_is_away_is_told_before_the_screen_is_taken() {
    let terminal = Terminal::start(Person::directly("host=127.0.0.1 port=1").command(&["top"]).as_std());
    let left = terminal.left().await;
    assert!(left.code == 69 && left.is_restored && left.text.contains("nothing listens there"), "{}: {}", left.code, left.text);
}
