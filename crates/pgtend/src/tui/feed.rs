//! Brings what the screen shows, in tasks of their own: the screen never waits for an answer.

use super::state::{Part, Snapshot, Tab, Wishes};
use super::update::Event;
use crate::agent::tasks::Tasks;
use crate::api;
use crate::client::Client;
use crate::observe::Look;
use pgtend_model::document::connections::Connections;
use pgtend_model::document::databases::Databases;
use pgtend_model::document::host::Host;
use pgtend_model::document::load::{self, Load};
use pgtend_model::document::locks::Locks;
use pgtend_model::document::replication::Replication;
use pgtend_model::document::sessions::{self, Sessions};
use pgtend_model::document::status::{self, Status};
use pgtend_model::document::{Document, databases, host, locks, replication};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::sample::Probe;
use pgtend_model::signal::{Fate, Fates, Request};
use pgtend_postgres::connect::Target;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// What the screen wants.
#[derive(Debug)]
pub enum Ask {
    /// A look.
    Look(Wishes),
    /// A signal.
    Signal {
        /// What to ask for.
        request: Request,
        /// On which of the agent's servers.
        server: Option<String>,
    },
}

/// Where everything comes from.
#[derive(Debug)]
pub enum Feed {
    /// An agent, which watches anyway.
    Agent(Client),
    /// PostgreSQL itself, on a connection of our own.
    Direct {
        /// Where it is, to connect anew.
        target: Box<Target>,
        /// The connection.
        look: Box<Look>,
    },
}

/// Statements and events that are asked for; more do not fit on any screen.
const ROWS: usize = 200;
/// Time between samples of our own.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

impl Feed {
    /// Answers what is asked until nobody asks any more.
    pub async fn run(self, tasks: Tasks, asks: mpsc::Receiver<Ask>, events: mpsc::Sender<Event>) {
        match self {
            Self::Agent(client) => from_agent(client, tasks, asks, events).await,
            Self::Direct { target, look } => Own { target, look, lost: None }.run(asks, events).await,
        }
    }
}

/// Each answer in a task of its own: a signal does not wait for a look that hangs.
async fn from_agent(client: Client, tasks: Tasks, mut asks: mpsc::Receiver<Ask>, events: mpsc::Sender<Event>) {
    while let Some(ask) = asks.recv().await {
        let (client, events) = (client.clone(), events.clone());
        tasks.spawn("top answer", async move {
            let event = match ask {
                Ask::Look(wishes) => came(agent_look(&client, &wishes).await),
                Ask::Signal { request, server } => {
                    let fates = client.post::<Fates>(api::signal::PATH, server.as_deref(), &request).await;
                    signalled(&request, fates.map(|answer| answer.fates))
                }
            };
            let _nobody_looks_any_more = events.send(event).await;
        });
    }
}

fn came(outcome: Result<Snapshot>) -> Event {
    outcome.map_or_else(Event::Failed, |snapshot| Event::Came(Box::new(snapshot)))
}

fn signalled(request: &Request, fates: Result<Vec<Fate>>) -> Event {
    let nothing = || Error::new(Kind::Internal, "the answer says nothing about the session");
    let fate = fates.and_then(|fates| fates.into_iter().next().ok_or_else(nothing));
    Event::Signalled(request.signal, request.targets.first().map_or(0, |target| target.pid), fate)
}

fn chart_of(wishes: &Wishes) -> load::Params {
    load::Params { seconds: wishes.window_seconds, limit: 0, buckets: wishes.pieces, ..load::Params::default() }
}

fn minute_of(wishes: &Wishes) -> load::Params {
    load::Params { limit: ROWS, sort: wishes.sort, ..load::Params::default() }
}

async fn agent_look(client: &Client, wishes: &Wishes) -> Result<Snapshot> {
    let server = wishes.server.as_deref();
    let (chart, minute) = (chart_of(wishes), minute_of(wishes));
    let (status, chart, load, sessions, part) = tokio::try_join!(
        client.document::<Status>(server, &status::Params {}),
        client.document::<Load>(server, &chart),
        client.document::<Load>(server, &minute),
        agent_sessions(client, wishes),
        agent_part(client, wishes),
    )?;
    Ok(Snapshot { status, chart, load, sessions, part })
}

async fn agent_sessions(client: &Client, wishes: &Wishes) -> Result<Sessions> {
    let (server, params) = (wishes.server.as_deref(), sessions::Params::default());
    match wishes.all {
        true => client.document::<Connections>(server, &params).await.map(|all| all.0),
        false => client.document::<Sessions>(server, &params).await,
    }
}

async fn agent_part(client: &Client, wishes: &Wishes) -> Result<Part> {
    let server = wishes.server.as_deref();
    Ok(match wishes.tab {
        Tab::Sessions | Tab::Waits | Tab::Queries => Part::None,
        Tab::Blocking => Part::Locks(client.document(server, &locks::Params {}).await?),
        Tab::Host => Part::Host(Box::new(client.document(server, &host::Params {}).await?)),
        Tab::Databases => Part::Databases(client.document(server, &databases::Params {}).await?),
        Tab::Replication => Part::Replication(Box::new(client.document(server, &replication::Params {}).await?)),
    })
}

/// A connection of our own, which samples between looks.
struct Own {
    target: Box<Target>,
    look: Box<Look>,
    /// Why the connection cannot be used any more.
    lost: Option<Error>,
}

impl Own {
    async fn run(mut self, mut asks: mpsc::Receiver<Ask>, events: mpsc::Sender<Event>) {
        let mut turn = tokio::time::interval(SAMPLE_EVERY);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                ask = asks.recv() => match ask {
                    None => return,
                    Some(Ask::Look(wishes)) => came(self.look(&wishes).await),
                    Some(Ask::Signal { request, .. }) => signalled(&request, self.look.signal(request.signal, &request.targets).await),
                },
                _ = turn.tick(), if self.lost.is_none() => {
                    self.lost = self.look.take(&[Probe::HostProcess, Probe::Activity]).await.err();
                    continue;
                }
            };
            if events.send(event).await.is_err() {
                return;
            }
        }
    }

    async fn look(&mut self, wishes: &Wishes) -> Result<Snapshot> {
        if self.lost.is_some() {
            self.look.reopen(&self.target).await?;
            self.lost = None;
        }
        let outcome = self.take_and_build(wishes).await;
        self.lost = outcome.as_ref().err().cloned();
        outcome
    }

    async fn take_and_build(&mut self, wishes: &Wishes) -> Result<Snapshot> {
        self.look.refresh(&probes(wishes), wishes.interval).await?;
        let look = &self.look;
        let all = sessions::Params::default();
        Ok(Snapshot {
            status: look.build(&status::Params {})?,
            chart: look.build(&chart_of(wishes))?,
            load: look.build(&minute_of(wishes))?,
            sessions: if wishes.all { look.build::<Connections>(&all)?.0 } else { look.build(&all)? },
            part: match wishes.tab {
                Tab::Sessions | Tab::Waits | Tab::Queries => Part::None,
                Tab::Blocking => Part::Locks(look.build(&locks::Params {})?),
                Tab::Host => Part::Host(Box::new(look.build(&host::Params {})?)),
                Tab::Databases => Part::Databases(look.build(&databases::Params {})?),
                Tab::Replication => Part::Replication(Box::new(look.build(&replication::Params {})?)),
            },
        })
    }
}

/// The probes from which the documents are made. Sessions are sampled anyway.
fn probes(wishes: &Wishes) -> Vec<Probe> {
    let part = match wishes.tab {
        Tab::Sessions | Tab::Waits | Tab::Queries => &[],
        Tab::Blocking => Locks::PROBES,
        Tab::Host => Host::PROBES,
        Tab::Databases => Databases::PROBES,
        Tab::Replication => Replication::PROBES,
    };
    let sessions = if wishes.all { Connections::PROBES } else { &[] };
    let mut probes: Vec<Probe> = [Status::PROBES, part, sessions].concat();
    probes.retain(|probe| !matches!(probe, Probe::Activity | Probe::HostProcess));
    probes.sort_unstable();
    probes.dedup();
    probes
}
