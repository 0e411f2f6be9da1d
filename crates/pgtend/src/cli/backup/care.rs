//! `pgtend backup annotate` and `pgtend backup check`.

use crate::api::backup_care::{Annotate as Body, Annotated, CHECK, NewCheck};
use crate::api::backups::BACKUPS;
use crate::backup::check::Step;
use crate::cli::Global;
use crate::cli::output::{Cell, Table, Tabular, Tone, print};
use crate::client::Client;
use clap::Args;
use pgtend_model::backup::Label;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::units::duration;
use std::collections::BTreeMap;
use std::time::Duration;

/// Writes annotations to a backup, holds it, or lets it go
///
/// A backup that is held is neither expired nor deleted, and the WAL from it on stays.
#[derive(Debug, Args)]
pub(super) struct Annotate {
    /// Its name, as the list has it
    label: Label,
    /// What to write; KEY= removes the key
    #[arg(value_name = "KEY=VALUE", value_parser = annotation)]
    annotations: Vec<(String, Option<String>)>,
    /// Keep it until it is released
    #[arg(long, conflicts_with = "release")]
    hold: bool,
    /// Let it go: from now on the retention counts
    #[arg(long)]
    release: bool,
    /// In this repository only
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
}

fn annotation(text: &str) -> Result<(String, Option<String>), String> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE")?;
    Ok((key.to_owned(), (!value.is_empty()).then(|| value.to_owned())))
}

/// Checks that archiving and backups work: connection, settings, every repository, and a segment of WAL all the way
///
/// Has the server finish a segment of WAL, and waits until it is in every repository. Ends with 0 when everything works.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// How long the segment may take
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = |text: &str| duration(text).map_err(|error| error.what))]
    timeout: Duration,
}

#[derive(serde::Serialize)]
#[serde(transparent)]
struct Notes(Vec<Annotated>);

#[derive(serde::Serialize)]
#[serde(transparent)]
struct Steps(Vec<Step>);

impl Annotate {
    pub(super) async fn run(&self, client: &Client, server: Option<&str>, global: &Global) -> Result<u8> {
        let set: BTreeMap<String, Option<String>> = self.annotations.iter().cloned().collect();
        let hold = if self.hold { Some(true) } else { self.release.then_some(false) };
        if set.is_empty() && hold.is_none() {
            return Err(Error::new(Kind::Usage, "nothing to write").hint("KEY=VALUE, --hold or --release"));
        }
        let body = Body { repository: self.repository.clone(), set, hold };
        let all: Vec<Annotated> = client.make(&format!("{BACKUPS}/{}/annotate", self.label), server, &body).await?;
        print(&Notes(all), global.format)?;
        Ok(0)
    }
}

impl Check {
    pub(super) async fn run(&self, client: &Client, server: Option<&str>, global: &Global) -> Result<u8> {
        let body = NewCheck { timeout_seconds: Some(self.timeout.as_secs()) };
        let steps: Vec<Step> = client.make(CHECK, server, &body).await?;
        let code = steps.iter().find_map(|step| step.error.as_ref()).map_or(0, |error| error.kind.exit_code());
        print(&Steps(steps), global.format)?;
        Ok(code)
    }
}

impl Tabular for Notes {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new("Annotations", &["backup", "repository", "what", "value"]);
        for one in &self.0 {
            let mut push = |what: Cell, value: String| {
                table.push::<Cell>([one.label.to_string().into(), one.repository.clone().into(), what, value.into()]);
            };
            match &one.notes.held_by {
                Some(by) => push(Cell::new("held", Tone::Warn), by.clone()),
                None => push("held".into(), "no".to_owned()),
            }
            one.notes.annotations.iter().for_each(|(key, value)| push(key.clone().into(), value.clone()));
            one.notices.iter().for_each(|notice| push(Cell::new("mind", Tone::Warn), notice.clone()));
        }
        vec![table]
    }
}

impl Tabular for Steps {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new("Check", &["what", "repository", "how", "found"]);
        for step in &self.0 {
            let repository = step.repository.clone().unwrap_or_default();
            let (how, found) = match &step.error {
                None => (Cell::new("ok", Tone::Good), step.found.clone()),
                Some(error) => (Cell::new("FAILED", Tone::Bad), error.what.clone()),
            };
            table.push::<Cell>([step.what.clone().into(), repository.into(), how, found.into()]);
            if let Some(error) = &step.error {
                let more = [&error.place, &error.hint].into_iter().filter(|text| !text.is_empty());
                more.for_each(|text| table.push::<Cell>(["".into(), "".into(), "".into(), text.clone().into()]));
            }
        }
        vec![table]
    }
}
