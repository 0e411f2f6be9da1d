//! A repository in a bucket: what every storage must do, and what happens on a bad way to it.

use crate::backup::{CONTENTS, Ground, ask, bring_files, pgbench_cluster};
use crate::harness::{Fault, Proxy, S3 as Server};
use pgtend_model::backup::restore_plan::Target;
use pgtend_model::error::Kind;
use pgtend_store::repo::storage::{ObjectLock, Put, S3, S3Options, Storage, conformance};
use std::sync::Arc;
use std::time::Duration;

/// A server, a bad way to it, and the bucket reached by it.
struct Way {
    server: Server,
    proxy: Proxy,
    storage: S3,
}

async fn way(change: impl FnOnce(&mut S3Options)) -> Way {
    let server = Server::start().await;
    let proxy = Proxy::before(server.port());
    let mut options = server.repository(&proxy.endpoint());
    options.timeout = Duration::from_secs(2);
    change(&mut options);
    Way { storage: S3::open(options).unwrap(), server, proxy }
}

#[tokio::test]
async fn a_bucket_does_what_a_storage_must() {
    let server = Server::start().await;
    let storage = S3::open(server.repository(&server.endpoint())).unwrap();
    conformance::conforms(&storage).unwrap();
    conformance::one_writer_wins(&storage, 10).unwrap();
}

#[tokio::test]
async fn long_lists_are_whole_though_every_other_page_fails() {
    let way = way(|_| {}).await;
    let direct = S3::open(way.server.repository(&way.server.endpoint())).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let direct = &direct;
            scope.spawn(move || (0..275).for_each(|n| direct.replace(&format!("wal/main/{:04}", thread * 275 + n), b"x").unwrap()));
        }
    });
    way.proxy.fail("GET", "list-type", Fault::Answer(503, "SlowDown"), 1);
    way.proxy.fail("GET", "continuation-token", Fault::CutAnswer, 2);
    let listed = way.storage.list("wal").unwrap();
    let keys: Vec<String> = (0..1100).map(|n| format!("wal/main/{n:04}")).collect();
    assert_eq!(listed.into_iter().map(|object| object.key).collect::<Vec<_>>(), keys);
    assert_eq!(way.proxy.faults(), 3);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_told_as_its_own() {
    let way = way(|_| {}).await;
    let content = vec![7; 300_000];
    way.storage.probe().unwrap();
    for (n, fault) in [Fault::LoseAnswer, Fault::Answer(503, "SlowDown"), Fault::Drop, Fault::Silence].into_iter().enumerate() {
        let key = format!("packs/aa/{n}");
        way.proxy.fail("PUT", &key, fault, 2);
        assert_eq!(way.storage.put_new(&key, &content).unwrap(), Put::Made, "{fault:?}");
        assert_eq!(way.storage.put_new(&key, &content).unwrap(), Put::Exists, "{fault:?}");
        assert_eq!(way.storage.get(&key).unwrap(), content);
    }
    assert_eq!(way.proxy.faults(), 8);
}

#[tokio::test]
async fn somebody_elses_object_is_not_taken_for_ones_own() {
    let way = way(|_| {}).await;
    way.storage.probe().unwrap();
    let other = S3::open(way.server.repository(&way.server.endpoint())).unwrap();
    assert_eq!(other.put_new("locks/main", b"the same").unwrap(), Put::Made);
    way.proxy.fail("PUT", "locks/main", Fault::LoseAnswer, 1);
    assert_eq!(way.storage.put_new("locks/main", b"the same").unwrap(), Put::Exists);
}

#[tokio::test]
async fn what_is_read_on_a_bad_way_is_whole_or_an_error() {
    let way = way(|_| {}).await;
    let content: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    way.storage.put_new("packs/aa/b", &content).unwrap();
    for fault in [Fault::CutAnswer, Fault::Answer(500, "InternalError"), Fault::Drop, Fault::LoseAnswer, Fault::Silence] {
        way.proxy.fail("GET", "packs/aa/b", fault, 1);
        assert_eq!(way.storage.get("packs/aa/b").unwrap(), content, "{fault:?}");
        way.proxy.fail("GET", "packs/aa/b", fault, 1);
        assert_eq!(way.storage.get_range("packs/aa/b", 1_000_000, 2_000_000).unwrap(), content[1_000_000..3_000_000], "{fault:?}");
    }
    assert_eq!(way.proxy.faults(), 10);
}

#[tokio::test]
async fn a_404_that_is_not_from_s3_is_not_taken_for_an_absent_object() {
    let way = way(|_| {}).await;
    assert_eq!(way.storage.get("wal/none").unwrap_err().kind, Kind::NotFound);
    way.proxy.fail("GET", "wal/none", Fault::Answer(404, ""), 1);
    assert_eq!(way.storage.get("wal/none").unwrap_err().kind, Kind::Config);
    let nowhere = S3Options { url: "s3://no-such-bucket/pg".into(), ..way.server.repository(&way.server.endpoint()) };
    let nowhere = S3::open(nowhere).unwrap();
    for error in [nowhere.get("repository.json").unwrap_err(), nowhere.list("").unwrap_err(), nowhere.put_new("x", b"").unwrap_err()] {
        assert_eq!(error.kind, Kind::Config, "{error}");
        assert!(error.to_string().contains("the bucket must be there"), "{error}");
    }
}

#[tokio::test]
async fn what_does_not_pass_is_told_with_what_and_where_and_without_secrets() {
    let way = way(|options| options.retry_for = Duration::from_secs(1)).await;
    way.storage.probe().unwrap();
    let key = "packs/aa/c";
    for (fault, kind, said) in [
        (Fault::Answer(503, "SlowDown"), Kind::Unreachable, "503 SlowDown: As the test wants it (tried"),
        (Fault::Drop, Kind::Unreachable, "the connection failed"),
        (Fault::Answer(403, "AccessDenied"), Kind::Privilege, "s3:PutObject"),
        (Fault::Answer(403, "InvalidAccessKeyId"), Kind::Authentication, "secret_access_key_file"),
        (Fault::Answer(403, "SignatureDoesNotMatch"), Kind::Authentication, "secret_access_key_file"),
        (Fault::Answer(403, "RequestTimeTooSkewed"), Kind::Authentication, "clock"),
        (Fault::Answer(507, ""), Kind::System, "full"),
    ] {
        way.proxy.fail("PUT", key, fault, 20);
        let error = way.storage.put_new(key, b"x").unwrap_err();
        assert_eq!((error.kind, error.place.as_str()), (kind, "s3://history/pg/packs/aa/c"), "{error}");
        let told = error.to_string();
        assert!(told.contains(said) && told.contains("cannot be written") && !told.contains("a secret"), "{told}");
        way.proxy.forgive();
    }
    assert_eq!(way.storage.put_new(key, b"x").unwrap(), Put::Made);
}

#[tokio::test]
async fn a_storage_without_conditional_writes_is_refused_or_used_with_a_note() {
    let refused = way(|_| {}).await;
    refused.proxy.fail("PUT", "", Fault::ForgetCondition, usize::MAX);
    for error in [refused.storage.probe().unwrap_err(), refused.storage.put_new("packs/aa/d", b"x").unwrap_err()] {
        assert_eq!(error.kind, Kind::Unsupported, "{error}");
        assert!(error.to_string().contains("If-None-Match") && error.to_string().contains("conditional_writes"), "{error}");
    }
    assert_eq!(refused.server.keys().await, Vec::<String>::new());

    let used = way(|options| options.unsafe_writes = true).await;
    used.proxy.fail("PUT", "", Fault::ForgetCondition, usize::MAX);
    conformance::conforms(&used.storage).unwrap();
    assert!(used.storage.notes()[0].contains("one host alone"), "{:?}", used.storage.notes());
}

#[tokio::test]
async fn objects_get_their_class_and_are_locked_as_asked() {
    let server = Server::start().await;
    server.ask(reqwest::Method::PUT, "locked", ("x-amz-bucket-object-lock-enabled", "true")).await;
    let options = S3Options {
        url: "s3://locked/pg".into(),
        storage_class: Some("STANDARD_IA".into()),
        server_side_encryption: Some(("AES256".into(), None)),
        object_lock: Some(ObjectLock { compliance: false, days: 30 }),
        ..server.repository(&server.endpoint())
    };
    let storage = S3::open(options).unwrap();
    conformance::conforms(&storage).unwrap();
    storage.put_new("packs/aa/e", b"x").unwrap();
    storage.put_new("locks/main", b"x").unwrap();
    let signed = "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=any";
    let at = |key: &str| format!("locked/pg/{key}");
    let headers = async |key: &str| server.ask(reqwest::Method::HEAD, &at(key), ("authorization", signed)).await.headers().clone();
    let pack = headers("packs/aa/e").await;
    assert_eq!(pack["x-amz-storage-class"], "STANDARD_IA", "{pack:?}");
    assert_eq!(pack["x-amz-object-lock-mode"], "GOVERNANCE", "{pack:?}");
    assert_eq!(pack["x-amz-server-side-encryption"], "AES256", "{pack:?}");
    let until: jiff::Timestamp = pack["x-amz-object-lock-retain-until-date"].to_str().unwrap().parse().unwrap();
    let days = until.duration_since(jiff::Timestamp::now()).as_hours();
    assert!((30 * 24..=30 * 24 + 1).contains(&days), "{until}");
    let lock = headers("locks/main").await;
    assert!(!lock.contains_key("x-amz-object-lock-mode") && !lock.contains_key("x-amz-storage-class"), "{lock:?}");
}

#[tokio::test]
async fn a_backup_in_a_bucket_restores_on_a_good_way_and_on_a_bad_one() {
    let cluster = pgbench_cluster(15).await;
    let contents = cluster.psql(CONTENTS).await;
    let way = way(|_| {}).await;
    let direct = way.server.repository(&way.server.endpoint());
    let good = Ground::on(|_| Arc::new(S3::open(S3Options { url: "s3://history/good".into(), ..direct }).unwrap()));
    good.take(&cluster).await;
    let data = good.bring_back(&good.restore(&cluster, "restored", Target::Latest));
    assert_eq!(ask(&cluster, &data, CONTENTS), contents);

    let (proxy, storage) = (way.proxy, Arc::new(way.storage));
    for fault in [Fault::Answer(503, "SlowDown"), Fault::LoseAnswer, Fault::Drop, Fault::CutAnswer] {
        for place in ["probe/", "keys/", "repository.json", "packs/", "index/", "wal/", "backups/"] {
            proxy.fail("PUT", place, fault, 1);
            proxy.fail("GET", place, fault, 1);
        }
        proxy.fail("GET", "list-type", fault, 1);
    }
    let bad = Ground::on(|_| Arc::clone(&storage) as Arc<dyn Storage>);
    bad.take(&cluster).await;
    let data = bad.bring_back(&bad.restore(&cluster, "restored", Target::Latest));
    assert_eq!(ask(&cluster, &data, CONTENTS), contents);
    assert!(proxy.faults() >= 30, "{} requests met a fault", proxy.faults());

    // What was damaged on the way is never called good.
    proxy.forgive();
    proxy.fail("GET", "packs/", Fault::SpoilAnswer, usize::MAX);
    let told = bring_files(&bad.restore(&cluster, "spoilt", Target::Latest)).unwrap_err();
    assert!(told.what.contains("damaged"), "{told}");
}
