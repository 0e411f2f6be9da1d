//! `pgtend drill`: trying whether a server can be brought back.

use super::output::{Cell, Table, Tabular, Tone, print};
use super::progress_bar::bar;
use super::report_file::ReportFile;
use super::when::when;
use super::{Global, source};
use crate::api::drills::{DRILLS, NewDrill, STOP};
use crate::client::Client;
use clap::{Args, Subcommand};
use pgtend_model::drill::{Drill as Report, Drills, Kind, Verdict};
use pgtend_model::error::{Error, Kind as ErrorKind, Result};
use pgtend_model::units::{show_bytes, show_seconds};
use std::time::Duration;

/// How often the agent is asked how far it is.
const PAUSE: Duration = Duration::from_millis(250);

/// Tries whether a server can be brought back, and what that takes
///
/// The agent restores a backup to scratch, replays WAL, dumps every database, asks your own questions, checks every page, table and index, and compares row counts with the live
/// server. What it takes to be back (RTO) and what would be lost (RPO) is measured. The live server is only read.
#[derive(Debug, Args)]
pub(super) struct Drill {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Run),
    List(List),
    Show(Show),
    Stop(Stop),
}

/// Does a drill now; exit code 0: passed, 1: failed, 2: something could not be told
#[derive(Debug, Args)]
struct Run {
    /// Of which backup: newest, oldest, or its name
    #[arg(long, value_name = "BACKUP", default_value = "newest")]
    backup: String,
    /// Up to the last commit before this instant; without it, the newest state
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// As after the loss of the machine: the repository is opened anew by its place and key, into drill.full_directory
    #[arg(long)]
    full: bool,
    /// From this repository
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// Do not wait for its end
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    file: ReportFile,
}

/// Lists the drills that were done, and how far one is
#[derive(Debug, Args)]
struct List {}

/// Shows the report of a drill
#[derive(Debug, Args)]
struct Show {
    /// Its name, as the list has it; without it, the last one
    id: Option<String>,
    #[command(flatten)]
    file: ReportFile,
}

/// Stops a drill that goes on
#[derive(Debug, Args)]
struct Stop {}

impl Drill {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        if global.connection.is_some() {
            return Err(
                Error::new(ErrorKind::Usage, "drills are the agent's work: a connection alone does none").hint("leave out --connection")
            );
        }
        let client = source::agent(global)?;
        let server = global.server.as_deref();
        match &self.command {
            Command::Run(command) => return command.run(&client, server, global).await,
            Command::List(_) => print(&client.get_of::<Drills>(DRILLS, server).await?, global.format)?,
            Command::Show(command) => {
                command.file.form(global)?;
                let id = match &command.id {
                    Some(id) => id.clone(),
                    None => last(&client.get_of::<Drills>(DRILLS, server).await?)?,
                };
                command.file.put(&report(&client, server, &id).await?, global)?;
            }
            Command::Stop(_) => print(&client.post::<Drills>(STOP, server, &()).await?, global.format)?,
        }
        Ok(0)
    }
}

async fn report(client: &Client, server: Option<&str>, id: &str) -> Result<Report> {
    client.get_of(&format!("{DRILLS}/{id}"), server).await
}

fn last(drills: &Drills) -> Result<String> {
    let newest = drills.drills.first().map(|drill| drill.id.clone());
    newest.ok_or_else(|| Error::new(ErrorKind::NotFound, "no drill was done yet").hint("`pgtend drill run` does one"))
}

impl Run {
    async fn run(&self, client: &Client, server: Option<&str>, global: &Global) -> Result<u8> {
        self.file.form(global)?;
        let to = self.to.as_deref().map(when).transpose()?;
        let body = NewDrill { backup: Some(self.backup.clone()), to, full: self.full, repository: self.repository.clone() };
        let begun: Drills = client.post(DRILLS, server, &body).await?;
        if self.no_wait {
            print(&begun, global.format)?;
            return Ok(0);
        }
        let lost = || Error::new(ErrorKind::Internal, "the agent lost the drill").hint("look into the agent's log");
        let id = begun.running.ok_or_else(lost)?.id;
        let bar = bar();
        loop {
            let now: Drills = client.get_of(DRILLS, server).await?;
            let Some(running) = now.running.filter(|running| running.id == id) else { break };
            bar.set_length(running.total_bytes);
            bar.set_position(running.done_bytes);
            bar.set_message(running.doing);
            tokio::time::sleep(PAUSE).await;
        }
        bar.finish_and_clear();
        let report = report(client, server, &id).await.map_err(|error| if error.kind == ErrorKind::NotFound { lost() } else { error })?;
        self.file.put(&report, global)?;
        Ok(report.verdict.exit_code())
    }
}

impl Tabular for Drills {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn tables(&self) -> Vec<Table> {
        let columns = ["drill", "kind", "backup", "which", "verdict", ">RTO", ">RPO", ">WAL lost", ">took", "conclusion"];
        let mut done = Table::new("Drills", &columns).or("No drill was done yet. `pgtend drill run` does one.");
        for drill in &self.drills {
            let tone = match drill.verdict {
                Verdict::Passed => Tone::Good,
                Verdict::Doubtful => Tone::Warn,
                Verdict::Failed => Tone::Bad,
            };
            done.push::<Cell>([
                drill.id.clone().into(),
                if drill.kind == Kind::Full { "full" } else { "regular" }.into(),
                drill.backup.map(|label| label.to_string()).unwrap_or_default().into(),
                drill.which.text().into(),
                Cell::new(drill.verdict.text(), tone),
                drill.rto_seconds.map(show_seconds).unwrap_or_default().into(),
                drill.rpo_seconds.map(show_seconds).unwrap_or_default().into(),
                drill.lost_wal_bytes.map(|bytes| show_bytes(bytes as f64)).unwrap_or_default().into(),
                show_seconds(drill.seconds).into(),
                drill.conclusion.clone().into(),
            ]);
        }
        let mut going_on = Table::new("Going on", &["drill", "what", ">done", ">of"]);
        if let Some(running) = &self.running {
            let bytes = |bytes: u64| show_bytes(bytes as f64);
            going_on.push([running.id.clone(), running.doing.clone(), bytes(running.done_bytes), bytes(running.total_bytes)]);
        }
        let mut due = Table::new("Due", &["what", "when"]);
        let times = [("the next", self.next), ("the next full one", self.next_full), ("the last that did not fail", self.last_passed_at)];
        for (what, at) in times.into_iter().filter_map(|(what, at)| Some((what, at?))) {
            due.push([what.to_owned(), at.to_string()]);
        }
        vec![done, going_on, due]
    }
}
