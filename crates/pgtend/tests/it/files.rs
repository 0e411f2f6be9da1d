//! PostgreSQL's files as pgtend reads them, held against what the servers themselves say of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use pgtend_model::pgdata::exclusion::Reason;
use pgtend_model::pgdata::wal::WalFile;
use pgtend_postgres::files::control::{self, State, WalLevel};
use pgtend_postgres::files::page::{self, Verdict};
use pgtend_postgres::files::summaries;
use pgtend_postgres::files::wal::{self, Mismatch};
use pgtend_postgres::files::walk::{self, Listing};

use crate::harness::Cluster;

const MAJORS: [u32; 6] = [13, 14, 15, 16, 17, 18];

fn list(data: &Path) -> Listing {
    let control = control::read(data).unwrap().control;
    walk::list(data, &control.version_folder(control::major(data).unwrap())).unwrap()
}

/// What the server reads out of its own control file, in one line.
const CONTROL: &str = "select concat_ws(',', s.system_identifier, s.pg_control_version, s.catalog_version_no, c.checkpoint_lsn, c.redo_lsn,
    c.timeline_id, c.prev_timeline_id, c.full_page_writes, c.next_xid, c.next_oid, c.next_multixact_id, c.next_multi_offset, c.oldest_xid,
    c.oldest_xid_dbid, c.oldest_multi_xid, c.oldest_multi_dbid, extract(epoch from c.checkpoint_time)::bigint, i.database_block_size,
    i.blocks_per_segment, i.wal_block_size, i.bytes_per_wal_segment, i.data_page_checksum_version)
    from pg_control_system() s, pg_control_checkpoint() c, pg_control_init() i";

#[tokio::test]
async fn control_files_say_what_the_server_says() {
    for major in MAJORS {
        let mut cluster = Cluster::builder(major).initdb(&["--wal-segsize=4"]).start().await;
        cluster.psql("checkpoint").await;
        let said = cluster.psql(CONTROL).await;
        let data = cluster.data_directory().to_owned();
        let read = control::read(&data).unwrap();
        let (c, k) = (&read.control, &read.control.checkpoint);
        let next_xid = format!("{}:{}", k.next_xid >> 32, k.next_xid & 0xFFFF_FFFF);
        let decoded: [String; 22] = [
            c.system_identifier.to_string(),
            c.control_version.to_string(),
            c.catalog_version.to_string(),
            k.lsn.to_string(),
            k.redo.to_string(),
            k.timeline.to_string(),
            k.previous_timeline.to_string(),
            if k.full_page_writes { "t" } else { "f" }.to_owned(),
            next_xid,
            k.next_oid.to_string(),
            k.next_multixact.to_string(),
            k.next_multixact_offset.to_string(),
            k.oldest_xid.to_string(),
            k.oldest_xid_database.to_string(),
            k.oldest_multixact.to_string(),
            k.oldest_multixact_database.to_string(),
            k.time_s.to_string(),
            c.block_bytes.to_string(),
            c.relation_segment_blocks.to_string(),
            c.wal_block_bytes.to_string(),
            c.wal_segment.bytes().to_string(),
            c.data_checksum_version.to_string(),
        ];
        assert_eq!(decoded.join(","), said, "PostgreSQL {major}");
        assert_eq!((c.state, c.wal_level, read.bytes.len()), (State::InProduction, WalLevel::Replica, 8192), "PostgreSQL {major}");
        assert_eq!(control::major(&data).unwrap(), major);
        cluster.stop().await;
        assert_eq!(control::read(&data).unwrap().control.state, State::ShutDown, "PostgreSQL {major}");
    }
}

/// A cluster with what a listing has to tell apart: an unlogged table, a table in a tablespace, a temporary one.
async fn with_all_kinds_of_tables(major: u32) -> (Cluster, tempfile::TempDir) {
    let cluster = Cluster::start(major).await;
    let elsewhere = tempfile::tempdir().unwrap();
    std::process::Command::new("chown").arg("postgres").arg(elsewhere.path()).status().unwrap();
    cluster.psql(&format!("create tablespace elsewhere location '{}'", elsewhere.path().display())).await;
    for sql in [
        "create table there (id int primary key) tablespace elsewhere",
        "insert into there select generate_series(1, 1000)",
        "create unlogged table forgotten (id int primary key)",
        "insert into forgotten select generate_series(1, 1000)",
        "vacuum",
        "checkpoint",
    ] {
        cluster.psql(sql).await;
    }
    (cluster, elsewhere)
}

#[tokio::test]
async fn every_relation_is_found_where_the_server_has_it_and_its_pages_are_sound() {
    for major in MAJORS {
        let (mut cluster, _elsewhere) = with_all_kinds_of_tables(major).await;
        let asked = "select pg_relation_filepath(oid) from pg_class where pg_relation_filepath(oid) is not null and relpersistence = 'p'";
        let said: BTreeSet<String> = cluster.psql(asked).await.lines().map(str::to_owned).collect();
        let unlogged = cluster.psql("select pg_relation_filepath('forgotten')").await;
        cluster.stop().await;

        let data = cluster.data_directory();
        let listing = list(data);
        let listed: BTreeSet<String> = listing.files.iter().map(|file| file.path.to_str().unwrap().to_owned()).collect();
        assert_eq!(said.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "PostgreSQL {major}");
        let left: Vec<_> = listing.left_out.iter().filter(|(path, _)| path.to_str() == Some(&unlogged)).collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].1, Reason::UnloggedRelation);
        assert!(listed.contains(&format!("{unlogged}_init")));
        assert_eq!(listing.unreadable, []);

        let mut kinds = [0; 2];
        for file in &listing.files {
            let Some(relation) = file.relation else { continue };
            let bytes = fs::read(data.join(&file.path)).unwrap();
            for (block, page) in (relation.first_block(131_072).unwrap()..).zip(bytes.chunks(8192)) {
                match page::judge(page, block, true) {
                    Verdict::Sound => kinds[0] += 1,
                    Verdict::New => kinds[1] += 1,
                    bad => panic!("PostgreSQL {major}: {} block {block}: {bad:?}", file.path.display()),
                }
            }
        }
        assert!(kinds[0] > 500, "PostgreSQL {major}: {kinds:?}");
    }
}

#[tokio::test]
async fn segments_know_whose_they_are() {
    for major in MAJORS {
        let mut cluster = Cluster::start(major).await;
        cluster.psql("select pg_switch_wal(); checkpoint").await;
        let current = cluster.psql("select pg_walfile_name(pg_current_wal_insert_lsn())").await;
        cluster.stop().await;
        let data = cluster.data_directory();
        let control = control::read(data).unwrap().control;
        let Some(WalFile::Segment(segment)) = WalFile::of_name(&current, control.wal_segment) else { panic!("{current}") };
        let bytes = fs::read(data.join("pg_wal").join(&current)).unwrap();
        let header = wal::check(&bytes, segment, &control, major).unwrap_or_else(|why| panic!("PostgreSQL {major}: {why}"));
        assert_eq!((header.page_bytes, header.timeline), (8192, 1));

        let other = control::ControlFile { system_identifier: 1, ..control.clone() };
        let found = control.system_identifier;
        assert_eq!(wal::check(&bytes, segment, &other, major), Err(Mismatch::OtherServer { found, expected: 1 }));
        assert!(matches!(wal::check(&bytes, segment.next(), &control, major), Err(Mismatch::OtherPlace { .. })));
        assert_eq!(wal::check(&bytes, segment, &control, 19), Err(Mismatch::OtherVersion { found: major, expected: 19 }));
        assert_eq!(wal::check(&bytes[1..], segment, &control, major), Err(Mismatch::NoHeader));
    }
}

/// What the server itself reads out of its summaries, a fork a line.
const SUMMARIZED: &str =
    "select concat_ws(',', b.reltablespace, b.reldatabase, b.relfilenode, b.relforknumber, b.is_limit_block, b.relblocknumber)
    from pg_available_wal_summaries() s, pg_wal_summary_contents(s.tli, s.start_lsn, s.end_lsn) b";

#[tokio::test]
async fn summaries_say_what_the_server_says() {
    for major in [17, 18] {
        let mut cluster = Cluster::builder(major).config("summarize_wal = on").start().await;
        cluster.psql("create table filled as select n from generate_series(1, 200000) as n").await;
        cluster.psql("create table cut as select n from generate_series(1, 20000) as n").await;
        cluster.psql("delete from cut where n > 5000").await;
        cluster.psql("vacuum cut").await;
        cluster.psql("checkpoint").await;
        cluster.wait_for("select count(*) > 0 from pg_available_wal_summaries()").await;
        cluster.psql("alter system set summarize_wal = off").await;
        cluster.psql("select pg_reload_conf()").await;
        cluster.wait_for("select count(*) = 0 from pg_stat_activity where backend_type = 'walsummarizer'").await;
        let said: BTreeSet<String> = cluster.psql(SUMMARIZED).await.lines().map(str::to_owned).collect();

        let data = cluster.data_directory();
        let mut read = BTreeSet::new();
        for summary in summaries::list(data).unwrap() {
            for changed in summaries::read(&summary.path(data)).unwrap() {
                let l = changed.locator;
                let fork = format!("{},{},{},{}", l.tablespace, l.database, l.relfilenode, l.fork as u32);
                read.extend(changed.limit_block.map(|limit| format!("{fork},t,{limit}")));
                read.extend(changed.blocks.iter().map(|block| format!("{fork},f,{block}")));
            }
        }
        assert!(read.len() > 800 && read.iter().any(|line| line.contains(",t,")), "PostgreSQL {major}: {}", read.len());
        assert_eq!(read, said, "PostgreSQL {major}");
        cluster.stop().await;
    }
}
