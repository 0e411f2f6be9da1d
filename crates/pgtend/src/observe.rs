//! One look at a server without an agent: the probes that a document needs, twice where it shows rates.

use jiff::Timestamp;
use pgtend_model::ash::Ring;
use pgtend_model::document::{Document, Known};
use pgtend_model::error::Result;
use pgtend_model::sample::{Origin, Probe, Readings, Reason, Unknown};
use pgtend_model::signal::APPLICATION_NAME;
use pgtend_model::view::{Link, View};
use pgtend_postgres::connect::{Limits, Session, Target};
use pgtend_postgres::probe::{Failure, Prober, Texts};
use std::collections::HashMap;
use std::time::Duration;

/// Time between the two readings that rates need.
const APART: Duration = Duration::from_secs(1);

/// Makes a document from a look of its own.
///
/// # Errors
/// When the server cannot be reached, or the parameters make no sense.
pub async fn document<D: Document>(target: &Target, params: &D::Params) -> Result<D> {
    let session = Session::open(target, &Limits::default(), APPLICATION_NAME).await?;
    let mut look = Look::new(target, &session);
    look.take(&session, D::PROBES).await?;
    if D::NEEDS_RATES {
        tokio::time::sleep(APART).await;
        look.take(&session, D::PROBES).await?;
    }
    D::build(&Known { view: &look.view, ash: &look.ash, now: Timestamp::now() }, params)
}

struct Look {
    view: View,
    ash: Ring,
    prober: Prober,
    texts: Texts,
}

impl Look {
    fn new(target: &Target, session: &Session) -> Self {
        let view = View {
            name: target.database().to_owned(),
            target: target.address(),
            link: Link::Up { since: Timestamp::now() },
            data_directory: None,
            readings: Readings::default(),
        };
        let prober = Prober::new(session.version(), Limits::default().statement_timeout + Duration::from_secs(1));
        Self { view, ash: Ring::new(16, usize::MAX), prober, texts: Texts::default() }
    }

    async fn take(&mut self, session: &Session, probes: &[Probe]) -> Result<()> {
        for probe in probes {
            let mut taken = probe.empty(Timestamp::now());
            let outcome = match probe.spec().origin {
                Origin::Query => self.prober.run(session.client(), *probe, &mut self.texts, &mut taken).await,
                Origin::Host => Err(Failure::Probe(Unknown::new(Reason::Remote, "figures of the host need the agent beside the server"))),
            };
            match outcome {
                Ok(()) => self.view.readings.put(taken),
                Err(Failure::Probe(unknown)) => self.view.readings.fail(*probe, unknown),
                Err(Failure::Session(error)) => return Err(error),
            }
        }
        if let Ok(sample) = self.view.readings.activity.current() {
            self.ash.record(sample, &HashMap::new());
        }
        Ok(())
    }
}
