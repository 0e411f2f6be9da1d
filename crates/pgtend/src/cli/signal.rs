//! Cancelling and terminating: the plan is shown, somebody agrees, each session's fate is told.

use super::output::{self, Cell, Format, Table, Tabular, Tone};
use super::{Global, session_table};
use crate::source::Source;
use clap::Args;
use pgtend_model::document::sessions::Params;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::signal::{Fate, Plan, Planned, Request, Signal, Verdict};
use pgtend_model::units::short_seconds;
use serde::Serialize;
use std::io::{BufRead, IsTerminal};

/// How a plan is carried out.
#[derive(Debug, Clone, Args)]
pub(super) struct Manner {
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking; needed where there is no terminal
    #[arg(long, short)]
    yes: bool,
    /// Why, for the agent's log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Exit code when not everything that was asked for was done.
const PARTLY: u8 = 1;

impl Manner {
    /// Whether anything of it was asked for.
    pub(super) fn is_set(&self) -> bool {
        self.dry_run || self.yes
    }

    /// Shows the plan, asks, carries it out and tells what became of each session.
    pub(super) async fn carry_out(&self, source: &mut Source, plan: &Plan, global: &Global) -> Result<u8> {
        if self.dry_run {
            output::print(&Done::planned(plan), global.format)?;
            return Ok(0);
        }
        let targets = plan.targets();
        if targets.is_empty() {
            output::print(&Done::planned(plan), global.format)?;
            return Ok(if plan.sessions.is_empty() { 0 } else { PARTLY });
        }
        if !self.yes && !agrees(plan)? {
            output::tell("nothing was done");
            return Ok(PARTLY);
        }
        let fates = source.signal(&Request { signal: plan.signal, targets, reason: self.reason.clone(), dry_run: false }).await?;
        let done = Done::carried_out(plan, fates);
        output::print(&done, global.format)?;
        Ok(if done.all_signalled() { 0 } else { PARTLY })
    }
}

/// A condition is needed: without one every client would be meant.
///
/// # Errors
/// `Usage` when the conditions mean everybody.
pub(super) fn refuse_everybody(params: &Params, all: bool) -> Result<()> {
    if params.is_everybody() && !all {
        return Err(Error::new(Kind::Usage, "which sessions?")
            .hint("give a condition such as --state, --user, --app or --pid; --all means every client"));
    }
    Ok(())
}

fn agrees(plan: &Plan) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::new(Kind::Usage, "nobody is there to ask").hint("look at the plan with --dry-run, then give --yes"));
    }
    let medium = output::Medium { width: output::Medium::stdout().width, colour: false };
    output::tell(output::render(&Done::planned(plan), Format::Table, medium)?.trim_end());
    let count = plan.targets().len();
    let question = match (plan.signal, count) {
        (Signal::Cancel, 1) => "Cancel this statement?".to_owned(),
        (Signal::Cancel, _) => format!("Cancel these {count} statements?"),
        (Signal::Terminate, 1) => "End this session? Its transaction is rolled back.".to_owned(),
        (Signal::Terminate, _) => format!("End these {count} sessions? Their transactions are rolled back."),
    };
    output::ask(&format!("{question} [y/N] "));
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Error::new(Kind::System, format!("no answer could be read: {error}")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// A plan, and what came of it.
#[derive(Debug, Serialize)]
struct Done<'a> {
    signal: Signal,
    sessions: Vec<Told<'a>>,
    /// Sessions of which the role may not see enough to tell whether they are meant.
    hidden: usize,
}

#[derive(Debug, Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    planned: &'a Planned,
    /// What became of it; null in a dry run.
    outcome: Option<Fate>,
}

impl<'a> Done<'a> {
    fn planned(plan: &'a Plan) -> Self {
        let sessions = plan.sessions.iter().map(|planned| Told { planned, outcome: None }).collect();
        Self { signal: plan.signal, sessions, hidden: plan.hidden }
    }

    /// Fates come in the order of the targets.
    fn carried_out(plan: &'a Plan, fates: Vec<Fate>) -> Self {
        let mut fates = fates.into_iter();
        let outcome = |planned: &Planned| match &planned.verdict {
            Verdict::Signal(_) => fates.next(),
            Verdict::Spare(spared) => Some(Fate::Spared(*spared)),
        };
        let outcomes: Vec<Option<Fate>> = plan.sessions.iter().map(outcome).collect();
        let sessions = plan.sessions.iter().zip(outcomes).map(|(planned, outcome)| Told { planned, outcome }).collect();
        Self { signal: plan.signal, sessions, hidden: plan.hidden }
    }

    /// Whether every session that was to be signalled was. Those that are never touched do not count against it.
    fn all_signalled(&self) -> bool {
        self.sessions.iter().all(|told| match (&told.planned.verdict, &told.outcome) {
            (Verdict::Signal(_), outcome) => *outcome == Some(Fate::Signalled),
            (Verdict::Spare(_), _) => true,
        })
    }
}

impl Tabular for Done<'_> {
    fn tables(&self) -> Vec<Table> {
        let columns = [">pid", "user", "database", "app", "client", "state", ">for", ">tx", "what is done", "query"];
        let mut table = Table::new("", &columns).or("no session meets the conditions: nothing to do");
        for told in &self.sessions {
            let session = &told.planned.session;
            let text = |text: &Option<String>| Cell::from(text.clone().unwrap_or_default());
            let age = |seconds: Option<f64>| Cell::from(seconds.map(short_seconds).unwrap_or_default());
            table.rows.push(vec![
                session.session_id.to_string().into(),
                text(&session.user),
                text(&session.database),
                text(&session.application_name),
                session_table::client(session).into(),
                session_table::state(session),
                age(session.seconds),
                age(session.transaction_seconds),
                self.fate(told),
                session_table::what(session),
            ]);
        }
        vec![table]
    }
}

impl Done<'_> {
    fn fate(&self, told: &Told<'_>) -> Cell {
        match (&told.outcome, &told.planned.verdict) {
            (None, Verdict::Signal(_)) => Cell::new(format!("to {}", self.signal.name()), Tone::Strong),
            (None, Verdict::Spare(spared)) => Cell::new(format!("left alone: {}", spared.why()), Tone::Dim),
            (Some(Fate::Signalled), _) if self.signal == Signal::Cancel => Cell::new("cancelled", Tone::Good),
            (Some(Fate::Signalled), _) => Cell::new("terminated", Tone::Good),
            (Some(fate @ Fate::Refused(_)), _) => Cell::new(fate.to_string(), Tone::Bad),
            (Some(fate), _) => Cell::new(fate.to_string(), Tone::Warn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixtures::several;
    use crate::cli::output::{Medium, render};
    use pgtend_model::document::sessions::Sessions;
    use pgtend_model::signal::plan;

    fn sessions() -> Sessions {
        Sessions { sessions: several(), hidden: 2, ..Sessions::default() }
    }

    fn text(done: &Done<'_>) -> String {
        render(done, Format::Table, Medium { width: None, colour: false }).unwrap()
    }

    #[test]
    fn a_plan_says_what_is_done_and_what_is_left_alone() {
        insta::assert_snapshot!(text(&Done::planned(&plan(&sessions(), Signal::Cancel))));
    }

    #[test]
    fn afterwards_each_fate_is_told() {
        let plan = plan(&sessions(), Signal::Terminate);
        let fates = vec![
            Fate::Signalled,
            Fate::Changed,
            Fate::Refused("must be a superuser to terminate superuser process".into()),
            Fate::Signalled,
        ];
        let done = Done::carried_out(&plan, fates);
        assert!(!done.all_signalled());
        insta::assert_snapshot!(text(&done));
        let all = Done::carried_out(&plan, vec![Fate::Signalled; 4]);
        assert!(all.all_signalled(), "what is never touched does not count against it");
    }
}
