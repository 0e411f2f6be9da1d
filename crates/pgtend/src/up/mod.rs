//! `pgtend up`: a PostgreSQL of its own, made or taken up, started, watched, and kept running.
//!
//! What would be done is decided in `pgtend_model::up` and `pgtend_model::supervise`; here it is looked up and carried out.

mod announce;
mod archiving;
mod carry_out;
mod coming;
mod configuration;
mod ground;
mod keeper;
mod layout;
mod options;
mod signals;
mod survey;

pub use layout::{Layout, default_directory};
pub use options::Options;

use crate::agent::Agent;
use crate::cli::output;
use crate::daemon::Daemon;
use announce::{Announcement, ReadyFile};
use carry_out::carry_out;
use ground::Ground;
use keeper::{Event, Keeper};
use pgtend_model::config::Listen;
use pgtend_model::error::{Kind, Result};
use pgtend_model::up::{Plan, Step, plan};
use pgtend_model::view::Link;
use pgtend_postgres::process::running::Postmaster;
use signals::Signals;
use std::time::Duration;

/// How often a start is tried when somebody else took the port that was found free.
const ATTEMPTS: usize = 3;

/// What would be done.
///
/// # Errors
/// Why nothing could be done.
pub fn dry_run(options: &Options) -> Result<Plan> {
    plan(&survey::survey(options)?.view)
}

/// Does it, and goes on until it is told to end; gives the exit code.
///
/// # Errors
/// Why PostgreSQL or the agent could not be had. What happens to PostgreSQL afterwards is logged and answered, not returned.
pub async fn run(options: &Options) -> Result<u8> {
    let mut signals = Signals::heed()?;
    let ready_file = ReadyFile::claim(options.ready_file.clone())?;
    let mut ground = Ground::take(options)?;
    let Some(Begun { postmaster, adopted, api, metrics }) = begin(options, &mut ground, &mut signals).await? else { return Ok(0) };
    let mut keeper = Keeper::new(options, ground, postmaster);
    let outcome = watch(&mut keeper, &mut signals, &ready_file, api, metrics).await;
    ready_file.withdraw();
    // What ran before us does not end because we failed.
    let leave_running = options.leave_running || (adopted && outcome.is_err());
    keeper.stop(leave_running, &mut signals).await;
    match outcome {
        Ok(agent) => {
            agent.stop_archive().await;
            Ok(0)
        }
        Err(error) => Err(error),
    }
}

/// PostgreSQL as it accepts connections, and where the agent is to answer.
struct Begun {
    postmaster: Postmaster,
    adopted: bool,
    api: Listen,
    metrics: Listen,
}

/// Carries out the plan; none when told to end meanwhile. A port that was free when the plan was made may be taken when it is used:
/// then it is planned again, and where the port was asked for, that says so.
async fn begin(options: &Options, ground: &mut Ground, signals: &mut Signals) -> Result<Option<Begun>> {
    let mut attempt = 1;
    loop {
        let found = survey::survey(options)?;
        let plan = plan(&found.view)?;
        plan.notes.iter().for_each(output::notice);
        let (api, metrics) = listeners(&plan);
        let adopted = plan.steps.iter().any(|step| matches!(step, Step::Adopt { .. }));
        let mut coming = carry_out(&plan, ground, &|step| output::progress(step))?;
        let ready = tokio::select! {
            ready = coming.ready() => ready,
            () = signals.end() => {
                keeper::stop(coming.settle(), signals).await;
                return Ok(None);
            }
        };
        match ready {
            Ok(postmaster) => return Ok(Some(Begun { postmaster, adopted, api, metrics })),
            Err(error) if error.kind == Kind::Conflict && attempt < ATTEMPTS => {
                attempt += 1;
                output::notice(&format!("{}; trying again", error.what));
            }
            Err(error) => return Err(error),
        }
    }
}

fn listeners(plan: &Plan) -> (Listen, Listen) {
    let watch = plan.steps.iter().find_map(|step| match step {
        Step::Watch { api, metrics } => Some((*api, *metrics)),
        _ => None,
    });
    watch.unwrap_or((Listen::Off, Listen::Off))
}

/// Runs the agent over PostgreSQL until told to end; what is left of it archives the WAL that PostgreSQL writes at its end.
async fn watch(keeper: &mut Keeper<'_>, signals: &mut Signals, ready_file: &ReadyFile, api: Listen, metrics: Listen) -> Result<Agent> {
    let configuration = |keeper: &Keeper<'_>| configuration::effective(keeper.ground(), keeper.place(), api, metrics);
    let daemon = Daemon::start(configuration(keeper)?).await?;
    let mut announced = false;
    loop {
        tokio::select! {
            () = signals.end() => break,
            () = answers(&daemon.agent), if !announced => {
                announced = true;
                daemon.ready();
                let announcement = Announcement::new(keeper, &daemon.listening);
                ready_file.write(&announcement)?;
                output::write(&announcement.text())?;
            }
            event = keeper.next() => if event == Event::CameUp {
                daemon.agent.reload(configuration(keeper)?)?;
                if announced {
                    ready_file.write(&Announcement::new(keeper, &daemon.listening))?;
                }
            },
        }
    }
    Ok(daemon.stop().await)
}

/// Returns when the agent is connected to every server.
async fn answers(agent: &Agent) {
    while !agent.servers().iter().all(|server| matches!(server.view().link, Link::Up { .. })) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
