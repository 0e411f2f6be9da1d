//! Taking over a server's name in a repository, after the cluster behind it was replaced on purpose.

use jiff::Timestamp;
use pgtend_model::backup::Label;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_postgres::files::control;
use pgtend_store::repo::Repository;
use pgtend_store::repo::backups::Identity;
use pgtend_store::repo::notes::Current;
use std::path::Path;

/// What adopting means, in one repository.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Adoption {
    /// Name of the repository.
    pub repository: String,
    /// Where it is.
    pub place: String,
    /// Name of the server.
    pub server: String,
    /// The cluster that takes the name over.
    pub system_identifier: String,
    /// Its major version.
    pub version: u32,
    /// The cluster that had the name until now.
    pub before: Option<String>,
    /// Its backups there.
    pub backups: usize,
    /// The newest of them.
    #[schema(value_type = Option<String>)]
    pub newest: Option<Label>,
    /// Whether it was done, or only told.
    pub done: bool,
    /// Whether the name is this cluster's already.
    pub same: bool,
}

/// A cluster, as its control file tells.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its identity, decimal.
    pub system_identifier: String,
    /// Its major version.
    pub version: u32,
}

impl Cluster {
    /// The one in this data directory.
    ///
    /// # Errors
    /// `System` when its control file cannot be read.
    pub fn of_data(data: &Path) -> Result<Self> {
        let control = control::read(data)?.control;
        Ok(Self { system_identifier: control.system_identifier.to_string(), version: control::major(data).unwrap_or_default() })
    }
}

/// Tells what adopting means, and does it with `confirmed`.
///
/// # Errors
/// `Conflict` while a backup of the server goes on; what the storage says.
pub fn adopt(repository: &Repository, name: &str, server: &str, cluster: &Cluster, who: &str, confirmed: bool) -> Result<Adoption> {
    let known = repository.identities(server)?;
    let before = match repository.current(server)? {
        Some(current) => Some(current.system_identifier),
        None => known.first().cloned(),
    };
    let same = before.as_ref().is_none_or(|before| *before == cluster.system_identifier);
    let (heads, _damaged) = repository.backups(server)?;
    let old: Vec<_> = heads.iter().filter(|head| Some(&head.system_identifier) == before.as_ref()).collect();
    let mut adoption = Adoption {
        repository: name.to_owned(),
        place: repository.shown(),
        server: server.to_owned(),
        system_identifier: cluster.system_identifier.clone(),
        version: cluster.version,
        before,
        backups: old.len(),
        newest: old.iter().map(|head| head.label).max(),
        done: false,
        same,
    };
    if same || !confirmed {
        return Ok(adoption);
    }
    let now = Timestamp::now();
    let _lock = repository.lock(&format!("backup-{server}"), &format!("adoption of {server}"), now)?;
    let identity =
        Identity { system_identifier: cluster.system_identifier.clone(), postgresql_version: cluster.version * 10_000, first_seen: now };
    repository.introduce(server, &identity)?;
    repository.set_current(server, &Current { system_identifier: cluster.system_identifier.clone(), at: now, who: who.to_owned() })?;
    adoption.done = true;
    Ok(adoption)
}

/// The error of somebody who has not said yes.
pub fn unconfirmed(adoptions: &[Adoption]) -> Option<Error> {
    let waits = adoptions.iter().any(|adoption| !adoption.same && !adoption.done);
    waits.then(|| Error::new(Kind::Usage, "nothing was changed").hint("read what it means, and say --yes"))
}
