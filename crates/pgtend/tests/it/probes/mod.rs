//! Every probe on every major: it gives rows or exactly the reason that is expected, in the shape that it declares.

mod answers;
mod columns;
mod extensions;
mod figures;
mod secrets;
mod views;
pub mod world;

use jiff::Timestamp;
use pgtend_model::sample::{Probe, Taken, Unknown};
use pgtend_postgres::connect::{Environment, Limits, Session, Target};
use pgtend_postgres::probe::{Failure, Prober, Texts};
use std::time::Duration;

/// One role's session with the means to run probes on it.
struct Watcher {
    session: Session,
    prober: Prober,
    texts: Texts,
}

impl Watcher {
    async fn connect(dsn: &str) -> Self {
        let target = Target::resolve(Some(dsn), &Environment::default()).unwrap();
        let session = Session::open(&target, &Limits::default(), "pgtend").await.unwrap();
        let prober = Prober::new(session.version(), Duration::from_secs(30));
        Self { session, prober, texts: Texts::default() }
    }

    /// The probe's rows; statement texts are asked for the statements that there are.
    async fn run(&mut self, probe: Probe) -> Result<Taken, Unknown> {
        if probe != Probe::StatementTexts {
            return self.ask(probe, None).await;
        }
        let Taken::Statements(statements) = self.ask(Probe::Statements, None).await? else { unreachable!() };
        self.ask(probe, Some(statements.rows.iter().map(|row| row.queryid).collect())).await
    }

    async fn ask(&mut self, probe: Probe, identifiers: Option<Vec<i64>>) -> Result<Taken, Unknown> {
        let mut taken = probe.empty(Timestamp::now());
        let client = self.session.client();
        let ran = match identifiers {
            None => self.prober.run(client, probe, &mut self.texts, &mut taken).await,
            Some(identifiers) => self.prober.run_with(client, probe, &[&identifiers], &mut self.texts, &mut taken).await,
        };
        match ran {
            Ok(()) => Ok(taken),
            Err(Failure::Probe(unknown)) => Err(unknown),
            Err(Failure::Session(error)) => panic!("{probe:?} ended the session: {error}"),
        }
    }
}

/// The same connection string for another role.
fn as_role(dsn: &str, role: &str) -> String {
    dsn.replace("user=postgres", &format!("user={role}"))
}
