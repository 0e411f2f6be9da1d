//! Whether archiving and backups would work: the connection, the settings, every repository, and a segment of WAL that is sent all the way.

use crate::blocking::blocking;
use crate::wal::{Place, Places};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_postgres::backup::{BackupSession, Facts};
use pgtend_postgres::connect::Target;
use pgtend_postgres::files::control;
use pgtend_store::repo::Repository;
use pgtend_store::repo::id::RandomId;
use pgtend_store::repo::storage::Put;
use pgtend_store::repo::wal::WalOwner;
use std::time::{Duration, Instant};

/// How often it is looked whether a segment has come.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = BackupCheckStep)]
pub struct Step {
    /// What.
    pub what: String,
    /// In which repository, where it is about one.
    #[serde(default)]
    pub repository: Option<String>,
    /// What was found.
    #[serde(default)]
    pub found: String,
    /// Why it does not work.
    #[serde(default)]
    pub error: Option<Error>,
}

impl Step {
    fn of(what: &str, repository: Option<&str>, outcome: Result<String>) -> Self {
        let (found, error) = outcome.map_or_else(|error| (String::new(), Some(error)), |found| (found, None));
        Self { what: what.to_owned(), repository: repository.map(str::to_owned), found, error }
    }
}

/// What is to be checked.
#[derive(Debug, Clone)]
pub struct Check {
    /// Name of the server.
    pub server: String,
    /// How to reach it.
    pub target: Target,
    /// Where its backups and WAL go.
    pub places: Places,
    /// How long a segment may take.
    pub patience: Duration,
    /// What pgtend calls itself at the server.
    pub application_name: String,
}

impl Check {
    /// Tries everything. What does not work is in the steps.
    pub async fn run(self) -> Vec<Step> {
        let session = match BackupSession::open(&self.target, CONNECT, &self.application_name).await {
            Ok(session) => session,
            Err(error) => return vec![Step::of("connection", None, Err(error))],
        };
        let facts = session.facts().clone();
        let mut steps = vec![
            Step::of("connection", None, Ok(format!("PostgreSQL {}", facts.major()))),
            Step::of("data directory", None, data_directory(&facts)),
            Step::of("archiving", None, archiving(&facts)),
        ];
        for place in self.places.all() {
            let (places, name) = (self.places.clone(), place.name().to_owned());
            let (server, identifier) = (self.server.clone(), facts.system_identifier.to_string());
            let of = name.clone();
            let tried = blocking(move || repository_works(&places, &of, &server, &identifier)).await;
            steps.push(Step::of("repository", Some(&name), tried));
        }
        if steps.iter().all(|step| step.error.is_none()) {
            self.send(&session, &facts, &mut steps).await;
        }
        session.close().await;
        steps
    }

    /// Has the server finish a segment, and waits for it in every repository.
    async fn send(&self, session: &BackupSession, facts: &Facts, steps: &mut Vec<Step>) {
        if facts.in_recovery {
            let found = "not tried: a standby switches no WAL; check the primary, or wait for its next segment";
            steps.push(Step::of("a segment of WAL", None, Ok(found.to_owned())));
            return;
        }
        let segment = match session.finish_segment().await {
            Ok(segment) => segment,
            Err(error) => {
                steps.push(Step::of("a segment of WAL", None, Err(error)));
                return;
            }
        };
        let owner = WalOwner { server: self.server.clone(), system_identifier: facts.system_identifier.to_string() };
        let deadline = Instant::now() + self.patience;
        for place in self.places.all() {
            let waited = self.wait(place.name(), &owner, &segment, deadline).await;
            let failing = session.archiver_failure().await.ok().flatten();
            let waited = waited.map_err(|error| explain(error, failing.as_deref()));
            steps.push(Step::of("a segment of WAL", Some(place.name()), waited));
        }
    }

    async fn wait(&self, name: &str, owner: &WalOwner, segment: &str, deadline: Instant) -> Result<String> {
        let began = Instant::now();
        loop {
            let (places, name, owner, wanted) = (self.places.clone(), name.to_owned(), owner.clone(), segment.to_owned());
            if blocking(move || place(&places, &name)?.repository()?.has_wal(&owner, &wanted)).await? {
                return Ok(format!("{segment} came after {} ms", began.elapsed().as_millis()));
            }
            if Instant::now() > deadline {
                return Err(Error::new(Kind::Timeout, format!("{segment} has not come within {} s", self.patience.as_secs())));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Says why a segment does not come.
fn explain(error: Error, failing: Option<&str>) -> Error {
    match failing {
        Some(failing) => error.hint(format!("archive_command fails for {failing}: see the server's log and `pgtend wal status`")),
        None => error.hint("does archive_command call `pgtend wal push` for this agent? see `pgtend wal status` and the server's log"),
    }
}

fn data_directory(facts: &Facts) -> Result<String> {
    let reading = control::read(&facts.data_directory).map_err(|error| {
        error.hint("a backup reads the server's files: pgtend must run on its host, as root or as the user that owns them")
    })?;
    if reading.control.system_identifier != facts.system_identifier {
        return Err(Error::new(Kind::Conflict, "the data directory here is not the one of the server that answers")
            .at(facts.data_directory.display().to_string())
            .hint("the connection leads to another host: back the server up where it runs"));
    }
    let checksums = if reading.control.has_checksums() { "with checksums" } else { "without page checksums" };
    Ok(format!("{}, {checksums}", facts.data_directory.display()))
}

fn archiving(facts: &Facts) -> Result<String> {
    let wrong = |what: String, hint: &str| Err(Error::new(Kind::Config, what).hint(hint));
    if facts.wal_level == "minimal" {
        return wrong("wal_level is minimal: backups cannot be taken".to_owned(), "wal_level = replica, and restart the server");
    }
    if facts.archive_mode == "off" {
        return wrong(
            "archive_mode is off: backups can be taken, but not rolled forward".to_owned(),
            "archive_mode = on (needs a restart), and archive_command = 'pgtend wal push --socket … \"%p\"': see docs/wal.md",
        );
    }
    if facts.archiver.is_empty() || facts.archiver == "(disabled)" {
        return wrong(
            "archive_command is empty: PostgreSQL keeps all WAL".to_owned(),
            "archive_command = 'pgtend wal push --socket … \"%p\"'",
        );
    }
    if !facts.archiver.contains("pgtend") {
        return wrong(
            format!("archive_command does not call pgtend: {}", facts.archiver),
            "archive_command = 'pgtend wal push --socket … \"%p\"'; a second archive goes into a script that calls both",
        );
    }
    Ok(format!("archive_mode = {}", facts.archive_mode))
}

fn place<'a>(places: &'a Places, name: &str) -> Result<&'a Place> {
    let found = places.all().iter().find(|place| place.name() == name);
    found.ok_or_else(|| Error::new(Kind::Internal, "a repository of the configuration is not known"))
}

/// Whether the repository opens, takes an object and gives it back, and takes this cluster.
fn repository_works(places: &Places, name: &str, server: &str, identifier: &str) -> Result<String> {
    let repository = place(places, name)?.repository()?;
    repository.answers()?;
    writes(repository)?;
    repository.takes(server, identifier)?;
    let free = repository.storage().free_bytes();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let free = free.map_or_else(String::new, |free| format!(", {} free", pgtend_model::units::show_bytes(free as f64)));
    Ok(format!("{} can be read and written{free}", repository.shown()))
}

fn writes(repository: &Repository) -> Result<()> {
    let storage = repository.storage();
    let key = format!("probe/check-{}", RandomId::new()?);
    let (made, read) = (storage.put_new(&key, b"pgtend backup check")?, storage.get(&key));
    storage.delete(&key)?;
    if made == Put::Made && read? == b"pgtend backup check" {
        return Ok(());
    }
    Err(Error::new(Kind::Conflict, "the repository does not give back what was written to it").at(repository.shown()))
}
