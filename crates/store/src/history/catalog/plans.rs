//! Plans of statements: each once, and from when to when it was seen.

use super::{Catalog, instant};
use crate::state::committed;
use jiff::Timestamp;
use pgtend_model::error::Result;
use pgtend_model::past::{NewPlan, PlanOrigin, PlanSeen, Span};
use pgtend_model::plan::Plan;
use pgtend_model::query_id::QueryId;
use rusqlite::{OptionalExtension, Row, params};

/// A database that is not known is empty. `body` is the plan as JSON; null where that is too large.
pub(super) const SCHEMA: &str = "
    create table if not exists plan (
        server text not null,
        query_id integer not null,
        hash text not null,
        one_line text not null,
        body text,
        body_ms integer not null,
        body_origin text not null,
        primary key (server, query_id, hash)
    ) strict, without rowid;
    create table if not exists plan_seen (
        server text not null,
        query_id integer not null,
        database text not null,
        origin text not null,
        hash text not null,
        first_ms integer not null,
        last_ms integer not null,
        times integer not null,
        timed integer not null,
        duration_ms real not null,
        primary key (server, query_id, database, origin, hash, first_ms)
    ) strict, without rowid;";

/// A plan that is not seen for so long begins anew, in ms: a statement that goes back and forth has a row an hour and plan, not more.
const APART_MS: i64 = 3_600_000;
/// Largest plan that is kept as a whole, in bytes.
const MOST_BYTES: usize = 256 << 10;
/// Rows kept of one server; the oldest go first.
const MOST_SEEN: i64 = 20_000;

const KEEP: &str = "insert into plan (server, query_id, hash, one_line, body, body_ms, body_origin) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    on conflict (server, query_id, hash) do update set body = excluded.body, body_ms = excluded.body_ms, body_origin = excluded.body_origin
    where excluded.body_origin = 'auto_explain' or plan.body_origin <> 'auto_explain'";
const GO_ON: &str =
    "update plan_seen set last_ms = max(last_ms, ?6), times = times + ?7, timed = timed + ?8, duration_ms = duration_ms + ?9
    where server = ?1 and query_id = ?2 and database = ?3 and origin = ?4 and hash = ?5 and first_ms = (
        select max(first_ms) from plan_seen
        where server = ?1 and query_id = ?2 and database = ?3 and origin = ?4 and hash = ?5 and last_ms >= ?10 and first_ms <= ?11)";
const BEGIN: &str = "insert into plan_seen (server, query_id, database, origin, hash, first_ms, last_ms, times, timed, duration_ms)
    values (?1, ?2, ?3, ?4, ?5, ?11, ?6, ?7, ?8, ?9) on conflict do nothing";
const SEEN: &str = "select s.query_id, s.database, s.hash, p.one_line, s.origin, s.first_ms, s.last_ms, s.times, s.timed, s.duration_ms
    from plan_seen as s join plan as p using (server, query_id, hash)
    where server = ?1 and s.first_ms < ?3 and case when ?4 is null
        then query_id in (select query_id from plan_seen where server = ?1 and last_ms >= ?2 and first_ms < ?3)
        else query_id = ?4 end
    order by s.query_id, s.first_ms";

impl Catalog {
    /// Keeps plans, and notes when they were seen.
    pub(in super::super) fn keep_plans(&self, server: &str, plans: &[NewPlan]) -> Result<()> {
        let mut connection = self.connection();
        let kept = committed(&mut connection, |transaction| {
            for plan in plans {
                let (id, hash, origin) = (plan.query_id.0, plan.plan.shape(), plan.origin.word());
                let body = serde_json::to_string(&plan.plan).ok().filter(|body| body.len() <= MOST_BYTES);
                let (first, last) = (plan.first.as_millisecond(), plan.last.as_millisecond());
                transaction.execute(KEEP, params![server, id, hash, plan.plan.one_line(), body, last, origin])?;
                let database = plan.database.as_deref().unwrap_or_default();
                let timed = if plan.duration_ms.is_some() { plan.times } else { 0 };
                let duration = plan.duration_ms.unwrap_or_default();
                let values = params![server, id, database, origin, hash, last, plan.times, timed, duration, first - APART_MS, first];
                if transaction.execute(GO_ON, values)? == 0 {
                    let values = params![server, id, database, origin, hash, last, plan.times, timed, duration, 0, first];
                    transaction.execute(BEGIN, values)?;
                }
            }
            Ok(())
        });
        self.told(kept)
    }

    /// The plans of a statement, or of all that were seen with one within a stretch of time, that began before its end.
    pub(in super::super) fn plans(&self, server: &str, query_id: Option<QueryId>, span: Span) -> Result<Vec<PlanSeen>> {
        let values = params![server, span.start.as_millisecond(), span.end.as_millisecond(), query_id.map(|id| id.0)];
        self.all(SEEN, values, seen)
    }

    /// The newest plan of a statement that auto_explain logged.
    pub(in super::super) fn captured_plan(&self, server: &str, query_id: QueryId) -> Result<Option<(Timestamp, Plan)>> {
        let sql = "select body_ms, body from plan where server = ?1 and query_id = ?2 and body_origin = 'auto_explain' and body is not null
            order by body_ms desc limit 1";
        let found: rusqlite::Result<Option<(i64, String)>> =
            self.connection().query_row(sql, params![server, query_id.0], |row| Ok((row.get(0)?, row.get(1)?))).optional();
        let found = self.told(found)?;
        // A plan that a newer pgtend wrote in another shape is as good as none.
        Ok(found.and_then(|(at, body)| Some((instant(at), serde_json::from_str(&body).ok()?))))
    }

    /// Removes plans that were last seen before an instant, and what is too much.
    pub(in super::super) fn forget_plans(&self, before: Timestamp) -> Result<()> {
        let connection = self.connection();
        let forget = || -> rusqlite::Result<()> {
            connection.execute("delete from plan_seen where last_ms < ?1", [before.as_millisecond()])?;
            let surplus = "delete from plan_seen where (server, query_id, database, origin, hash, first_ms) in (
                select server, query_id, database, origin, hash, first_ms from (
                    select *, row_number() over (partition by server order by last_ms desc) as place from plan_seen) where place > ?1)";
            connection.execute(surplus, [MOST_SEEN])?;
            let gone = "delete from plan where (server, query_id, hash) not in (select server, query_id, hash from plan_seen)";
            connection.execute(gone, [])?;
            Ok(())
        };
        self.told(forget())
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn seen(row: &Row<'_>) -> rusqlite::Result<PlanSeen> {
    let (database, origin): (String, String) = (row.get(1)?, row.get(4)?);
    let (timed, duration): (i64, f64) = (row.get(8)?, row.get(9)?);
    Ok(PlanSeen {
        query_id: QueryId(row.get(0)?),
        database: Some(database).filter(|name| !name.is_empty()),
        plan_hash: row.get(2)?,
        plan: row.get(3)?,
        origin: PlanOrigin::ALL.into_iter().find(|known| known.word() == origin).unwrap_or(PlanOrigin::Explain),
        first_seen: instant(row.get(5)?),
        last_seen: instant(row.get(6)?),
        times_seen: row.get(7)?,
        mean_duration_ms: (timed > 0).then(|| duration / timed as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgtend_model::plan::Node;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn plan(title: &str, second: i64) -> NewPlan {
        let plan = Plan { root: Node { title: title.to_owned(), ..Node::default() }, ..Plan::default() };
        let once = NewPlan::once(QueryId(7), Some("shop".into()), PlanOrigin::AutoExplain, at(second), plan);
        NewPlan { duration_ms: Some(10.0), ..once }
    }

    #[test]
    fn a_plan_is_one_row_as_long_as_it_is_seen_within_the_hour() {
        let directory = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&directory.path().join("catalog.db")).unwrap();
        for (title, second) in [("a", 0), ("b", 10), ("a", 3000), ("a", 20_000), ("b", 20)] {
            catalog.keep_plans("main", &[plan(title, second)]).unwrap();
        }
        catalog.keep_plans("other", &[plan("c", 5)]).unwrap();
        let told = |id, from, to| -> Vec<(String, i64, i64, i64)> {
            let seen = catalog.plans("main", id, Span::new(at(from), at(to))).unwrap();
            let one = |s: PlanSeen| (s.plan, s.first_seen.as_second(), s.last_seen.as_second(), s.times_seen);
            seen.into_iter().map(one).collect()
        };
        let row = |plan: &str, from, to, times| (plan.to_owned(), from, to, times);
        let all = [row("a", 0, 3000, 2), row("b", 10, 20, 2), row("a", 20_000, 20_000, 1)];
        assert_eq!(told(Some(QueryId(7)), 0, 30_000), all);
        assert_eq!(told(None, 0, 10), all[..1]);
        assert_eq!(told(None, 4000, 5000), []);
        assert_eq!(told(None, 19_000, 21_000), all);
        let captured = catalog.captured_plan("main", QueryId(7)).unwrap().unwrap();
        assert_eq!((captured.0, captured.1.root.title.as_str()), (at(20_000), "a"));
        let mean = catalog.plans("main", Some(QueryId(7)), Span::new(at(0), at(1))).unwrap()[0].mean_duration_ms;
        assert_eq!(mean, Some(10.0));
        catalog.forget_plans(at(3000)).unwrap();
        assert_eq!(told(Some(QueryId(7)), 0, 30_000), [all[0].clone(), all[2].clone()]);
        assert_eq!(catalog.plans("other", None, Span::new(at(0), at(9))).unwrap(), []);
    }
}
