//! What `pgtend up` makes of what it finds.

use super::*;
use crate::error::Kind;

fn installation(major: u16) -> Installation {
    Installation { bindir: format!("/usr/lib/postgresql/{major}/bin").into(), major, version: format!("{major}.4") }
}

fn marker() -> Marker {
    Marker {
        format: 1,
        id: "0badcafe".into(),
        made_by: "0.1.0".into(),
        created_at: Timestamp::UNIX_EPOCH,
        major: Some(15),
        port: Some(5432),
    }
}

/// A machine on which nothing has happened yet.
fn fresh() -> View {
    View {
        root: "/srv/pgtend".into(),
        directory: Directory::Missing,
        stranger: None,
        cluster: Cluster::Absent,
        runs: Runs::Nothing,
        unfinished: Vec::new(),
        installations: Ok(vec![installation(17), installation(15)]),
        how_to_install: "run `apt-get install postgresql`".into(),
        os_user: Ok("postgres".into()),
        blocked: None,
        machine: Some(Machine {
            major: 17,
            memory_bytes: 8 << 30,
            cpus: 4,
            rotational: Some(false),
            disk_bytes: Some(100 << 30),
            shared_memory_bytes: Some(4 << 30),
            fast_clock: Some(true),
            lz4: true,
            available_libraries: vec!["pg_stat_statements".into()],
        }),
        free_bytes: Some(50 << 30),
        port: Port { asked: None, wanted: 5432, holder: None, nearby: Some(5433), any: Some(40_000) },
        api: listener("the API", "--api", 8080),
        metrics: listener("the metrics", "--metrics", 9187),
        archiving: Archiving { command: Some("pgtend wal push".into()), found: Some("pgtend wal push".into()) },
        short_directory: "/run/pgtend/0badcafe".into(),
    }
}

fn listener(name: &'static str, option: &'static str, port: u16) -> Listener {
    Listener { name, option, asked: None, usual: SocketAddr::from(([127, 0, 0, 1], port)), holder: None }
}

/// A cluster of 15 that was made before.
fn existing() -> View {
    let cluster = Cluster::Of { major: 15, owner: "postgres".into() };
    View { directory: Directory::Ours(marker()), cluster, ..fresh() }
}

fn told(view: &View) -> String {
    match plan(view) {
        Ok(plan) => {
            let notes = plan.notes.iter().map(|note| format!("note: {note}"));
            plan.steps.iter().map(ToString::to_string).chain(notes).collect::<Vec<_>>().join("\n")
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_fresh_machine() {
    insta::assert_snapshot!(told(&fresh()), @r"
    make /srv/pgtend
    make a PostgreSQL 17.4 cluster in /srv/pgtend/data for the user postgres, sized to 8.0 GiB of memory and 4 CPUs
    start PostgreSQL 17.4 on port 5432 as the user postgres
    watch it (API: 127.0.0.1:8080, metrics: 127.0.0.1:9187)
    ");
}

#[test]
fn an_interrupted_creation() {
    let view = View { directory: Directory::Ours(marker()), unfinished: vec!["/srv/pgtend/data.new-1".into()], ..fresh() };
    assert!(told(&view).starts_with("remove /srv/pgtend/data.new-1, a cluster whose making was interrupted\nmake a PostgreSQL 17.4"));
}

#[test]
fn an_existing_cluster_gets_the_programs_of_its_major() {
    insta::assert_snapshot!(told(&existing()), @r"
    start PostgreSQL 15.4 on port 5432 as the user postgres
    watch it (API: 127.0.0.1:8080, metrics: 127.0.0.1:9187)
    ");
    let view = View { installations: Ok(vec![installation(18), installation(17)]), ..existing() };
    insta::assert_snapshot!(told(&view), @r"
    this cluster needs the programs of PostgreSQL 15, and found: 18.4, 17.4
      where: /srv/pgtend/data
      hint: run `apt-get install postgresql`, or name the directory of its programs with --bindir
    ");
}

#[test]
fn a_running_postgresql_is_taken_up_even_without_its_programs() {
    let runs = |phase| Runs::Postmaster { pid: 4711, phase, port: 5433, socket_directory: None };
    let view = View { runs: runs(Phase::Ready), installations: Err(Error::new(Kind::NotFound, "none")), ..existing() };
    insta::assert_snapshot!(told(&view), @r"
    take up the PostgreSQL that runs already, process 4711, on port 5433
    watch it (API: 127.0.0.1:8080, metrics: 127.0.0.1:9187)
    ");
    let view = View { port: Port { asked: Some(6000), ..fresh().port }, ..view };
    assert!(told(&view).contains("note: PostgreSQL runs already, on port 5433: --pg-port 6000 takes effect when it is started anew"));
    let view = View { runs: runs(Phase::Stopping), ..existing() };
    assert!(told(&view).starts_with("wait until PostgreSQL, process 4711, has shut down\nstart PostgreSQL 15.4"));
}

#[test]
fn what_a_crash_left_behind() {
    let left = |why, orphans| View { runs: Runs::LeftBehind { pid: 4711, why, orphans }, ..existing() };
    insta::assert_snapshot!(told(&left(Stale::Gone, vec![])), @r"
    start PostgreSQL 15.4 on port 5432 as the user postgres
    watch it (API: 127.0.0.1:8080, metrics: 127.0.0.1:9187)
    note: PostgreSQL did not shut down in order last time: it will replay its WAL (postmaster.pid names process 4711, which no longer exists)
    ");
    insta::assert_snapshot!(told(&left(Stale::OtherProgram("nginx".into()), vec![12, 13])), @r"
    end the backends whose postmaster is gone: 12, 13
    remove postmaster.pid, which names process 4711, which is nginx now
    start PostgreSQL 15.4 on port 5432 as the user postgres
    watch it (API: 127.0.0.1:8080, metrics: 127.0.0.1:9187)
    note: PostgreSQL did not shut down in order last time: it will replay its WAL (postmaster.pid names process 4711, which is nginx now)
    ");
}

#[test]
fn a_directory_that_pgtend_did_not_make_is_left_alone() {
    let view = View { directory: Directory::Foreign { names: vec!["thesis.tex".into()] }, ..fresh() };
    insta::assert_snapshot!(told(&view), @r"
    pgtend did not make this directory, so it is left alone; it has thesis.tex in it
      where: /srv/pgtend
      hint: name a directory that is missing or empty
    ");
    let view = View { directory: Directory::DataDirectory { major: "14".into() }, ..fresh() };
    assert!(told(&view).starts_with("this is a data directory of PostgreSQL 14 that pgtend did not make"));
    let view = View { stranger: Some("mallory".into()), ..existing() };
    assert!(told(&view).starts_with("this directory belongs to the user mallory"));
    let view = View { cluster: Cluster::Unrecognized("PG_VERSION is missing".into()), ..existing() };
    assert!(told(&view).contains("PG_VERSION is missing"));
    let view = View { cluster: Cluster::Of { major: 15, owner: "alice".into() }, ..existing() };
    assert!(told(&view).contains("--os-user alice"));
}

#[test]
fn the_usual_port_gives_way_and_a_named_one_does_not() {
    let taken = Port { holder: Some("process 12 (postgres)".into()), ..fresh().port };
    let told_port = |port| told(&View { port, ..fresh() });
    assert!(
        told_port(taken.clone())
            .contains("note: port 5432 is taken by process 12 (postgres): PostgreSQL listens on 5433; choose with --pg-port")
    );
    assert!(
        told_port(Port { asked: Some(5432), ..taken.clone() }).starts_with("port 5432 is taken by process 12 (postgres)\n  hint: stop it")
    );
    assert!(told_port(Port { asked: Some(0), ..taken }).contains("start PostgreSQL 17.4 on port 40000"));
}

#[test]
fn an_address_of_the_agent_gives_way_likewise() {
    let taken = Listener { holder: Some("process 12 (nginx)".into()), ..fresh().api };
    let told_api = |api| told(&View { api, ..fresh() });
    let given_way = told_api(taken.clone());
    assert!(given_way.contains("(API: 127.0.0.1:0, metrics"), "{given_way}");
    assert!(
        given_way.contains("note: 127.0.0.1:8080 is taken by process 12 (nginx): the API gets a free port; choose with --api"),
        "{given_way}"
    );
    let asked = Listener { asked: Some(Listen::At(SocketAddr::from(([127, 0, 0, 1], 8080)))), ..taken.clone() };
    assert!(told_api(asked).starts_with("127.0.0.1:8080 is taken by process 12 (nginx), and the API cannot be there"));
    assert!(told_api(Listener { asked: Some(Listen::Off), ..taken }).contains("(API: off, metrics"));
}

#[test]
fn a_long_directory_gets_a_short_socket() {
    let root = PathBuf::from(format!("/srv/{}", "d".repeat(100)));
    let plan = plan(&View { root: root.clone(), ..fresh() }).unwrap();
    assert_eq!(plan.notes.len(), 1, "{:?}", plan.notes);
    assert!(plan.notes[0].ends_with("is too long for the path of a Unix socket: .s.PGSQL.5432 goes to /run/pgtend/0badcafe"));
    assert!(matches!(&plan.steps[2], Step::Start { data_directory, .. } if data_directory.starts_with(&root)));
}

#[test]
fn a_socket_path_has_107_bytes() {
    let directory = |bytes: usize| PathBuf::from(format!("/{}", "d".repeat(bytes - 1)));
    let name = ".s.PGSQL.5432";
    assert!(socket_path_fits(&directory(107 - 1 - name.len()), name));
    assert!(!socket_path_fits(&directory(107 - name.len()), name));
}

#[test]
fn nothing_is_begun_that_cannot_end_well() {
    let view = View { free_bytes: Some(10 << 20), ..fresh() };
    assert!(told(&view).starts_with("there is too little room for a PostgreSQL: 10.0 MiB are free, 256.0 MiB are wanted"));
    let view = View { os_user: Err(Error::new(Kind::NotFound, "there is no user postgres")), ..fresh() };
    assert!(told(&view).starts_with("there is no user postgres"));
    let view = View { blocked: Some(Error::new(Kind::System, "/root is closed to postgres")), ..fresh() };
    assert!(told(&view).starts_with("/root is closed"));
    let view = View { installations: Err(Error::new(Kind::NotFound, "no PostgreSQL is installed")), ..fresh() };
    assert!(told(&view).starts_with("no PostgreSQL is installed"));
    let view = View { runs: Runs::SingleUser { pid: 9 }, ..existing() };
    assert!(told(&view).starts_with("process 9 runs this cluster in single-user mode"));
}
