//! Verifies a data directory and the server over it: reads files, asks the server for what only it knows, makes the report.

mod asking;
pub(crate) mod place;

use crate::blocking::blocking;
use asking::Asking;
use jiff::Timestamp;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::RelationFile;
use pgtend_model::sample::{Reason, Unknown};
use pgtend_model::verify::{Checked, Depth, Notice, ServerState, Unchecked, Verdict, Verification};
use pgtend_postgres::connect::Target;
use pgtend_postgres::files::scan::{self, Manner, Outcome, Progress, Subject};
use pgtend_postgres::files::walk::{self, Listing};
use place::Place;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What is to be verified, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory; asked of the server when it is not given.
    pub data: Option<PathBuf>,
    /// The server; found by its socket when it is not given and runs.
    pub target: Option<Target>,
    /// Whether a server that does not answer is no error: then only files are read.
    pub silence_allowed: bool,
    /// How much is looked at.
    pub depth: Depth,
    /// Threads that read.
    pub threads: usize,
    /// Only these relations: names with schema, or paths such as `base/5/16384`.
    pub relations: Vec<String>,
    /// With full depth: check indexes from the root down too, which keeps writers out.
    pub parents: bool,
    /// With full depth: how long one relation may take.
    pub timeout: Duration,
}

/// Verifies. The progress can be watched meanwhile.
///
/// # Errors
/// `NotFound` when there is no data directory, `Conflict` when the server is another one's, `System` when it cannot be read;
/// everything that is found is in the report.
pub async fn run(options: &Options, progress: &Arc<Progress>) -> Result<Verification> {
    let (started_at, began) = (Timestamp::now(), Instant::now());
    let place = place::find(options).await?;
    let mut asking = Asking::new(&place, options)?;
    let listing = list(&place).await?;
    let subjects = wanted(&place, &listing, &asking, options).await?;
    let only: BTreeSet<u32> = if options.relations.is_empty() {
        BTreeSet::new()
    } else {
        subjects.iter().map(|subject| subject.relation.locator.relfilenode).collect()
    };
    let outcome = read(&place, subjects, options, progress).await?;

    let mut report = report(&place, options, started_at, outcome);
    for (path, why) in &listing.unreadable {
        let why = Unknown::new(Reason::Failed, why.clone());
        report.unchecked.push(Unchecked { what: path.display().to_string(), why, hint: String::new() });
    }
    asking.name(&mut report).await;
    if options.relations.is_empty() {
        asking.orphans(&listing, &place, &mut report).await;
    }
    if options.depth == Depth::Full {
        asking.amcheck(&only, options, &mut report).await;
    }
    asking.finish(&mut report);
    report.took_s = began.elapsed().as_secs_f64();
    report.verdict = report.judge();
    Ok(report)
}

async fn list(place: &Place) -> Result<Listing> {
    let (data, folder) = (place.data.clone(), place.control.version_folder(place.major));
    blocking(move || walk::list(&data, &folder)).await
}

/// The files to read.
async fn wanted(place: &Place, listing: &Listing, asking: &Asking, options: &Options) -> Result<Vec<Subject>> {
    let mut subjects = scan::subjects(&place.data, listing, place.server != ServerState::NeedsRecovery);
    if options.relations.is_empty() {
        return Ok(subjects);
    }
    let mut wanted = BTreeSet::new();
    for relation in &options.relations {
        let paths = if relation.contains('/') { vec![relation.clone()] } else { asking.files_of(relation).await? };
        for path in paths {
            let file = RelationFile::of_path(&path).ok_or_else(|| {
                Error::new(Kind::Usage, format!("\"{path}\" is no file of a relation"))
                    .hint("a path looks like base/5/16384, a name like public.orders")
            })?;
            wanted.insert((file.locator.tablespace, file.locator.database, file.locator.relfilenode));
        }
    }
    subjects.retain(|subject| {
        let locator = subject.relation.locator;
        wanted.contains(&(locator.tablespace, locator.database, locator.relfilenode))
    });
    Ok(subjects)
}

async fn read(place: &Place, subjects: Vec<Subject>, options: &Options, progress: &Arc<Progress>) -> Result<Outcome> {
    let (data, control, counted) = (place.data.clone(), place.control.clone(), Arc::clone(progress));
    let (threads, quick) = (options.threads, options.depth == Depth::Quick);
    let outcome = blocking(move || {
        // A file that was left behind only costs a second look; a server in another container has a process that cannot be seen here.
        let server_runs = || data.join("postmaster.pid").exists();
        let manner = Manner { data: &data, control: &control, threads, quick, server_runs: &server_runs };
        Ok(scan::scan(&manner, subjects, &counted))
    });
    let outcome = outcome.await?;
    if progress.cancelled.load(Ordering::Relaxed) {
        return Err(Error::new(Kind::Conflict, "the verification was stopped on request"));
    }
    progress.done_bytes.store(progress.total_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    Ok(outcome)
}

/// The report of what was read, before the server is asked about it.
fn report(place: &Place, options: &Options, started_at: Timestamp, outcome: Outcome) -> Verification {
    let mut report = Verification {
        verdict: Verdict::Incomplete,
        data_directory: place.data.display().to_string(),
        system_identifier: place.control.system_identifier.to_string(),
        version: place.major,
        server: place.server,
        depth: options.depth,
        checksums: place.control.has_checksums(),
        started_at,
        took_s: 0.0,
        checked: outcome.checked,
        errors: outcome.damage,
        errors_left_out: outcome.left_out,
        notices: Vec::new(),
        unchecked: outcome.unchecked,
    };
    report.notices.extend(remarks(place, options.depth, &outcome.checked));
    if !place.control.has_checksums() {
        report.unchecked.push(Unchecked {
            what: "page checksums".to_owned(),
            why: Unknown::new(Reason::Disabled, "this cluster was made without page checksums: only headers and lengths could be checked"),
            hint: format!("stop the server, then: pg_checksums --enable -D {}", place.data.display()),
        });
    }
    report
}

fn remarks(place: &Place, depth: Depth, checked: &Checked) -> Vec<Notice> {
    let mut remarks = Vec::new();
    let mut say = |kind: &str, text: String| remarks.push(Notice { kind: kind.to_owned(), text });
    if place.server == ServerState::NeedsRecovery {
        let state = place.control.state;
        say(
            "needs_recovery",
            format!(
                "the files are not complete without replaying WAL (the control file says: {state}): pages that were half written when the \
                 server ended, or while a copy was made, are mended by it. Start the server and verify again before believing an error. \
                 Unlogged tables, which the start empties, were left out"
            ),
        );
    }
    let end = place.control.checkpoint.lsn;
    if let Some(highest) = checked.highest_lsn.filter(|highest| place.server == ServerState::Stopped && *highest > end) {
        say(
            "beyond_log",
            format!(
                "pages are of {highest}, and the log of this server, which was shut down, ends at {end}: WAL was lost (pg_resetwal, a copy without its \
                 log), and tables and indexes may not agree"
            ),
        );
    }
    if depth == Depth::Quick {
        say("sample", format!("{} of {} pages were read: long files only in part", checked.pages, checked.pages_of_all));
    }
    if checked.pages_in_flux > 0 {
        say("in_flux", format!("{} pages were being written when they were read, and were right the next time", checked.pages_in_flux));
    }
    remarks
}
