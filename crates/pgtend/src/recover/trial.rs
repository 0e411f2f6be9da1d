//! Starting PostgreSQL on the copy, for itself alone: to replay, to look into every database, to dump what can be read.

use crate::backup::Progress;
use crate::backup::restore::private::{Manner, PORT, Private, Running};
use crate::backup::restore::recover::Recovered;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::signal::APPLICATION_NAME;
use pgtend_model::up::Installation;
use pgtend_postgres::connect::{Environment, Limits, Session, Target};
use pgtend_postgres::process::os_user::OsUser;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Databases that one can connect to.
const DATABASES: &str = "select datname::text from pg_catalog.pg_database where datallowconn order by oid";
/// Reads the catalogs that everything needs.
const LOOK: &str = "select pg_catalog.count(*) from pg_catalog.pg_class as c join pg_catalog.pg_attribute as a on a.attrelid = c.oid";
/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a session may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(200);

/// A copy that is tried.
pub(super) struct Trial<'a> {
    pub installation: &'a Installation,
    pub user: &'a OsUser,
    pub data: &'a Path,
    pub run_directory: &'a Path,
}

impl Trial<'_> {
    fn start(&self, ignore_invalid_pages: bool) -> Result<(Running, Recovered)> {
        let manner = Manner::Scratch { preload: "", partial: ignore_invalid_pages };
        let private =
            Private { installation: self.installation, user: self.user, data: self.data, run_directory: self.run_directory, manner };
        let mut running = private.start()?;
        let recovered = running.wait(&Progress::new(0))?;
        Ok((running, recovered))
    }

    /// Replays to the end of WAL, and stops.
    pub fn replay(&self, ignore_invalid_pages: bool) -> Result<Recovered> {
        let (mut running, recovered) = self.start(ignore_invalid_pages)?;
        running.stop();
        let synced = fs::File::open(self.data).and_then(|directory| rustix::fs::syncfs(&directory).map_err(std::io::Error::from));
        synced.map_err(|error| {
            Error::new(Kind::System, format!("the copy could not be made durable: {error}")).at(self.data.display().to_string())
        })?;
        Ok(recovered)
    }

    /// Connects to every database and reads its catalogs; what went wrong.
    pub async fn look(&self) -> Result<Vec<String>> {
        let (mut running, _) = self.start(false)?;
        let outcome = self.look_into_all().await;
        running.stop();
        outcome
    }

    async fn look_into_all(&self) -> Result<Vec<String>> {
        let (target, databases) = self.databases().await?;
        let mut wrong = Vec::new();
        for database in databases {
            if let Err(error) = self.look_into(&target.with_database(&database)).await {
                wrong.push(format!("database {database}: {}", error.what));
            }
        }
        Ok(wrong)
    }

    async fn look_into(&self, target: &Target) -> Result<()> {
        let session = session(target).await?;
        let asked = session.client().query_one(LOOK, &[]).await;
        let asked = asked.map(drop).map_err(|error| pgtend_postgres::connect::error::classify(&error));
        session.close(GOODBYE).await;
        asked
    }

    /// A superuser's way in, and the databases.
    async fn databases(&self) -> Result<(Target, Vec<String>)> {
        let mut trouble = Error::new(Kind::Internal, "no role was tried");
        for role in ["postgres", self.user.name()] {
            for database in ["postgres", "template1"] {
                let dsn = format!("host={} port={PORT} user={role} dbname={database}", self.run_directory.display());
                let target = Target::resolve(Some(&dsn), &Environment::with_variables(&[]))?;
                match databases_of(&target).await {
                    Ok(databases) => return Ok((target, databases)),
                    Err(error) => trouble = error,
                }
            }
        }
        Err(trouble)
    }

    /// Dumps roles and every database as far as it can be read, a directory each; what could not be dumped.
    pub async fn salvage(&self, to: &Path) -> Result<Vec<String>> {
        let made = fs::create_dir_all(to);
        made.map_err(|error| pgtend_postgres::process::system("the directory for the dump cannot be made", to, &error))?;
        self.user.own(to)?;
        let (mut running, _) = self.start(true)?;
        let outcome = self.dump_all(to).await;
        running.stop();
        outcome
    }

    async fn dump_all(&self, to: &Path) -> Result<Vec<String>> {
        let (target, databases) = self.databases().await?;
        let role = target.user().to_owned();
        let mut wrong = Vec::new();
        let globals = to.join("globals.sql").display().to_string();
        wrong.extend(self.program("pg_dumpall", &["--globals-only", "-l", target.database(), "-f", &globals], &role)?);
        for database in databases.iter().filter(|name| *name != "template1") {
            let file = to.join(format!("{database}.dump")).display().to_string();
            wrong.extend(self.program("pg_dump", &["-Fc", "-f", &file, database], &role)?);
        }
        Ok(wrong)
    }

    /// Runs a client program; its complaint when it fails.
    fn program(&self, name: &str, arguments: &[&str], role: &str) -> Result<Option<String>> {
        let path = self.installation.bindir.join(name);
        let run = || {
            let mut command = self.user.command(&path);
            command.env("PGOPTIONS", "-c zero_damaged_pages=on -c ignore_system_indexes=on -c statement_timeout=0");
            command.arg("-h").arg(self.run_directory).args(["-p", &PORT.to_string(), "-U", role, "-w"]).args(arguments).output()
        };
        let output = self.user.run(run)?;
        let output = output.map_err(|error| pgtend_postgres::process::system(format!("{name} cannot be run"), &path, &error))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let complaint = said.lines().find(|line| line.contains("error")).unwrap_or("it failed without a word").to_owned();
        Ok((!output.status.success()).then(|| format!("{name} {}: {complaint}", arguments.last().unwrap_or(&""))))
    }
}

async fn session(target: &Target) -> Result<Session> {
    let limits = Limits { statement_timeout: PATIENCE, ..Limits::default() };
    Session::open(target, &limits, APPLICATION_NAME).await
}

async fn databases_of(target: &Target) -> Result<Vec<String>> {
    let session = session(target).await?;
    let rows = session.client().query(DATABASES, &[]).await;
    let rows = rows.map_err(|error| pgtend_postgres::connect::error::classify(&error));
    session.close(GOODBYE).await;
    Ok(rows?.iter().map(|row| row.get(0)).collect())
}
