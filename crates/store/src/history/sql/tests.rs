//! SQL over a history as a whole: what is pushed down changes nothing but the time that it takes.

use super::super::tests::{POLICY, at, plus, put, tick};
use super::super::{History, Recorder};
use pgtend_model::error::Kind;
use pgtend_model::sql::{Answer, Cell, Query};
use proptest::prelude::*;
use std::sync::LazyLock;

/// A day that is sealed, an hour that is sealed, and a journal, of two servers.
fn record(recorder: &mut Recorder) {
    for (server, day, hour) in [("main", 19, 22), ("main", 19, 23), ("main", 20, 0), ("other", 19, 23), ("main", 20, 1), ("other", 20, 1)] {
        let start = at(&format!("{day}T{hour:02}:59:30"));
        for second in 0..20 {
            recorder.tick(server, &tick(plus(start, second), usize::try_from(second % 4).unwrap()));
        }
        if server == "main" {
            put(recorder, start, &[("a", day), ("b", hour)]);
        }
        recorder.flush();
    }
}

static HISTORY: LazyLock<(tempfile::TempDir, History)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(directory.path(), POLICY).unwrap();
    let mut recorder = history.recorder().unwrap();
    record(&mut recorder);
    recorder.texts("main", &[(100, "update t".into())], super::super::Origin::Statements, at("20T02:00:00")).unwrap();
    drop(recorder);
    history.tend(at("20T01:59:59"));
    (directory, history)
});

fn ask(query: &str) -> Answer {
    HISTORY.1.query(&Query::new(query), None).unwrap_or_else(|error| panic!("{query}: {error}"))
}

fn lines(query: &str) -> Vec<String> {
    ask(query).rows.iter().map(|row| row.iter().map(Cell::to_string).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn journal_hours_and_days_are_one_table() {
    assert_eq!(lines("select count(*) from ash"), ["180"]);
    assert_eq!(
        lines("select server, count(*), min(sample_time) from ash group by server order by 1"),
        ["main 120 2026-11-19T22:59:31.000Z", "other 60 2026-11-19T23:59:31.000Z"]
    );
    assert_eq!(
        lines("select hour, count(*) from ash where server = 'main' group by hour order by hour"),
        ["2026-11-19T22:00Z 30", "2026-11-19T23:00Z 30", "2026-11-20T00:00Z 30", "2026-11-20T01:00Z 30"]
    );
    assert_eq!(lines("select wait_class, count(*), sum(cpu_ms) from ash group by 1 order by 2 desc"), ["CPU 90 45000", "Application 90 "]);
    assert_eq!(lines("select distinct blocked_by from ash order by 1 desc"), ["[1]", ""]);
    assert_eq!(lines("select count(*), sum(sessions) from ticks"), ["120 180"]);
    assert_eq!(lines("select datname, max(size_bytes) from database_size where gone = 0 group by datname order by 1"), ["a 20", "b 23"]);
    let metrics = "select labels, metric, max(value) from metrics where probe = 'database_size' group by 1, 2 order by 1";
    assert_eq!(lines(metrics), [r#"{"datid":97,"datname":"a"} size_bytes 20"#, r#"{"datid":98,"datname":"b"} size_bytes 23"#]);
    assert_eq!(lines("select probe, count(*), sum(rows) from frames group by probe"), ["database_size 4 8"]);
    let joined = "select t.text, count(*) from ash as a left join texts as t using (server, query_id) group by 1 order by 1";
    assert_eq!(lines(joined), [" 60", "update t 120"]);
}

#[test]
fn times_are_compared_as_instants_however_they_are_written() {
    for from in ["2026-11-20T00:59:40Z", "2026-11-20 00:59:40", "2026-11-20T01:59:40+01:00", "2026-11-20T00:59:40.000Z", "1795136380"] {
        assert_eq!(lines(&format!("select count(*) from ash where server = 'main' and sample_time >= '{from}'")), ["47"], "{from}");
        assert_eq!(lines(&format!("select count(*) from ash where server = 'main' and sample_time = '{from}'")), ["2"], "{from}");
    }
    assert_eq!(lines("select count(*) from ash where sample_time > datetime('2026-11-20', '+12 hours')"), ["0"]);
    assert_eq!(lines("select count(*) from ash where sample_time > null"), ["0"]);
    let error = HISTORY.1.query(&Query::new("select * from ash where sample_time > 'yesterday'"), None).unwrap_err();
    assert!(error.kind == Kind::Usage && error.what.contains("'yesterday'") && error.hint.contains("datetime"), "{error}");
}

#[test]
fn nothing_but_reading_is_possible() {
    for wrong in [
        "create table x (y)",
        "delete from ash",
        "insert into history_tables values (1, 2)",
        "attach '/tmp/x' as y",
        "pragma journal_mode = off",
        "drop view texts",
        "select load_extension('x')",
        "begin",
        "vacuum into '/tmp/x'",
        "select * from catalog.text; delete from catalog.text",
    ] {
        let error = HISTORY.1.query(&Query::new(wrong), None).unwrap_err();
        assert!(matches!(error.kind, Kind::Privilege | Kind::Usage) && !error.hint.is_empty(), "{wrong}: {error}");
    }
    assert_eq!(lines("select count(*) from texts"), ["1"]);
}

#[test]
fn mistakes_come_with_a_hint() {
    let hint = |query: &str| HISTORY.1.query(&Query::new(query), None).unwrap_err();
    assert!(hint("select wait_clas from ash").hint.starts_with("did you mean \"wait_class\"?"));
    assert!(hint("select * from statments").hint.starts_with("did you mean \"statements\"?"));
    assert!(hint("selec 1").what.contains("syntax error"));
    assert_eq!(hint(" ").kind, Kind::Usage);
}

#[test]
fn limits_hold_and_say_so() {
    let answer = HISTORY.1.query(&Query { limit: 10, ..Query::new("select * from ash") }, None).unwrap();
    assert!(answer.rows.len() == 10 && answer.truncated);
    let forever = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
    let error = HISTORY.1.query(&Query { timeout_ms: 50, ..Query::new(forever) }, None).unwrap_err();
    assert_eq!(error.kind, Kind::Timeout);
}

#[test]
fn one_server_can_be_all_there_is() {
    let other = |query: &str| HISTORY.1.query(&Query::new(query), Some("other")).unwrap().rows[0][0].to_string();
    assert_eq!((other("select count(*) from ash"), other("select count(*) from texts")), ("60".to_owned(), "0".to_owned()));
}

#[test]
fn everything_there_is_can_be_read_and_is_described() {
    for row in ask("select name from history_tables").rows {
        let table = row[0].to_string();
        let described = ask(&format!("select name from history_columns where \"table\" = '{table}' and not hidden order by position"));
        let described: Vec<String> = described.rows.iter().map(|row| row[0].to_string()).collect();
        assert_eq!(ask(&format!("select * from {table} limit 1")).columns, described, "{table}");
    }
}

fn condition() -> impl Strategy<Value = (&'static str, String)> {
    let time = (0..12_u32, 0..40_u32).prop_map(|(half, second)| {
        format!(
            "'2026-11-{}T{:02}:59:{:02}Z'",
            if half < 6 { 19 } else { 20 },
            if half < 6 { 22 + half % 2 } else { half % 3 },
            second + 15
        )
    });
    let compared = prop_oneof![Just("<"), Just("<="), Just(">"), Just(">="), Just("=")];
    prop_oneof![
        (time, compared).prop_map(|(time, operator)| ("sample_time", format!("{operator} {time}"))),
        prop_oneof![Just("main"), Just("other"), Just("none")].prop_map(|name| ("server", format!("= '{name}'"))),
        prop_oneof![Just("user1"), Just("user2"), Just("User1"), Just("1")].prop_map(|name| ("user", format!("= '{name}'"))),
        (0..4).prop_map(|pid| ("pid", format!("= {pid}"))),
        (0..4).prop_map(|pid| ("pid", format!("= '{pid}'"))),
        Just(("query_id", "= 100.0".to_owned())),
        Just(("query_id", "is null".to_owned())),
        Just(("cpu_ms", "= 500".to_owned())),
        prop_oneof![Just("CPU"), Just("Application")].prop_map(|class| ("wait_class", format!("in ('{class}', 'x')"))),
        Just(("hour", "= '2026-11-20T00:00Z'".to_owned())),
        Just(("blocked_by", "= '[1]'".to_owned())),
    ]
}

fn written(conditions: &[(&str, String)], any: bool) -> String {
    let conditions: Vec<String> = conditions.iter().map(|(column, rest)| format!("a.\"{column}\" {rest}")).collect();
    if conditions.is_empty() { "true".to_owned() } else { conditions.join(if any { " or " } else { " and " }) }
}

const SHAPES: [&str; 6] = [
    "select sample_time, server, pid, \"user\", wait_class from ASH as a where CONDITION order by 1, 2, 3",
    "select wait_class, \"user\", count(*) from ASH as a where CONDITION group by 1, 2 order by 1, 2",
    "select query_id, hour, sum(cpu_ms), min(sample_time) from ASH as a where CONDITION group by 1, 2 order by 1, 2",
    "select distinct wait_event, minute from ASH as a where CONDITION order by 1 desc, 2",
    "select \"user\", count(*) from ASH as a where CONDITION group by \"user\" order by \"user\" desc",
    "select \"user\", a.pid, count(*), max(t.sessions) from ASH as a join ticks as t using (server, sample_time) where CONDITION
     group by 1, 2 order by 1, 2",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_is_pushed_down_changes_no_answer(conditions in prop::collection::vec(condition(), 0..4), any in any::<bool>(), shape in 0..SHAPES.len()) {
        let query = |table: &str| SHAPES[shape].replace("ASH", table).replace("CONDITION", &written(&conditions, any));
        // Nothing is pushed down into what has a limit.
        let (with, without) = (query("ash"), query("(select *, minute, hour, epoch_ms from ash limit 1000000)"));
        prop_assert_eq!(lines(&with), lines(&without), "{}", with);
    }
}
