//! Looks what was proved of servers and backups, for metrics and alert rules.

use super::{Agent, Server};
use crate::blocking::blocking;
use pgtend_model::backup::proof::{DrillProof, Proofs, RepositoryProof, ServerProof};
use std::sync::Arc;
use std::time::Duration;

/// How often: proofs are minutes of work each.
const EVERY: Duration = Duration::from_secs(15);

/// Looks until the agent ends.
pub(super) fn start(agent: &Agent) {
    let looks = agent.clone();
    agent.tasks().spawn("proof watch", async move {
        loop {
            look(&looks).await;
            tokio::select! {
                () = looks.tasks().cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    });
}

async fn look(agent: &Agent) {
    for server in agent.servers() {
        let beside = agent.settings(&server).is_some_and(|settings| settings.server.data_directory.is_some());
        if !beside {
            continue;
        }
        let (reads, of) = (agent.clone(), server.clone());
        let Ok(proofs) = blocking(move || Ok(proofs(&reads, &of))).await else { continue };
        // A new view for every look would wake whoever waits for news.
        if *server.view().proofs != proofs {
            server.update(|view| view.proofs = Arc::new(proofs));
        }
    }
}

fn proofs(agent: &Agent, server: &Server) -> Proofs {
    let repositories = agent.repo_verifications().tell();
    let drills = agent.drills().kept(server.name());
    let drill = |last: &pgtend_model::drill::Summary| DrillProof {
        at: last.started_at,
        passed: last.verdict != pgtend_model::drill::Verdict::Failed,
        passed_at: drills.last_passed_at,
        rto_seconds: last.rto_seconds,
        rpo_seconds: last.rpo_seconds,
    };
    Proofs {
        server: ServerProof::of(&agent.verifications().kept(server.name())),
        repositories: repositories.iter().filter_map(|repository| repository.last.as_ref()).map(RepositoryProof::of).collect(),
        drill: drills.drills.first().map(drill),
    }
}
