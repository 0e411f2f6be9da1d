//! Asks a server for the plan of a statement, on a session of its own, so that nothing is changed.
//!
//! The statement is first prepared by the extended protocol: the server itself then says that it is one statement, that it makes
//! sense, and which parameters it has. Everything happens in a transaction, read-only unless writing was asked for, that is always
//! rolled back; the session ends afterwards.

mod facts;
mod refusal;

use crate::connect::error::classify;
use crate::connect::{Limits, Session, Target};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::plan::ask::{LOCK_TIMEOUT, Request, Way};
use pgtend_model::plan::explained::{Answered, Explained};
use serde_json::Value;
use std::time::Duration;
use tokio_postgres::{Client, SimpleQueryMessage};

/// How much longer than its timeout a statement is waited for: the server's own time-out comes first.
const GRACE: Duration = Duration::from_secs(1);
/// How long a session may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);

/// The plan of a statement.
///
/// # Errors
/// `Usage` when it has no plan, is more than one statement, or has parameters and is to be executed; `Conflict` when it writes and may
/// not; `Timeout`; `Privilege` when the role may not use a table in it; otherwise what the server says of it.
pub async fn explain(target: &Target, request: &Request, connect_timeout: Duration, application_name: &str) -> Result<Explained> {
    request.check()?;
    let named = request.database.as_ref().map(|database| target.with_database(database));
    let target = named.as_ref().unwrap_or(target);
    let timeout = request.timeout();
    let limits = Limits {
        connect_timeout,
        statement_timeout: timeout,
        lock_timeout: LOCK_TIMEOUT.min(timeout),
        idle_in_transaction_timeout: timeout + GRACE,
        as_the_role: true,
    };
    let session = Session::open(target, &limits, application_name).await?;
    let asked = tokio::time::timeout(timeout + GRACE, ask(&session, target, request)).await;
    let outcome = match asked {
        Ok(outcome) => outcome,
        Err(_) => {
            session.cancel().await?;
            Err(refusal::too_slow(request))
        }
    };
    session.close(GOODBYE).await;
    let (way, answered) = outcome.map_err(|error| error.at(format!("database {}", target.database())))?;
    Explained::of(request, way, answered)
}

async fn ask(session: &Session, target: &Target, request: &Request) -> Result<(Way, Answered)> {
    let client = session.client();
    let begin = if request.allow_writes { "begin read write" } else { "begin read only" };
    client.batch_execute(begin).await.map_err(|error| classify(&error))?;
    let outcome = in_transaction(client, session.version(), request).await;
    // What fails here has lost its session, and with it the transaction.
    let rolled_back = client.batch_execute("rollback").await;
    let (way, json, tables) = outcome?;
    rolled_back.map_err(|error| classify(&error))?;
    let (database, user) = (target.database().to_owned(), target.user().to_owned());
    Ok((way, Answered { json, tables, database, user, version_num: session.version() }))
}

type Asked = (Way, Value, Vec<pgtend_model::plan::TableFacts>);

async fn in_transaction(client: &Client, version: u32, request: &Request) -> Result<Asked> {
    let statement = client.prepare(&request.sql).await.map_err(|error| refusal::of(&error, request))?;
    let way = request.way(version, statement.params().len())?;
    request.may_execute(statement.columns().len())?;
    let explain = format!("explain ({})", request.options(version, way));
    let text = match way {
        Way::Plain => extended(client, &format!("{explain} {}", request.sql)).await,
        // By the simple protocol: the extended one would take the parameters for its own. That it is one statement is known by now.
        Way::GenericOption => simple(client, &format!("{explain} {}", request.sql)).await,
        Way::ForcedGeneric(parameters) => forced(client, &explain, request, parameters).await,
    };
    let text = text.map_err(|error| refusal::of(&error, request))?;
    let json: Value = serde_json::from_str(&text)
        .map_err(|error| Error::new(Kind::Unsupported, format!("what the server answers to EXPLAIN is not understood: {error}")))?;
    let tables = facts::of(client, &json).await;
    Ok((way, json, tables))
}

async fn extended(client: &Client, sql: &str) -> Result<String, tokio_postgres::Error> {
    let row = client.query_one(sql, &[]).await?;
    row.try_get::<_, Json>(0).map(|json| json.0)
}

async fn simple(client: &Client, sql: &str) -> Result<String, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    let lines = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

async fn forced(client: &Client, explain: &str, request: &Request, parameters: usize) -> Result<String, tokio_postgres::Error> {
    client.batch_execute("set local plan_cache_mode = force_generic_plan").await?;
    client.execute(&format!("prepare pgtend_explained as {}", request.sql), &[]).await?;
    let nulls = vec!["null"; parameters].join(", ");
    let arguments = if nulls.is_empty() { nulls } else { format!("({nulls})") };
    simple(client, &format!("{explain} execute pgtend_explained{arguments}")).await
}

/// A value of the type json as the text that it is.
struct Json(String);

impl<'a> tokio_postgres::types::FromSql<'a> for Json {
    fn from_sql(_: &tokio_postgres::types::Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(std::str::from_utf8(raw)?.to_owned()))
    }

    fn accepts(ty: &tokio_postgres::types::Type) -> bool {
        *ty == tokio_postgres::types::Type::JSON
    }
}
