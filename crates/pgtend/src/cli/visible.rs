//! Whether sessions are seen well enough to answer what was asked.

use super::output;
use pgtend_model::document::Unknowns;
use pgtend_model::document::sessions::{OTHERS, Params, Sessions};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::sample::{Reason, Unknown};

/// An empty list must mean that there is nothing: what could not be seen is told.
///
/// # Errors
/// Why the sessions could not be had, or why what was asked cannot be known.
pub(super) fn check(sessions: &Sessions, params: &Params) -> Result<()> {
    if let Some(why) = sessions.unknown.get("sessions") {
        return Err(unknown("the sessions could not be read", why));
    }
    let measured = params.min_cpu_percent.is_some() || params.min_memory_bytes.is_some();
    if measured && let Some(why) = sessions.unknown.get("sessions.usage") {
        return Err(unknown("what each session uses of processor and memory is not known", why));
    }
    if sessions.hidden > 0 {
        let (count, verb) = (sessions.hidden, if sessions.hidden == 1 { "session is" } else { "sessions are" });
        output::notice(&format!("{count} {verb} hidden from this role and left out; run: GRANT pg_monitor TO the role"));
    } else {
        tell_of_others(&sessions.unknown);
    }
    Ok(())
}

/// Says where the role sees only its own sessions.
pub(super) fn tell_of_others(unknown: &Unknowns) {
    if let Some(why) = unknown.get(OTHERS) {
        output::notice(why);
    }
}

/// What an empty list of sessions that do something says.
pub(super) fn nothing(unknown: &Unknowns) -> String {
    nothing_was(unknown, "no session does anything, or none meets the conditions")
}

/// What an empty list says, with its bounds where the role sees only its own sessions.
pub(super) fn nothing_was(unknown: &Unknowns, nothing: &str) -> String {
    let bounds = unknown.get(OTHERS).map(|_| " (of this role's own: it sees no others)");
    format!("{nothing}{}", bounds.unwrap_or_default())
}

/// Where one figure is all that was asked for, its being unknown is an error.
pub(super) fn unknown(what: &str, why: &Unknown) -> Error {
    let kind = match why.reason {
        Reason::Unreachable => Kind::Unreachable,
        Reason::Privilege => Kind::Privilege,
        Reason::Timeout | Reason::Budget | Reason::Lock | Reason::Pending | Reason::Reset => Kind::Timeout,
        Reason::Version | Reason::Extension | Reason::Remote | Reason::Disabled | Reason::Absent => Kind::Unsupported,
        Reason::Failed => Kind::Server,
    };
    Error::new(kind, format!("{what}: {}", why.detail))
}
