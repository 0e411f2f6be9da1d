//! A look at a server without an agent: the probes that a document needs, on a connection of its own.

use jiff::Timestamp;
use pgtend_model::ash::{Ring, cpu_ms};
use pgtend_model::document::{Document, Known};
use pgtend_model::error::Result;
use pgtend_model::health::Thresholds;
use pgtend_model::sample::{Origin, Probe, Reason, Taken, Text, Unknown};
use pgtend_model::signal::{self, APPLICATION_NAME, Fate, Signal};
use pgtend_model::view::{Link, View};
use pgtend_postgres::connect::{Limits, Session, Target};
use pgtend_postgres::host::Host;
use pgtend_postgres::probe::{Failure, Prober, Texts};
use std::time::Duration;
use tokio::time::Instant;

/// Time between the two readings that rates need.
const APART: Duration = Duration::from_secs(1);
/// Probes that run less often than this cost too much to run at every look.
const COSTLY: Duration = Duration::from_secs(60);
/// Bounds of the session history that one look keeps: an hour at a sample a second.
const ASH_SAMPLES: usize = 3600;
const ASH_BYTES: usize = 32 << 20;

/// One connection and what it has seen.
#[derive(Debug)]
pub struct Look {
    session: Session,
    host: Result<Host, Unknown>,
    view: View,
    ash: Ring,
    /// The time that one sample of the sessions stands for.
    pace: Duration,
    prober: Prober,
    texts: Texts,
}

impl Look {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn open(target: &Target) -> Result<Self> {
        let session = Session::open(target, &Limits::default(), APPLICATION_NAME).await?;
        let host = Host::beside(&session).await;
        let mut view = View::unseen(target.address(), target.address());
        view.link = Link::Up { since: Timestamp::now() };
        let prober = Prober::new(session.version(), Limits::default().statement_timeout);
        Ok(Self { session, host, view, ash: Ring::new(ASH_SAMPLES, ASH_BYTES), pace: APART, prober, texts: Texts::default() })
    }

    /// Connects anew after the connection was lost; what was seen stays.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn reopen(&mut self, target: &Target) -> Result<()> {
        let Self { session, host, view, prober, .. } = Self::open(target).await?;
        (self.session, self.host, self.prober) = (session, host, prober);
        self.view.link = view.link;
        Ok(())
    }

    /// Takes those of the readings that are older than they may be; probes that cost more are left in peace for longer.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn refresh(&mut self, probes: &[Probe], interval: Duration) -> Result<()> {
        let now = Timestamp::now();
        let due = |probe: &Probe| {
            let every = probe.spec().every;
            let patience = if every > COSTLY { every } else { every.min(interval) };
            let (at, ..) = self.view.readings.state(*probe);
            at.is_none_or(|at| now.duration_since(at).unsigned_abs() >= patience.mul_f64(0.9))
        };
        let due: Vec<Probe> = probes.iter().copied().filter(due).collect();
        self.take(&due).await
    }

    /// A document from readings made now; two, some time apart, where it shows rates.
    ///
    /// # Errors
    /// When the connection is lost, or the parameters make no sense.
    pub async fn document<D: Document>(&mut self, params: &D::Params) -> Result<D> {
        self.take(D::PROBES).await?;
        // Processor time of a process is a rate too, where it can be had.
        if D::NEEDS_RATES || (self.host.is_ok() && D::PROBES.contains(&Probe::HostProcess)) {
            tokio::time::sleep(APART).await;
            self.take(D::PROBES).await?;
        }
        self.build(params)
    }

    /// A document from the readings there are.
    ///
    /// # Errors
    /// When the parameters make no sense.
    pub fn build<D: Document>(&self, params: &D::Params) -> Result<D> {
        D::build(&Known { view: &self.view, ash: &self.ash, thresholds: Thresholds::default(), now: Timestamp::now() }, params)
    }

    /// Samples the sessions for a while.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn sample(&mut self, lasting: Duration, every: Duration) -> Result<()> {
        let mut turn = tokio::time::interval(every);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let ends = Instant::now() + lasting;
        self.pace = every;
        while Instant::now() < ends {
            turn.tick().await;
            self.take(&[Probe::HostProcess, Probe::Activity]).await?;
        }
        Ok(())
    }

    /// What was seen so far.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The sessions that were sampled.
    pub fn ash(&self) -> &Ring {
        &self.ash
    }

    /// Texts of statements, as the table of statements has them.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn statement_texts(&mut self, ids: &[i64]) -> Result<Vec<(i64, Text)>> {
        let mut taken = Probe::StatementTexts.empty(Timestamp::now());
        let ids = ids.to_vec();
        match self.prober.run_with(self.session.client(), Probe::StatementTexts, &[&ids], &mut self.texts, &mut taken).await {
            Ok(()) => Ok(match taken {
                Taken::StatementTexts(sample) => sample.rows.into_iter().map(|row| (row.queryid, row.query)).collect(),
                _ => Vec::new(),
            }),
            // A report without texts is better than none.
            Err(Failure::Probe(_)) => Ok(Vec::new()),
            Err(Failure::Session(error)) => Err(error),
        }
    }

    /// Takes these readings.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn take(&mut self, probes: &[Probe]) -> Result<()> {
        for probe in probes {
            match self.reading(*probe).await {
                Ok(taken) => self.view.readings.put(taken),
                Err(Failure::Probe(unknown)) => self.view.readings.fail(*probe, unknown),
                Err(Failure::Session(error)) => return Err(error),
            }
            if *probe == Probe::Activity {
                self.remember_sessions();
            }
        }
        Ok(())
    }

    async fn reading(&mut self, probe: Probe) -> Result<Taken, Failure> {
        if probe.spec().origin == Origin::Host {
            return self.of_host(probe).await.map_err(Failure::Probe);
        }
        if probe.spec().origin == Origin::Log {
            return Err(Failure::Probe(Unknown::new(
                Reason::Absent,
                "the server's log is read by an agent beside the server, from when it starts",
            )));
        }
        let mut taken = probe.empty(Timestamp::now());
        let asked = Instant::now();
        self.prober.run(self.session.client(), probe, &mut self.texts, &mut taken).await?;
        taken.add_took(asked.elapsed());
        Ok(taken)
    }

    /// Files of /proc and file systems can hang: they are read on a thread for that.
    async fn of_host(&mut self, probe: Probe) -> Result<Taken, Unknown> {
        let busy = || Unknown::new(Reason::Failed, "the last reading of the host has not ended");
        if let Err(why) = &self.host {
            return Err(why.clone());
        }
        let mut host = std::mem::replace(&mut self.host, Err(busy()))?;
        let read = tokio::task::spawn_blocking(move || (host.read(probe), host)).await;
        let (outcome, host) = read.map_err(|error| Unknown::new(Reason::Failed, format!("the host could not be read: {error}")))?;
        self.host = Ok(host);
        outcome
    }

    /// Cancels or terminates.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn signal(&mut self, signal: Signal, targets: &[signal::Target]) -> Result<Vec<Fate>> {
        pgtend_postgres::signal::send(&self.session, signal, targets).await
    }

    fn remember_sessions(&mut self) {
        let cpu_ms = cpu_ms(&self.view.readings.host_process, self.pace);
        if let Ok(sample) = self.view.readings.activity.current() {
            self.ash.record(sample, &cpu_ms);
        }
    }
}
