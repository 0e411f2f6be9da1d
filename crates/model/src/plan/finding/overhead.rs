//! Time that is not spent in the plan's steps: compilation, triggers, planning; and workers that were not there.

use super::context::Context;
use super::{Finding, Problem, Severity, count};
use crate::units::show_seconds;

/// Share of the time from which on compilation or a trigger is said, in per cent.
const MUCH_PERCENT: f64 = 20.0;
/// Times below this are not worth a word, in ms.
const LEAST_MS: f64 = 5.0;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let mut found = workers(context);
    found.extend(jit(context));
    found.extend(triggers(context));
    found.extend(planning(context));
    found
}

fn workers(context: &Context<'_>) -> Vec<Finding> {
    let missing = context.steps.iter().filter_map(|step| {
        let workers = step.node.workers.as_ref()?;
        let (planned, launched) = (workers.planned, workers.launched?);
        (launched < planned && !step.node.was_skipped()).then(|| {
            let what = format!("{} workers were planned and {} launched: no more were free", count(planned), count(launched));
            let advice =
                "raise max_parallel_workers (and max_worker_processes, which needs a restart), or let fewer statements go parallel \
                          at the same time"
                    .to_owned();
            let severity = if launched == 0.0 { Severity::Warning } else { Severity::Note };
            context.at(step, severity, Problem::WorkersMissing { planned, launched }, what, advice)
        })
    });
    missing.collect()
}

fn jit(context: &Context<'_>) -> Option<Finding> {
    let jit = context.plan.jit.as_ref()?;
    let jit_ms = jit.time_ms.filter(|ms| *ms >= LEAST_MS)?;
    let percent = context.percent(jit_ms).filter(|percent| *percent >= MUCH_PERCENT)?;
    let what = format!("compiling {} functions just in time took {}, {percent:.0} % of the time", count_i64(jit.functions), ms(jit_ms));
    let advice = "raise jit_above_cost, or switch jit off for this statement or role (ALTER ROLE … SET jit = off)";
    let mut finding = Finding::of_plan(Severity::of_share(Some(percent)), Problem::JitDominates { jit_ms, percent }, what, advice);
    finding.time_percent = Some(percent);
    Some(finding)
}

fn triggers(context: &Context<'_>) -> Vec<Finding> {
    let slow = context.plan.triggers.iter().filter_map(|trigger| {
        let time_ms = trigger.time_ms.filter(|ms| *ms >= LEAST_MS)?;
        let percent = context.percent(time_ms).filter(|percent| *percent >= MUCH_PERCENT)?;
        let name = trigger.constraint.as_ref().unwrap_or(&trigger.name).clone();
        let what = format!("the trigger {name} took {}, {percent:.0} % of the time, in {} calls", ms(time_ms), count(trigger.calls));
        let advice = match trigger.constraint {
            Some(_) => "a foreign key needs an index on the column that refers: without one every check reads the whole table",
            None => "do its work once for the statement (FOR EACH STATEMENT with a transition table), or later",
        };
        let problem = Problem::TriggerDominates { trigger: name, calls: trigger.calls, time_ms };
        let mut finding = Finding::of_plan(Severity::of_share(Some(percent)), problem, what, advice);
        finding.time_percent = Some(percent);
        Some(finding)
    });
    slow.collect()
}

fn planning(context: &Context<'_>) -> Option<Finding> {
    let planning_ms = context.plan.planning_time_ms.filter(|ms| *ms >= LEAST_MS)?;
    let execution_ms = context.plan.execution_time_ms.filter(|execution| *execution < planning_ms)?;
    let what = format!("planning took {}, executing {}", ms(planning_ms), ms(execution_ms));
    let advice = "run often, it is better prepared once; many partitions, joins or indexes make planning long; the first statement of a session also \
                  fills its caches, so look again";
    Some(Finding::of_plan(Severity::Note, Problem::PlanningDominates { planning_ms, execution_ms }, what, advice))
}

fn ms(ms: f64) -> String {
    show_seconds(ms / 1000.0)
}

fn count_i64(count: i64) -> String {
    crate::units::show_count(count)
}
