//! What the doctor says of servers that people have: each a scenario.

use super::*;
use crate::backup::{BackupHead, BackupKind, Label};
use crate::error::{Error, Kind};
use jiff::SignedDuration;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// One backup a night, 9 hours old, each of 1 GB but the first of 100.
fn nightly() -> Vec<BackupHead> {
    let of = |night: i64| {
        let started = now() - hours(9 + 24 * night);
        let stored_bytes = if night == 9 { 100 << 30 } else { 1 << 30 };
        BackupHead { finished: started, stored_bytes, ..BackupHead::begun(BackupKind::Physical, "main", Label::at(started), started) }
    };
    (0..10).rev().map(of).collect()
}

fn file(path: &str, mode: u32) -> FileFacts {
    FileFacts { path: path.into(), owner: "postgres".into(), mode, readable: true, writable: true }
}

fn disk(free_bytes: u64) -> DiskFacts {
    DiskFacts { path: "/srv".into(), free_bytes, total_bytes: 1 << 40, free_inodes: Some(0.9) }
}

fn expected(every: i64, age: i64) -> ExpectedFacts {
    let finished = now() - hours(age);
    let newest = Newest { label: Label::at(finished), finished, warnings: 0, wrong_pages: 0 };
    ExpectedFacts { what: "physical".into(), every: Some(hours(every)), newest: Some(newest), failed: None }
}

fn repository() -> RepositoryFacts {
    RepositoryFacts {
        name: "main".into(),
        place: "/srv/backup".into(),
        probed: Ok(0.01),
        clock: Ok(ClockFacts::default()),
        directory: Some(Ok(file("/srv/backup", 0o700))),
        disk: Some(disk(200 << 30)),
        key_file: Some(Ok(file("/etc/pgtend/main.key", 0o600))),
        key_inside: false,
        reads: true,
        backups: Ok((nightly(), Vec::new())),
        expected: vec![expected(24, 9)],
        sample: Some(Ok(Sample { label: Label::at(now()), extents: 16, of: 1000 })),
        verified: Some(Verified { at: now() - hours(30), sound: true }),
        wal: Some(Ok(WalFacts { last: Some(now()), gaps: 0, broken_by: None, waiting: Some(0) })),
        locks: Ok(Vec::new()),
    }
}

fn healthy() -> Facts {
    let server = ServerFacts {
        version: 150_018,
        may_back_up: true,
        monitor: true,
        reads_all_data: Some(true),
        archive_mode: "on".into(),
        archiver: "pgtend wal push \"%p\"".into(),
        connections: 97,
        used_connections: 10,
        ..ServerFacts::default()
    };
    let tools = ToolFacts { postgres: vec![15], pg_dump: vec![15], pg_restore: vec![15], pg_verifybackup: vec![15] };
    let host = HostFacts {
        user: "pgtend".into(),
        tools,
        open_files: Some(65_536),
        wal_disk: Some(disk(100 << 30)),
        staging: Some(disk(100 << 30)),
        ..HostFacts::default()
    };
    Facts {
        now: now(),
        server: "main".into(),
        role: "keeper".into(),
        asked: Ok(server),
        streaming: None,
        data_directory: Some(Ok(file("/var/lib/postgresql/15/main", 0o700))),
        host,
        logical: true,
        jobs: 2,
        repositories: vec![repository()],
    }
}

fn with_server(change: impl FnOnce(&mut ServerFacts)) -> Facts {
    let mut facts = healthy();
    change(facts.asked.as_mut().unwrap());
    facts
}

fn with_repository(change: impl FnOnce(&mut RepositoryFacts)) -> Facts {
    let mut facts = healthy();
    change(&mut facts.repositories[0]);
    facts
}

/// How one check comes out, and what it says with its fix.
fn of(facts: &Facts, id: &str) -> (State, String) {
    let report = examine(facts);
    let worst =
        report.checks.iter().filter(|check| check.id == id).max_by_key(|check| check.state).unwrap_or_else(|| panic!("no check {id}"));
    (worst.state, format!("{} | {}", worst.found, worst.fix))
}

#[test]
fn a_healthy_server_has_nothing_to_say() {
    let report = examine(&healthy());
    let bad: Vec<&Check> = report.checks.iter().filter(|check| check.state != State::Ok).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!((report.verdict, report.exit_code()), (State::Ok, 0));
    assert!(report.checks.iter().all(|check| check.fix.is_empty() && !check.found.is_empty()));
}

#[test]
fn a_server_that_does_not_answer_is_a_failure_and_the_rest_is_unknown() {
    let facts = Facts { asked: Err(Error::new(Kind::Authentication, "password authentication failed").hint("see .pgpass")), ..healthy() };
    assert_eq!(of(&facts, "connection"), (State::Fail, "password authentication failed | see .pgpass".into()));
    assert_eq!(of(&facts, "privileges").0, State::Unknown);
    assert_eq!(of(&facts, "space").0, State::Ok, "the repository is looked at all the same");
    assert_eq!(examine(&facts).exit_code(), 2);
}

#[test]
fn a_password_that_runs_out_is_told_before() {
    let until = |hours_left| with_server(|server| server.valid_until = Some(now() + hours(hours_left)));
    assert_eq!(of(&until(24 * 365), "credentials").0, State::Ok);
    let (state, told) = of(&until(24 * 5), "credentials");
    assert!(state == State::Warn && told.contains("VALID UNTIL"), "{told}");
    assert_eq!(of(&until(-1), "credentials").0, State::Fail);
}

#[test]
fn each_missing_right_names_its_grant() {
    for (version, function) in [(150_000, "pg_backup_start(text, boolean)"), (140_000, "pg_start_backup(text, boolean, boolean)")] {
        let facts = with_server(|server| (server.version, server.may_back_up) = (version, false));
        let (state, told) = of(&facts, "privileges");
        assert!(state == State::Fail && told.contains(function) && told.contains("TO \"keeper\""), "{told}");
    }
    assert!(of(&with_server(|server| server.monitor = false), "privileges").1.contains("GRANT pg_monitor TO \"keeper\""));
    let no_archive = with_server(|server| server.archive_mode = "off".into());
    assert!(of(&no_archive, "privileges").1.contains("REPLICATION"));
    let (state, told) = of(&with_server(|server| server.reads_all_data = Some(false)), "logical_privileges");
    assert!(state == State::Fail && told.contains("GRANT pg_read_all_data TO"), "{told}");
    let on_13 = with_server(|server| (server.version, server.reads_all_data) = (130_000, None));
    assert_eq!(of(&on_13, "logical_privileges").0, State::Unknown);
    assert_eq!(of(&Facts { logical: false, ..on_13 }, "logical_privileges").0, State::Ok);
}

#[test]
fn archiving_is_looked_at() {
    let (state, told) = of(&with_server(|server| server.failing = Some("0000000100000000000000A1".into())), "archiving");
    assert!(state == State::Fail && told.contains("0000000100000000000000A1"), "{told}");
    assert_eq!(of(&with_server(|server| server.archive_mode = "off".into()), "archiving").0, State::Warn);
    assert_eq!(of(&with_server(|server| (server.archive_mode, server.in_recovery) = ("off".into(), true)), "archiving").0, State::Ok);
    assert_eq!(of(&with_server(|server| server.archiver = "(disabled)".into()), "archiving").0, State::Fail);
    assert_eq!(of(&with_server(|server| server.archiver = "cp %p /mnt/%f".into()), "archiving").0, State::Warn);
}

#[test]
fn connections_and_clocks_have_headroom() {
    assert_eq!(of(&with_server(|server| server.used_connections = 95), "connections").0, State::Fail);
    assert_eq!(of(&with_server(|server| server.used_connections = 90), "connections").0, State::Warn);
    assert_eq!(of(&with_server(|server| server.clock_ahead = SignedDuration::from_mins(-3)), "server_clock").0, State::Warn);
    let late = with_repository(|repository| repository.clock = Ok(ClockFacts { ahead: SignedDuration::from_mins(20) }));
    assert!(of(&late, "storage_clock").1.contains("ahead"));
    assert_eq!(of(&late, "storage_clock").0, State::Fail);
}

#[test]
fn files_and_programs_of_this_machine_are_looked_at() {
    let facts = Facts { data_directory: Some(Ok(FileFacts { readable: false, ..file("/data", 0o700) })), ..healthy() };
    assert!(of(&facts, "data_directory").1.contains("run the agent as postgres"));
    let mut facts = healthy();
    facts.host.tools.pg_dump = vec![14];
    let (state, told) = of(&facts, "tools");
    assert!(state == State::Fail && told.contains("postgresql-client-15"), "{told}");
    facts.logical = false;
    assert_eq!(of(&facts, "tools").0, State::Warn);
    facts.host.tools.pg_dump = vec![17];
    assert_eq!(of(&facts, "tools").0, State::Ok, "a later pg_dump will do");
    facts.host.open_files = Some(256);
    assert_eq!(of(&facts, "limits").0, State::Warn);
    facts.host.security =
        SecurityFacts { selinux: Some("enforcing".into()), apparmor: false, confined: Some("system_u:system_r:pgtend_t:s0".into()) };
    assert!(of(&facts, "confinement").1.contains("ausearch"));
}

#[test]
fn the_key_is_guarded() {
    let open = with_repository(|repository| repository.key_file = Some(Ok(file("/etc/main.key", 0o644))));
    assert!(
        of(&open, "key_file")
            == (State::Fail, "its mode is 0644: others can read what opens the backups | chmod 0600 /etc/main.key".into())
    );
    assert_eq!(of(&with_repository(|repository| repository.key_inside = true), "key_file").0, State::Fail);
    assert!(of(&healthy(), "key_file").1.contains("is there a copy elsewhere?"));
}

#[test]
fn room_is_held_against_what_backups_take() {
    // Nine backups of 1 GB in nine days and nine hours.
    assert_eq!(of(&with_repository(|repository| repository.disk = Some(disk(20 << 30))), "space").0, State::Warn);
    let (state, told) = of(&with_repository(|repository| repository.disk = Some(disk(2 << 30))), "space");
    assert!(state == State::Fail && told.contains("enough for 2 days"), "{told}");
    let bucket = with_repository(|repository| (repository.disk, repository.directory) = (None, None));
    assert_eq!((of(&bucket, "space").0, examine(&bucket).exit_code()), (State::Unknown, 0), "unknown is said, and is no failure");
    assert_eq!(repository::growth_a_day(&nightly()[9..], now()), None, "one backup tells nothing");
}

#[test]
fn a_backup_that_does_not_come_is_noticed() {
    let aged = |hours| with_repository(|repository| repository.expected = vec![expected(24, hours)]);
    assert_eq!(of(&aged(24), "age").0, State::Ok);
    assert_eq!(of(&aged(26), "age").0, State::Warn);
    assert_eq!(of(&aged(50), "age").0, State::Fail);
    let none = with_repository(|repository| repository.expected[0].newest = None);
    assert!(of(&none, "age").1.contains("no physical backup"));
    let failed =
        with_repository(|repository| repository.expected[0].failed = Some(Error::new(Kind::System, "the disk is full").hint("make room")));
    assert_eq!(of(&failed, "last_attempt"), (State::Fail, "the last physical backup failed: the disk is full | make room".into()));
}

#[test]
fn what_is_there_must_be_sound() {
    let damaged = with_repository(|repository| {
        repository.backups = Ok((nightly(), vec![Error::new(Kind::Conflict, "it is cut off").at("backups/main/x/head")]));
    });
    let (state, told) = of(&damaged, "backups");
    assert!(state == State::Fail && told.contains("1 of 11 backups cannot be read") && told.contains("backups/main/x/head"), "{told}");
    let sample = with_repository(|repository| repository.sample = Some(Err(Error::new(Kind::Conflict, "an extent is damaged"))));
    assert_eq!(of(&sample, "sample").0, State::Fail);
    let write_only = with_repository(|repository| {
        (repository.reads, repository.sample) = (false, Some(Err(Error::new(Kind::Authentication, "not readable here"))));
    });
    assert_eq!(of(&write_only, "sample").0, State::Unknown);
    let hurt = with_repository(|repository| repository.verified = Some(Verified { at: now(), sound: false }));
    assert_eq!(of(&hurt, "verified").0, State::Fail);
}

#[test]
fn wal_has_no_gap_and_does_not_wait() {
    let wal = |wal: WalFacts| with_repository(|repository| repository.wal = Some(Ok(wal)));
    let broken = wal(WalFacts { broken_by: Some("0000000100000000000000A1".into()), ..WalFacts::default() });
    assert!(of(&broken, "wal").1.contains("no later moment can be reached"));
    let waiting = wal(WalFacts { last: Some(now() - hours(2)), waiting: Some(3), ..WalFacts::default() });
    assert_eq!(of(&waiting, "wal").0, State::Fail);
    let idle = wal(WalFacts { last: Some(now() - hours(48)), waiting: Some(0), ..WalFacts::default() });
    assert_eq!(of(&idle, "wal").0, State::Ok, "an idle server hands over nothing");
}

#[test]
fn a_storage_that_cannot_be_written_is_a_failure_with_its_reason() {
    let error =
        Error::new(Kind::Privilege, "an object cannot be written: 403 AccessDenied").hint("allow s3:PutObject").at("s3://b/pg/probe/x");
    let denied = with_repository(|repository| repository.probed = Err(error));
    let (state, told) = of(&denied, "storage");
    assert!(state == State::Fail && told.contains("s3:PutObject") && told.contains("s3://b/pg"), "{told}");
    assert_eq!(of(&denied, "backups").0, State::Unknown);
    let left = LockFacts { name: "backup-main".into(), what: "backup of main".into(), host: "db1".into(), left_over: true };
    assert_eq!(of(&with_repository(|repository| repository.locks = Ok(vec![left])), "locks").0, State::Warn);
}
