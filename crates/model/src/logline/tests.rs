//! Logs of all formats, whole and in pieces.

use super::*;
use jiff::tz::TimeZone;
use proptest::prelude::*;

const JSON: &str = concat!(
    r#"{"timestamp":"2026-11-21 05:29:13.123 UTC","user":"joe","dbname":"shop","pid":17,"remote_host":"[local]","session_id":"6a","line_num":1,"#,
    r#""ps":"SELECT","error_severity":"ERROR","state_code":"22012","message":"division by zero","statement":"select 1/0","#,
    r#""application_name":"psql","backend_type":"client backend","query_id":-5}"#,
    "\nnot json\n",
    r#"{"timestamp":"2026-11-21 05:29:14.000 UTC","pid":18,"error_severity":"LOG","message":"checkpoint starting: time","query_id":0}"#,
    "\n"
);

const CSV: &str = concat!(
    r#"2026-11-21 05:29:13.123 UTC,"joe","shop",17,"10.0.0.1:4711",6a.1,1,"SELECT",2026-11-21 05:29:00 UTC,3/4,0,ERROR,22012,"division by zero","#,
    r#""a ""detail""",,,,,"select 1,"#,
    "\n",
    r#" 2/0",,,"psql","client backend",,-5"#,
    "\n",
    r#"2026-11-21 05:29:14.000 UTC,,,18,,6a.2,1,,2026-11-21 05:29:00 UTC,,0,LOG,00000,"checkpoint starting: time",,,,,,,,,"","checkpointer",,0"#,
    "\n"
);

const PREFIX: &str = "%m [%p] %q%u@%d/%a %h %e %Q ";
const STDERR: &str = "2026-11-21 05:29:13.123 UTC [17] joe@shop/psql 10.0.0.1 22012 -5 ERROR:  division by zero
2026-11-21 05:29:13.123 UTC [17] joe@shop/psql 10.0.0.1 22012 -5 DETAIL:  a \"detail\"
2026-11-21 05:29:13.123 UTC [17] joe@shop/psql 10.0.0.1 22012 -5 STATEMENT:  select 1,
\t 2/0
cp: cannot create regular file '/archive/x': No such file or directory
2026-11-21 05:29:14.000 UTC [18] LOG:  checkpoint starting: time
";

fn decoder(format: Format) -> Decoder {
    Decoder::new(format, TimeZone::UTC)
}

fn stderr(prefix: &str) -> Decoder {
    decoder(Format::Stderr(Prefix::new(prefix).unwrap()))
}

/// The events of a text that comes in pieces of so many bytes.
fn read(mut decoder: Decoder, text: &str, piece: usize) -> (Vec<Event>, u64) {
    let mut events = Vec::new();
    for bytes in text.as_bytes().chunks(piece) {
        decoder.feed(bytes, &mut |event| events.push(event));
    }
    decoder.finish(&mut |event| events.push(event));
    assert_eq!(decoder.waiting_bytes(), 0);
    (events, decoder.not_understood())
}

fn error() -> Event {
    let some = |text: &str| Some(text.to_owned());
    Event {
        at: "2026-11-21T05:29:13.123Z".parse().ok(),
        severity: Severity::Error,
        sqlstate: some("22012"),
        pid: Some(17),
        user: some("joe"),
        database: some("shop"),
        application: some("psql"),
        client: some("10.0.0.1"),
        message: "division by zero".to_owned(),
        detail: some("a \"detail\""),
        query: some("select 1,\n 2/0"),
        query_id: Some(-5),
        ..Event::default()
    }
}

fn checkpoint() -> Event {
    Event {
        at: "2026-11-21T05:29:14Z".parse().ok(),
        severity: Severity::Log,
        pid: Some(18),
        message: "checkpoint starting: time".to_owned(),
        ..Event::default()
    }
}

#[test]
fn each_format_tells_the_same() {
    for piece in [1, 7, 100_000] {
        let (events, others) = read(decoder(Format::Json), JSON, piece);
        let backend_type = Some("client backend".to_owned());
        let (client, query) = (Some("[local]".to_owned()), Some("select 1/0".to_owned()));
        assert_eq!(events, [Event { backend_type, client, query, detail: None, ..error() }, checkpoint()]);
        assert_eq!(others, 1);

        let (events, others) = read(decoder(Format::Csv), CSV, piece);
        let of = |kind: &str| Some(kind.to_owned());
        let checkpointer = Event { backend_type: of("checkpointer"), sqlstate: of("00000"), ..checkpoint() };
        assert_eq!(events, [Event { backend_type: of("client backend"), ..error() }, checkpointer]);
        assert_eq!(others, 0);

        let (events, others) = read(stderr(PREFIX), STDERR, piece);
        assert_eq!(events, [error(), checkpoint()]);
        assert_eq!(others, 1, "what the archive command says is no message");
    }
}

#[test]
fn any_prefix_is_recognized() {
    let cases = [
        ("%m [%p] ", "2026-11-21 05:29:13.123 UTC [17] "),
        (
            "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
            "2026-11-21 05:29:13 UTC [17]: [1-1] user=joe,db=shop,app=psql,client=10.0.0.1 ",
        ),
        ("<%n:%5p> ", "<1795238953.123:   17> "),
        ("%c %l %x %v %P [%p] %i|", "6a.1 1 0 3/4  [17] SELECT|"),
        ("%r %u %b [%p] %e: ", "10.0.0.1(4711) joe client backend [17] 22012: "),
        ("%% (%p) ", "% (17) "),
        ("%m %-8u %d %p %Z ", "2026-11-21 05:29:13.123 UTC joe      shop 17  "),
    ];
    for (setting, prefix) in cases {
        let (events, _) = read(stderr(setting), &format!("{prefix}ERROR:  division by zero\n{prefix}HINT:  try: another\n"), 9);
        let [event] = events.as_slice() else { panic!("{setting}: {events:?}") };
        assert_eq!((event.severity, event.message.as_str(), event.pid), (Severity::Error, "division by zero", Some(17)), "{setting}");
        assert_eq!(event.hint.as_deref(), Some("try: another"), "{setting}");
        assert!(event.user.as_deref().is_none_or(|user| user == "joe"), "{setting}: {event:?}");
        let second = event.at.map(Timestamp::as_second);
        assert_eq!(second, ["%m", "%t", "%n"].iter().any(|time| setting.contains(time)).then_some(1_795_238_953), "{setting}");
    }
    let (events, _) = read(stderr(""), "FATAL:  the database system is starting up\n", 100);
    assert_eq!((events[0].severity, events[0].at), (Severity::Fatal, None));
}

#[test]
fn times_are_of_the_zone_that_the_setting_names() {
    let zone = TimeZone::fixed(jiff::tz::Offset::constant(1));
    let mut decoder = Decoder::new(Format::Stderr(Prefix::new("%m ").unwrap()), zone);
    let mut times = Vec::new();
    for at in ["2026-11-21 05:29:13.123 CET", "2026-11-21 05:29:13.123 UTC", "2026-11-21 05:29:13.123 -0330"] {
        decoder.feed(format!("{at} LOG:  x\n").as_bytes(), &mut |event| times.push(event.at));
    }
    decoder.finish(&mut |event| times.push(event.at));
    let told: Vec<String> = times.into_iter().flatten().map(|at| at.to_string()).collect();
    assert_eq!(told, ["2026-11-21T04:29:13.123Z", "2026-11-21T05:29:13.123Z", "2026-11-21T08:59:13.123Z"]);
}

#[test]
fn in_another_language_the_sqlstate_tells_how_bad_it_is() {
    let (events, _) = read(stderr("%m [%p] %e "), "2026-11-21 05:29:13.123 UTC [17] 22012 FEHLER:  Division durch Null\n", 100);
    assert_eq!(events[0].severity, Severity::Error);
    let (events, _) = read(stderr("%m [%p] "), "2026-11-21 05:29:13.123 UTC [17] FEHLER:  Division durch Null\n", 100);
    assert_eq!(events[0].severity, Severity::Unknown);
}

#[test]
fn plans_of_auto_explain_are_read_in_json_and_text() {
    let json = "duration: 12.5 ms  plan:\n{\n  \"Query Text\": \"select *\\nfrom orders\",\n  \"Plan\": {\"Node Type\": \"Seq Scan\", \
                \"Relation Name\": \"orders\", \"Plan Rows\": 10, \"Total Cost\": 1.1}\n}";
    let text = "duration: 12.5 ms  plan:\nQuery Text: select *\nfrom orders\nSeq Scan on orders  (cost=0.00..1.10 rows=10 width=4)";
    for message in [json, text] {
        assert!(auto_explain::is_plan(message));
        let captured = auto_explain::read(message).unwrap();
        assert_eq!((captured.duration_ms, captured.sql.as_str()), (12.5, "select *\nfrom orders"));
        assert_eq!((captured.plan.one_line().as_str(), captured.plan.time_ms()), ("Seq Scan on orders", Some(12.5)));
    }
    let yaml = "duration: 12.5 ms  plan:\nQuery Text: \"select 1\"\nPlan:\n  Node Type: \"Result\"";
    assert!(auto_explain::is_plan(yaml) && auto_explain::read(yaml).is_none());
    assert!(!auto_explain::is_plan("duration: 12.5 ms  statement: select 1"));
}

#[test]
fn what_tells_of_something_is_kept_without_secrets() {
    let now = Timestamp::UNIX_EPOCH;
    let keep = |severity, message: &str| kept(Event { severity, message: message.to_owned(), ..Event::default() }, now).is_some();
    assert!(keep(Severity::Error, "division by zero") && keep(Severity::Log, "checkpoint starting: time") && keep(Severity::Unknown, "x"));
    for noise in ["duration: 1 ms", "statement: select 1", "connection authorized: user=x", "duration: 1.0 ms  plan:\nQuery Text: x"] {
        assert!(!keep(Severity::Log, noise), "{noise}");
    }
    assert!(!keep(Severity::Debug, "x") && !keep(Severity::Notice, "x"));
    let event = Event { query: Some("alter role joe password 'secret'".to_owned()), severity: Severity::Error, ..error() };
    let row = kept(event, now).unwrap();
    assert_eq!((row.query.as_deref(), row.at), (Some("alter role joe password '***'"), error().at.unwrap()));
}

#[test]
fn errors_are_counted_over_a_minute() {
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let mut tally = Tally::new(at(0));
    for second in 0..30 {
        tally.add(&error(), at(second));
        tally.add(&checkpoint(), at(second));
    }
    assert!((tally.errors_per_minute(at(30)) - 60.0).abs() < 1e-9, "30 in half a minute");
    assert!((tally.errors_per_minute(at(60)) - 30.0).abs() < 1e-9);
    assert!((tally.errors_per_minute(at(75)) - 15.0).abs() < 1e-9);
    assert!(tally.errors_per_minute(at(200)).abs() < 1e-9);
    let rows: Vec<(String, String, i64)> =
        tally.rows().iter().map(|row| (row.severity.to_string(), row.sqlstate_class.to_string(), row.written)).collect();
    assert_eq!(rows, [("LOG".to_owned(), String::new(), 30), ("ERROR".to_owned(), "22".to_owned(), 30)]);
}

proptest! {
    #[test]
    fn any_bytes_and_any_prefix_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400), prefix in "[%a-z0-9 :\\[\\]()-]{0,12}") {
        let mut decoders = vec![decoder(Format::Json), decoder(Format::Csv)];
        decoders.extend(Prefix::new(&prefix).map(|prefix| decoder(Format::Stderr(prefix))));
        for mut decoder in decoders {
            decoder.feed(&bytes, &mut |_| {});
            decoder.finish(&mut |_| {});
        }
        prop_assert!(Prefix::new(&prefix).is_some(), "{}", prefix);
    }
}
