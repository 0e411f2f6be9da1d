//! `pgtend ping`: whether a server takes connections, with the exit codes of `pg_isready`.

use super::output::{self, Cell, Format, Table, Tabular, Tone, print};
use super::{Global, filter, source};
use clap::Args;
use pgtend_model::document::status::Status;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_postgres::connect::{Environment, Ping as Pinged, Target, ping};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Says whether the server takes connections
///
/// Exit codes as those of pg_isready: 0 accepting, 1 rejecting (starting, stopping, no slot left), 2 no response, 3 no attempt was possible.
/// Asks the agent where one runs, otherwise the server that --connection or the PG* variables name; nobody logs in for it.
#[derive(Debug, Args)]
pub(super) struct Ping {
    /// How long to wait for an answer
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = filter::duration)]
    timeout: Duration,
}

/// What `pg_isready` ends with when it could not even try.
const NO_ATTEMPT: u8 = 3;

/// The answer.
#[derive(Debug, Serialize)]
struct Answer {
    server: String,
    state: &'static str,
    latency_ms: Option<f64>,
    error: Option<String>,
}

impl Ping {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        if global.format == Format::Html {
            output::error(&output::no_html());
            return Ok(NO_ATTEMPT);
        }
        let (answer, code) = self.ask(global).await.unwrap_or_else(|error| not_attempted(&error));
        print(&answer, global.format)?;
        Ok(code)
    }

    async fn ask(&self, global: &Global) -> Result<(Answer, u8)> {
        if let Some(target) = source::target(global)? {
            return Ok(self.directly(&target).await);
        }
        match source::agent(global) {
            Ok(_) => self.through_agent(global).await,
            Err(error) if error.kind == Kind::NotFound => Ok(self.directly(&Target::resolve(None, &Environment::from_process())?).await),
            Err(error) => Err(error),
        }
    }

    async fn directly(&self, target: &Target) -> (Answer, u8) {
        let asked = Instant::now();
        let pinged = ping(target, self.timeout).await;
        let latency_ms = matches!(pinged, Pinged::Accepting | Pinged::Rejecting(_)).then(|| asked.elapsed().as_secs_f64() * 1000.0);
        let code = pinged.exit_code();
        let (state, error) = match pinged {
            Pinged::Accepting => ("accepting", None),
            Pinged::Rejecting(error) => ("rejecting", Some(error)),
            Pinged::NoResponse(error) => ("no_response", Some(error)),
            Pinged::NotAttempted(error) => ("not_attempted", Some(error)),
        };
        (Answer { server: target.address(), state, latency_ms, error: error.map(|error| error.to_string()) }, code)
    }

    async fn through_agent(&self, global: &Global) -> Result<(Answer, u8)> {
        let asked = Instant::now();
        let status = tokio::time::timeout(self.timeout, source::document::<Status>(global, &Default::default())).await;
        let latency_ms = Some(asked.elapsed().as_secs_f64() * 1000.0);
        let silent = || Error::new(Kind::Timeout, format!("the agent did not answer within {:?}", self.timeout));
        let status = match status.map_err(|_| silent()).and_then(|status| status) {
            Ok(status) => status,
            Err(error) if error.kind == Kind::Usage || error.kind == Kind::NotFound => return Err(error),
            Err(error) => {
                let answer = Answer { server: "agent".to_owned(), state: "no_response", latency_ms: None, error: Some(error.to_string()) };
                return Ok((answer, 2));
            }
        };
        let (state, code) = match (status.state.as_str(), status.error_kind) {
            ("up", _) => ("accepting", 0),
            (_, Some(Kind::Rejecting)) => ("rejecting", 1),
            // Whoever is refused for other reasons (a wrong password) has been answered.
            (_, Some(Kind::Authentication | Kind::Privilege | Kind::NotFound)) => ("accepting", 0),
            _ => ("no_response", 2),
        };
        let server = format!("{} at {}", status.server, status.target);
        Ok((Answer { server, state, latency_ms: latency_ms.filter(|_| code < 2), error: status.error }, code))
    }
}

fn not_attempted(error: &Error) -> (Answer, u8) {
    (Answer { server: String::new(), state: "not_attempted", latency_ms: None, error: Some(error.to_string()) }, NO_ATTEMPT)
}

impl Tabular for Answer {
    fn tables(&self) -> Vec<Table> {
        let (words, tone) = match self.state {
            "accepting" => ("accepting connections", Tone::Good),
            "rejecting" => ("rejecting connections", Tone::Warn),
            "no_response" => ("no response", Tone::Bad),
            _ => ("no attempt", Tone::Bad),
        };
        let mut table = Table::new("", &[]);
        let latency = self.latency_ms.map(|ms| format!("{ms:.1} ms")).unwrap_or_default();
        table.rows.push(vec![self.server.clone().into(), Cell::new(words, tone), latency.into()]);
        let mut errors = Table::new("", &[]);
        let lines = self.error.iter().flat_map(|error| error.lines());
        errors.rows = lines.map(|line| vec![Cell::from(line.trim())]).collect();
        vec![table, errors]
    }

    fn summary(&self) -> Option<Table> {
        self.tables().into_iter().next()
    }

    fn records(&self) -> Table {
        let mut table = Table::new("", &["server", "state", "latency_ms", "error"]);
        let latency = self.latency_ms.map(|ms| format!("{ms:.3}")).unwrap_or_default();
        table.push([self.server.clone(), self.state.to_owned(), latency, self.error.clone().unwrap_or_default()]);
        table
    }
}
