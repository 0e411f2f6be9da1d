//! Watches one server: one connection, rounds of probes under a time budget, and patience when it is gone.

use super::order::{carry_out, not_connected};
use super::server::{Inbox, Server, Settings};
use super::tasks::Tasks;
use super::visit;
use jiff::Timestamp;
use pgtend_model::error::Error;
use pgtend_model::sample::registry::SPECS;
use pgtend_model::sample::{Origin, Probe, Reason, Scope, Unknown};
use pgtend_model::schedule::{Schedule, backoff};
use pgtend_model::signal::APPLICATION_NAME;
use pgtend_model::view::{Link, View};
use pgtend_postgres::connect::Session;
use pgtend_postgres::probe::{Failure, Prober, Texts};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// How often extensions are looked for anew.
const REFRESH_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Watch {
    settings: Settings,
    server: Server,
    inbox: Inbox,
    tasks: Tasks,
    view: View,
    texts: Texts,
    schedule: Schedule,
    began: Instant,
    failed_attempts: u32,
}

/// Why a connected stretch ended.
enum End {
    Cancelled,
    Lost(Error),
}

impl Watch {
    pub(super) fn new(settings: Settings, server: Server, inbox: Inbox, tasks: Tasks) -> Self {
        let view = View::clone(&server.view());
        let schedule = Schedule::new(settings.cadence.clone());
        Self { settings, server, inbox, tasks, view, texts: Texts::default(), schedule, began: Instant::now(), failed_attempts: 0 }
    }

    pub(super) async fn run(mut self) {
        let tasks = self.tasks.clone();
        loop {
            let end = tokio::select! {
                () = tasks.cancelled() => End::Cancelled,
                end = self.stretch() => end,
            };
            let End::Lost(error) = end else { return };
            let wait = self.lost(error);
            tokio::select! {
                () = tasks.cancelled() => return,
                () = self.decline_orders(wait) => {}
            }
        }
    }

    /// From one connection's opening to its end.
    async fn stretch(&mut self) -> End {
        match Session::open(&self.settings.target, &self.settings.limits, APPLICATION_NAME).await {
            Ok(session) => {
                self.connected();
                End::Lost(self.rounds(&session).await)
            }
            Err(error) => End::Lost(error),
        }
    }

    async fn rounds(&mut self, session: &Session) -> Error {
        let mut prober = Prober::new(session.version(), self.settings.limits.statement_timeout + Duration::from_secs(1));
        let mut refreshed = Instant::now();
        loop {
            if refreshed.elapsed() >= REFRESH_EVERY {
                prober.refresh();
                refreshed = Instant::now();
            }
            let due = self.schedule.due(self.began.elapsed());
            let outcome = self.round(session, &mut prober, &due).await;
            self.server.publish(&self.view);
            if let Err(error) = outcome {
                return error;
            }
            if let Err(error) = self.rest(session).await {
                return error;
            }
        }
    }

    /// Waits for the next probe's turn and carries out orders meanwhile.
    async fn rest(&mut self, session: &Session) -> Result<(), Error> {
        let until = self.began + self.schedule.next_turn().unwrap_or(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(()),
                error = session.closed() => return Err(error),
                Some((order, answer)) = self.inbox.orders.recv() => {
                    let outcome = carry_out(session, &order).await;
                    let _nobody_waits_any_more = answer.send(outcome);
                }
            }
        }
    }

    async fn round(&mut self, session: &Session, prober: &mut Prober, due: &[Probe]) -> Result<(), Error> {
        let ends = Instant::now() + self.settings.round_budget;
        let per_database: Vec<Probe> = due.iter().copied().filter(|probe| probe.spec().scope == Scope::Database).collect();
        for probe in due.iter().copied().filter(|probe| probe.spec().scope == Scope::Server) {
            self.schedule.ran(probe, self.began.elapsed());
            if Instant::now() >= ends {
                self.view.readings.fail(probe, over_budget(self.settings.round_budget));
            } else {
                self.probe(session, prober, probe).await?;
            }
        }
        if !per_database.is_empty() {
            self.per_database(session, prober, &per_database, ends).await?;
        }
        Ok(())
    }

    async fn probe(&mut self, session: &Session, prober: &mut Prober, probe: Probe) -> Result<(), Error> {
        let mut taken = probe.empty(Timestamp::now());
        let asked = Instant::now();
        let outcome = match probe.spec().origin {
            Origin::Query => prober.run(session.client(), probe, &mut self.texts, &mut taken).await,
            Origin::Host => Err(Failure::Probe(Unknown::new(Reason::Remote, "the agent does not run on the server's host"))),
        };
        taken.add_took(asked.elapsed());
        match outcome {
            Ok(()) => self.view.readings.put(taken),
            Err(Failure::Probe(unknown)) => self.view.readings.fail(probe, unknown),
            Err(Failure::Session(error)) => return Err(error),
        }
        if probe == Probe::Activity {
            self.remember_sessions();
        }
        Ok(())
    }

    /// The per-database probes, all due ones in one visit to each database.
    async fn per_database(&mut self, session: &Session, prober: &mut Prober, due: &[Probe], ends: Instant) -> Result<(), Error> {
        for probe in due {
            self.schedule.ran(*probe, self.began.elapsed());
        }
        for outcome in visit::all(&self.settings, session, prober, &mut self.texts, due, ends).await? {
            match outcome {
                Ok(taken) => self.view.readings.put(taken),
                Err((probe, unknown)) => self.view.readings.fail(probe, unknown),
            }
        }
        Ok(())
    }

    fn remember_sessions(&self) {
        if let Ok(sample) = self.view.readings.activity.current() {
            let mut ring = self.server.ash().write().unwrap_or_else(std::sync::PoisonError::into_inner);
            ring.record(sample, &HashMap::new());
        }
    }

    fn connected(&mut self) {
        self.failed_attempts = 0;
        self.schedule.restart();
        self.view.link = Link::Up { since: Timestamp::now() };
        tracing::info!(server = self.view.name, target = self.view.target, "watching");
    }

    /// Notes the loss, and says how long to wait before the next attempt.
    fn lost(&mut self, error: Error) -> Duration {
        self.failed_attempts += 1;
        let wait = backoff(self.failed_attempts, chance());
        let now = Timestamp::now();
        let since = match &self.view.link {
            Link::Down { since, .. } => *since,
            Link::Connecting | Link::Up { .. } => {
                tracing::error!(server = self.view.name, target = self.view.target, error = error.what, hint = error.hint, "server lost");
                now
            }
        };
        for spec in SPECS.iter().filter(|spec| spec.origin == Origin::Query) {
            self.view.readings.fail(spec.probe, Unknown::new(Reason::Unreachable, error.what.clone()));
        }
        self.view.link = Link::Down { since, why: error, retry_at: now + wait };
        self.server.publish(&self.view);
        wait
    }

    async fn decline_orders(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                Some((_, answer)) = self.inbox.orders.recv() => {
                    let _nobody_waits_any_more = answer.send(Err(not_connected(&self.view.name)));
                }
            }
        }
    }
}

fn over_budget(budget: Duration) -> Unknown {
    Unknown::new(Reason::Budget, format!("the probes before it used up the round's budget of {budget:?}; it runs again at its next turn"))
}

/// A random number in 0..1 from the clock's low bits: enough to keep agents out of step.
fn chance() -> f64 {
    f64::from(Timestamp::now().subsec_nanosecond().rem_euclid(1_000_000)) / 1e6
}
