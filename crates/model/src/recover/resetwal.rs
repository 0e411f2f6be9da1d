//! The command that starts a server without its log, for the one who has nothing better. pgtend never runs it.

use super::facts::{Control, Facts, MEMBERS_PER_SEGMENT, MULTIXACTS_PER_SEGMENT, XIDS_PER_SEGMENT};

/// The command, and what it costs.
pub fn advice(facts: &Facts) -> String {
    let lost = match &facts.control {
        Control::Good(state) => {
            format!("every change after the checkpoint {} that was not yet in the data files", super::diagnose::checkpoint(state))
        }
        _ => "every change that was not yet in the data files".to_owned(),
    };
    format!(
        "the last resort, on the copy, never on the directory itself: {} -D COPY. What it costs: {lost}; tables, indexes and commit states no longer agree, \
         silently. Start it, pg_dumpall it at once, load the dump into a new cluster, and never use the copy for anything else",
        command(facts)
    )
}

/// A control file that is right knows the numbers; otherwise they are made from the names of files, as the manual page of `pg_resetwal` says: safe
/// is what is higher than anything that was used.
fn command(facts: &Facts) -> String {
    let mut command = "pg_resetwal -f".to_owned();
    if matches!(facts.control, Control::Good(_)) {
        return command;
    }
    if let (Some(size), Some(last)) = (facts.wal.size, facts.wal.here.iter().max()) {
        command += &format!(" -l {}", last.next().next().name(size));
    }
    let [xacts, offsets, members] = facts.slru_spans;
    if let Some((_, last)) = xacts {
        command += &format!(" -x {}", (last + 1) * XIDS_PER_SEGMENT);
    }
    if let Some((first, last)) = offsets {
        command += &format!(" -m {},{}", (last + 1) * MULTIXACTS_PER_SEGMENT, (first * MULTIXACTS_PER_SEGMENT).max(1));
    }
    if let Some((_, last)) = members {
        command += &format!(" -O {}", (last + 1) * MEMBERS_PER_SEGMENT);
    }
    command
}
