//! One probe, one query, one deadline.

use super::catalog::{self, Installed};
use super::rows::{Layout, ResultRow};
use super::texts::Texts;
use futures_util::{TryStreamExt, pin_mut};
use pgtend_model::error::Error;
use pgtend_model::sample::{Probe, Reason, Taken, Unknown};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

/// Why a probe gave nothing, and whether the connection can go on.
#[derive(Debug)]
pub enum Failure {
    /// This probe has no answer; others may.
    Probe(Unknown),
    /// The connection is of no use any more.
    Session(Error),
}

/// What one probe may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How long its query may take, where that is not the session's statement_timeout.
    pub timeout: Option<Duration>,
    /// Rows read at most; the rest is counted and said to be missing.
    pub max_rows: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { timeout: None, max_rows: usize::MAX }
    }
}

/// How much longer than its statement_timeout a query is waited for: that strikes only when the server does not answer at all.
const GRACE: Duration = Duration::from_secs(1);

/// Runs probes on one connection; prepares each query once.
#[derive(Debug)]
pub struct Prober {
    major: u32,
    statement_timeout: Duration,
    bounds: HashMap<Probe, Bounds>,
    prepared: HashMap<Probe, (Statement, Layout)>,
    extensions: HashMap<&'static str, Option<Installed>>,
}

impl Prober {
    /// For a server of this `version_num` (150018 is 15.18), on a session with this `statement_timeout`.
    pub fn new(version_num: u32, statement_timeout: Duration) -> Self {
        let major = version_num / 10_000;
        Self { major, statement_timeout, bounds: HashMap::new(), prepared: HashMap::new(), extensions: HashMap::new() }
    }

    /// The same, with bounds for single probes.
    #[must_use]
    pub fn bounded(mut self, bounds: HashMap<Probe, Bounds>) -> Self {
        self.bounds = bounds;
        self
    }

    /// Forgets which extensions there are, so that one created, updated or moved since is found.
    pub fn refresh(&mut self) {
        self.extensions.clear();
        let major = self.major;
        self.prepared.retain(|probe, _| catalog::extension(probe.spec(), major).is_none());
    }

    /// Adds this probe's rows to `taken`.
    ///
    /// # Errors
    /// The reason, where the probe alone fails; the connection's error, where it cannot be used any more.
    pub async fn run(&mut self, client: &Client, probe: Probe, texts: &mut Texts, taken: &mut Taken) -> Result<(), Failure> {
        self.run_with(client, probe, &[], texts, taken).await
    }

    /// As [`Prober::run`], for a query with parameters.
    ///
    /// # Errors
    /// As [`Prober::run`].
    pub async fn run_with(
        &mut self,
        client: &Client,
        probe: Probe,
        parameters: &[&(dyn ToSql + Sync)],
        texts: &mut Texts,
        taken: &mut Taken,
    ) -> Result<(), Failure> {
        let bounds = self.bounds.get(&probe).copied().unwrap_or_default();
        let patience = bounds.timeout.unwrap_or(self.statement_timeout) + GRACE;
        let run = async {
            let Some(timeout) = bounds.timeout else { return self.attempt(client, probe, parameters, texts, taken).await };
            self.limit(client, probe, timeout).await?;
            let outcome = self.attempt(client, probe, parameters, texts, taken).await;
            self.limit(client, probe, self.statement_timeout).await?;
            outcome
        };
        match timeout_at(Instant::now() + patience, run).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Session(silent(probe, patience))),
        }
    }

    async fn limit(&mut self, client: &Client, probe: Probe, timeout: Duration) -> Result<(), Failure> {
        client.batch_execute(&format!("set statement_timeout = {}", timeout.as_millis())).await.map_err(|error| self.failed(probe, &error))
    }

    async fn attempt(
        &mut self,
        client: &Client,
        probe: Probe,
        parameters: &[&(dyn ToSql + Sync)],
        texts: &mut Texts,
        taken: &mut Taken,
    ) -> Result<(), Failure> {
        let (statement, layout) = self.prepare(client, probe).await?;
        let stream = client.query_raw(&statement, parameters.iter().copied()).await.map_err(|error| self.failed(probe, &error))?;
        pin_mut!(stream);
        let most = self.bounds.get(&probe).copied().unwrap_or_default().max_rows;
        let (mut rows, mut missing) = (0_usize, Vec::new());
        while let Some(row) = stream.try_next().await.map_err(|error| self.failed(probe, &error))? {
            if let Some(unknown) = layout.missing(&row) {
                missing.push(unknown);
                continue;
            }
            rows += 1;
            if rows > most {
                continue;
            }
            let mut source = ResultRow { row: &row, layout: &layout, texts };
            taken.read(&mut source).map_err(|error| {
                Failure::Probe(Unknown::new(
                    Reason::Failed,
                    format!("the query of {} gave an unexpected result: {error}", probe.spec().name),
                ))
            })?;
        }
        if rows > most {
            missing.push(Unknown::new(Reason::Disabled, format!("{} more rows were cut: max_rows is {most}", rows - most)));
        }
        match missing.first() {
            Some(first) if rows == 0 => Err(Failure::Probe(first.clone())),
            _ => {
                missing.into_iter().for_each(|unknown| taken.miss(unknown));
                Ok(())
            }
        }
    }

    async fn prepare(&mut self, client: &Client, probe: Probe) -> Result<(Statement, Layout), Failure> {
        if let Some(ready) = self.prepared.get(&probe) {
            return Ok(ready.clone());
        }
        let spec = probe.spec();
        let installed = match catalog::extension(spec, self.major) {
            Some(name) => self.installed(client, probe, name).await?,
            None => None,
        };
        let query = catalog::choose(spec, self.major, installed.as_ref()).map_err(Failure::Probe)?;
        let schema = installed.map(|found| quoted(&found.schema)).unwrap_or_default();
        let statement = client.prepare(&query.sql.replace("{schema}", &schema)).await.map_err(|error| self.failed(probe, &error))?;
        let ready = (statement.clone(), Layout::new(spec.columns, &statement, query.nulls_are_zero));
        self.prepared.insert(probe, ready.clone());
        Ok(ready)
    }

    async fn installed(&mut self, client: &Client, probe: Probe, name: &'static str) -> Result<Option<Installed>, Failure> {
        if let Some(known) = self.extensions.get(name) {
            return Ok(known.clone());
        }
        let sql = "select n.nspname::text, e.extversion from pg_catalog.pg_extension as e \
                   join pg_catalog.pg_namespace as n on n.oid = e.extnamespace where e.extname = $1::text";
        let found = client.query_opt(sql, &[&name]).await.map_err(|error| self.failed(probe, &error))?;
        let found = found.map(|row| Installed { schema: row.get(0), version: version(row.get(1)) });
        self.extensions.insert(name, found.clone());
        Ok(found)
    }

    /// A statement that failed may have been prepared against something that changed since: it is prepared anew next time.
    fn failed(&mut self, probe: Probe, error: &tokio_postgres::Error) -> Failure {
        self.prepared.remove(&probe);
        if error.is_closed() || error.as_db_error().is_none() {
            return Failure::Session(crate::connect::error::classify(error));
        }
        Failure::Probe(match (crate::connect::error::unknown(error), catalog::privilege(probe.spec(), self.major)) {
            (Unknown { reason: Reason::Privilege, .. }, Some(remedy)) => {
                let denied = error.as_db_error().map_or("permission denied", |answer| answer.message());
                Unknown::new(Reason::Privilege, format!("{denied}; {remedy}"))
            }
            (unknown, _) => unknown,
        })
    }
}

fn silent(probe: Probe, deadline: Duration) -> Error {
    use pgtend_model::error::Kind;
    Error::new(Kind::Timeout, format!("the server did not answer the {} probe within {deadline:?}", probe.spec().name))
        .hint("it may be stopped (SIGSTOP), swapping, or its storage may hang: look at its processes with ps and at the kernel log")
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

fn version(text: &str) -> (u16, u16) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}
