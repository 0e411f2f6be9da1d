//! Making, starting, adopting and stopping a PostgreSQL of every major, as the operating system sees it.

use crate::harness::servers;
use pgtend_model::error::{Kind, Result};
use pgtend_model::postmaster::Stale;
use pgtend_model::profile::{profile, render};
use pgtend_model::up::Installation;
use pgtend_postgres::process::create::{Created, NewCluster, create};
use pgtend_postgres::process::find::find;
use pgtend_postgres::process::os_user::OsUser;
use pgtend_postgres::process::passfile::Passwords;
use pgtend_postgres::process::running::{Postmaster, State, StopMode, end_orphans, orphans, remove_stale_pid_file, status};
use pgtend_postgres::process::start::{Start, start};
use pgtend_postgres::process::{machine, port};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A place as `pgtend up` lays it out. What runs in it ends with the test.
struct Place {
    directory: tempfile::TempDir,
    user: OsUser,
    installation: Installation,
}

impl Place {
    fn new(major: u32) -> Self {
        let user = OsUser::choose(None).unwrap();
        let directory = tempfile::Builder::new().prefix("pgtend-").tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["log", "run"] {
            fs::create_dir(directory.path().join(name)).unwrap();
            user.own(&directory.path().join(name)).unwrap();
        }
        let installation = find(Some(&servers::server(major).bindir), &user).unwrap().usable.remove(0);
        Self { directory, user, installation }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn create(&self) -> Result<Created> {
        let passwords = Passwords::generate().unwrap();
        passwords.write(&self.path("pgpass"), &self.path("run")).unwrap();
        let machine = machine::survey(&self.installation, &self.user, self.directory.path());
        let configuration = render(&profile(&machine), "a test", "2026-01-02");
        let (installation, user) = (&self.installation, &self.user);
        create(&NewCluster { installation, user, data: &self.data(), configuration: &configuration, passwords: &passwords })
    }

    fn start(&self) -> Result<Postmaster> {
        let what = Start {
            installation: self.installation.clone(),
            user: self.user.clone(),
            data: self.data(),
            log_directory: self.path("log"),
            port: port::any_free().unwrap(),
            socket_directory: self.path("run"),
        };
        start(what)?.wait(PATIENCE)
    }

    /// Rows of a query as a role, over TCP with its password from the file.
    fn ask(&self, role: &str, postmaster: &Postmaster, sql: &str) -> String {
        let dsn = format!(
            "host=127.0.0.1 port={} user={role} dbname=postgres passfile={}",
            postmaster.file().port.unwrap(),
            self.path("pgpass").display()
        );
        let psql = servers::tool("psql");
        let output = Command::new(psql).args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, &dsn]).output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn running(&self) -> Option<Postmaster> {
        match status(&self.data()).ok()? {
            State::Running(postmaster) => Some(postmaster),
            _ => None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(postmaster) = self.running() {
            _ = postmaster.ask_to_stop(StopMode::Immediate);
            assert!(postmaster.wait_for_end(PATIENCE), "PostgreSQL does not stop");
        }
    }
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

#[test]
fn a_cluster_of_every_major_is_made_as_promised() {
    for major in 13..=18 {
        let place = Place::new(major);
        let created = place.create().unwrap();
        assert_eq!(created.locale, "C.UTF-8", "of {major}");
        let postmaster = place.start().unwrap();
        let setting = |name: &str| place.ask("postgres", &postmaster, &format!("SHOW {name}"));
        assert_eq!(setting("data_checksums"), "on");
        assert_eq!(setting("server_encoding"), "UTF8");
        assert_eq!(setting("password_encryption"), "scram-sha-256");
        assert_eq!(setting("shared_preload_libraries").replace(' ', ""), "pg_stat_statements,auto_explain");
        let rejected = place.ask("postgres", &postmaster, "SELECT name, error FROM pg_file_settings WHERE error IS NOT NULL");
        assert_eq!(rejected, "", "{major} rejects settings");
        let pending = place.ask("postgres", &postmaster, "SELECT count(*) FROM pg_settings WHERE sourcefile LIKE '%/pgtend.conf'");
        assert!(pending.parse::<u32>().unwrap() > 25, "{pending} settings come from pgtend.conf");
        let open = "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256' OR address NOT IN ('127.0.0.1', '::1')";
        assert_eq!(place.ask("postgres", &postmaster, open), "0");

        let rights = "SELECT rolsuper, pg_has_role('pg_monitor', 'MEMBER'), pg_has_role('pg_signal_backend', 'MEMBER') FROM pg_roles WHERE rolname = current_user";
        assert_eq!(place.ask("pgtend", &postmaster, rights), "f|t|t");
        assert_eq!(place.ask("pgtend", &postmaster, "SELECT count(*) > 0 FROM pg_stat_statements"), "t");
        assert_eq!(place.ask("pgtend", &postmaster, "SELECT count(*) > 0 FROM pg_buffercache"), "t");
        assert_eq!(place.ask("pgtend", &postmaster, "SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL"), "0");
        assert_eq!(place.ask("pgtend", &postmaster, "SELECT count(*) > 0 FROM pg_hba_file_rules"), "t");
    }
}

#[test]
fn started_it_is_a_session_of_its_own_and_its_files_are_the_users() {
    let place = Place::new(15);
    place.create().unwrap();
    let postmaster = place.start().unwrap();
    let pid = i32::try_from(postmaster.pid()).unwrap();
    let stat = rustix::process::getsid(rustix::process::Pid::from_raw(pid)).unwrap();
    assert_eq!(stat.as_raw_pid(), pid, "the postmaster leads its session");
    let owner = fs::metadata(place.data()).unwrap().uid();
    assert_ne!(owner, 0);
    assert_eq!(fs::metadata(format!("/proc/{pid}")).unwrap().uid(), owner);
    assert_eq!(fs::metadata(place.path("log/startup.log")).unwrap().uid(), owner);
    assert!(place.path("log").read_dir().unwrap().flatten().any(|file| file.file_name().to_string_lossy().ends_with(".json")));
    assert!(place.path("run").join(format!(".s.PGSQL.{}", postmaster.file().port.unwrap())).exists());
}

#[test]
fn a_fast_stop_is_clean_and_nothing_is_left_to_adopt() {
    let place = Place::new(18);
    place.create().unwrap();
    let mut postmaster = place.start().unwrap();
    let adopted = place.running().unwrap();
    assert_eq!(adopted.pid(), postmaster.pid());
    adopted.ask_to_stop(StopMode::Fast).unwrap();
    assert!(adopted.wait_for_end(PATIENCE));
    assert!(!postmaster.is_alive());
    assert_eq!(postmaster.exit_status().and_then(|status| status.code()), Some(0));
    assert!(matches!(status(&place.data()).unwrap(), State::Down));
}

#[tokio::test]
async fn the_end_of_a_killed_postmaster_is_noticed_and_it_starts_again() {
    let place = Place::new(17);
    place.create().unwrap();
    let mut postmaster = place.start().unwrap();
    // A backend that computes does not notice the end of its postmaster and keeps the shared memory.
    let mut busy = Command::new(servers::tool("psql"))
        .env("PGPASSFILE", place.path("pgpass"))
        .args(["-h", "127.0.0.1", "-p", &postmaster.file().port.unwrap().to_string(), "-U", "postgres", "-c"])
        .arg("SELECT count(*) FROM generate_series(1, 2000000000) a WHERE sqrt(a::float8) < 0")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while place.ask(
        "postgres",
        &postmaster,
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series%' AND state = 'active' AND pid <> pg_backend_pid()",
    ) != "1"
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    kill(postmaster.pid());
    postmaster.ended().await;
    assert!(postmaster.exit_status().is_some());
    assert!(matches!(status(&place.data()).unwrap(), State::Stale { why: Stale::Gone, .. }));
    assert!(!orphans(&place.data()).is_empty());
    let refused = place.start().unwrap_err();
    assert_eq!(refused.kind, Kind::Conflict, "{refused}");
    end_orphans(&place.data());
    while !orphans(&place.data()).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let again = place.start().unwrap();
    assert_eq!(place.ask("postgres", &again, "SELECT 1"), "1");
    end_orphans(&place.data());
    assert!(again.is_alive() && !orphans(&place.data()).is_empty(), "processes with a postmaster are no orphans");
    busy.wait().unwrap();
}

#[test]
fn a_pid_file_that_names_somebody_else_is_stale_and_can_be_removed() {
    let place = Place::new(15);
    place.create().unwrap();
    let write = |pid: u32| {
        let text = format!("{pid}\n{}\n1763680000\n5432\n/tmp\nlocalhost\n  5432001 0\nready\n", place.data().display());
        let path = place.data().join("postmaster.pid");
        fs::write(&path, text).unwrap();
        place.user.own(&path).unwrap();
    };
    write(std::process::id());
    assert!(matches!(status(&place.data()).unwrap(), State::Stale { why: Stale::OtherProgram(_), .. }));
    remove_stale_pid_file(&place.data()).unwrap();
    assert!(matches!(status(&place.data()).unwrap(), State::Down));

    let other = Place::new(15);
    other.create().unwrap();
    let stranger = other.start().unwrap();
    write(stranger.pid());
    assert!(matches!(status(&place.data()).unwrap(), State::Stale { why: Stale::OtherDirectory(_), .. }));
    remove_stale_pid_file(&place.data()).unwrap();
    assert_eq!(remove_stale_pid_file(&other.data()).unwrap_err().kind, Kind::Conflict);
    assert!(stranger.is_alive());
}

#[test]
fn a_start_that_fails_shows_the_last_words() {
    let place = Place::new(16);
    place.create().unwrap();
    let configuration = place.data().join("postgresql.conf");
    let text = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, format!("{text}\nno_such_setting = 1\n")).unwrap();
    let error = place.start().unwrap_err();
    assert_eq!(error.kind, Kind::Config, "{error}");
    assert!(error.what.contains("no_such_setting"), "{error}");

    fs::write(&configuration, text).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    // PostgreSQL is content with one of the two addresses; this machine may not have the other.
    let _taken_too = std::net::TcpListener::bind(("::1", port));
    let what = Start {
        installation: place.installation.clone(),
        user: place.user.clone(),
        data: place.data(),
        log_directory: place.path("log"),
        port,
        socket_directory: place.path("run"),
    };
    let error = start(what).unwrap().wait(PATIENCE).unwrap_err();
    assert_eq!(error.kind, Kind::Conflict, "{error}");
    assert!(error.what.contains("Address already in use"), "{error}");
}

#[test]
fn a_creation_that_fails_leaves_nothing() {
    let place = Place::new(15);
    let passwords = Passwords::generate().unwrap();
    let new = NewCluster {
        installation: &place.installation,
        user: &place.user,
        data: &place.data(),
        configuration: "shared_buffers = 'a lot'\n",
        passwords: &passwords,
    };
    let error = create(&new).unwrap_err();
    assert!(error.what.contains("shared_buffers"), "{error}");
    assert!(!error.to_string().contains(passwords.agent.expose()));
    let left: Vec<_> = place.directory.path().read_dir().unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| name == "log" || name == "run"), "{left:?}");
    assert!(!Path::new(&place.data()).exists());
}
