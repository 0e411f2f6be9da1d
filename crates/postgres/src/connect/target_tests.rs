//! Where each parameter comes from when several sources have it, and what is shown of it.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn environment(variables: &[(&str, &str)], home: &Path) -> Environment {
    Environment { home: Some(home.to_owned()), user: "os-user".to_owned(), ..Environment::with_variables(variables) }
}

fn resolve(dsn: &str, variables: &[(&str, &str)]) -> Result<Target> {
    Target::resolve(Some(dsn), &environment(variables, Path::new("/nonexistent")))
}

fn home_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(home.path().join(name), text).unwrap();
        fs::set_permissions(home.path().join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    home
}

#[test]
fn nothing_given_is_the_local_server() {
    let target = resolve("", &[]).unwrap();
    assert_eq!(target.address(), "/var/run/postgresql/.s.PGSQL.5432,/tmp/.s.PGSQL.5432");
    assert_eq!((target.user(), target.database()), ("os-user", "os-user"));
    assert_eq!((target.host(), target.port()), ("/var/run/postgresql".to_owned(), 5432));
    assert_eq!(Target::resolve(None, &environment(&[], Path::new("/nonexistent"))).unwrap(), target);
}

#[test]
fn the_database_is_the_users_namesake() {
    assert_eq!(resolve("user=app", &[]).unwrap().database(), "app");
    assert_eq!(resolve("user=app dbname=''", &[("PGDATABASE", "shop")]).unwrap().database(), "app");
    assert_eq!(resolve("user=app", &[("PGDATABASE", "shop")]).unwrap().database(), "shop");
}

#[test]
fn the_string_comes_before_the_service_before_the_environment() {
    let home = home_with(&[(".pg_service.conf", "[prod]\nhost=service\nport=2\nuser=service\n")]);
    let variables = [("PGHOST", "env"), ("PGPORT", "3"), ("PGUSER", "env"), ("PGDATABASE", "env"), ("PGSERVICE", "prod")];
    let target = Target::resolve(Some("host=dsn"), &environment(&variables, home.path())).unwrap();
    assert_eq!((target.address().as_str(), target.user(), target.database()), ("dsn:2", "service", "env"));
    let target = Target::resolve(Some("service=''"), &environment(&variables, home.path())).unwrap();
    assert_eq!((target.address().as_str(), target.user()), ("env:3", "env"));
    let error = Target::resolve(Some("service=test"), &environment(&variables, home.path())).unwrap_err();
    assert_eq!(error.what, "no service file defines the service \"test\"");
}

#[test]
fn every_variable_has_its_effect() {
    let variables = [
        ("PGHOSTADDR", "10.0.0.1"),
        ("PGSSLMODE", "verify-ca"),
        ("PGSSLROOTCERT", "/roots.pem"),
        ("PGSSLCERT", "/c.pem"),
        ("PGSSLKEY", "/k.pem"),
        ("PGCONNECT_TIMEOUT", "7"),
        ("PGAPPNAME", "nightly"),
        ("PGOPTIONS", "-c geqo=off"),
        ("PGTARGETSESSIONATTRS", "standby"),
        ("PGCHANNELBINDING", "require"),
        ("PGLOADBALANCEHOSTS", "random"),
        ("PGPASSWORD", "geheim"),
    ];
    let target = resolve("", &variables).unwrap();
    assert_eq!(target.address(), "10.0.0.1:5432");
    assert_eq!((target.tls.mode.name(), target.connect_timeout), ("verify-ca", Some(Duration::from_secs(7))));
    assert_eq!(target.tls.client, Some(("/c.pem".into(), "/k.pem".into())));
    assert_eq!((target.application_name.as_deref(), target.options.as_str()), (Some("nightly"), "-c geqo=off"));
    assert_eq!((target.wants, target.channel_binding, target.shuffle), (Wants::Standby, ChannelBinding::Require, true));
    assert_eq!(target.password(&target.hosts[0]).as_deref(), Some("geheim"));
}

#[test]
fn what_a_variable_says_wrongly_names_the_variable() {
    let error = resolve("", &[("PGGSSENCMODE", "require")]).unwrap_err();
    assert_eq!((error.kind, error.place.as_str()), (Kind::Config, "environment variable PGGSSENCMODE"));
    assert_eq!(resolve("", &[("PGSSLMODE", "")]).unwrap().tls.mode.name(), "prefer");
}

#[test]
fn the_password_file_is_asked_for_each_host() {
    let lines = "a:1:*:*:for-a\n*:2:shop:app:for-shop\nlocalhost:5432:*:*:local\n10.0.0.9:*:*:*:by-address\n";
    let home = home_with(&[(".pgpass", lines), ("other", "*:*:*:*:other")]);
    let password = |dsn: &str, index: usize| {
        let target = Target::resolve(Some(dsn), &environment(&[], home.path())).unwrap();
        target.password(&target.hosts[index])
    };
    assert_eq!(password("host=a,b port=1,2 dbname=shop user=app", 0).as_deref(), Some("for-a"));
    assert_eq!(password("host=a,b port=1,2 dbname=shop user=app", 1).as_deref(), Some("for-shop"));
    assert_eq!(password("host=a,b port=1,2 dbname=shop user=eve", 1), None);
    assert_eq!(password("", 0).as_deref(), Some("local"));
    assert_eq!(password("host=/var/run/postgresql", 0).as_deref(), Some("local"));
    assert_eq!(password("host=/srv/pg", 0), None);
    assert_eq!(password("hostaddr=10.0.0.9", 0).as_deref(), Some("by-address"));
    assert_eq!(password("host=a port=1 password=given", 0).as_deref(), Some("given"));
    assert_eq!(password(&format!("host=a port=1 passfile={}/other", home.path().display()), 0).as_deref(), Some("other"));
}

#[test]
fn a_password_file_open_to_others_is_complained_about() {
    let home = home_with(&[(".pgpass", "*:*:*:*:geheim")]);
    fs::set_permissions(home.path().join(".pgpass"), fs::Permissions::from_mode(0o644)).unwrap();
    let target = Target::resolve(None, &environment(&[], home.path())).unwrap();
    assert_eq!(target.password(&target.hosts[0]), None);
    assert!(target.passfile_complaint().unwrap().contains("chmod 0600"));
    assert_eq!(target.with_password("x").passfile_complaint(), None);
}

#[test]
fn secrets_are_not_shown() {
    let target = resolve("postgresql://app:geheim@db/shop", &[]).unwrap();
    assert!(!format!("{target:?}").contains("geheim"));
    assert_eq!(target.address(), "db:5432");
    assert_eq!(target.with_database("other").database(), "other");
}

#[test]
fn without_any_user_there_is_no_target() {
    let error = Target::resolve(None, &Environment::default()).unwrap_err();
    assert!(error.hint.contains("PGUSER"), "{error}");
}
