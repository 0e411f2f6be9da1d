//! Takes the per-database probes to each database: first on the session that is there, then by short visits, one at a time.

use super::settings::Settings;
use jiff::Timestamp;
use pgtend_model::error::Error;
use pgtend_model::sample::{Probe, Readings, Reason, Taken, Unknown};
use pgtend_model::schedule::Tour;
use pgtend_postgres::connect::{Session, error::unknown};
use pgtend_postgres::probe::{Failure, Prober, Texts};
use std::collections::VecDeque;
use tokio::time::Instant;

/// Busiest first, so that a bound on their number or on time cuts the quiet ones.
const DATABASES: &str = "select d.datname::text from pg_catalog.pg_database as d \
    left join pg_catalog.pg_stat_database as s on s.datid = d.oid \
    where d.datallowconn and not d.datistemplate and d.datname <> pg_catalog.current_database() \
      and pg_catalog.has_database_privilege(d.oid, 'connect') \
    order by s.xact_commit desc nulls last, d.datname";

/// What a round has, and what it goes by.
pub(super) struct Round<'a> {
    pub texts: &'a mut Texts,
    pub tour: &'a mut Tour,
    /// What was read before.
    pub older: &'a Readings,
    /// When its time is used up.
    pub ends: Instant,
}

type Outcome = Result<Taken, (Probe, Unknown)>;

/// Runs these probes in every database that is to be visited, as far as there is time; of the others the older rows are kept.
pub(super) async fn all(
    settings: &Settings,
    session: &Session,
    prober: &mut Prober,
    round: Round<'_>,
    probes: &[Probe],
) -> Result<Vec<Outcome>, Error> {
    let Round { texts, tour, older, ends } = round;
    let mut visit = Visit { texts, outcomes: probes.iter().map(|probe| Ok(probe.empty(Timestamp::now()))).collect() };
    visit.here(session, prober, settings.target.database()).await?;
    let mut databases = elsewhere(settings, session).await;
    let most = settings.server.max_databases;
    let beyond = databases.split_off(databases.len().min(most.saturating_sub(1)));
    if let Some(first) = beyond.first() {
        visit.miss(&Unknown::new(Reason::Disabled, format!("from database {first} on, not visited: max_databases is {most}")));
    }
    let mut left = VecDeque::from(tour.begin(probes, databases));
    while Instant::now() < ends
        && let Some(database) = left.pop_front()
    {
        visit.there(settings, &database).await;
        tour.visited(probes, &database);
    }
    visit.leave_out(&left, older);
    Ok(visit.outcomes.into_iter().map(nothing_is_unknown).collect())
}

/// A probe that gave no row and failed somewhere has no answer at all.
fn nothing_is_unknown(outcome: Outcome) -> Outcome {
    let taken = outcome?;
    match taken.missing().first() {
        Some(first) if taken.is_empty() => Err((taken.probe(), first.clone())),
        _ => Ok(taken),
    }
}

async fn elsewhere(settings: &Settings, session: &Session) -> Vec<String> {
    match session.client().query(DATABASES, &[]).await {
        Ok(rows) => rows.iter().map(|row| row.get(0)).filter(|name: &String| settings.server.watches(name)).collect(),
        Err(error) => {
            tracing::warn!(server = settings.server.name, error = %unknown(&error), "the list of databases could not be had");
            Vec::new()
        }
    }
}

struct Visit<'a> {
    texts: &'a mut Texts,
    outcomes: Vec<Outcome>,
}

impl Visit<'_> {
    async fn here(&mut self, session: &Session, prober: &mut Prober, database: &str) -> Result<(), Error> {
        for outcome in &mut self.outcomes {
            let Ok(taken) = outcome else { continue };
            let asked = Instant::now();
            let ran = prober.run(session.client(), taken.probe(), self.texts, taken).await;
            taken.add_took(asked.elapsed());
            match ran {
                Ok(()) => {}
                Err(Failure::Probe(unknown)) => taken.miss(in_database(database, unknown)),
                Err(Failure::Session(error)) => return Err(error),
            }
        }
        Ok(())
    }

    async fn there(&mut self, settings: &Settings, database: &str) {
        let target = settings.target.with_database(database);
        let session = match Session::open(&target, &settings.limits(), &settings.server.application_name).await {
            Ok(session) => session,
            Err(error) => return self.miss(&Unknown::new(Reason::Unreachable, format!("database {database}: {}", error.what))),
        };
        let mut prober = Prober::new(session.version(), settings.server.statement_timeout).bounded(settings.bounds());
        if let Err(error) = self.here(&session, &mut prober, database).await {
            self.miss(&Unknown::new(Reason::Unreachable, format!("database {database}: {}", error.what)));
        }
    }

    /// Notes the databases for which there was no time, and keeps what was read of them before.
    fn leave_out(&mut self, databases: &VecDeque<String>, older: &Readings) {
        let Some(first) = databases.front() else { return };
        let what = format!("{} databases, {first} the first of them, not visited: the round's time was used up", databases.len());
        self.miss(&Unknown::new(Reason::Budget, what + "; their rows are of their last visit, and the next round begins with them"));
        let names = databases.iter().map(String::as_str).collect();
        for taken in self.outcomes.iter_mut().flatten() {
            if let Ok(older) = older.taken(taken.probe()) {
                taken.keep(&older, &names);
            }
        }
    }

    fn miss(&mut self, unknown: &Unknown) {
        for taken in self.outcomes.iter_mut().flatten() {
            taken.miss(unknown.clone());
        }
    }
}

fn in_database(database: &str, unknown: Unknown) -> Unknown {
    Unknown::new(unknown.reason, format!("database {database}: {}", unknown.detail))
}
