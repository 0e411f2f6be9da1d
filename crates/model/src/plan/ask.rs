//! What may be asked of EXPLAIN, and in which way a server is asked so that nothing is changed.

use crate::error::{Error, Kind, Result, Retry};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// How long EXPLAIN may take unless it is said: planning, and executing.
const PLAN_TIMEOUT: Duration = Duration::from_secs(5);
const ANALYZE_TIMEOUT: Duration = Duration::from_secs(25);
/// How long it waits for each lock at most.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// A statement whose plan is wanted, and what of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExplainRequest)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The statement; parameters as `$1` are allowed unless it is executed.
    pub sql: String,
    /// Whether to execute it and to measure.
    #[serde(default)]
    pub analyze: bool,
    /// Whether to count the blocks that planning uses; those of execution are always counted.
    #[serde(default)]
    pub buffers: bool,
    /// Whether to tell planner settings that are not at their defaults.
    #[serde(default)]
    pub settings: bool,
    /// Whether to plan without regard to values, as a prepared statement may be planned.
    #[serde(default)]
    pub generic: bool,
    /// How long it may take, in ms: 5 s, or 25 s where it is executed, unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The database; the one that the connection names unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Whether a statement that is executed may write; its transaction is rolled back.
    #[serde(default)]
    pub allow_writes: bool,
}

/// How a plan is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// EXPLAIN of the statement as it stands.
    Plain,
    /// EXPLAIN with GENERIC_PLAN, which takes parameters without values; from 16 on.
    GenericOption,
    /// EXPLAIN of a prepared statement with so many parameters that is planned without regard to values.
    ForcedGeneric(usize),
}

impl Request {
    /// A plan of this statement, without executing it.
    pub fn of(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), ..Self::default() }
    }

    /// How long it may take.
    pub fn timeout(&self) -> Duration {
        let usual = if self.analyze { ANALYZE_TIMEOUT } else { PLAN_TIMEOUT };
        self.timeout_ms.map_or(usual, Duration::from_millis)
    }

    /// Looks at the request by itself, before a server is asked.
    ///
    /// # Errors
    /// `Usage` when it makes no sense, or the statement is of a kind that has no plan.
    pub fn check(&self) -> Result<()> {
        let word = first_word(&self.sql).to_lowercase();
        let usage = |what: &str, hint: &str| Err(Error::new(Kind::Usage, what).hint(hint));
        match word.as_str() {
            "" => return usage("there is no statement", "give it as an argument, on standard input with -, or with --file"),
            "explain" => {
                return usage(
                    "the statement begins with EXPLAIN already",
                    "leave EXPLAIN and its options out: --analyze and --buffers ask for them",
                );
            }
            "execute" | "prepare" | "deallocate" => {
                return usage(
                    "a prepared statement belongs to the session that prepared it",
                    "give the statement itself, with $1 for its parameters",
                );
            }
            "select" | "insert" | "update" | "delete" | "merge" | "values" | "table" | "with" | "create" | "declare" => {}
            other => {
                let what = format!("PostgreSQL makes no plan for {}", other.to_uppercase());
                return usage(&what, "only SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES, TABLE, WITH and CREATE TABLE AS have one");
            }
        }
        if self.analyze && self.generic {
            return usage("a generic plan cannot be executed: its parameters have no values", "leave out one of --analyze and --generic");
        }
        if self.allow_writes && !self.analyze {
            return usage("--allow-writes is for --analyze: without it nothing is executed", "leave it out");
        }
        if self.timeout().is_zero() {
            return usage("a timeout of zero would mean none", "give a time such as 30s");
        }
        Ok(())
    }

    /// How the plan of a statement with so many parameters is asked for.
    ///
    /// # Errors
    /// `Usage` when it is to be executed and has parameters.
    pub fn way(&self, version_num: u32, parameters: usize) -> Result<Way> {
        if parameters > 0 && self.analyze {
            let what = format!(
                "the statement has {parameters} parameter{}, and nobody knows their values",
                if parameters == 1 { "" } else { "s" }
            );
            return Err(Error::new(Kind::Usage, what).hint("write values in place of $1 and so on, or leave out --analyze"));
        }
        Ok(match (parameters, self.generic) {
            (0, false) => Way::Plain,
            (_, _) if version_num >= 160_000 => Way::GenericOption,
            (parameters, _) => Way::ForcedGeneric(parameters),
        })
    }

    /// Whether a statement that gives so many columns may be executed. A table that is made from a query (CREATE TABLE AS, SELECT INTO) gives
    /// none, and is all that the server would let pass in a read-only transaction.
    ///
    /// # Errors
    /// `Conflict` when it writes and may not.
    pub fn may_execute(&self, columns: usize) -> Result<()> {
        if !self.analyze || self.allow_writes || columns > 0 {
            return Ok(());
        }
        Err(writes("it gives no rows back"))
    }

    /// The options in EXPLAIN's parentheses.
    pub fn options(&self, version_num: u32, way: Way) -> String {
        let mut options = vec!["format json", "verbose"];
        if way == Way::GenericOption {
            options.push("generic_plan");
        }
        if self.settings {
            options.push("settings");
        }
        if self.analyze {
            options.push("analyze");
            options.push("wal");
        }
        if self.analyze || self.buffers {
            options.push("buffers");
        }
        // Without it, planning is timed only where the plan is executed.
        if !self.analyze && version_num >= 130_000 {
            options.push("summary");
        }
        options.join(", ")
    }
}

/// The error of a statement that writes and may not.
pub fn writes(why: &str) -> Error {
    let hint = "leave out --analyze to plan it only; --allow-writes executes it in a transaction that is rolled back, but sequences stay \
                advanced and what triggers did outside of the database stays done";
    Error::new(Kind::Conflict, format!("the statement writes, and nothing may be written: {why}")).hint(hint).retry(Retry::Never)
}

/// The first word of a statement, behind comments and parentheses.
fn first_word(sql: &str) -> &str {
    let mut rest = sql;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '(' | ';'));
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = after_comment(comment);
        } else {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            return &rest[..end];
        }
    }
}

/// What follows a comment, in which others may be nested.
fn after_comment(text: &str) -> &str {
    let (mut depth, mut rest) = (1, text);
    while depth > 0 {
        let (open, close) = (rest.find("/*"), rest.find("*/"));
        match (open, close) {
            (Some(open), Some(close)) if open < close => (depth, rest) = (depth + 1, &rest[open + 2..]),
            (_, Some(close)) => (depth, rest) = (depth - 1, &rest[close + 2..]),
            (_, None) => return "",
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_plan_is_refused_before_a_server_is_asked() {
        for fine in ["select 1", " -- why\n(select 1)", "/* a /* b */ c */ WITH x as (select 1) table x", "values (1)", "delete from t"] {
            assert!(Request::of(fine).check().is_ok(), "{fine}");
        }
        let cases = [
            ("", "no statement"),
            (" -- nothing", "no statement"),
            ("/* open", "no statement"),
            ("explain analyze select 1", "EXPLAIN already"),
            ("vacuum t", "no plan for VACUUM"),
            ("begin; select 1", "no plan for BEGIN"),
            ("execute q(1)", "prepared"),
            ("§", "no statement"),
        ];
        for (sql, what) in cases {
            let error = Request::of(sql).check().unwrap_err();
            assert!(error.kind == Kind::Usage && error.what.contains(what), "{sql}: {error}");
        }
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let of = |change: fn(&mut Request)| {
            let mut request = Request::of("select 1");
            change(&mut request);
            request.check()
        };
        assert!(of(|request| (request.analyze, request.generic) = (true, true)).is_err());
        assert!(of(|request| request.allow_writes = true).is_err());
        assert!(of(|request| request.timeout_ms = Some(0)).is_err());
        assert!(of(|request| (request.analyze, request.allow_writes) = (true, true)).is_ok());
    }

    #[test]
    fn parameters_are_planned_without_values() {
        let plain = Request::of("select $1");
        assert_eq!(plain.way(180_004, 0).ok(), Some(Way::Plain));
        assert_eq!(plain.way(180_004, 1).ok(), Some(Way::GenericOption));
        assert_eq!(plain.way(150_018, 2).ok(), Some(Way::ForcedGeneric(2)));
        let generic = Request { generic: true, ..Request::default() };
        assert_eq!((generic.way(160_001, 0).ok(), generic.way(130_023, 0).ok()), (Some(Way::GenericOption), Some(Way::ForcedGeneric(0))));
        let executed = Request { analyze: true, ..Request::default() };
        assert_eq!(executed.way(180_004, 1).unwrap_err().kind, Kind::Usage);
    }

    #[test]
    fn what_gives_no_rows_is_not_executed_unless_it_may_write() {
        let executed = Request { analyze: true, ..Request::of("select 1 into copy") };
        assert_eq!(executed.may_execute(0).unwrap_err().kind, Kind::Conflict);
        assert!(executed.may_execute(1).is_ok() && Request::of("select 1 into copy").may_execute(0).is_ok());
        assert!(Request { allow_writes: true, ..executed }.may_execute(0).is_ok());
    }

    #[test]
    fn options_of_each_kind() {
        let request = Request { analyze: true, settings: true, ..Request::of("select 1") };
        assert_eq!(request.options(130_023, Way::Plain), "format json, verbose, settings, analyze, wal, buffers");
        assert_eq!(Request::of("select $1").options(160_014, Way::GenericOption), "format json, verbose, generic_plan, summary");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC*") {
            let _unused = Request::of(text).check();
        }
    }
}
