//! `pgtend restore-table`: single tables come back as they were, and the originals are left alone.

use crate::restore::Ground;
use crate::wal::{archived, switch};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PGTEND: &str = env!("CARGO_BIN_EXE_pgtend");

/// A shop in which somebody is about to make a mistake.
struct Shop {
    ground: Ground,
    before: String,
}

impl Shop {
    async fn new() -> Self {
        let ground = Ground::new(15).await;
        let cluster = &ground.cluster;
        for sql in [
            "create type mood as enum ('good', 'bad')",
            "create table customers (id int generated always as identity primary key, name text, m mood)",
            "insert into customers (name, m) select 'c' || n, 'good' from generate_series(1, 500) n",
            "create table orders (id serial primary key, customer int references customers, total numeric check (total >= 0), twice numeric generated always as (total * 2) stored)",
            "create index on orders (customer)",
            "create table events (at int, what text) partition by range (at)",
            "create table events_1 partition of events for values from (0) to (100)",
            "create table events_2 partition of events for values from (100) to (1000)",
            "insert into events select n, 'e' from generate_series(1, 800) n",
            "create table \"Odd \"\"name\" (\"a b\" text)",
            "insert into \"Odd \"\"name\" values (E'tab\\there \\\\ and \\n there'), (null)",
        ] {
            cluster.psql(sql).await;
        }
        cluster.psql("create database elsewhere").await;
        cluster.pgbench(&["-i", "-s", "3", "-q", "elsewhere"]).await;
        cluster.pgbench(&["-i", "-s", "1", "-q"]).await;
        ground.backup().await;
        // What the backup does not have comes from the WAL.
        cluster.psql("insert into orders (customer, total) select 1 + n % 500, n from generate_series(1, 2000) n").await;
        let mut load = cluster.client("pgbench").args(["-n", "-c", "2", "-T", "2"]).stdout(Stdio::null()).spawn().unwrap();
        load.wait().await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let before = cluster.psql("select now()").await.trim().to_owned();
        tokio::time::sleep(Duration::from_millis(50)).await;
        cluster.psql("delete from orders where id <= 1500").await;
        cluster.psql("update customers set m = 'bad'").await;
        let segment = switch(cluster).await;
        archived(cluster, &segment).await;
        Self { ground, before }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PGTEND);
        let bindir = self.ground.cluster.bindir().display().to_string();
        command.arg("--socket").arg(self.ground.agent.socket()).args(["--connection", &self.ground.cluster.dsn()]);
        command.args(["restore-table", "--bindir", &bindir, "--scratch"]).arg(self.scratch()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(&[&["--format", "json"], arguments].concat()).output().unwrap()
    }

    /// What a command tells that does its work and leaves nothing.
    fn told(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--to", &self.before], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(self.left(), 0, "{arguments:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What a command says that refuses, and leaves nothing.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["--to", &self.before], arguments].concat());
        assert!(!output.status.success(), "{arguments:?}");
        assert_eq!(self.left(), 0, "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn scratch(&self) -> PathBuf {
        self.ground.path("scratch")
    }

    fn left(&self) -> usize {
        std::fs::read_dir(self.scratch()).map_or(0, Iterator::count)
    }

    async fn ask(&self, sql: &str) -> String {
        self.ground.cluster.psql(sql).await
    }
}

#[tokio::test]
async fn tables_come_back_beside_the_originals_with_all_that_is_theirs() {
    let shop = Shop::new().await;
    let dry = shop.told(&["orders", "--dry-run"]);
    assert!(dry["dry_run"] == true && dry["tables"].as_array().unwrap().is_empty(), "{dry:#}");
    assert_eq!(shop.ask("select count(*) from pg_namespace where nspname like 'restored%'").await, "0");

    let told = shop.told(&["public.orders,customers,Odd?\"name"]);
    let schema = told["schema"].as_str().unwrap();
    assert!(schema.starts_with("restored_") && told["recovered"]["replayed_to"].is_string(), "{told:#}");
    assert_eq!(told["tables"][0]["rows"], 2000, "{told:#}");
    // The other database was not brought: it is bigger than all the rest.
    assert!(
        told["reasons"].as_array().unwrap().iter().any(|reason| reason.as_str().unwrap().contains("1 other databases are left out")),
        "{told:#}"
    );
    assert_eq!(shop.ask(&format!("select count(*), sum(twice) from {schema}.orders")).await, "2000|4002000");
    assert_eq!(shop.ask("select count(*) from orders").await, "500");
    assert_eq!(shop.ask(&format!("select m, count(*) from {schema}.customers group by 1")).await, "good|500");
    assert_eq!(shop.ask("select m, count(*) from customers group by 1").await, "bad|500");
    assert_eq!(shop.ask(&format!("select count(*), count(\"a b\"), max(length(\"a b\")) from {schema}.\"Odd \"\"name\"")).await, "2|1|22");
    let constraints = format!(
        "select string_agg(contype::text || case when contype = 'f' then confrelid::regclass::text else '' end, ' ' order by contype) from pg_constraint where conrelid = '{schema}.orders'::regclass"
    );
    assert_eq!(shop.ask(&constraints).await, format!("c f{schema}.customers p"));
    assert_eq!(shop.ask(&format!("select count(*) from pg_indexes where schemaname = '{schema}' and tablename = 'orders'")).await, "2");

    // The statements that are told do what they say.
    let next = &told["tables"][0]["next"];
    let gone = shop.ask(&format!("select count(*) from ({}) as gone", next["compare"].as_str().unwrap().trim_end_matches(';'))).await;
    assert_eq!(gone, "1500");
    shop.ask(next["merge"].as_str().unwrap()).await;
    assert_eq!(shop.ask("select count(*), sum(twice) from orders").await, "2000|4002000");
    shop.ask(next["swap"].as_str().unwrap()).await;
    assert_eq!(shop.ask(&format!("select count(*) from before_{schema}.orders")).await, "2000");
}

#[tokio::test]
async fn the_original_is_replaced_only_when_that_is_said_and_never_lost() {
    let shop = Shop::new().await;
    shop.ask("create view expensive as select * from orders where total > 100").await;
    assert!(shop.refused(&["orders", "--replace"]).contains("view expensive"));
    shop.ask("drop view expensive").await;
    let told = shop.told(&["orders", "--replace"]);
    let aside = told["aside"].as_str().unwrap();
    assert_eq!(shop.ask("select count(*) from orders").await, "2000");
    assert_eq!(shop.ask(&format!("select count(*) from {aside}.orders")).await, "500");
    // The next order gets a number of its own, and its customer must exist.
    assert_eq!(shop.ask("insert into orders (customer, total) values (1, 1) returning id > 2000").await, "t");

    shop.ask("delete from orders where id < 100; update orders set total = 0").await;
    assert!(shop.refused(&["orders", "--data-only"]).contains("duplicate key"));
    assert_eq!(shop.ask("select sum(total) from orders").await, "0");
    shop.told(&["orders", "--data-only", "--replace"]);
    assert_eq!(shop.ask("select count(*), sum(twice) from orders").await, "2000|4002000");
    assert!(shop.refused(&["customers", "--data-only", "--replace"]).contains("referenced in a foreign key"));

    shop.ask("truncate events").await;
    shop.told(&["events", "--data-only"]);
    assert_eq!(shop.ask("select count(*), (select count(*) from events_2) from events").await, "800|701");
}

#[tokio::test]
async fn partitions_wildcards_and_other_databases() {
    let shop = Shop::new().await;
    let told = shop.told(&["events"]);
    assert_eq!(told["tables"].as_array().unwrap().len(), 3, "{told:#}");
    let schema = told["schema"].as_str().unwrap();
    assert_eq!(shop.ask(&format!("select count(*) from {schema}.events")).await, "800");
    let told = shop.told(&["public.events_1", "--into-schema", "parts"]);
    assert_eq!(told["left"][0]["what"], "parent", "{told:#}");
    assert_eq!(shop.ask("select count(*) from parts.events_1").await, "99");
    assert_eq!(shop.ask("select count(*) from events").await, "800");
    assert!(shop.refused(&["public.events_1", "--into-schema", "parts"]).contains("is there already"));
    let told = shop.told(&["pgbench_*", "--into-db", "copies"]);
    assert!(told["tables"].as_array().unwrap().len() == 4 && told["database_made"] == true, "{told:#}");
    let sums = "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)";
    assert_eq!(shop.ask("select count(*) from pgbench_accounts").await, "100000");
    let output = shop.ground.cluster.client("psql").args(["-d", "copies", "-Atc", sums]).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "t");
    // A database that cannot take them is not left behind.
    assert!(shop.refused(&["customers", "--into-db", "lacking"]).contains("type public.mood"));
    assert_eq!(shop.ask("select count(*) from pg_database where datname = 'lacking'").await, "0");
}

#[tokio::test]
async fn what_stands_in_the_way_is_said() {
    let shop = Shop::new().await;
    for (arguments, said) in [
        (&["public.order"][..], "there were: public.orders"),
        (&["orders", "--db", "nowhere"], "there is no such database now"),
        (&["orders", "--replace", "--into-schema", "x"], "leave out one of the two"),
        (&["orders", "--backup", "20200101T000000Z"], "there is no backup 20200101T000000Z"),
        (&["orders", "--scratch", "/proc/x"], "cannot"),
    ] {
        let words = shop.refused(arguments);
        assert!(words.contains(said), "{arguments:?}: {words}");
    }
    shop.ask("create role nobody_special login").await;
    let dsn = shop.ground.cluster.dsn().replace("user=postgres", "user=nobody_special");
    let mut command = Command::new(PGTEND);
    command
        .arg("--socket")
        .arg(shop.ground.agent.socket())
        .args(["--connection", &dsn, "restore-table", "orders", "--scratch"])
        .arg(shop.scratch());
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(77) && words.contains("may not create what is needed"), "{words}");
}

#[tokio::test]
async fn interrupted_it_leaves_nothing_and_what_a_kill_leaves_the_next_one_removes() {
    let shop = Shop::new().await;
    let begun = |data_too: bool| {
        let child =
            shop.command(&["pgbench_accounts", "--into-schema", "later"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let is_begun = || {
            let mut rooms = std::fs::read_dir(shop.scratch()).into_iter().flatten().flatten();
            rooms.any(|room| !data_too || room.path().join("data/postmaster.pid").exists())
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_begun() {
            assert!(Instant::now() < deadline, "it did not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    };
    let signal = |child: &std::process::Child, signal| {
        let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    };
    for data_too in [false, true] {
        let child = begun(data_too);
        signal(&child, rustix::process::Signal::INT);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // The last moments of a run that is over in time are no interruption.
        assert!(output.status.success() || said.contains("interrupted"), "{said}");
        assert_eq!(shop.left(), 0);
        shop.ask("drop schema if exists later cascade").await;
    }
    let mut child = begun(true);
    signal(&child, rustix::process::Signal::KILL);
    child.wait().unwrap();
    assert_eq!(shop.left(), 1);
    let pid = std::fs::read_dir(shop.scratch())
        .unwrap()
        .flatten()
        .find_map(|room| std::fs::read_to_string(room.path().join("data/postmaster.pid")).ok());
    shop.told(&["orders"]);
    if let Some(pid) = pid.and_then(|text| text.lines().next().map(str::to_owned)) {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(!state.contains("(postgres)") || state.contains(" Z "), "{state}");
    }
    assert_eq!(shop.ask("select count(*) from pg_namespace where nspname = 'later'").await, "0");
}
