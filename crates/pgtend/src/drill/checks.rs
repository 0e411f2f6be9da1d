//! What is looked at in the restored copy.

use super::Doing;
use super::live::{Live, Tables};
use crate::blocking::blocking;
use crate::psql::Programs;
use crate::scratch::Scratch;
use crate::verify::{self, Options};
use pgtend_model::config::{Drill as Config, DrillCheck};
use pgtend_model::drill::{Check, Counted, Drill, Kind, Meanwhile, Outcome};
use pgtend_model::error::{Error, Result};
use pgtend_model::units::show_bytes;
use pgtend_model::verify::{Depth, Verdict, Verification};
use pgtend_postgres::files::scan::Progress as Reading;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tables that are told one by one.
const TABLES_AT_MOST: usize = 100;
/// How long amcheck may take for one relation.
const AMCHECK_TIMEOUT: Duration = Duration::from_secs(4 * 3600);

/// What it is done with.
pub(super) struct Checks<'a> {
    pub(super) scratch: &'a Scratch,
    pub(super) programs: Result<&'a Programs, &'a Error>,
    pub(super) config: &'a Config,
    pub(super) kind: Kind,
    pub(super) doing: &'a Doing,
}

impl Checks<'_> {
    pub(super) async fn run(&self, drill: &mut Drill) -> Result<()> {
        let databases = self.databases(drill).await?;
        for database in &databases {
            self.doing.progress.check()?;
            self.doing.set(format!("dumping {database}"));
            drill.checks.push(self.dump(database).await);
        }
        if let Ok(programs) = self.programs {
            drill
                .checks
                .push(self.output(programs.clone(), "pg_dumpall", "roles and tablespaces", vec!["--globals-only".to_owned()]).await);
        }
        for check in &self.config.check {
            self.doing.progress.check()?;
            self.doing.set(format!("asking {}", check.name));
            drill.checks.push(self.own(check).await);
        }
        self.doing.set("checking pages, tables and indexes");
        drill.checks.push(self.sound(&databases).await);
        self.doing.progress.check()
    }

    /// The databases of the copy. Without PostgreSQL's client programs nothing can be asked of them.
    async fn databases(&self, drill: &mut Drill) -> Result<Vec<String>> {
        let programs = match self.programs {
            Ok(programs) => programs.clone(),
            Err(error) => {
                let meaning = format!("whether the databases can be read and dumped is not known: {}", error.hint);
                drill.checks.push(Check {
                    name: "databases".to_owned(),
                    outcome: Outcome::Unknown,
                    detail: error.what.clone(),
                    meaning,
                    seconds: 0.0,
                });
                return Ok(Vec::new());
            }
        };
        let sql = "select datname from pg_catalog.pg_database where datallowconn and datname <> 'template0' order by 1";
        blocking(move || Ok(programs.rows(sql)?.into_iter().flatten().collect())).await
    }

    async fn dump(&self, database: &str) -> Check {
        match self.programs {
            Ok(programs) => self.output(programs.with_database(database), "pg_dump", &format!("dump of {database}"), Vec::new()).await,
            Err(error) => unknown(&format!("dump of {database}"), error),
        }
    }

    /// Reads everything that a program gives.
    async fn output(&self, programs: Programs, program: &'static str, name: &str, arguments: Vec<String>) -> Check {
        let (began, progress) = (Instant::now(), self.doing.progress.clone());
        let read = blocking(move || {
            let mut output = programs.output(program, &arguments)?;
            let bytes = output.drain(&progress)?;
            output.end()?;
            Ok(bytes)
        })
        .await;
        let seconds = began.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let (outcome, detail, meaning) = match read {
            Ok(bytes) => (Outcome::Ok, format!("{} were read", show_bytes(bytes as f64)), String::new()),
            Err(error) => (
                Outcome::Fail,
                error.what,
                "after a recovery from this backup, something in this database cannot be read: rows would be missing, or the database would not open".to_owned(),
            ),
        };
        Check { name: name.to_owned(), outcome, detail, meaning, seconds }
    }

    /// A question of the user's.
    async fn own(&self, check: &DrillCheck) -> Check {
        let began = Instant::now();
        let answered = match self.programs {
            Ok(programs) => {
                let (programs, sql) = (programs.with_database(&check.database), check.sql.clone());
                let timeout =
                    format!("set statement_timeout = {}; set default_transaction_read_only = on; ", self.config.check_timeout.as_millis());
                blocking(move || programs.value(&format!("{timeout}{sql}"))).await
            }
            Err(error) => return unknown(&check.name, error),
        };
        let (outcome, detail, meaning) = match answered {
            Ok(answer) if answer == check.expect => (Outcome::Ok, format!("the answer is {answer}"), String::new()),
            Ok(answer) => (
                Outcome::Fail,
                format!("the answer is {answer:?}, and {:?} was expected", check.expect),
                "what came back does not fulfil what you ask of it: find out since when, by drills of older backups".to_owned(),
            ),
            Err(error) => (Outcome::Fail, error.what, "the question could not be answered from what came back".to_owned()),
        };
        Check { name: check.name.clone(), outcome, detail, meaning, seconds: began.elapsed().as_secs_f64() }
    }

    /// Every page, and by amcheck every table and index.
    async fn sound(&self, databases: &[String]) -> Check {
        let began = Instant::now();
        if let Ok(programs) = self.programs {
            let (programs, databases) = (programs.clone(), databases.to_vec());
            // Where it cannot be had, the verification says so.
            let _ = blocking(move || {
                for database in &databases {
                    let _ =
                        programs.with_database(database).rows("set client_min_messages = error; create extension if not exists amcheck");
                }
                Ok(programs.rows("checkpoint"))
            })
            .await;
        }
        let options = Options {
            data: Some(self.scratch.data().to_owned()),
            target: Some(self.scratch.target("postgres")),
            silence_allowed: true,
            depth: Depth::Full,
            threads: self.config.workers,
            relations: Vec::new(),
            parents: self.kind == Kind::Full,
            timeout: AMCHECK_TIMEOUT,
        };
        let found = Box::pin(verify::run(&options, &Arc::new(Reading::default()))).await;
        let seconds = began.elapsed().as_secs_f64();
        let (outcome, detail, meaning) = match found {
            Ok(report) => judged(&report),
            Err(error) => (Outcome::Unknown, error.what, "whether the pages and indexes that came back are sound is not known".to_owned()),
        };
        Check { name: "pages, tables and indexes".to_owned(), outcome, detail, meaning, seconds }
    }

    /// Rows of the copy against those of the live server.
    pub(super) async fn rows(&self, drill: &mut Drill, live: &Live, meanwhile: Meanwhile) {
        let (began, name) = (Instant::now(), "row counts");
        self.doing.set("counting rows");
        let programs = match (self.programs, &live.silence) {
            (Err(error), _) | (_, Some(error)) => return drill.checks.push(unknown(name, error)),
            (Ok(programs), None) => programs,
        };
        let (mut compared, mut exact, mut differing) = (0, 0, Vec::new());
        for (database, before) in &live.databases {
            if self.doing.progress.check().is_err() {
                return;
            }
            let Ok(restored) = self.restored(programs, database).await else { continue };
            for counted in self.counted(live, database, before, restored).await {
                compared += 1;
                exact += usize::from(counted.exact);
                differing.extend(counted.told(meanwhile));
            }
        }
        differing.sort_by_key(|one| std::cmp::Reverse((one.outcome, one.live.abs_diff(one.restored))));
        let outcome = differing.iter().map(|one| one.outcome).max().unwrap_or(Outcome::Ok);
        let detail =
            format!("{compared} tables, {exact} of them counted on the live server, {} with another number of rows", differing.len());
        let meaning = match outcome {
            Outcome::Fail => {
                "rows are missing from what came back, or are there that should not be: compare the tables below by `pgtend restore-table`"
            }
            Outcome::Warn => "the difference is small, or the live figure an estimate: look at the tables below",
            Outcome::Ok | Outcome::Unknown => "",
        };
        differing.truncate(TABLES_AT_MOST);
        drill.tables = differing;
        let seconds = began.elapsed().as_secs_f64();
        drill.checks.push(Check { name: name.to_owned(), outcome, detail, meaning: meaning.to_owned(), seconds });
    }

    /// Of a state of another time nothing can be compared.
    #[expect(clippy::unused_self, reason = "beside its sibling")]
    pub(super) fn rows_of_another_time(&self, drill: &mut Drill) {
        let detail = "not compared: the copy is of another time than the live server".to_owned();
        drill.checks.push(Check { name: "row counts".to_owned(), outcome: Outcome::Ok, detail, meaning: String::new(), seconds: 0.0 });
    }

    /// The rows of all tables of a database of the copy.
    async fn restored(&self, programs: &Programs, database: &str) -> Result<BTreeMap<String, u64>> {
        let programs = programs.with_database(database);
        blocking(move || {
            let names = programs.rows("select pg_catalog.format('%I.%I', schemaname, relname) from pg_catalog.pg_stat_user_tables")?;
            let mut counted = BTreeMap::new();
            // Many at once: a connection for each would take longer than the counting.
            for names in names.into_iter().flatten().collect::<Vec<_>>().chunks(50) {
                let counts: Vec<String> = names.iter().map(|name| format!("(select count(*) from only {name})")).collect();
                let row = programs.rows(&format!("select {}", counts.join(", ")))?.into_iter().next().unwrap_or_default();
                counted.extend(names.iter().cloned().zip(row.iter().map(|count| count.parse().unwrap_or(0))));
            }
            Ok(counted)
        })
        .await
    }

    async fn counted(&self, live: &Live, database: &str, before: &Tables, restored: BTreeMap<String, u64>) -> Vec<Counted> {
        let limit = i64::try_from(self.config.exact_counts_up_to).unwrap_or(i64::MAX);
        let countable: Vec<String> =
            restored.keys().filter(|name| before.get(*name).is_some_and(|table| table.readable && table.bytes <= limit)).cloned().collect();
        let counts = live.count(database, &countable).await;
        // Its counters are told up to a second late.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let after = live.tables(database).await.unwrap_or_default();
        let counted = |(table, restored): (String, u64)| {
            let (was, is) = (before.get(&table), after.get(&table));
            let changed = was.zip(is).map_or(0, |(was, is)| is.written.abs_diff(was.written));
            let count = counts.get(&table).copied();
            let live = count.or_else(|| is.or(was).map(|table| table.estimate.unsigned_abs()));
            Counted { database: database.to_owned(), restored, live, exact: count.is_some(), changed, table }
        };
        restored.into_iter().map(counted).collect()
    }
}

fn unknown(name: &str, error: &Error) -> Check {
    let meaning = format!("this could not be looked at. {}", error.hint);
    Check { name: name.to_owned(), outcome: Outcome::Unknown, detail: error.what.clone(), meaning, seconds: 0.0 }
}

fn judged(report: &Verification) -> (Outcome, String, String) {
    let checked = &report.checked;
    let looked = format!("{} pages, {} tables and {} indexes were checked", checked.pages, checked.tables, checked.indexes);
    match report.verdict {
        Verdict::Clean => (Outcome::Ok, looked, String::new()),
        Verdict::Incomplete => {
            let left: Vec<String> = report.unchecked.iter().take(3).map(|left| format!("{} ({})", left.what, left.why.detail)).collect();
            (Outcome::Unknown, format!("{looked}; not looked at: {}", left.join("; ")), "damage there would not have been found".to_owned())
        }
        Verdict::Damaged => {
            let first = report
                .errors
                .first()
                .map(|damage| format!("{}: {} in {}", damage.kind.text(), damage.detail, damage.file))
                .unwrap_or_default();
            let errors = report.errors.len() as u64 + report.errors_left_out;
            (
                Outcome::Fail,
                format!("{errors} errors, the first: {first}"),
                "the damage is in the backup: the live server has it too, or the backup was damaged since. `pgtend verify --full` looks at the live server; an older backup may be sound".to_owned(),
            )
        }
    }
}
