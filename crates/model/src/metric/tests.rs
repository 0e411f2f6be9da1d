//! The text as a whole, from views made by hand.

use super::{About, Scrape, is_taken, reference, render, to_string};
use crate::config::{Effective, parse};
use crate::sample::connections::Connections;
use crate::sample::custom::{CustomReading, CustomRow};
use crate::sample::database::Database;
use crate::sample::server::Server;
use crate::sample::tables::Table;
use crate::sample::testing::{row, sample};
use crate::sample::{Probe, Reason, Taken, Unknown};
use crate::view::{Link, View};
use jiff::Timestamp;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn view(name: &str) -> View {
    let mut view = View::unseen(name, "db.example:5432");
    view.link = Link::Up { since: second(100) };
    let server = row(|row: &mut Server| {
        row.sees_all_sessions = true;
        row.version_num = 150_018;
        row.full_version = "PostgreSQL 15.18 \"special\"".into();
        row.started_at = second(50);
        row.now = second(1000);
    });
    let database = |commits| {
        row(|row: &mut Database| {
            row.datid = 5;
            row.datname = "shop\\new".into();
            row.xact_commit = commits;
            row.stats_reset = None;
            row.checksum_failures = None;
        })
    };
    let idle = row(|row: &mut Connections| {
        row.datname = Some("shop\\new".into());
        row.backend_type = Some("client backend".into());
        row.state = Some("idle".into());
        row.count = 3;
    });
    view.readings.put(Taken::Server(sample(1000, vec![server])));
    view.readings.put(Taken::Database(sample(1000, vec![database(100)])));
    view.readings.put(Taken::Database(sample(1010, vec![database(150)])));
    view.readings.put(Taken::Connections(sample(1010, vec![idle])));
    view.readings.fail(Probe::Io, Unknown::new(Reason::Version, "from 16 on"));
    view.readings.fail(Probe::Wal, Unknown::new(Reason::Timeout, "2 s"));
    view
}

fn config(more: &str) -> Effective {
    let text = format!("[[server]]\nname = \"one\"\ndsn = \"host=db.example\"\nlabels = {{ env = \"prod\", datname = \"x\" }}\n{more}");
    parse(&text, "test").unwrap().effective
}

fn text(views: &[View], config: &Effective) -> String {
    let about = About { version: "1.2.3", scrapes: 7, ..About::default() };
    to_string(&Scrape::new(views, config, &about, second(1012)))
}

/// The series and headers of one family.
fn family(text: &str, name: &str) -> String {
    let header =
        |line: &str| line.strip_prefix("# HELP ").or(line.strip_prefix("# TYPE ")).is_some_and(|rest| rest.split(' ').next() == Some(name));
    let is_series = |line: &str| line.split(['{', ' ']).next().is_some_and(|found| found == name);
    text.lines().filter(|line| header(line) || is_series(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_scrape_of_one_server() {
    let mut config = config("");
    config.server.clear();
    insta::assert_snapshot!(text(&[view("one")], &config));
}

#[test]
fn labels_of_servers_and_configuration() {
    let config = config("");
    let both = text(&[view("one"), view("two")], &config);
    insta::assert_snapshot!(family(&both, "pg_up"), @r#"
    # HELP pg_up Whether the server answers.
    # TYPE pg_up gauge
    pg_up{server="one",datname="x",env="prod"} 1
    pg_up{server="two"} 1
    "#);
    insta::assert_snapshot!(family(&both, "pg_stat_database_xact_commit"), @r#"
    # HELP pg_stat_database_xact_commit Transactions committed.
    # TYPE pg_stat_database_xact_commit counter
    pg_stat_database_xact_commit{server="one",env="prod",datid="5",datname="shop\\new"} 150
    pg_stat_database_xact_commit{server="two",datid="5",datname="shop\\new"} 150
    "#);
    let alone = text(&[view("one")], &config);
    insta::assert_snapshot!(family(&alone, "pg_stat_database_xact_commit"), @r#"
    # HELP pg_stat_database_xact_commit Transactions committed.
    # TYPE pg_stat_database_xact_commit counter
    pg_stat_database_xact_commit{server="db.example:5432",env="prod",datid="5",datname="shop\\new"} 150
    "#);
    insta::assert_snapshot!(family(&alone, "pgtend_transactions_total"), @r#"
    # HELP pgtend_transactions_total Transactions of all databases, committed or rolled_back; beginning with what the server shows when the agent first looks, and never going down when counters are reset or a database is dropped.
    # TYPE pgtend_transactions_total counter
    pgtend_transactions_total{datname="x",env="prod",status="committed"} 150
    pgtend_transactions_total{datname="x",env="prod",status="rolled_back"} 0
    "#);
}

#[test]
fn without_the_exporters_names_every_column_is_there_under_pgtends() {
    let text = text(&[view("one")], &config("[metrics]\nexporter_names = false\n"));
    assert!(!text.lines().any(|line| line.starts_with("pg_")), "{text}");
    insta::assert_snapshot!(family(&text, "pgtend_database_xact_commit_total"), @r#"
    # HELP pgtend_database_xact_commit_total Transactions committed.
    # TYPE pgtend_database_xact_commit_total counter
    pgtend_database_xact_commit_total{env="prod",datid="5",datname="shop\\new"} 150
    "#);
}

#[test]
fn no_name_is_used_twice() {
    let mut seen = HashSet::new();
    for family in reference().iter().flat_map(|chapter| &chapter.families) {
        assert!(seen.insert(family.name.clone()), "{} comes twice", family.name);
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        assert!(is_name(&family.name) && family.labels.iter().all(|label| is_name(label)), "{family:?}");
        assert!(family.help.ends_with('.'), "the help of {} is no sentence: {}", family.name, family.help);
    }
    assert!(seen.len() > 400, "{}", seen.len());
    assert!(is_taken("pg_up") && is_taken("pgtend_query_duration_ms_bucket") && !is_taken("orders_open"));
}

#[test]
fn the_most_active_tables_have_series_and_the_rest_is_counted() {
    let mut view = view("one");
    let table = |number: i64| {
        row(|row: &mut Table| {
            row.relname = format!("t{number}").into();
            row.relkind = "r".into();
            row.n_tup_ins = number % 7;
        })
    };
    view.readings.put(Taken::Tables(sample(1000, (0..10).map(table).collect())));
    let text = text(&[view], &config("[metrics]\nmax_tables = 3\n"));
    let shown = family(&text, "pg_stat_user_tables_n_tup_ins");
    assert_eq!(shown.matches("relname=").count(), 3, "{shown}");
    assert!(["\"t4\"", "\"t5\"", "\"t6\""].iter().all(|name| shown.contains(name)), "{shown}");
    assert!(text.contains("pgtend_series_cut{datname=\"x\",env=\"prod\",probe=\"tables\"} 7"), "{}", family(&text, "pgtend_series_cut"));
}

#[test]
fn custom_metrics_as_the_configuration_declares_them() {
    let config = config(
        "[[metrics.custom]]\nname = \"orders\"\nquery = \"select 1\"\n[metrics.custom.columns]\nstate = { usage = \"LABEL\" }\n\
         open = { usage = \"GAUGE\", help = \"Orders that wait.\" }\nmade = { usage = \"COUNTER\" }\n",
    );
    let cells = |state: &str, open| CustomRow {
        labels: vec![("datname".into(), "shop".into()), ("state".into(), state.into())],
        figures: vec![("made".into(), 12.0), ("open".into(), open)],
    };
    let reading = |unknown| CustomReading {
        name: "orders".into(),
        at: second(1000),
        took: std::time::Duration::from_millis(3),
        rows: vec![cells("a\"b", 1.5), cells("a\"b", 9.0), cells("c", f64::NAN)],
        cut: 2,
        unknown,
    };
    let mut view = view("one");
    view.custom = vec![Arc::new(reading(None))];
    let shown = text(&[view.clone()], &config);
    insta::assert_snapshot!(format!("{}\n{}\n{}", family(&shown, "orders_open"), family(&shown, "orders_made"), family(&shown, "pgtend_custom_up")), @r#"
    # HELP orders_open Orders that wait.
    # TYPE orders_open gauge
    orders_open{env="prod",datname="shop",state="a\"b"} 1.5
    orders_open{env="prod",datname="shop",state="c"} NaN
    # HELP orders_made Column made of the custom metric orders.
    # TYPE orders_made counter
    orders_made{env="prod",datname="shop",state="a\"b"} 12
    orders_made{env="prod",datname="shop",state="c"} 12
    # HELP pgtend_custom_up Whether the newest run of the custom metric's query gave rows, 0 or 1.
    # TYPE pgtend_custom_up gauge
    pgtend_custom_up{datname="x",env="prod",name="orders"} 1
    "#);
    view.custom = vec![Arc::new(reading(Some(Unknown::new(Reason::Failed, "syntax error"))))];
    let failed = text(&[view], &config);
    assert_eq!(family(&failed, "orders_open"), "", "old figures would be silently wrong");
    assert!(failed.contains("pgtend_custom_up{datname=\"x\",env=\"prod\",name=\"orders\"} 0"));
}

#[test]
fn a_client_that_goes_away_ends_the_work() {
    let mut view = view("one");
    let table = |number: i64| row(|row: &mut Table| row.relname = format!("t{number}").into());
    view.readings.put(Taken::Tables(sample(1000, (0..5000).map(table).collect())));
    let config = config("[metrics]\nmax_tables = 100000\n");
    let about = About::default();
    let mut pieces = 0;
    render(&Scrape::new([&view], &config, &about, second(1012)), &mut |_| {
        pieces += 1;
        if pieces == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(pieces, 2);
}
