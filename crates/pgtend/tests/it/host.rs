//! Readings of the host against a running server.

use crate::harness::Cluster;
use pgtend_model::sample::{Probe, Reason, Taken};
use pgtend_postgres::host::{Host, machine};

macro_rules! rows {
    ($host:expr, $probe:ident) => {
        match $host.read(Probe::$probe).expect(stringify!($probe)) {
            Taken::$probe(sample) => sample,
            other => panic!("{} was asked for, {:?} came", stringify!($probe), other.probe()),
        }
    };
}

fn host_of(cluster: &Cluster) -> Host {
    Host::new(cluster.data_directory(), i32::try_from(cluster.postmaster_pid()).unwrap())
}

#[tokio::test]
async fn every_backend_is_seen_with_what_it_uses() {
    let cluster = Cluster::start(15).await;
    let mut host = host_of(&cluster);
    let before = rows!(host, HostProcess);
    assert!(before.rows.len() >= 4, "a server has at least checkpointer, writer, walwriter and launcher: {:?}", before.rows);
    let work = "select pg_backend_pid() as pid \\gset\n\\echo :pid\n\
                select count(*) from (select md5(i::text) as m from generate_series(1, 400000) i order by 1) s;\nselect pg_sleep(60);\n";
    let script = cluster.data_directory().join("work.sql");
    cluster.put_file("work.sql", work.as_bytes());
    let mut busy = cluster.client("psql").args(["-qAtX", "-f"]).arg(&script).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = tokio::io::BufReader::new(busy.stdout.take().unwrap());
    let mut next = async || {
        let mut line = String::new();
        tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut line).await.unwrap();
        line.trim().parse::<i64>().unwrap()
    };
    let pid = next().await;
    assert_eq!(next().await, 400_000);
    let sample = rows!(host, HostProcess);
    assert!(sample.missing.is_empty(), "{:?}", sample.missing);
    let backend = sample.rows.iter().find(|row| row.pid == pid).expect("the backend is a child of the postmaster");
    assert!(backend.cpu_seconds > 0.05, "sorting 400,000 hashes takes time: {backend:?}");
    assert!(backend.rss_anon_bytes > Some(1 << 20) && backend.rss_shmem_bytes > Some(0), "{backend:?}");
    assert!(before.rows.iter().all(|row| sample.rows.iter().any(|now| (now.pid, now.start_ticks) == (row.pid, row.start_ticks))));
    busy.kill().await.unwrap();
}

#[tokio::test]
async fn directories_are_found_with_their_room_and_devices() {
    let cluster = Cluster::start(15).await;
    let space = cluster.socket_directory().join("space");
    cluster.psql(&format!("copy (select 1) to program 'mkdir {} && cat >/dev/null'", space.display())).await;
    cluster.psql(&format!("create tablespace space location '{}'", space.display())).await;
    let mut host = host_of(&cluster);
    let filesystems = rows!(host, HostFilesystem);
    assert!(filesystems.missing.is_empty(), "{:?}", filesystems.missing);
    let roles: Vec<&str> = filesystems.rows.iter().map(|row| &*row.role).collect();
    assert_eq!(roles, ["data", "log", "tablespace", "wal"]);
    for row in &filesystems.rows {
        assert!(row.size_bytes >= row.free_bytes && row.free_bytes >= row.available_bytes && row.available_bytes > 0, "{row:?}");
    }
    assert_eq!(&*filesystems.rows[2].path, space.to_str().unwrap());
    // The temporary directory may be on tmpfs, which has no device: then that is what is said.
    match host.read(Probe::HostDisk) {
        Ok(Taken::HostDisk(disks)) => {
            let carried: Vec<&str> = disks.rows.iter().flat_map(|row| row.carries.split(',')).collect();
            assert!(carried.contains(&"data") && carried.contains(&"tablespace"), "{carried:?}");
        }
        Ok(other) => panic!("host_disk was asked for, {:?} came", other.probe()),
        Err(unknown) => assert!(filesystems.rows[0].device.is_none() && unknown.reason == Reason::Absent, "{unknown}"),
    }
}

#[tokio::test]
async fn the_machine_tells_its_processors_memory_and_network() {
    let cluster = Cluster::start(15).await;
    let mut host = host_of(&cluster);
    let first = rows!(host, HostCpu).rows.remove(0);
    let memory = rows!(host, HostMemory).rows.remove(0);
    assert!(first.cores > 0 && first.total_seconds() > 0.0 && memory.total_bytes > memory.free_bytes);
    let machine = machine().unwrap();
    assert!(machine.cores > 0.0 && machine.memory_bytes <= memory.total_bytes.unsigned_abs());
    assert!(rows!(host, HostNetwork).rows.iter().any(|row| &*row.interface == "lo"));
}

#[tokio::test]
async fn a_server_that_stopped_has_no_processes_and_a_new_postmaster_is_followed() {
    let mut cluster = Cluster::start(15).await;
    let mut host = host_of(&cluster);
    rows!(host, HostProcess);
    cluster.stop().await;
    let unknown = host.read(Probe::HostProcess).expect_err("there is no postmaster");
    assert_eq!(unknown.reason, Reason::Absent, "{unknown}");
    cluster.start_again().await;
    host.follow(i32::try_from(cluster.postmaster_pid()).unwrap());
    assert!(!rows!(host, HostProcess).rows.is_empty());
}
