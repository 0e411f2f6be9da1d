//! `pgtend page-restore`: single pages from a backup.

use super::output::{Cell, Table, Tabular, Tone, print};
use super::progress_bar::{show, watched};
use super::repository::From;
use super::until::Place;
use super::{Global, source};
use crate::api::verify::{HowMuch, PATH};
use crate::backup::Progress;
use crate::repair::{Pages, Which};
use crate::verify::{self, Options};
use clap::Args;
use pgtend_model::backup::Label;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::Fork;
use pgtend_model::repair::page::{Allowed, list};
use pgtend_model::repair::report::PagesRestored;
use pgtend_model::units::show_seconds;
use pgtend_model::verify::kept::Verifications;
use pgtend_model::verify::{Depth, Verdict};
use pgtend_postgres::files::scan::Progress as Scanned;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Brings single damaged pages back from a backup, with everything that changed on them since
///
/// The backup is restored beside and rolled forward to the end of the log; from there the pages are taken, after they were compared: checksum, LSN,
/// layout. The damaged pages are kept aside. The server has to be stopped; with --online a table is locked instead, as long as it takes. Exit code 0:
/// the pages are sound; 1: one is not.
#[derive(Debug, Args)]
pub(super) struct PageRestore {
    /// The relation: a name with schema, or the first file of one such as base/5/16384
    #[arg(long, value_name = "NAME")]
    relation: String,
    /// The database of the relation
    #[arg(long, value_name = "NAME")]
    db: Option<String>,
    /// Which pages: 3,7-9
    #[arg(long, value_name = "LIST", value_parser = pages)]
    pages: PageList,
    /// Which fork: main, fsm, vm, init
    #[arg(long, value_name = "FORK", default_value = "main", value_parser = fork)]
    fork: Fork,
    /// From this backup; latest is the newest
    #[arg(long, value_name = "LABEL|latest", default_value = "latest")]
    backup: String,
    /// Read the whole relation afterwards
    #[arg(long)]
    verify: bool,
    /// Lock the table instead of wanting the server stopped
    #[arg(long)]
    online: bool,
    /// Take a page although the damaged one says that it was newer
    #[arg(long)]
    accept_older: bool,
    /// Put a page in the place of one that looks sound
    #[arg(long)]
    over_sound: bool,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
    /// The data directory; without it the one of the server that --connection names
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where damaged pages are kept; without it, in pgtend-damaged-pages next to the data directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    from: From,
}

/// Pages, as they were written.
#[derive(Debug, Clone)]
struct PageList(Vec<u32>);

fn pages(text: &str) -> Result<PageList, String> {
    list(text).map(PageList)
}

fn fork(text: &str) -> Result<Fork, String> {
    Fork::ALL.into_iter().find(|fork| fork.name() == text).ok_or_else(|| "main, fsm, vm or init".to_owned())
}

impl PageRestore {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let (opened, surroundings) = (self.from.open(global).await?, self.from.surroundings(global).await?);
        let backup = match self.backup.as_str() {
            "latest" => None,
            label => Some(label.parse::<Label>()?),
        };
        let target = source::target(&Global { server: None, ..global.clone() })?;
        let data = match (&self.data, &target) {
            (None, None) => Some(data_of_agent(global).await?),
            (data, _) => data.clone(),
        };
        let restore = Pages {
            data,
            target,
            which: self.which()?,
            fork: self.fork,
            blocks: self.pages.0.clone(),
            backup,
            repository: opened.repository,
            server: opened.server,
            online: self.online,
            allowed: Allowed { older: self.accept_older, over_sound: self.over_sound },
            dry_run: self.dry_run,
            keep: self.keep.clone(),
            scratch: self.place.directory(&surroundings),
            user: self.place.user()?,
            bindir: self.place.bindir.clone(),
        };
        let progress = Progress::new(0);
        let mut report = watched(Box::pin(restore.run(&progress)), |bar| show(bar, &progress.see())).await?;
        let mut sound = true;
        if self.verify && !self.dry_run {
            sound = look_again(&restore, &mut report).await?;
        }
        print(&report, global.format)?;
        Ok(if sound { report.exit_code() } else { 1 })
    }

    fn which(&self) -> Result<Which> {
        match (&self.db, self.relation.contains('/')) {
            (database, true) => Ok(Which::File { path: self.relation.clone(), database: database.clone() }),
            (Some(database), false) => Ok(Which::Name { database: database.clone(), relation: self.relation.clone() }),
            (None, false) => {
                Err(Error::new(Kind::Usage, "in which database is the relation?")
                    .hint("--db NAME; or name its file: --relation base/5/16384"))
            }
        }
    }
}

/// Where the only server of the agent beside us has its files.
async fn data_of_agent(global: &Global) -> Result<PathBuf> {
    let nowhere = || {
        Error::new(Kind::Usage, "where are the server's files?")
            .hint("name the data directory with --data, or the server with --connection")
    };
    let client = source::agent(global).map_err(|_| nowhere())?;
    let told: Verifications = client.get_with(PATH, global.server.as_deref(), &HowMuch { report: Some(false) }).await?;
    told.data_directory.map(PathBuf::from).ok_or_else(nowhere)
}

async fn look_again(restore: &Pages, report: &mut PagesRestored) -> Result<bool> {
    let options = Options {
        data: restore.data.clone(),
        target: restore.target.clone(),
        silence_allowed: false,
        depth: Depth::Pages,
        threads: 2,
        relations: vec![report.file.split(['_', '.']).next().unwrap_or(&report.file).to_owned()],
        parents: false,
        timeout: Duration::from_secs(600),
    };
    let found = Box::pin(verify::run(&options, &Arc::new(Scanned::default()))).await?;
    report.notes.push(format!("verified: {} pages of the relation were read, {} are damaged", found.checked.pages, found.errors.len()));
    Ok(found.verdict != Verdict::Damaged)
}

impl Tabular for PagesRestored {
    fn tables(&self) -> Vec<Table> {
        let mut pages = Table::new(&format!("Pages of {} ({})", self.relation, self.file), &[">page", "what", "LSN", "kept aside"]);
        for page in &self.pages {
            let tone = if page.good { Tone::Good } else { Tone::Bad };
            let lsn = page.lsn.map(|lsn| lsn.to_string()).unwrap_or_default();
            pages.push::<Cell>([
                page.block.to_string().into(),
                Cell::new(page.told.clone(), tone),
                lsn.into(),
                page.kept.clone().unwrap_or_default().into(),
            ]);
        }
        let mut facts = Table::default();
        let rows = [
            ("backup", self.backup.clone()),
            ("rolled forward to", self.replayed_to.clone()),
            ("took", (self.took_s > 0.0).then(|| show_seconds(self.took_s))),
        ];
        rows.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).for_each(|row| facts.push(row));
        self.notes.iter().for_each(|note| facts.push(["note".to_owned(), note.clone()]));
        vec![pages, facts]
    }
}
