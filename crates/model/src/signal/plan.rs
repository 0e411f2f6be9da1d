//! Which sessions are to be cancelled or terminated, and why each of the others is not.

use super::{Signal, Spared, Target};
use crate::document::sessions::{Doing, Session, Sessions};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is to be done, to be shown before it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// What is done to each session.
    pub signal: Signal,
    /// The sessions that were asked for, each with the verdict.
    pub sessions: Vec<Planned>,
    /// Sessions of which the role may not see enough to tell whether they are meant; none of them is touched.
    pub hidden: usize,
}

/// One session with the verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Planned {
    /// The session.
    pub session: Session,
    /// What becomes of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What becomes of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "why")]
pub enum Verdict {
    /// It gets the signal, if it is still the same then.
    Signal(Target),
    /// It is left alone.
    Spare(Spared),
}

/// Decides about the sessions that were asked for.
pub fn plan(sessions: &Sessions, signal: Signal) -> Plan {
    let decided = |session: &Session| Planned { session: session.clone(), verdict: verdict(session, signal) };
    Plan { signal, sessions: sessions.sessions.iter().map(decided).collect(), hidden: sessions.hidden }
}

fn verdict(session: &Session, signal: Signal) -> Verdict {
    let idles = matches!(session.doing, Some(Doing::Idle | Doing::IdleInTransaction));
    match session.target() {
        Ok(_) if signal == Signal::Cancel && idles => Verdict::Spare(Spared::Idle),
        Ok(target) => Verdict::Signal(target),
        Err(spared) => Verdict::Spare(spared),
    }
}

impl Plan {
    /// Sessions are meant whichever statement they are at by then.
    pub fn whatever_they_do(&mut self) {
        for planned in &mut self.sessions {
            if let Verdict::Signal(target) = &mut planned.verdict {
                target.query_start = None;
            }
        }
    }

    /// The sessions that get the signal.
    pub fn targets(&self) -> Vec<Target> {
        let target = |planned: &Planned| match &planned.verdict {
            Verdict::Signal(target) => Some(target.clone()),
            Verdict::Spare(_) => None,
        };
        self.sessions.iter().filter_map(target).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::sessions::fixtures::session;

    fn verdicts(signal: Signal, sessions: Vec<Session>) -> Vec<Verdict> {
        let sessions = Sessions { sessions, ..Sessions::default() };
        plan(&sessions, signal).sessions.into_iter().map(|planned| planned.verdict).collect()
    }

    #[test]
    fn a_session_is_named_by_more_than_its_process_id() {
        let one = session(7);
        let target = Target { pid: 7, backend_start: one.backend_start.unwrap(), query_start: one.query_start };
        assert_eq!(verdicts(Signal::Terminate, vec![one]), [Verdict::Signal(target)]);
    }

    #[test]
    fn some_sessions_are_never_touched() {
        let sessions = vec![
            Session { spared: Some(Spared::Replication), ..session(1) },
            Session { spared: Some(Spared::Background), ..session(2) },
            Session { spared: Some(Spared::Own), ..session(3) },
            Session { backend_start: None, ..session(4) },
        ];
        let expected = [Spared::Replication, Spared::Background, Spared::Own, Spared::Unidentified].map(Verdict::Spare);
        assert_eq!(verdicts(Signal::Terminate, sessions), expected);
    }

    #[test]
    fn there_is_nothing_to_cancel_in_an_idle_session() {
        let idle = || Session { doing: Some(Doing::IdleInTransaction), ..session(1) };
        assert_eq!(verdicts(Signal::Cancel, vec![idle()]), [Verdict::Spare(Spared::Idle)]);
        assert!(matches!(verdicts(Signal::Terminate, vec![idle()])[0], Verdict::Signal(_)));
    }
}
