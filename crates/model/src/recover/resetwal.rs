//! The command that starts a server without its log, for the one who has nothing better. pgtend never runs it.

use super::facts::{Control, Facts};

/// The command, and what it costs.
pub fn advice(facts: &Facts) -> String {
    let timeline = facts.wal.here.iter().map(|segment| segment.timeline).max();
    let next = facts.wal.size.and_then(|size| facts.wal.here.iter().max().map(|last| last.next().next().name(size)));
    let mut command = "pg_resetwal -f".to_owned();
    if !matches!(facts.control, Control::Good(_)) {
        if let Some(next) = next {
            command = format!("{command} -l {next}");
        }
        command += " -x NEXT_XID -m NEXT_MULTIXACT,OLDEST_MULTIXACT -O NEXT_OFFSET -o NEXT_OID";
    }
    let lost = match &facts.control {
        Control::Good(state) => {
            format!("every change after the checkpoint {} that was not yet in the data files", super::diagnose::checkpoint(state))
        }
        _ => "every change that was not yet in the data files".to_owned(),
    };
    let values = match &facts.control {
        Control::Good(_) => String::new(),
        _ => format!(
            " (how to find the values: its manual page, section -x and following{})",
            timeline.map_or_else(String::new, |timeline| format!("; the newest timeline in pg_wal is {timeline}"))
        ),
    };
    format!(
        "the last resort, on the copy, never on the directory itself: {command} -D COPY{values}. What it costs: {lost}; tables, indexes and commit \
         states no longer agree, silently. Start it, pg_dumpall it at once, load the dump into a new cluster, and never use the copy for anything else"
    )
}
