//! What only the server itself can say when its files are verified: names, files that belong to nothing, and amcheck.

mod amcheck;
mod orphans;
mod relations;

pub use amcheck::{Amcheck, Manner, amcheck};
pub use orphans::{Candidate, orphans};
pub use relations::{files_of, names};

use crate::connect::error::classify;
use crate::connect::{Limits, Session, Target};
use pgtend_model::error::{Error, Kind, Result};
use std::path::PathBuf;
use std::time::Duration;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a check waits for a lock before it is left out.
const LOCK: Duration = Duration::from_secs(5);
/// How long a session may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);

const CLUSTER: &str = "select s.system_identifier, pg_catalog.pg_is_in_recovery(), \
    pg_catalog.current_setting('data_directory', true), \
    pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage') \
    from pg_catalog.pg_control_system() as s";
const DATABASES: &str = "select oid, datname::text, datallowconn from pg_catalog.pg_database order by oid";

/// A database of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its OID, the name of its folder.
    pub oid: u32,
    /// Its name.
    pub name: String,
    /// Whether anybody may connect to it; not so for template0.
    pub allows_connections: bool,
}

/// What the server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The identifier in its control file.
    pub system_identifier: u64,
    /// Whether it is a standby, or recovers.
    pub in_recovery: bool,
    /// Where its files are, on its own machine. `None` when the role may not know.
    pub data_directory: Option<PathBuf>,
    /// Whether the role sees what other sessions do.
    pub sees_sessions: bool,
    /// The server's version as `server_version_num` has it.
    pub version_num: u32,
    /// Its databases.
    pub databases: Vec<Database>,
}

/// Asks a server about itself.
///
/// # Errors
/// As for connecting, and what the server says to the queries.
pub async fn cluster(target: &Target, application_name: &str) -> Result<Cluster> {
    let session = open(target, Duration::from_secs(10), application_name).await?;
    let asked = async {
        let row = session.client().query_one(CLUSTER, &[]).await?;
        let databases = session.client().query(DATABASES, &[]).await?;
        let databases = databases.iter().map(|row| Database { oid: row.get(0), name: row.get(1), allows_connections: row.get(2) });
        Ok(Cluster {
            system_identifier: row.get::<_, i64>(0).cast_unsigned(),
            in_recovery: row.get(1),
            data_directory: row.get::<_, Option<String>>(2).map(PathBuf::from),
            sees_sessions: row.get(3),
            version_num: session.version(),
            databases: databases.collect(),
        })
    };
    let cluster = asked.await.map_err(|error: tokio_postgres::Error| said(&error, &session));
    session.close(GOODBYE).await;
    cluster
}

async fn open(target: &Target, statement_timeout: Duration, application_name: &str) -> Result<Session> {
    let idle_in_transaction_timeout = Duration::from_secs(60);
    let limits =
        Limits { connect_timeout: CONNECT, statement_timeout, lock_timeout: LOCK, idle_in_transaction_timeout, as_the_role: false };
    Session::open(target, &limits, application_name).await
}

fn said(error: &tokio_postgres::Error, session: &Session) -> Error {
    classify(error).at(session.address())
}

/// What is missing when a name is not the name of anything.
fn no_relation(name: &str, database: &str) -> Error {
    Error::new(Kind::NotFound, format!("there is no relation \"{name}\" in the database \"{database}\""))
        .hint("name it with its schema; --connection says which database is meant")
}
