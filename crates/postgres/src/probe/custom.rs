//! Runs one of the user's own queries, bounded in time and rows.

use super::run::Failure;
use crate::connect::Session;
use crate::connect::error::{classify, unknown};
use futures_util::{TryStreamExt, pin_mut};
use pgtend_model::config::metrics::Custom;
use pgtend_model::sample::custom::{Cells, CustomRow, row};
use pgtend_model::sample::{Reason, Unknown};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

/// Rows of a custom query, and how many were cut.
pub type CustomRows = (Vec<CustomRow>, usize);

/// Runs the query. The simple protocol gives every type as text, so that any column can be a label or a figure.
///
/// # Errors
/// Why the query gave nothing, or that the connection is of no use any more.
pub async fn run(session: &Session, custom: &Custom, database: Option<&str>) -> Result<CustomRows, Failure> {
    let deadline = Instant::now() + custom.timeout;
    match timeout_at(deadline, read(session.client(), custom, database)).await {
        Ok(outcome) => outcome,
        Err(_) => {
            // The server is told to stop; what it still sends is taken off the line by the driver.
            session.cancel().await.map_err(Failure::Session)?;
            Err(Failure::Probe(Unknown::new(Reason::Timeout, format!("it took longer than its timeout of {:?}", custom.timeout))))
        }
    }
}

async fn read(client: &Client, custom: &Custom, database: Option<&str>) -> Result<CustomRows, Failure> {
    let stream = client.simple_query_raw(&custom.query).await.map_err(|error| failed(&error))?;
    pin_mut!(stream);
    let (mut rows, mut cut) = (Vec::new(), 0);
    while let Some(message) = stream.try_next().await.map_err(|error| failed(&error))? {
        match message {
            SimpleQueryMessage::Row(cells) if rows.len() < custom.max_rows => rows.push(row(custom, database, &ResultCells(cells))),
            SimpleQueryMessage::Row(_) => cut += 1,
            _ => {}
        }
    }
    Ok((rows, cut))
}

fn failed(error: &tokio_postgres::Error) -> Failure {
    if error.as_db_error().is_some() { Failure::Probe(unknown(error)) } else { Failure::Session(classify(error)) }
}

struct ResultCells(SimpleQueryRow);

impl Cells for ResultCells {
    fn text(&self, column: &str) -> Option<String> {
        self.0.try_get(column).ok().flatten().map(str::to_owned)
    }

    fn number(&self, column: &str) -> Option<f64> {
        match self.0.try_get(column).ok().flatten()? {
            "t" => Some(1.0),
            "f" => Some(0.0),
            number => number.parse().ok(),
        }
    }
}
