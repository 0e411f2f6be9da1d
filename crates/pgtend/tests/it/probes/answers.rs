//! What each probe answers on each major, to a superuser and to a role that has only pg_monitor.

use super::{Watcher, as_role, world};
use pgtend_model::sample::registry::SPECS;
use pgtend_model::sample::{Kind, Origin, Probe, Reason, Taken};

/// What is expected of a probe.
#[derive(Debug, PartialEq)]
enum Answer {
    /// At least one row.
    Rows,
    /// No row, and nothing wrong with that.
    None,
    /// No row, for this reason.
    Unknown(Reason),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Role {
    Superuser,
    /// It has pg_monitor and nothing else.
    Monitor,
}

/// On the primary of [`world`], where everything is at work.
fn on_primary(probe: Probe, major: u32, role: Role) -> Answer {
    let since = |first: u32| if major >= first { Answer::Rows } else { Answer::Unknown(Reason::Version) };
    match probe {
        Probe::StatementsInfo | Probe::Wal => since(14),
        Probe::Io | Probe::Buffercache | Probe::BuffercacheUsage => since(16),
        Probe::WaitEvents => since(17),
        Probe::BackendIo => since(18),
        // Nothing is in flight for long enough to be seen reliably.
        Probe::Aios if major >= 18 => Answer::None,
        Probe::Aios => Answer::Unknown(Reason::Version),
        Probe::Recovery | Probe::WalReceiver => Answer::None,
        Probe::Hba | Probe::FileSettings | Probe::Sequences if role == Role::Monitor => Answer::Unknown(Reason::Privilege),
        _ => Answer::Rows,
    }
}

/// On its standby, which nobody else uses.
fn on_standby(probe: Probe, major: u32, role: Role) -> Answer {
    match probe {
        Probe::Recovery | Probe::WalReceiver => Answer::Rows,
        Probe::Replication | Probe::Slots | Probe::Progress | Probe::LockWaits | Probe::PreparedTransactions | Probe::IdleSessions => {
            Answer::None
        }
        Probe::BackendIo if major >= 18 => Answer::None,
        // The startup process may be at work, and functions of extensions that were asked before may count already.
        Probe::Activity | Probe::Functions => Answer::None,
        _ => on_primary(probe, major, role),
    }
}

async fn check(place: &str, watcher: &mut Watcher, expected: impl Fn(Probe) -> Answer) {
    let mut wrong = Vec::new();
    for spec in SPECS.iter().filter(|spec| spec.origin == Origin::Query) {
        let (found, told) = match watcher.run(spec.probe).await {
            Ok(taken) => {
                wrong.extend(negative_counters(&taken).map(|what| format!("{place}: {what}")));
                assert_eq!(taken.missing(), [], "{place}: {}", spec.name);
                (if taken.is_empty() { Answer::None } else { Answer::Rows }, format!("{} rows", taken.len()))
            }
            Err(unknown) => (Answer::Unknown(unknown.reason), unknown.detail),
        };
        let expected = expected(spec.probe);
        let by_chance =
            matches!(spec.probe, Probe::Aios | Probe::Activity | Probe::Functions) && expected == Answer::None && found == Answer::Rows;
        if found != expected && !by_chance {
            wrong.push(format!("{place}: {} gives {found:?} ({told}), not {expected:?}", spec.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn negative_counters(taken: &Taken) -> impl Iterator<Item = String> {
    let spec = taken.probe().spec();
    let counters = spec.columns.iter().enumerate().filter(|(_, column)| column.kind == Kind::Counter);
    counters.flat_map(move |(place, column)| {
        let negative = (0..taken.len()).filter_map(move |row| taken.value(row, place).number()).find(|value| *value < 0.0);
        negative.map(|value| format!("the counter {}.{} is {value}", spec.name, column.name))
    })
}

async fn everything_answers(major: u32) {
    let world = world::start(major).await;
    for (role, name) in [(Role::Superuser, "postgres"), (Role::Monitor, "watcher")] {
        let mut watcher = Watcher::connect(&as_role(&world.primary.dsn(), name)).await;
        check(&format!("{major} as {name}"), &mut watcher, |probe| on_primary(probe, major, role)).await;
        let mut watcher = Watcher::connect(&as_role(&world.standby.dsn(), name)).await;
        check(&format!("standby of {major} as {name}"), &mut watcher, |probe| on_standby(probe, major, role)).await;
    }
}

macro_rules! majors {
    ($($name:ident $major:literal;)+) => {$(
        #[tokio::test]
        async fn $name() {
            everything_answers($major).await;
        }
    )+};
}

majors! {
    every_probe_answers_on_13 13;
    every_probe_answers_on_14 14;
    every_probe_answers_on_15 15;
    every_probe_answers_on_16 16;
    every_probe_answers_on_17 17;
    every_probe_answers_on_18 18;
}
