//! Directories that do not start, one scenario each: what is done about them, and what is not.

use super::facts::{Backup, Control, Facts, MULTIXACTS_PER_SEGMENT, Owner, Slru, StartLabel, State, Wal, XIDS_PER_SEGMENT, slru_gaps};
use super::failure::{Failure, Next, next, read};
use super::plan::{Action, Asked, Plan, plan};
use crate::pgdata::Lsn;
use crate::pgdata::wal::{Segment, SegmentSize};

const SAFE: Asked = Asked { aggressive: false };
const AGGRESSIVE: Asked = Asked { aggressive: true };

fn size() -> SegmentSize {
    SegmentSize::new(16 << 20).unwrap()
}

fn segments(numbers: &[u64]) -> std::collections::BTreeSet<Segment> {
    numbers.iter().map(|number| Segment { timeline: 1, number: *number }).collect()
}

fn state(clean: bool) -> Control {
    Control::Good(Box::new(State {
        system_identifier: 7,
        doing: if clean { "shut down" } else { "in production" }.into(),
        clean,
        checkpoint: Lsn(0x0500_0060),
        redo: Lsn(0x0500_0028),
        timeline: 1,
        next_xid: 800,
        oldest_xid: 716,
        next_multixact: 1,
        oldest_multixact: 1,
    }))
}

/// A server that crashed, with segments 5 to 7 in `pg_wal`.
fn crashed() -> Facts {
    let owner = Owner { wanted: "postgres".into(), found: "postgres".into(), mode: 0o700, ..Owner::default() };
    let wal = Wal { size: Some(size()), here: segments(&[5, 6, 7]), ..Wal::default() };
    Facts { version: Some(15), control: state(false), has_run: true, owner, wal, ..Facts::default() }
}

fn archive(facts: &mut Facts, numbers: &[u64]) {
    facts.wal.elsewhere = segments(numbers);
    facts.wal.elsewhere_named = "/archive".into();
}

fn backup() -> Option<Backup> {
    Some(Backup { label: "20261121T053000Z".parse().unwrap(), start: Lsn(0x0200_0028), timeline: 1, size: size() })
}

/// What is done, in a word each.
fn steps(plan: &Plan) -> String {
    let word = |action: &Action| match action {
        Action::Copy => "copy".to_owned(),
        Action::SetAside { file } => format!("aside {file}"),
        Action::MakeDirectories { .. } => "mkdir".to_owned(),
        Action::WriteVersions { .. } => "versions".to_owned(),
        Action::TakeFiles { files, .. } => format!("take {}", files.join("+")),
        Action::TakeWal { segments } => format!("wal {}", segments.iter().map(|name| &name[22..]).collect::<Vec<_>>().join(",")),
        Action::FillSlru { files } => format!("fill {}", files[0].0),
        Action::EndHere => "end".to_owned(),
        Action::Start { ignore_invalid_pages } => if *ignore_invalid_pages { "start!" } else { "start" }.to_owned(),
        Action::Check => "check".to_owned(),
        Action::Salvage => "salvage".to_owned(),
    };
    plan.steps.iter().map(|step| word(&step.action)).collect::<Vec<_>>().join("; ")
}

fn kinds(plan: &Plan) -> Vec<&str> {
    plan.findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn a_crash_is_replayed_and_nothing_is_wrong_with_it() {
    let plan = plan(&crashed(), SAFE);
    assert_eq!((steps(&plan).as_str(), kinds(&plan)), ("copy; start; check", vec!["crashed"]));
    assert!(plan.stops.is_empty() && plan.steps.iter().all(|step| !step.lossy));
}

#[test]
fn missing_wal_comes_from_elsewhere() {
    let mut facts = crashed();
    facts.wal.here = segments(&[6, 7]);
    archive(&mut facts, &[3, 4, 5, 8]);
    let plan = plan(&facts, SAFE);
    assert_eq!(steps(&plan), "copy; wal 05,08; start; check");
    assert_eq!(kinds(&plan), ["crashed", "wal_missing"]);
}

#[test]
fn without_the_first_segment_nothing_is_started_and_pg_resetwal_is_only_told() {
    let mut facts = crashed();
    facts.wal.here = segments(&[6, 7]);
    for asked in [SAFE, AGGRESSIVE] {
        let plan = plan(&facts, asked);
        assert_eq!(steps(&plan), "copy");
        assert!(plan.stops.contains("000000010000000000000005"), "{}", plan.stops);
        let told = plan.advice.iter().find(|advice| advice.contains("pg_resetwal -f -D COPY")).expect("the command is told");
        assert!(told.contains("0/5000060") && told.contains("last resort"), "{told}");
    }
}

#[test]
fn a_gap_in_wal_is_not_taken_for_its_end_unless_that_is_allowed() {
    let mut facts = crashed();
    facts.wal.here = segments(&[5, 7]);
    let careful = plan(&facts, SAFE);
    assert_eq!(steps(&careful), "copy");
    assert!(kinds(&careful).contains(&"wal_gap") && careful.stops.contains("--aggressive"), "{careful:#?}");
    let allowed = plan(&facts, AGGRESSIVE);
    assert_eq!(steps(&allowed), "copy; start; check");
    assert!(allowed.lost[0].contains("what was committed after that"), "{:?}", allowed.lost);
    archive(&mut facts, &[6]);
    assert_eq!(steps(&plan(&facts, SAFE)), "copy; wal 06; start; check");
    // One that is cut short is a gap, too.
    let mut facts = crashed();
    facts.wal.here = segments(&[5, 6]);
    facts.wal.damaged_segments = segments(&[7]);
    assert_eq!(steps(&plan(&facts, SAFE)), "copy");
    archive(&mut facts, &[7]);
    assert_eq!(steps(&plan(&facts, SAFE)), "copy; wal 07; start; check");
}

#[test]
fn after_a_clean_shutdown_only_the_checkpoint_is_needed() {
    let mut facts = crashed();
    facts.control = state(true);
    facts.wal.here = segments(&[5, 7]);
    assert_eq!(steps(&plan(&facts, SAFE)), "copy; start; check");
}

#[test]
fn a_control_file_comes_from_a_backup_only_with_all_wal_since() {
    let mut facts = crashed();
    facts.control = Control::Damaged("its checksum is wrong".into());
    facts.slru_spans = [Some((0, 2)), Some((0, 0)), Some((0, 0))];
    let nothing = plan(&facts, AGGRESSIVE);
    assert_eq!(steps(&nothing), "copy");
    let told = "pg_resetwal -f -l 000000010000000000000009 -x 3145728 -m 65536,1 -O 52352 -D COPY";
    assert!(nothing.advice.iter().any(|advice| advice.contains(told)), "{:?}", nothing.advice);
    facts.backup = backup();
    archive(&mut facts, &[2, 3]);
    assert!(plan(&facts, SAFE).stops.contains("is not whole"));
    archive(&mut facts, &[2, 3, 4, 5]);
    assert_eq!(steps(&plan(&facts, SAFE)), "copy; take global/pg_control+backup_label; wal 02,03,04; start; check");
}

#[test]
fn a_label_is_set_aside_only_where_a_server_ran_and_that_is_allowed() {
    let mut facts = crashed();
    facts.label = Some(StartLabel { start: Some((Lsn(0x0200_0028), 1)) });
    facts.version = Some(14);
    assert_eq!(steps(&plan(&facts, SAFE)), "copy");
    let allowed = plan(&facts, AGGRESSIVE);
    assert_eq!(steps(&allowed), "copy; aside backup_label; start; check");
    assert!(allowed.steps[1].lossy && allowed.steps[1].risk.contains("silently damaged"));
    // A restored backup in which nothing has run: its label is right, and its WAL is wanted.
    facts.has_run = false;
    let restored = plan(&facts, AGGRESSIVE);
    assert_eq!(steps(&restored), "copy");
    assert!(restored.advice[0].contains("--wal"), "{:?}", restored.advice);
    archive(&mut facts, &[2, 3, 4]);
    assert_eq!(steps(&plan(&facts, SAFE)), "copy; wal 02,03,04; start; check");
}

#[test]
fn transaction_states_come_from_a_backup_or_are_made_up_where_that_is_allowed() {
    let mut facts = crashed();
    facts.slru = vec![Slru { path: "pg_xact/0000".into(), why: "it is missing".into(), bytes: 262_144 }];
    assert_eq!(steps(&plan(&facts, SAFE)), "copy");
    assert_eq!(steps(&plan(&facts, AGGRESSIVE)), "copy; fill pg_xact/0000; start; check");
    facts.backup = backup();
    assert_eq!(steps(&plan(&facts, AGGRESSIVE)), "copy; take pg_xact/0000; start; check");
}

#[test]
fn what_costs_nothing_is_simply_done() {
    let mut facts = crashed();
    facts.missing_directories = vec!["pg_notify".into()];
    facts.missing_versions = vec!["base/5/PG_VERSION".into()];
    facts.configuration = vec![("postgresql.auto.conf".into(), "syntax error".into())];
    facts.signal = Some("standby.signal".into());
    let plan = plan(&facts, SAFE);
    assert_eq!(steps(&plan), "copy; aside postgresql.auto.conf; mkdir; versions; end; start; check");
    assert!(plan.steps.iter().all(|step| !step.lossy));
}

#[test]
fn a_tablespace_that_is_not_mounted_is_never_given_up() {
    let mut facts = crashed();
    facts.lost_tablespaces = vec![("16400".into(), "/disk2/ts".into())];
    let plan = plan(&facts, AGGRESSIVE);
    assert_eq!(steps(&plan), "copy");
    assert!(plan.stops.contains("Mount it first"), "{}", plan.stops);
}

#[test]
fn surroundings_are_told_with_their_remedies() {
    let mut facts = crashed();
    facts.owner =
        Owner { wanted: "postgres".into(), found: "root".into(), mode: 0o755, foreign: 3, first: Some("global/pg_control".into()) };
    facts.full = vec![("pg_wal".into(), 0)];
    facts.stale_pid = Some(77);
    let plan = plan(&facts, SAFE);
    assert_eq!(kinds(&plan), ["disk_full", "owner", "mode", "stale_pid", "crashed"]);
    assert!(plan.findings[0].remedy.contains("never remove anything from pg_wal"));
    assert_eq!(plan.findings[1].remedy, "chown -R postgres: DIR");
}

#[test]
fn gaps_among_transaction_states_are_told_as_surely_as_they_are_known() {
    let full = super::facts::SLRU_BYTES;
    let gaps = |there: &[(u64, u64)], oldest, next, clean| -> Vec<String> {
        slru_gaps("pg_xact", there, oldest, next, XIDS_PER_SEGMENT, clean).into_iter().map(|gap| gap.path).collect()
    };
    let million = XIDS_PER_SEGMENT;
    assert!(gaps(&[(0, 8192)], 716, 800, true).is_empty());
    assert_eq!(gaps(&[], 716, 800, false), ["pg_xact/0000"]);
    assert_eq!(gaps(&[(0, full), (2, 8192)], 716, 2 * million + 5, false), ["pg_xact/0001"]);
    // The first may have been removed after the checkpoint of a server that crashed.
    assert!(gaps(&[(1, full), (2, 8192)], 716, 2 * million + 5, false).is_empty());
    assert_eq!(gaps(&[(1, full), (2, 8192)], 716, 2 * million + 5, true), ["pg_xact/0000"]);
    assert_eq!(gaps(&[(0, 100)], 716, 800, true), ["pg_xact/0000"]);
    assert!(gaps(&[(0, full)], 716, million, true).is_empty(), "a transaction that begins a segment has none yet");
    assert!(slru_gaps("pg_multixact/offsets", &[(0, 8192)], 1, 1, MULTIXACTS_PER_SEGMENT, true).is_empty());
}

#[test]
fn failures_are_understood_as_postgresql_tells_them() {
    let cases = [
        ("PANIC:  WAL contains references to invalid pages", Failure::InvalidPages),
        ("PANIC:  could not locate a valid checkpoint record", Failure::NoCheckpoint),
        ("LOG:  invalid checkpoint record", Failure::NoCheckpoint),
        ("FATAL:  could not locate required checkpoint record\nHINT:  If you are restoring", Failure::BackupEnd),
        (
            "FATAL:  could not access status of transaction 735\nDETAIL:  Could not open file \"pg_xact/0000\": No such file or directory.",
            Failure::Slru("pg_xact/0000".into()),
        ),
        (
            "LOG:  syntax error in file \"/data/postgresql.auto.conf\" line 3, near token \"=\"\nFATAL:  configuration file \"/data/postgresql.auto.conf\" contains errors",
            Failure::Configuration("postgresql.auto.conf".into()),
        ),
        ("PANIC:  could not write to file \"pg_wal/xlogtemp.1\": No space left on device", Failure::DiskFull),
        ("FATAL:  something new", Failure::Other),
    ];
    for (said, failure) in cases {
        assert_eq!(read(said), failure, "{said}");
    }
}

#[test]
fn the_next_attempt_loses_nothing_unless_that_is_allowed_and_ends() {
    let facts = crashed();
    let ignoring = Action::Start { ignore_invalid_pages: true };
    assert!(matches!(next(&Failure::InvalidPages, &facts, SAFE, &[]), Next::GiveUp(advice) if advice[0].contains("--aggressive")));
    assert_eq!(next(&Failure::InvalidPages, &facts, AGGRESSIVE, &[]), Next::Try(vec![ignoring.clone()]));
    assert_eq!(next(&Failure::InvalidPages, &facts, AGGRESSIVE, &[ignoring]), Next::GiveUp(Vec::new()));
    let file = Failure::Configuration("postgresql.conf".into());
    let Next::Try(actions) = next(&file, &facts, SAFE, &[]) else { panic!() };
    assert_eq!(next(&file, &facts, SAFE, &actions), Next::GiveUp(Vec::new()));
    assert!(matches!(next(&Failure::NoCheckpoint, &facts, AGGRESSIVE, &[]), Next::GiveUp(advice) if advice[1].contains("pg_resetwal")));
}
