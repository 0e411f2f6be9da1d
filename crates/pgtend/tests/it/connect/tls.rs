//! `sslmode` against every sort of server, with psql on the same parameters as the judge.

use super::{cancel_a_sleep, file, open, open_patient, target_at, value};
use crate::harness::Cluster;
use crate::harness::certificates::{Authority, Identity};
use pgtend_model::error::{Error, Kind};
use std::process::Command;

const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
const SQL: &str = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";

/// A server with this certificate, and the authority's for its clients.
async fn server(identity: &Identity, authority: &Authority, hba: &str) -> Cluster {
    let cluster = Cluster::builder(15).config("ssl = on").config("ssl_ca_file = 'root.pem'").hba(format!("local all all trust\n{hba}\n"));
    let cluster = cluster.file("server.crt", identity.certificate.clone()).file("server.key", identity.key.clone());
    cluster.file("root.pem", authority.certificate.clone()).start().await
}

/// What becomes of a connection: `t` with TLS, `f` without, or nothing.
async fn ours(cluster: &Cluster, parameters: &str) -> Result<String, Error> {
    let session = open(&target_at(cluster, parameters)).await?;
    Ok(value(&session, SQL).await)
}

async fn psqls(cluster: &Cluster, parameters: &str) -> Result<String, String> {
    let dsn = format!("host=127.0.0.1 port={} user=postgres {parameters}", cluster.port());
    let output = cluster.client("psql").env("HOME", "/nonexistent").args(["-XAt", "-c", SQL, "-d", &dsn]).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Connects both ways and compares; gives our outcome.
async fn compare(cluster: &Cluster, parameters: &str) -> Result<String, Error> {
    let (ours, psqls) = (ours(cluster, parameters).await, psqls(cluster, parameters).await);
    assert_eq!(ours.as_ref().ok(), psqls.as_ref().ok(), "{parameters}\nours: {ours:?}\npsql's: {psqls:?}");
    ours
}

/// Every mode, with the root certificate absent, the right one, and another one.
async fn matrix(cluster: &Cluster, host: &str) -> String {
    cluster.put_file("other.pem", Authority::new("other").certificate.as_bytes());
    let mut table = String::new();
    for mode in MODES {
        table.push_str(mode);
        for root in ["absent.pem", "root.pem", "other.pem"] {
            let root = file(cluster, root);
            let outcome =
                compare(cluster, &format!("host={host} hostaddr=127.0.0.1 dbname=postgres sslmode={mode} sslrootcert={root}")).await;
            table.push_str(outcome.as_deref().map_or(" -", |tls| if tls == "t" { " tls" } else { " plain" }));
        }
        table.push('\n');
    }
    table
}

#[tokio::test]
async fn a_server_without_tls() {
    let cluster = Cluster::builder(15).file("root.pem", Authority::new("test").certificate).start().await;
    let expected = "disable plain plain plain\nallow plain plain plain\nprefer plain plain plain\n\
                    require - - -\nverify-ca - - -\nverify-full - - -\n";
    assert_eq!(matrix(&cluster, "localhost").await, expected);
    let error = ours(&cluster, "sslmode=require dbname=postgres").await.unwrap_err();
    assert_eq!(error.kind, Kind::Unsupported);
    assert!(error.what.contains("does not offer TLS"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_signs_itself() {
    let authority = Authority::new("test");
    let identity = Identity::self_signed("localhost", &["localhost"]);
    let cluster = server(&identity, &authority, "host all all all trust").await;
    // A root certificate that is there is checked against in every mode: with prefer, a bad certificate means no TLS.
    let expected = "disable plain plain plain\nallow plain plain plain\nprefer tls plain plain\n\
                    require tls - -\nverify-ca - - -\nverify-full - - -\n";
    assert_eq!(matrix(&cluster, "localhost").await, expected);
    // The certificate itself will do as the root.
    let own = file(&cluster, "server.crt");
    for mode in ["verify-ca", "verify-full"] {
        let parameters = format!("host=localhost hostaddr=127.0.0.1 dbname=postgres sslmode={mode} sslrootcert={own}");
        assert_eq!(compare(&cluster, &parameters).await.unwrap(), "t");
    }
    let error = ours(&cluster, &format!("sslmode=verify-ca sslrootcert={} dbname=postgres", file(&cluster, "root.pem"))).await.unwrap_err();
    assert_eq!(error.kind, Kind::Authentication);
    assert!(error.what.contains("signs itself and is not in") && error.what.ends_with("root.pem"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_an_authority() {
    let authority = Authority::new("test");
    let cluster = server(&authority.issue("db", &["localhost"]), &authority, "host all all all trust").await;
    let expected = "disable plain plain plain\nallow plain plain plain\nprefer tls tls plain\n\
                    require tls tls -\nverify-ca - tls -\nverify-full - tls -\n";
    assert_eq!(matrix(&cluster, "localhost").await, expected);
    let expected = expected.replace("verify-full - tls -", "verify-full - - -");
    assert_eq!(matrix(&cluster, "another.example.org").await, expected);
    let root = file(&cluster, "root.pem");
    let parameters = format!("host=db hostaddr=127.0.0.1 sslmode=verify-full sslrootcert={root} dbname=postgres");
    let error = compare(&cluster, &parameters).await.unwrap_err();
    assert_eq!(error.what, "the server's certificate is not for \"db\", it is for localhost");
    let missing = ours(&cluster, "sslmode=verify-ca sslrootcert=/nonexistent dbname=postgres").await.unwrap_err();
    assert_eq!(missing.kind, Kind::Config);
    let unknown =
        ours(&cluster, &format!("sslmode=verify-ca sslrootcert={} dbname=postgres", file(&cluster, "other.pem"))).await.unwrap_err();
    assert_eq!(unknown.kind, Kind::Authentication);
    assert!(unknown.what.contains("not signed by anybody in") && unknown.what.ends_with("other.pem"), "{unknown}");
    let system = ours(&cluster, "sslrootcert=system dbname=postgres").await.unwrap_err();
    assert!(system.what.contains("the operating system's roots"), "{system}");
}

#[tokio::test]
async fn names_match_as_in_libpq() {
    let authority = Authority::new("test");
    let cases: [(&str, &[&str], &[&str]); 4] = [
        ("db.example.org", &[], &["db.example.org", "DB.Example.org", "other.example.org", "127.0.0.1"]),
        ("127.0.0.1", &[], &["127.0.0.1", "localhost"]),
        ("ignored.example.org", &["*.example.org"], &["db.example.org", "a.b.example.org", "example.org", "ignored.example.com"]),
        ("db.example.org", &["127.0.0.1"], &["127.0.0.1", "db.example.org", "10.1.1.1"]),
    ];
    for (common_name, names, hosts) in cases {
        let cluster = server(&authority.issue(common_name, names), &authority, "host all all all trust").await;
        let root = file(&cluster, "root.pem");
        for host in hosts {
            let parameters = format!("host={host} hostaddr=127.0.0.1 dbname=postgres sslmode=verify-full sslrootcert={root}");
            let _same = compare(&cluster, &parameters).await;
        }
    }
}

#[tokio::test]
async fn a_host_line_that_wants_or_forbids_tls() {
    let authority = Authority::new("test");
    let identity = authority.issue("db", &["localhost"]);
    let cluster = server(&identity, &authority, "hostssl all all all trust").await;
    let expected = "disable - - -\nallow tls tls -\nprefer tls tls -\nrequire tls tls -\nverify-ca - tls -\nverify-full - tls -\n";
    assert_eq!(matrix(&cluster, "localhost").await, expected);
    let cluster = server(&identity, &authority, "hostnossl all all all trust").await;
    let expected =
        "disable plain plain plain\nallow plain plain plain\nprefer plain plain plain\nrequire - - -\nverify-ca - - -\nverify-full - - -\n";
    assert_eq!(matrix(&cluster, "localhost").await, expected);
    let error = ours(&cluster, "sslmode=require dbname=postgres").await.unwrap_err();
    assert!(error.hint.contains("pg_hba.conf"), "{error}");
}

#[tokio::test]
async fn client_certificates() {
    let authority = Authority::new("test");
    let cluster = server(&authority.issue("db", &["localhost"]), &authority, "hostssl all all all cert").await;
    for (name, identity) in [("good", authority.issue("postgres", &[])), ("bad", Authority::new("other").issue("postgres", &[]))] {
        cluster.put_file(&format!("{name}.crt"), identity.certificate.as_bytes());
        cluster.put_file(&format!("{name}.key"), identity.key.as_bytes());
    }
    let with = |certificate: &str, key: &str| {
        let path = |name: &str| file(&cluster, name);
        format!("dbname=postgres sslmode=require sslcert={} sslkey={}", path(certificate), path(key))
    };
    assert_eq!(compare(&cluster, &with("good.crt", "good.key")).await.unwrap(), "t");
    let error = compare(&cluster, &with("bad.crt", "bad.key")).await.unwrap_err();
    assert_eq!(error.kind, Kind::Authentication);
    assert!(error.what.contains("client certificate"), "{error}");
    let error = compare(&cluster, &with("absent.crt", "absent.key")).await.unwrap_err();
    assert_eq!(error.kind, Kind::Authentication);
    let error = compare(&cluster, &with("good.crt", "absent.key")).await.unwrap_err();
    assert!(error.what.contains("not its key"), "{error}");
    std::fs::set_permissions(file(&cluster, "good.key"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let error = compare(&cluster, &with("good.crt", "good.key")).await.unwrap_err();
    assert!(error.hint.contains("chmod 0600"), "{error}");
}

#[tokio::test]
async fn scram_binds_to_the_channel() {
    let authority = Authority::new("test");
    let cluster = server(&authority.issue("db", &["localhost"]), &authority, "host all md5 all md5\nhost all all all scram-sha-256").await;
    cluster.psql("alter role postgres password 'geheim'; set password_encryption = md5; create role md5 login password 'geheim'").await;
    for (binding, mode, expected) in [
        ("require", "require", Some("t")),
        ("prefer", "require", Some("t")),
        ("disable", "require", Some("t")),
        ("prefer", "disable", Some("f")),
        ("require", "disable", None),
    ] {
        let parameters = format!("dbname=postgres password=geheim sslmode={mode} channel_binding={binding}");
        assert_eq!(compare(&cluster, &parameters).await.ok().as_deref(), expected, "{parameters}");
    }
    let error = compare(&cluster, "user=md5 password=geheim dbname=postgres sslmode=require channel_binding=require").await.unwrap_err();
    assert!(error.what.contains("channel_binding=require"), "{error}");
    assert_eq!(compare(&cluster, "user=md5 password=geheim dbname=postgres channel_binding=prefer").await.unwrap(), "t");
}

#[tokio::test]
async fn a_certificate_without_extensions() {
    let mut cluster = Cluster::builder(15).config("ssl = on").make();
    let directory = tempfile::tempdir().unwrap();
    let run = |script: &str| {
        let done = Command::new("sh").args(["-ec", script]).current_dir(directory.path()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    cluster.put_file("pg_hba.conf", b"local all all trust\nhost all all all scram-sha-256\n");
    run("openssl req -new -newkey rsa:2048 -nodes -keyout server.key -subj /CN=localhost -out server.csr");
    run("openssl x509 -req -in server.csr -signkey server.key -days 2 -out server.crt");
    for name in ["server.crt", "server.key"] {
        cluster.put_file(name, &std::fs::read(directory.path().join(name)).unwrap());
    }
    cluster.start_again().await;
    cluster.psql("alter role postgres password 'geheim'").await;
    let binding = "password=geheim channel_binding=require";
    assert_eq!(compare(&cluster, &format!("dbname=postgres sslmode=require {binding}")).await.unwrap(), "t");
    let own = file(&cluster, "server.crt");
    for mode in ["require", "verify-ca", "verify-full"] {
        let parameters = format!("host=localhost hostaddr=127.0.0.1 dbname=postgres {binding} sslmode={mode} sslrootcert={own}");
        assert_eq!(compare(&cluster, &parameters).await.unwrap(), "t", "{mode}");
    }
}

#[tokio::test]
async fn over_a_unix_socket_there_is_no_tls() {
    let cluster = Cluster::start(15).await;
    let session = open(&super::target(&format!("{} sslmode=verify-full", cluster.dsn()))).await.unwrap();
    assert_eq!(value(&session, SQL).await, "f");
    assert!(!session.is_encrypted());
}

#[tokio::test]
async fn tls_from_the_first_byte() {
    let identity = Identity::self_signed("localhost", &["localhost"]);
    let builder = Cluster::builder(18).config("ssl = on").file("server.crt", identity.certificate).file("server.key", identity.key);
    let cluster = builder.start().await;
    assert_eq!(ours(&cluster, "dbname=postgres sslmode=require sslnegotiation=direct").await.unwrap(), "t");
}

#[tokio::test]
async fn a_cancel_request_goes_over_tls_too() {
    let authority = Authority::new("test");
    let cluster = server(&authority.issue("db", &["localhost"]), &authority, "hostssl all all all trust").await;
    let session = open_patient(&target_at(&cluster, "dbname=postgres sslmode=require")).await.unwrap();
    assert!(session.is_encrypted());
    cancel_a_sleep(&cluster, &session).await;
}

#[tokio::test]
async fn older_tls_does_as_well() {
    let authority = Authority::new("test");
    let cluster = server(&authority.issue("db", &["localhost"]), &authority, "host all all all scram-sha-256").await;
    cluster.psql("alter role postgres password 'geheim'").await;
    cluster.psql("alter system set ssl_max_protocol_version = 'TLSv1.2'").await;
    cluster.psql("select pg_reload_conf()").await;
    cluster.wait_for("select current_setting('ssl_max_protocol_version') = 'TLSv1.2'").await;
    let root = file(&cluster, "root.pem");
    let parameters = "host=localhost hostaddr=127.0.0.1 dbname=postgres password=geheim sslmode=verify-full channel_binding=require";
    assert_eq!(compare(&cluster, &format!("{parameters} sslrootcert={root}")).await.unwrap(), "t");
    let newer = format!("{parameters} sslrootcert={root} ssl_min_protocol_version=TLSv1.3");
    let error = compare(&cluster, &newer).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unsupported);
    assert!(error.hint.contains("ssl_min_protocol_version"), "{error}");
}

#[tokio::test]
async fn a_revoked_certificate_is_not_accepted() {
    let authority = Authority::new("test");
    let identity = authority.issue("db", &["localhost"]);
    let cluster = server(&identity, &authority, "host all all all trust").await;
    cluster.put_file("empty.crl", authority.revoke(&[]).as_bytes());
    cluster.put_file("revoked.crl", authority.revoke(&[&identity]).as_bytes());
    cluster.put_file("others.crl", Authority::new("other").revoke(&[]).as_bytes());
    let root = file(&cluster, "root.pem");
    let outcome = async |list: &str| {
        let list = file(&cluster, list);
        let parameters = format!("dbname=postgres sslmode=verify-ca sslrootcert={root} sslcrl={list}");
        compare(&cluster, &parameters).await
    };
    assert_eq!(outcome("empty.crl").await.unwrap(), "t");
    assert_eq!(outcome("absent.crl").await.unwrap(), "t");
    assert_eq!(outcome("revoked.crl").await.unwrap_err().what, "the server's certificate is revoked");
    assert_eq!(outcome("others.crl").await.unwrap_err().kind, Kind::Authentication);
}
