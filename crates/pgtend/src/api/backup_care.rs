//! Looking after backups: annotating and holding them, and checking that archiving and backups would work.

use super::Api;
use super::access::Caller;
use super::answer::{Answer, Body, Failed, InPath, Params};
use super::backups::InList;
use super::documents::Which;
use super::endpoint::{Endpoint, Routes};
use crate::backup::check::{Check, Step};
use crate::blocking::blocking;
use axum::extract::State;
use jiff::Timestamp;
use pgtend_model::backup::Label;
use pgtend_model::backup::annotation::{Annotations, Note};
use pgtend_model::config::ObjectLock;
use pgtend_model::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// Where archiving and backups are checked.
pub const CHECK: &str = "/api/v1/backups/check";
/// How long a segment may take at most.
const MOST_SECONDS: u64 = 280;

/// What is to be written to a backup.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Annotate {
    /// In this repository; in whichever has it where none is named.
    #[serde(default)]
    pub repository: Option<String>,
    /// Keys with their values; null removes one.
    #[serde(default)]
    pub set: BTreeMap<String, Option<String>>,
    /// Whether it is held from now on: neither expired nor deleted; null leaves it as it is.
    #[serde(default)]
    pub hold: Option<bool>,
}

/// What is written to a backup.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Annotated {
    /// Name of the repository.
    pub repository: String,
    /// Name of the backup.
    #[schema(value_type = String)]
    pub label: Label,
    /// What its notes come to.
    #[serde(flatten)]
    pub notes: Annotations,
    /// What somebody should know.
    #[serde(default)]
    pub notices: Vec<String>,
}

/// How archiving and backups are checked.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = NewBackupCheck)]
pub struct NewCheck {
    /// Seconds that a segment may take to every repository; 60 where none is named.
    #[serde(default)]
    pub timeout_seconds: Option<u64>,
}

impl Routes {
    /// The endpoints that look after backups.
    pub(super) fn backup_care(self) -> Self {
        let about = "Writes annotations to a backup, holds it or lets it go";
        let annotate = Endpoint::post("/api/v1/backups/{label}/annotate", about).in_path::<InList>().params::<Which>().body::<Annotate>();
        let about = "Tries the connection, the settings, every repository, and a segment of WAL all the way";
        let check = Endpoint::post(CHECK, about).params::<Which>().body::<NewCheck>();
        self.add(annotate.data::<Vec<Annotated>>(), annotate_backup).add(check.data::<Vec<Step>>(), check_backups)
    }
}

async fn annotate_backup(
    State(api): State<Api>,
    caller: Caller,
    InPath(InList { label }): InPath<InList>,
    Params(which): Params<Which>,
    Body(wanted): Body<Annotate>,
) -> Result<Answer<Vec<Annotated>>, Failed> {
    let server = api.agent().backups().filed(api.agent().server(which.server.as_deref())?.name());
    let label: Label = label.parse()?;
    if let Some(key) = wanted.set.keys().find(|key| !Annotations::is_key(key)) {
        return Err(Error::new(Kind::Usage, format!("\"{key}\" cannot be a key"))
            .hint("letters, digits, \"-\", \"_\" and \".\" can, 64 at most")
            .into());
    }
    let note = Note { at: Timestamp::now(), who: caller.name.clone(), set: wanted.set, hold: wanted.hold };
    let backups = api.agent().backups();
    let mut all = Vec::new();
    for configured in backups.configured(wanted.repository.as_deref())? {
        let repository = backups.repository(&configured).await?;
        let (server, note) = (server.clone(), note.clone());
        let written = blocking(move || {
            repository.annotate(&server, label, &note)?;
            Ok(repository.annotations(&server)?.remove(&label).unwrap_or_default())
        });
        let notes = match written.await {
            Ok(notes) => notes,
            Err(error) if error.kind == Kind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        let mut notices = Vec::new();
        if note_holds(wanted.hold) && configured.object_lock != ObjectLock::Off {
            let notice = format!(
                "Object Lock is not extended: pgtend leaves the backup alone, and the storage protects its objects until {} days after they were written",
                configured.object_lock_days
            );
            notices.push(notice);
        }
        all.push(Annotated { repository: configured.name, label, notes, notices });
    }
    if all.is_empty() {
        return Err(Error::new(Kind::NotFound, format!("there is no backup {label} of \"{server}\""))
            .hint("`pgtend backup list` shows what there is")
            .into());
    }
    tracing::info!(target: "audit", who = caller.name, server, backup = %label, hold = wanted.hold, "backup annotated");
    Ok(Answer::new(all))
}

const fn note_holds(hold: Option<bool>) -> bool {
    matches!(hold, Some(true))
}

async fn check_backups(
    State(api): State<Api>,
    Params(which): Params<Which>,
    Body(wanted): Body<NewCheck>,
) -> Result<Answer<Vec<Step>>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let settings = api.agent().settings(&server).ok_or_else(|| Error::new(Kind::Conflict, "the server is no longer watched"))?;
    let backups = api.agent().backups();
    backups.configured(None)?;
    let check = Check {
        server: settings.server.in_repository().to_owned(),
        target: settings.target.clone(),
        places: backups.places().clone(),
        patience: Duration::from_secs(wanted.timeout_seconds.unwrap_or(60).min(MOST_SECONDS)),
        application_name: format!("{} check", settings.server.application_name),
    };
    Ok(Answer::new(Box::pin(check.run()).await))
}
