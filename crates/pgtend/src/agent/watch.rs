//! Watches one server: one connection, rounds of probes under a time budget, and patience when it is gone.

use super::custom::CustomMetrics;
use super::memory::Memory;
use super::order::{Order, Outcome, not_connected, send};
use super::server::{Envelope, Server};
use super::settings::Settings;
use super::snapshots::{self, Snapshots};
use super::statement_texts::StatementTexts;
use super::visit::{self, Round};
use jiff::Timestamp;
use pgtend_model::ash::cpu_ms;
use pgtend_model::error::{Error, Kind};
use pgtend_model::past::Snapshot;
use pgtend_model::sample::registry::SPECS;
use pgtend_model::sample::{Origin, Probe, Reason, Scope, Taken, Unknown};
use pgtend_model::schedule::{Schedule, Tour, backoff};
use pgtend_model::view::{Link, Postmaster};
use pgtend_postgres::connect::Session;
use pgtend_postgres::probe::{Failure, Prober, Texts};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a reading that was asked for serves everybody who asks.
const FRESH_FOR: Duration = Duration::from_millis(500);
/// How often extensions are looked for anew.
const REFRESH_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Watch {
    settings: Settings,
    server: Server,
    orders: mpsc::Receiver<Envelope>,
    memory: Memory,
    snapshots: Snapshots,
    ends: CancellationToken,
    texts: Texts,
    schedule: Schedule,
    tour: Tour,
    custom: CustomMetrics,
    statement_texts: StatementTexts,
    began: Instant,
    failed_attempts: u32,
}

/// Why a connected stretch ended.
enum End {
    Cancelled,
    Lost(Error),
}

impl Watch {
    pub(super) fn new(
        settings: Settings,
        server: Server,
        orders: mpsc::Receiver<Envelope>,
        memory: Memory,
        ends: CancellationToken,
    ) -> Self {
        let snapshots = Snapshots::new(&settings.awr, Timestamp::now());
        let schedule = Schedule::new(settings.cadence(Origin::Query));
        let custom = CustomMetrics::new(&settings);
        Self {
            settings,
            server,
            orders,
            memory,
            snapshots,
            ends,
            custom,
            statement_texts: StatementTexts::default(),
            texts: Texts::default(),
            schedule,
            tour: Tour::default(),
            began: Instant::now(),
            failed_attempts: 0,
        }
    }

    pub(super) async fn run(mut self) {
        let ends = self.ends.clone();
        loop {
            let end = tokio::select! {
                () = ends.cancelled() => End::Cancelled,
                end = self.stretch() => end,
            };
            let End::Lost(error) = end else { return };
            let wait = self.lost(error);
            tokio::select! {
                () = ends.cancelled() => return,
                () = self.decline_orders(wait) => {}
            }
        }
    }

    /// From one connection's opening to its end.
    async fn stretch(&mut self) -> End {
        if let Postmaster::Running { pid, stopped: true } = self.server.view().postmaster {
            return End::Lost(held(pid));
        }
        match Session::open(&self.settings.target, &self.settings.limits(), &self.settings.server.application_name).await {
            Ok(session) => {
                self.connected();
                End::Lost(self.rounds(&session).await)
            }
            Err(error) => End::Lost(error),
        }
    }

    async fn rounds(&mut self, session: &Session) -> Error {
        let mut prober = Prober::new(session.version(), self.settings.server.statement_timeout).bounded(self.settings.bounds());
        let mut refreshed = Instant::now();
        let mut connected = true;
        loop {
            if refreshed.elapsed() >= REFRESH_EVERY {
                prober.refresh();
                refreshed = Instant::now();
            }
            let due = self.schedule.due(self.began.elapsed());
            let outcome = self.round(session, &mut prober, &due).await;
            if let Err(error) = outcome {
                return error;
            }
            if let Err(error) = self.snapshot_in_time(session, &mut prober, connected).await {
                return error;
            }
            connected = false;
            if let Err(error) = self.rest(session, &mut prober).await {
                return error;
            }
        }
    }

    /// Waits for the next probe's turn and carries out orders meanwhile.
    async fn rest(&mut self, session: &Session, prober: &mut Prober) -> Result<(), Error> {
        let turns = [self.schedule.next_turn(), self.custom.next_turn()];
        let until = self.began + turns.into_iter().flatten().min().unwrap_or(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(()),
                error = session.closed() => return Err(error),
                Some((order, answer)) = self.orders.recv() => {
                    let outcome = self.carry_out(session, prober, order).await?;
                    let _nobody_waits_any_more = answer.send(outcome);
                }
            }
        }
    }

    /// The outcome for whoever gave the order; an error when the connection was lost over it.
    async fn carry_out(&mut self, session: &Session, prober: &mut Prober, order: Order) -> Result<Result<Outcome, Error>, Error> {
        match order {
            Order::Signal { signal, targets } => Ok(send(session, signal, &targets, self.settings.patience()).await),
            Order::Read(probes) => {
                for probe in probes {
                    if !self.is_fresh(probe) {
                        self.probe(session, prober, probe).await?;
                    }
                }
                Ok(Ok(Outcome::Read))
            }
            Order::Snapshot(reason) => Ok(self.snapshot(session, prober, reason).await?.map(Outcome::Snapshot)),
        }
    }

    async fn snapshot_in_time(&mut self, session: &Session, prober: &mut Prober, connected: bool) -> Result<(), Error> {
        let now = Timestamp::now();
        let reason = if self.snapshots.due(now) {
            "scheduled"
        } else if connected && self.snapshots.due_at_connect(&self.server, now) {
            "connect"
        } else {
            return Ok(());
        };
        if let Err(error) = self.snapshot(session, prober, reason).await? {
            tracing::error!(server = self.server.name(), error = error.what, place = error.place, "the snapshot could not be kept");
        }
        Ok(())
    }

    /// Reads everything that is remembered, and makes a snapshot of it.
    async fn snapshot(&mut self, session: &Session, prober: &mut Prober, reason: &str) -> Result<Result<Snapshot, Error>, Error> {
        self.memory.all_due();
        let cadence = self.settings.cadence(Origin::Query);
        let probes: Vec<Probe> = SPECS.iter().map(|spec| spec.probe).filter(|probe| self.memory.remembers(*probe)).collect();
        let asked = probes.iter().copied().filter(|probe| cadence.contains_key(probe));
        let (whole, per_database): (Vec<Probe>, Vec<Probe>) = asked.partition(|probe| probe.spec().scope == Scope::Server);
        for probe in whole {
            self.probe(session, prober, probe).await?;
        }
        if !per_database.is_empty() {
            let ends = Instant::now() + self.settings.server.round_budget;
            self.per_database(session, prober, &per_database, ends).await?;
        }
        let view = self.server.view();
        for probe in probes.iter().filter(|probe| probe.spec().origin != Origin::Query && **probe != Probe::Log) {
            match view.readings.taken(*probe) {
                Ok(taken) => self.memory.reading(&taken),
                Err(unknown) => self.memory.unknown(*probe, &unknown),
            }
        }
        self.memory.texts(view.statement_texts.iter().map(|(id, text)| (*id, text.clone())).collect());
        self.memory.recording().flushed().await;
        Ok(snapshots::add(&self.server, &probes, reason))
    }

    /// Many who ask at once are answered by one reading.
    fn is_fresh(&self, probe: Probe) -> bool {
        let (at, _, _) = self.server.view().readings.state(probe);
        at.is_some_and(|at| Timestamp::now().duration_since(at).unsigned_abs() < FRESH_FOR)
    }

    async fn round(&mut self, session: &Session, prober: &mut Prober, due: &[Probe]) -> Result<(), Error> {
        let ends = Instant::now() + self.settings.server.round_budget;
        let per_database: Vec<Probe> = due.iter().copied().filter(|probe| probe.spec().scope == Scope::Database).collect();
        for probe in due.iter().copied().filter(|probe| probe.spec().scope == Scope::Server) {
            self.schedule.ran(probe, self.began.elapsed());
            if Instant::now() >= ends {
                let unknown = over_budget(self.settings.server.round_budget);
                self.server.update(|view| view.readings.fail(probe, unknown));
            } else {
                self.probe(session, prober, probe).await?;
            }
        }
        if !per_database.is_empty() {
            self.per_database(session, prober, &per_database, ends).await?;
        }
        self.custom(session).await
    }

    async fn probe(&mut self, session: &Session, prober: &mut Prober, probe: Probe) -> Result<(), Error> {
        let mut taken = probe.empty(Timestamp::now());
        let asked = Instant::now();
        let outcome = prober.run(session.client(), probe, &mut self.texts, &mut taken).await;
        taken.add_took(asked.elapsed());
        match outcome {
            Ok(()) => self.put(taken),
            Err(Failure::Probe(unknown)) => self.fail(probe, unknown),
            Err(Failure::Session(error)) => return Err(error),
        }
        match probe {
            Probe::Activity if self.settings.ash.enabled => self.remember_sessions(),
            Probe::Statements => self.texts_of_statements(session, prober).await?,
            _ => {}
        }
        Ok(())
    }

    /// The per-database probes, all due ones in one visit to each database.
    async fn per_database(&mut self, session: &Session, prober: &mut Prober, due: &[Probe], ends: Instant) -> Result<(), Error> {
        for probe in due {
            self.schedule.ran(*probe, self.began.elapsed());
        }
        let older = self.server.view();
        let round = Round { texts: &mut self.texts, tour: &mut self.tour, older: &older.readings, ends };
        for outcome in visit::all(&self.settings, session, prober, round, due).await? {
            match outcome {
                Ok(taken) => self.put(taken),
                Err((probe, unknown)) => self.fail(probe, unknown),
            }
        }
        Ok(())
    }

    fn put(&mut self, taken: Taken) {
        self.memory.reading(&taken);
        self.server.update(|view| view.readings.put(taken));
    }

    fn fail(&mut self, probe: Probe, unknown: Unknown) {
        self.memory.unknown(probe, &unknown);
        self.server.update(|view| view.readings.fail(probe, unknown));
    }

    async fn custom(&mut self, session: &Session) -> Result<(), Error> {
        let old = self.server.view();
        for reading in self.custom.round(&self.settings, session, self.began.elapsed(), &old.custom).await? {
            self.server.update(|view| {
                view.custom.retain(|known| known.name != reading.name);
                view.custom.push(Arc::new(reading));
            });
        }
        Ok(())
    }

    /// Texts are asked for once, and rarely: the server reads the texts of all statements to give one.
    async fn texts_of_statements(&mut self, session: &Session, prober: &mut Prober) -> Result<(), Error> {
        let view = self.server.view();
        let wanted = self.statement_texts.wanted(&view, self.began.elapsed());
        if wanted.is_empty() {
            return Ok(());
        }
        let mut taken = Probe::StatementTexts.empty(Timestamp::now());
        let asked = Instant::now();
        let outcome = prober.run_with(session.client(), Probe::StatementTexts, &[&wanted], &mut self.texts, &mut taken).await;
        self.statement_texts.asked(self.began.elapsed(), asked.elapsed());
        match outcome {
            Ok(()) => {
                self.remember_texts(&taken);
                self.server.update(|view| {
                    view.readings.put(taken);
                    StatementTexts::keep(view);
                });
            }
            Err(Failure::Probe(unknown)) => self.server.update(|view| view.readings.fail(Probe::StatementTexts, unknown)),
            Err(Failure::Session(error)) => return Err(error),
        }
        Ok(())
    }

    fn remember_texts(&self, taken: &Taken) {
        if let Taken::StatementTexts(sample) = taken {
            self.memory.texts(sample.rows.iter().map(|row| (row.queryid, row.query.clone())).collect());
        }
    }

    fn remember_sessions(&self) {
        let view = self.server.view();
        if let Ok(sample) = view.readings.activity.current() {
            let mut ring = self.server.ash().write().unwrap_or_else(PoisonError::into_inner);
            ring.record(sample, &cpu_ms(&view.readings.host_process, self.settings.ash.sample_interval_seconds));
            if let Some(tick) = ring.newest().cloned() {
                self.memory.tick(tick);
            }
        }
    }

    fn connected(&mut self) {
        self.failed_attempts = 0;
        self.schedule.restart();
        self.server.update(|view| view.link = Link::Up { since: Timestamp::now() });
        tracing::info!(server = self.server.name(), target = self.settings.target.address(), "watching");
    }

    /// Notes the loss, and says how long to wait before the next attempt.
    fn lost(&mut self, error: Error) -> Duration {
        self.failed_attempts += 1;
        let wait = backoff(self.failed_attempts, chance());
        let now = Timestamp::now();
        let since = match &self.server.view().link {
            Link::Down { since, .. } => *since,
            Link::Connecting | Link::Up { .. } => {
                let target = self.settings.target.address();
                tracing::error!(server = self.server.name(), target, error = error.what, hint = error.hint, "server lost");
                self.memory.all_due();
                now
            }
        };
        let asked: Vec<Probe> = self.settings.cadence(Origin::Query).into_keys().collect();
        for probe in &asked {
            self.memory.unknown(*probe, &Unknown::new(Reason::Unreachable, error.what.clone()));
        }
        self.server.update(|view| {
            for probe in asked {
                view.readings.fail(probe, Unknown::new(Reason::Unreachable, error.what.clone()));
            }
            view.link = Link::Down { since, why: error, retry_at: now + wait };
        });
        wait
    }

    async fn decline_orders(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                Some((_, answer)) = self.orders.recv() => {
                    let _nobody_waits_any_more = answer.send(Err(not_connected(self.server.name())));
                }
            }
        }
    }
}

fn over_budget(budget: Duration) -> Unknown {
    Unknown::new(Reason::Budget, format!("the probes before it used up the round's budget of {budget:?}; it runs again at its next turn"))
}

/// Connecting to a stopped server would only leave one more connection for it to find when it goes on.
fn held(pid: u32) -> Error {
    Error::new(Kind::Timeout, format!("the postmaster (process {pid}) is stopped by a signal or a debugger"))
        .hint(format!("kill -CONT {pid} lets it go on; its backends may need the same"))
}

/// A random number in 0..1 from the clock's low bits: enough to keep agents out of step.
fn chance() -> f64 {
    f64::from(Timestamp::now().subsec_nanosecond().rem_euclid(1_000_000)) / 1e6
}
