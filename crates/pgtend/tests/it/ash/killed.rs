//! An agent that is killed at any time, under load: what it had sampled stays, and what is left on disk can be read.

use super::{busy_cluster, list, load};
use crate::harness::{Agent, Cluster};
use jiff::{SignedDuration, Timestamp};
use pgtend_model::ash::Tick;
use pgtend_model::past::{Past, Span};
use pgtend_store::history::{History, Policy};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::Duration;

/// What a kill may cost.
const MOST_LOST: SignedDuration = SignedDuration::from_secs(10);
/// From a start to the first sample.
const STARTING: SignedDuration = SignedDuration::from_secs(10);
const KEEP: Duration = Duration::from_secs(30 * 86_400);
const POLICY: Policy = Policy { ash_keep: KEEP, ash_max_bytes: u64::MAX, awr_keep: KEEP, awr_max_bytes: u64::MAX, baseline_keep: KEEP };

/// A number below `end`, another one at each call.
fn random(end: u64) -> u64 {
    RandomState::new().hash_one(()) % end
}

/// Hours that are over and not sealed yet: the agent seals them when it starts, and may be killed while it does.
fn leave_an_hour(state_directory: &Path, hours_ago: u32) {
    let history = History::open(&state_directory.join("history"), POLICY).unwrap();
    let mut recorder = history.recorder().unwrap();
    let hour = Timestamp::now() - SignedDuration::from_hours(i64::from(hours_ago));
    for second in 0..100 {
        recorder.tick("main", &Tick { at: hour + SignedDuration::from_millis(second), sessions: Box::default() });
    }
}

/// Kills the agent so many times; then everything but what may be lost is there.
async fn killed(times: u32, most_ms: u64) {
    let cluster = busy_cluster().await;
    let mut agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/ash/stats", "/samples", |samples| samples.as_u64() > Some(0)).await;
    let begin = Timestamp::now();
    let mut pgbench = load(&cluster, 4, 86_400);
    let mut outages: Vec<Span> = Vec::new();
    for number in 1..=times {
        tokio::time::sleep(Duration::from_millis(200 + random(most_ms))).await;
        agent.kill();
        let killed_at = Timestamp::now();
        leave_an_hour(agent.state_directory(), 2 + number % 10);
        agent.start_again().await;
        outages.push(Span::new(killed_at, Timestamp::now()));
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    nothing_else_is_missing(&agent, begin, &outages).await;
    pgbench.kill().await.unwrap();
    agent.kill();
    every_file_can_be_read(agent.state_directory(), times);
    assert!(!agent.log().contains("could not be"), "{}", agent.log());
    drop(cluster);
}

async fn nothing_else_is_missing(agent: &Agent, begin: Timestamp, outages: &[Span]) {
    let end = Timestamp::now();
    let top = agent.get(&format!("/api/v1/ash/top?start={begin}&end={end}")).await;
    for gap in list(&top, "/not_sampled") {
        let at = |name: &str| gap[name].as_str().unwrap().parse::<Timestamp>().unwrap();
        let (from, to) = (at("start"), at("end"));
        let within: Vec<&Span> = outages.iter().filter(|outage| outage.start > from && outage.start < to).collect();
        let (Some(first), Some(last)) = (within.first(), within.last()) else {
            panic!("{gap} is no outage of {outages:?}\n{}", agent.log())
        };
        // Runs that were too short to write anything are lost as a whole, and are less than ten seconds each.
        assert!(first.start.duration_since(from) <= MOST_LOST, "{gap} lost too much before {first:?}");
        assert!(to.duration_since(last.end) <= STARTING, "{gap} goes on too long after {last:?}");
    }
}

/// The samples of every hour that was left are there, each once.
fn every_file_can_be_read(state_directory: &Path, left: u32) {
    let history = History::open(&state_directory.join("history"), POLICY).unwrap();
    let now = Timestamp::now();
    let past = history.server("main");
    let all = Span::new(now - SignedDuration::from_hours(13), now - SignedDuration::from_mins(90));
    assert_eq!(past.ticks(all).unwrap().len(), 100 * usize::try_from(left).unwrap());
    let mut samples = 0;
    past.sessions(&pgtend_model::ash::block::Wanted::default(), &mut |block| samples += block.len()).unwrap();
    assert!(samples > 0, "under load there are sessions in the samples");
}

#[tokio::test]
async fn killed_again_and_again_it_loses_little_and_leaves_nothing_broken() {
    killed(6, 7000).await;
}

/// `cargo test -p pgtend --test it killed_fifty_times -- --ignored`: ten minutes.
#[tokio::test]
#[ignore = "ten minutes"]
async fn killed_fifty_times_it_loses_little_and_leaves_nothing_broken() {
    killed(50, 20_000).await;
}

#[tokio::test]
async fn started_again_it_goes_on_with_the_same_history() {
    let cluster = Cluster::start(15).await;
    let mut agent = Agent::beside(&cluster).await;
    let newest = |agent: &'static str| format!("/api/v1/ash/samples?limit=1{agent}");
    let mut sleeper = crate::cli::session(&cluster, "before", "select count(*) from generate_series(1, 2000000000)").await;
    agent.wait_for("a sample", async |agent| agent.text(&newest("&program=before")).await.contains("generate_series")).await;
    agent.kill();
    sleeper.kill().await.unwrap();
    agent.start_again().await;
    let samples = agent.get(&newest("&program=before")).await;
    assert_eq!(list(&samples, "/samples").len(), 1, "what was sampled before the kill was asked for, and so was on disk");
    let history = agent.get("/api/v1/monitoring/history").await;
    assert!(history["newest_snapshot_id"].as_i64() >= Some(1), "{history}");
    let stats = agent.get("/api/v1/ash/stats").await;
    let journal = list(&stats, "/on_disk").iter().find(|kept| kept["kind"] == "journal").unwrap();
    assert!(journal["files"] == 1 && journal["bytes"].as_u64() > Some(1000) && stats["samples_lost"] == 0, "{stats}");
}
