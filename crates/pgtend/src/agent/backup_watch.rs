//! Looks how it stands with the backups, for metrics and alert rules.

use super::Agent;
use super::backups::{Target, Work};
use jiff::Timestamp;
use pgtend_model::backup::standing::{Doing, Standing, standings};
use pgtend_model::backup::{BackupHead, BackupKind};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is asked what goes on.
const EVERY: Duration = Duration::from_secs(5);
/// How often the repositories are listed when nothing goes on: somebody else may write there, or take away.
const LIST_EVERY: Duration = Duration::from_secs(600);

/// The heads in a repository as they were listed last; none when it could not be looked into.
struct Listed {
    at: Instant,
    /// When the agent's last backup ended, at that time.
    ended: Option<Timestamp>,
    heads: Option<(Vec<BackupHead>, u64)>,
}

/// Looks until the agent ends. Does nothing where there is no repository.
pub(super) fn start(agent: &Agent) {
    if agent.config().backup.repository.is_empty() {
        return;
    }
    let looks = agent.clone();
    agent.tasks().spawn("backup watch", async move {
        let mut listed = BTreeMap::new();
        loop {
            tokio::select! {
                () = looks.tasks().cancelled() => return,
                () = look(&looks, &mut listed) => {}
            }
            tokio::select! {
                () = looks.tasks().cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    });
}

async fn look(agent: &Agent, listed: &mut BTreeMap<Target, Listed>) {
    for server in agent.servers() {
        let beside = agent.settings(&server).is_some_and(|settings| settings.server.data_directory.is_some());
        if !beside {
            continue;
        }
        let mut told = Vec::new();
        // File trees are nobody's: a metric of a server cannot tell them apart.
        let all: Vec<Work> = agent.backups().work(server.name()).into_iter().filter(|work| work.kind != BackupKind::Files).collect();
        let has_dumps = all.iter().any(|work| work.kind == BackupKind::Logical);
        for work in all {
            let target = Target { server: work.server.clone(), repository: work.repository.clone(), kind: work.kind };
            let is_told = |standing: &Standing| standing.kind == work.kind || (standing.kind == BackupKind::Logical && !has_dumps);
            let ended = work.last.as_ref().map(|last| last.at);
            let fresh = listed.get(&target).is_some_and(|listed| listed.ended == ended && listed.at.elapsed() < LIST_EVERY);
            if !fresh {
                let heads = list(agent, &target).await;
                listed.insert(target.clone(), Listed { at: Instant::now(), ended, heads });
            }
            let failed = work.last.as_ref().is_some_and(|last| last.error.is_some());
            let doing = Doing { running: work.running.is_some(), failed, next: work.next };
            let heads = listed.get(&target).and_then(|listed| listed.heads.as_ref());
            let all = standings(&target.repository, heads.map(|(heads, damaged)| (heads.as_slice(), *damaged)), doing);
            told.extend(all.into_iter().filter(is_told));
        }
        publish(&server, told);
    }
}

/// A new view for every look would wake whoever waits for news.
fn publish(server: &super::Server, told: Vec<Standing>) {
    if *server.view().backups != told {
        server.update(|view| view.backups = Arc::new(told));
    }
}

async fn list(agent: &Agent, target: &Target) -> Option<(Vec<BackupHead>, u64)> {
    let configured = agent.backups().configured(Some(&target.repository)).ok()?.into_iter().next()?;
    let (heads, damaged) = agent.backups().list(&configured, &target.server).await.ok()?;
    Some((heads, damaged.len() as u64))
}
