//! Plans that auto_explain logged, in its formats json and text.

use crate::plan::{self, Plan};

/// An execution with its plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Captured {
    /// How long it took, in ms.
    pub duration_ms: f64,
    /// The statement as it was sent.
    pub sql: String,
    /// Its plan.
    pub plan: Plan,
}

/// What is between the duration and the plan.
const MARK: &str = " ms  plan:";

/// Whether a message is from auto_explain, in whatever format.
pub fn is_plan(message: &str) -> bool {
    message.starts_with("duration: ") && message.lines().next().is_some_and(|first| first.trim_end().ends_with(MARK.trim_end()))
}

/// The plan in a message; none where it is no plan, or in a format that is not understood (xml, yaml).
pub fn read(message: &str) -> Option<Captured> {
    let (duration, body) = message.strip_prefix("duration: ")?.split_once(MARK)?;
    let duration_ms: f64 = duration.parse().ok()?;
    let body = body.trim_start_matches([' ', '\n', '\r']);
    let (sql, mut plan) = if body.starts_with('{') { of_json(body)? } else { of_text(body)? };
    plan.execution_time_ms.get_or_insert(duration_ms);
    Some(Captured { duration_ms, sql, plan })
}

fn of_json(body: &str) -> Option<(String, Plan)> {
    let json: serde_json::Value = serde_json::from_str(body).ok()?;
    let sql = json.get("Query Text")?.as_str()?.to_owned();
    Some((sql, plan::parse(&json).ok()?))
}

/// The statement may go over many lines; the plan begins with the first line that has costs.
fn of_text(body: &str) -> Option<(String, Plan)> {
    let rest = body.strip_prefix("Query Text: ")?;
    let mut place = 0;
    for line in rest.split_inclusive('\n') {
        if plan::text::is_step(line) {
            break;
        }
        place += line.len();
    }
    let (sql, tree) = rest.split_at(place);
    let sql = sql.split("\nQuery Parameters: ").next().unwrap_or(sql);
    Some((sql.trim_end().to_owned(), plan::text::parse(tree)?))
}
