//! History on disk, from a real agent.

use crate::harness::{Agent, Cluster, S3};
use jiff::{SignedDuration, Timestamp};
use pgtend_model::ash::Tick;
use pgtend_store::history::{History, Policy};
use std::path::Path;
use std::time::Duration;

const KEEP: Duration = Duration::from_secs(30 * 86_400);
const POLICY: Policy = Policy { ash_keep: KEEP, ash_max_bytes: u64::MAX, awr_keep: KEEP, awr_max_bytes: u64::MAX, baseline_keep: KEEP };

/// Hours that are over, as an agent that ran then would have left them.
fn leave_journals(state_directory: &Path, hours_ago: &[i64]) {
    let history = History::open(&state_directory.join("history"), POLICY).unwrap();
    let mut recorder = history.recorder().unwrap();
    for hours in hours_ago {
        let at = Timestamp::now() - SignedDuration::from_hours(*hours);
        recorder.tick("main", &Tick { at, sessions: Box::default() });
    }
}

#[tokio::test]
async fn what_is_sealed_is_copied_to_s3_as_it_is() {
    let (cluster, s3) = (Cluster::start(15).await, S3::start().await);
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "a secret\n").unwrap();
    let config = format!(
        "[history]\ncopy_to = \"s3://{}/pg/tend\"\ncopy_endpoint = \"{}\"\ncopy_region = \"us-east-1\"\n\
         copy_access_key_id = \"AKIATEST\"\ncopy_secret_access_key_file = \"{}\"\n",
        S3::BUCKET,
        s3.endpoint(),
        secret.path().display()
    );
    let mut agent = Agent::builder().beside("main", &cluster, "").config(&config).start().await;
    agent.kill();
    leave_journals(agent.state_directory(), &[2, 3]);
    agent.start_again().await;

    agent.wait_for("the copy", async |_| s3.keys().await.iter().filter(|key| key.contains("/ticks/")).count() == 2).await;
    for key in s3.keys().await {
        let name = key.strip_prefix("pg/tend/").unwrap_or_else(|| panic!("{key} is not where it was to be"));
        assert_eq!(s3.get(&key).await, std::fs::read(agent.state_directory().join("history").join(name)).unwrap(), "{key}");
    }
    assert!(!agent.log().contains("a secret"), "{}", agent.log());
}

#[tokio::test]
async fn a_copy_that_cannot_be_made_is_told_once_and_stops_nothing() {
    let cluster = Cluster::start(15).await;
    let config = "[history]\ncopy_to = \"s3://nowhere/x\"\ncopy_endpoint = \"http://127.0.0.1:9\"\ncopy_region = \"x\"\n\
                  copy_access_key_id = \"x\"\ncopy_secret_access_key_file = \"/dev/null\"\n";
    let agent = Agent::builder().beside("main", &cluster, "").config(config).start().await;
    agent.wait_for("the news", async |agent| agent.log().contains("the history is not copied")).await;
    agent.wait_until("/api/v1/monitoring/history", "/newest_snapshot_id", |id| id.as_i64() == Some(1)).await;
}

#[tokio::test]
async fn two_agents_on_one_state_directory_are_refused() {
    let cluster = Cluster::start(15).await;
    let agent = Agent::beside(&cluster).await;
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_pgtend")).args(["agent", "--config"]).arg(agent.config_file()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("another agent writes this history"), "{said}");
}
