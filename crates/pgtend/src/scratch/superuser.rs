//! Who may do everything in a restored cluster: it is mostly called postgres, but need not be.

use super::Opened;
use crate::backup::Progress;
use crate::backup::restore::private::PORT;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::signal::APPLICATION_NAME;
use pgtend_postgres::connect::{Environment, Limits, Session, Target};
use std::time::Duration;

/// Databases that every cluster has, mostly.
const DATABASES: [&str; 2] = ["postgres", "template1"];
/// The role that is made where none is found.
const OWN: &str = "pgtend_scratch_superuser";
/// How long a session may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(200);

/// How to connect as a superuser. Where the usual ones are not there, the server is stopped, and one is made in single-user mode.
pub(super) async fn find(opened: &mut Opened) -> Result<Target> {
    let own_name = opened.planned.request.user.name().to_owned();
    for role in ["postgres", own_name.as_str()] {
        if let Ok(target) = try_as(opened, role).await {
            return Ok(target);
        }
    }
    make(opened).await?;
    try_as(opened, OWN).await
}

async fn try_as(opened: &Opened, role: &str) -> Result<Target> {
    let mut trouble = Error::new(Kind::Internal, "no database was tried");
    for database in DATABASES {
        let dsn = format!("host={} port={PORT} user={role} dbname={database}", opened.room.sockets().display());
        let target = Target::resolve(Some(&dsn), &Environment::with_variables(&[]))?;
        match is_superuser(&target).await {
            Ok(true) => return Ok(target),
            Ok(false) => trouble = Error::new(Kind::Privilege, format!("{role} is no superuser of the restored cluster")),
            Err(error) => trouble = error,
        }
    }
    Err(trouble)
}

async fn is_superuser(target: &Target) -> Result<bool> {
    let session =
        Session::open(target, &Limits { statement_timeout: Duration::from_secs(60), ..Limits::default() }, APPLICATION_NAME).await?;
    let asked = session.client().query_one("select pg_catalog.current_setting('is_superuser') = 'on'", &[]).await;
    let is = asked.map(|row| row.get(0)).map_err(|error| pgtend_postgres::connect::error::classify(&error).at(session.address()));
    session.close(GOODBYE).await;
    is
}

async fn make(opened: &mut Opened) -> Result<()> {
    if let Some(mut server) = opened.server.take() {
        tokio::task::spawn_blocking(move || server.stop())
            .await
            .map_err(|error| Error::new(Kind::Internal, format!("a thread ended: {error}")))?;
    }
    let sockets = opened.room.sockets();
    let sql = format!("CREATE ROLE {OWN} SUPERUSER LOGIN;\n");
    opened.private(&sockets)?.single_user("template1", &sql)?;
    opened.start(&Progress::new(0)).map(drop)
}
