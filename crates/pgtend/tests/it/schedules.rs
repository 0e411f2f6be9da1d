//! What an agent does on schedule: verifications, drills, and the repositories themselves. Nobody asks for any of it here.

use crate::wal::Archive;
use serde_json::Value;

/// Every other second: cron's five fields with one for seconds before them.
const SOON: &str = "*/2 * * * * *";

#[tokio::test]
async fn verifications_and_drills_come_by_themselves() {
    let archive = Archive::new();
    let cluster = archive.server(15).await;
    cluster.psql("create table t as select n from generate_series(1, 1000) n").await;
    let scratch = tempfile::Builder::new().prefix("pgtend-schedules-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(scratch.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let more = format!(
        "[backup.verify]\nschedule = \"{SOON}\"\nsample_percent = 100\n[verify]\nschedule = \"{SOON}\"\n\
         [drill]\nschedule = \"{SOON}\"\nmin_free_bytes = 0\nscratch_directory = \"{}\"",
        scratch.path().display()
    );
    let agent = archive.agent_with(&cluster, "schedule = \"0 3 * * *\"", &more).await;
    agent.wait_until("/api/v1/backups", "/work/0/last/backup", Value::is_object).await;
    let clean = |verdict: &Value| verdict == "clean";
    agent.wait_until("/api/v1/verify", "/last/report/verdict", clean).await;
    let last = agent.wait_until("/api/v1/repositories/verify", "/0/last", Value::is_object).await;
    assert_eq!(last["verdict"], "clean", "{last:#}");
    agent.wait_for_long("a drill", async |agent| agent.get("/api/v1/drills").await["drills"][0]["verdict"].is_string()).await;
    for metric in
        ["pgtend_repo_verify_last_timestamp_seconds", "pgtend_verify_last_timestamp_seconds", "pgtend_drill_last_timestamp_seconds"]
    {
        let told = async |agent: &crate::harness::Agent| {
            agent.text("/api/v1/metrics/prometheus").await.lines().any(|line| line.starts_with(metric))
        };
        agent.wait_for_long(metric, told).await;
    }
}

#[test]
fn a_schedule_that_cannot_be_read_keeps_the_agent_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pgtend.toml");
    for key in ["schedule", "full_schedule"] {
        let config = format!(
            "[[server]]\nname = \"main\"\ndsn = \"\"\n[agent]\nstate_directory = \"{0}\"\nruntime_directory = \"{0}\"\n[backup.verify]\n{key} = \"now and then\"\n",
            dir.path().display()
        );
        std::fs::write(&path, config).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_pgtend")).args(["agent", "--config"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(&format!("backup.verify.{key} is \"now and then\"")), "{said}");
    }
}
