//! Single tables out of a backup: a scratch server holds them as they were, and `pg_dump` and `psql` bring them to where they are wanted, in one transaction.

mod bring;
mod copy;
mod live;
mod told;

pub use live::Live;
pub use told::{Brought, Told};

use crate::backup::Progress;
use crate::blocking::blocking;
use crate::psql::Programs;
use crate::scratch::{Planned, Request};
use bring::Bring;
use copy::Copy;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::restore_table::{Asked, Destination, pattern};
use pgtend_postgres::process::clients::clients_for;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which tables: names with schema, wildcards.
    pub tables: Vec<String>,
    /// The database that they were in.
    pub database: String,
    /// Where they go, as it was said.
    pub asked: Asked,
}

/// What was looked at and decided; nothing is written yet.
#[derive(Debug)]
pub struct Prepared {
    wanted: Wanted,
    destination: Destination,
    live: Live,
    planned: Planned,
}

impl Wanted {
    /// Looks at the live server, at the backup, and at what would stand in the way.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn prepare(self, live: Live, request: Request) -> Result<Prepared> {
        pattern::check(&self.tables)?;
        let destination = self.asked.destination(instant(&request))?;
        blocking(move || {
            live.check(&destination)?;
            let planned = request.prepare()?;
            live.fits(planned.plan().backup.postgresql_version)?;
            Ok(Prepared { wanted: self, destination, live, planned })
        })
        .await
    }
}

/// What names the schema that is made: the time that somebody wanted, or now.
fn instant(request: &Request) -> jiff::Timestamp {
    match request.wanted.target {
        pgtend_model::backup::restore_plan::Target::Time(time) => time,
        _ => jiff::Timestamp::now(),
    }
}

impl Prepared {
    /// What will be done.
    pub fn told(&self, dry_run: bool) -> Told {
        Told::new(&self.wanted, &self.destination, &self.planned, &self.live, dry_run)
    }

    /// Does it. The scratch server is gone when this returns, however it ends.
    ///
    /// # Errors
    /// What went wrong; then the live server is as it was.
    pub async fn carry_out(self, progress: &Progress) -> Result<Told> {
        let mut told = self.told(false);
        let began = std::time::Instant::now();
        let Self { wanted, destination, live, planned } = self;
        let scratch = planned.bring(progress).await?;
        let major = scratch.planned().installation()?.major;
        let bindir = scratch.planned().installation()?.bindir.clone();
        let clients = clients_for(major, Some(&bindir)).or_else(|_| clients_for(major, None))?;
        let copy = Programs::new(&clients, &scratch.target(&wanted.database), None);
        let progress = progress.clone();
        blocking(move || {
            if copy.value("select 1").is_err() {
                return Err(no_database(&copy, &wanted.database));
            }
            told.recovered = Some(scratch.recovered().clone());
            told.took = Some(scratch.took());
            let chosen = Copy::look(&copy, &wanted.tables)?;
            let bring = Bring { copy: &copy, live: &live, destination: &destination, progress: &progress };
            bring.run(chosen, &mut told)?;
            told.seconds = Some(began.elapsed().as_secs_f64());
            drop(scratch);
            Ok(told)
        })
        .await
    }
}

fn no_database(copy: &Programs, name: &str) -> Error {
    let others = copy
        .with_database("template1")
        .rows("select datname from pg_catalog.pg_database where datallowconn and not datistemplate order by 1");
    let names: Vec<String> = others.unwrap_or_default().into_iter().flatten().collect();
    Error::new(Kind::NotFound, format!("there was no database \"{name}\" at that time"))
        .hint(format!("name one with --db: {}", names.join(", ")))
}
