//! `pgtend restore-table`: single tables as they were at some time.

use super::Global;
use super::interrupt::interruptible;
use super::output::{self, Cell, Format, Table, Tabular, Tone, print};
use super::progress_bar::{self, watched};
use super::repository::{From, Opened, Surroundings, into_server};
use super::until::{Meanwhile, Until};
use crate::backup::Progress;
use crate::blocking::blocking;
use crate::tables::{Live, Told, Wanted};
use clap::Args;
use pgtend_model::backup::Label;
use pgtend_model::error::Result;
use pgtend_model::restore_table::Asked;
use pgtend_model::units::{show_bytes, show_seconds};
use pgtend_postgres::connect::{Environment, Target};
use std::collections::BTreeSet;

/// The role that writes where none is named.
const ROLE: &str = "postgres";

/// Brings single tables back as they were, beside the originals
///
/// The backup is restored into a scratch directory, only the database that is needed, WAL is replayed, and the tables are brought from there with their indexes and
/// constraints, in one transaction. They go into a new schema such as restored_20261121_0312: the originals are touched only with --replace or --data-only.
#[derive(Debug, Args)]
pub(super) struct RestoreTable {
    /// Which: schema.table, several separated by commas, with * and ? for any letters
    #[arg(required = true, value_name = "TABLE", value_delimiter = ',')]
    tables: Vec<String>,
    /// The database that they were in; without it, the one that --connection or the agent names
    #[arg(long, value_name = "NAME")]
    db: Option<String>,
    /// From this backup; without it, the newest that can reach the target
    #[arg(long, value_name = "LABEL")]
    backup: Option<Label>,
    #[command(flatten)]
    until: Until,
    #[command(flatten)]
    into: Into,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    meanwhile: Meanwhile,
    #[command(flatten)]
    from: From,
}

/// Where they go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where they go")]
struct Into {
    /// Into this schema; it may be there, the tables may not
    #[arg(long, value_name = "SCHEMA")]
    into_schema: Option<String>,
    /// Into this database, in the schemas they were in; it is made where it is not there
    #[arg(long, value_name = "NAME")]
    into_db: Option<String>,
    /// Into their own place: the originals are moved into a schema replaced_…; with --data-only their rows are REMOVED first
    #[arg(long)]
    replace: bool,
    /// Rows only, into the tables that are there
    #[arg(long)]
    data_only: bool,
}

impl RestoreTable {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        // The connection says where tables go; the repository is the agent's all the same.
        let (opened, surroundings) = (self.from.open(global).await?, self.from.surroundings(global).await?);
        let target = self.target(global, &opened, &surroundings)?;
        let database = self.db.clone().unwrap_or_else(|| target.database().to_owned());
        let asked = Asked {
            schema: self.into.into_schema.clone(),
            database: self.into.into_db.clone(),
            replace: self.into.replace,
            data_only: self.into.data_only,
        };
        let databases = BTreeSet::from([database.clone()]);
        let request = self.meanwhile.request(&opened, &surroundings, &self.until, self.backup, databases, "restore-table")?;
        let bindir = self.meanwhile.place.bindir.clone();
        // Where they go to another database, theirs may be gone.
        let live = if self.into.into_db.is_some() { target } else { target.with_database(&database) };
        let live = blocking(move || Live::new(&live, bindir.as_deref())).await?;
        let wanted = Wanted { tables: self.tables.clone(), database, asked };
        let prepared = wanted.prepare(live, request).await?;
        if self.dry_run {
            print(&prepared.told(true), global.format)?;
            return Ok(0);
        }
        if global.format == Format::Table {
            let told = prepared.told(false);
            output::tell(&format!(
                "Restoring backup {} into {} for a while, then {} into {}",
                told.backup,
                told.scratch.display(),
                told.wanted.join(", "),
                told.destination
            ));
        }
        let progress = Progress::new(0);
        let work =
            Box::pin(interruptible(&progress, "nothing was changed, and the scratch directory is removed", prepared.carry_out(&progress)));
        let told = watched(work, |bar| progress_bar::show(bar, &progress.see())).await?;
        print(&told, global.format)?;
        Ok(0)
    }

    /// The live server: the one that is named, or the agent's, as a role that may write.
    fn target(&self, global: &Global, opened: &Opened, surroundings: &Surroundings) -> Result<Target> {
        let environment = Environment::from_process();
        if let Some(dsn) = &global.connection {
            return Target::resolve(Some(dsn), &environment);
        }
        let place = into_server(&surroundings.servers, global.server.as_deref(), &opened.server)?;
        let role = std::env::var("PGUSER").ok().filter(|role| !role.is_empty()).unwrap_or_else(|| ROLE.to_owned());
        let target = Target::resolve(Some(&place.dsn), &environment)
            .map_err(|error| error.hint("name the server with --connection \"host=… user=… dbname=…\""))?;
        Ok(target.with_user(&role))
    }
}

impl Tabular for Told {
    fn tables(&self) -> Vec<Table> {
        let title = if self.dry_run { "Would be restored" } else { "Restored" };
        let mut facts = Table::new(title, &["what", "value"]);
        for (name, value) in self.facts() {
            facts.push([name.to_owned(), value]);
        }
        let mut brought = Table::new("Tables", &["table", "is now", ">rows"]);
        let mut next = Table::new("What you can do now", &["", "statement"]);
        for table in &self.tables {
            brought.push([table.table.clone(), table.into.clone(), table.rows.to_string()]);
            let Some(steps) = &table.next else { continue };
            next.push(["rows that are gone or different now".to_owned(), steps.compare.clone()]);
            if let Some(merge) = &steps.merge {
                next.push(["bring back the rows that are gone".to_owned(), merge.clone()]);
            }
            next.push(["put it in the place of the original".to_owned(), steps.swap.clone()]);
        }
        for name in [&self.schema, &self.aside].into_iter().flatten() {
            let drop = format!("DROP SCHEMA {} CASCADE;", pgtend_model::restore_table::statements::identifier(name));
            next.push(["when it is no longer needed".to_owned(), drop]);
        }
        let mut left = Table::new("Did not come along", &["table", "what", "definition"]);
        for one in &self.left {
            left.push([Cell::from(one.table.clone()), Cell::new(one.what.clone(), Tone::Warn), Cell::from(one.definition.clone())]);
        }
        vec![facts, brought, left, next]
    }
}

impl Told {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("tables", self.wanted.join(", ")),
            ("of the database", self.database.clone()),
            ("backup", self.backup.to_string()),
            ("target", self.target.clone()),
            ("WAL", format!("at most {} segments, without a gap up to {}", self.wal_segments, self.covered_to)),
            ("restores meanwhile", format!("{} into {}", show_bytes(self.bytes as f64), self.scratch.display())),
        ];
        facts.extend(self.reasons.iter().map(|reason| ("because", reason.clone())));
        facts.push(("into", format!("{} at {} as {}", self.destination, self.server, self.role)));
        if let Some(recovered) = &self.recovered {
            facts.extend(recovered.replayed_to.clone().map(|lsn| ("replayed up to", lsn)));
            facts.extend(recovered.last_commit.clone().map(|time| ("last commit", time)));
            facts.extend(recovered.stopped.clone().map(|why| ("stopped", why)));
        }
        facts.extend(self.aside.clone().map(|aside| ("the originals are in", format!("schema {aside}"))));
        if self.database_made {
            facts.push(("made", "the database was not there before".to_owned()));
        }
        if let Some(seconds) = self.seconds {
            let took = self.took.unwrap_or_default();
            let parts = format!(
                "{} (files {}, replay {})",
                show_seconds(seconds),
                show_seconds(took.copy_seconds),
                show_seconds(took.replay_seconds)
            );
            facts.push(("took", parts));
        }
        facts
    }
}
