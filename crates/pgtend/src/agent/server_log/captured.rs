//! Plans that auto_explain logged, put together until they are handed over.

use super::super::server::Server;
use jiff::Timestamp;
use pgtend_model::fingerprint::fingerprint;
use pgtend_model::logline::{Event, auto_explain, redact};
use pgtend_model::past::{NewPlan, PlanOrigin};
use pgtend_model::query_id::QueryId;
use pgtend_model::sample::Text;
use pgtend_model::view::StatementTexts;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Plans and statements that are put together at most; the rest waits for the next time it is seen.
const MOST: usize = 1000;

/// How long a statement that the server does not count waits for a name: it is asked once a minute.
const PATIENCE: Duration = Duration::from_secs(150);

/// What tells one plan from another.
type Key = (QueryId, Option<Text>, String);

/// Plans that are not handed over yet.
#[derive(Default)]
pub(super) struct CapturedPlans {
    plans: HashMap<Key, NewPlan>,
    texts: HashMap<i64, Text>,
    known: Known,
    /// Statements, by fingerprint, that the server does not count as far as is known yet, and since when they wait.
    unnamed: HashMap<i64, Instant>,
    /// Plans that were logged.
    pub(super) seen: u64,
    /// Of these, those that could not be read.
    pub(super) not_understood: u64,
}

/// Statements by the fingerprint of their text, for logs without identifiers.
#[derive(Default)]
struct Known {
    of: StatementTexts,
    by_text: HashMap<i64, i64>,
}

impl Known {
    /// The statement that has this fingerprint, as the server counts it.
    fn find(&mut self, texts: &StatementTexts, own: i64) -> Option<QueryId> {
        if !Arc::ptr_eq(&self.of, texts) {
            self.by_text = texts.iter().map(|(id, text)| (fingerprint(text), *id)).collect();
            self.of = texts.clone();
        }
        self.by_text.get(&own).copied().map(QueryId)
    }
}

impl CapturedPlans {
    /// Takes a message that is a plan; false where it is none.
    pub(super) fn take(&mut self, event: &Event, server: &Server, now: Timestamp) -> bool {
        if !auto_explain::is_plan(&event.message) {
            return false;
        }
        self.seen += 1;
        let Some(captured) = auto_explain::read(&event.message) else {
            self.not_understood += 1;
            return true;
        };
        let view = server.view();
        let told = captured.plan.query_id.or(event.query_id.map(QueryId)).filter(|id| id.0 != 0);
        let own = fingerprint(&captured.sql);
        let found = told.or_else(|| self.known.find(&view.statement_texts, own));
        let id = found.unwrap_or(QueryId(own));
        if found.is_none() {
            self.unnamed.entry(own).or_insert_with(Instant::now);
        }
        if !view.statement_texts.contains_key(&id.0) && self.texts.len() < MOST {
            self.texts.entry(id.0).or_insert_with(|| redact(&captured.sql).into());
        }
        let at = event.at.unwrap_or(now);
        let database: Option<Text> = event.database.as_deref().map(Text::from);
        let key = (id, database.clone(), captured.plan.shape());
        if let Some(known) = self.plans.get_mut(&key) {
            (known.last, known.times, known.plan) = (at, known.times + 1, captured.plan);
            known.duration_ms = known.duration_ms.map(|sum| sum + captured.duration_ms);
        } else if self.plans.len() < MOST {
            let once = NewPlan::once(id, database, PlanOrigin::AutoExplain, at, captured.plan);
            self.plans.insert(key, NewPlan { duration_ms: Some(captured.duration_ms), ..once });
        }
        true
    }

    /// What came together, and the texts of statements that nothing else tells. Where the log names no statement, those that the server
    /// does not count yet wait until it was asked again.
    pub(super) fn hand_over(&mut self, server: &Server) -> (Vec<NewPlan>, Vec<(i64, Text)>) {
        let view = server.view();
        let named: Vec<i64> = self.unnamed.keys().copied().filter(|own| self.known.find(&view.statement_texts, *own).is_some()).collect();
        self.unnamed.retain(|own, since| !named.contains(own) && since.elapsed() < PATIENCE);
        let waits = |id: QueryId| self.unnamed.contains_key(&id.0);
        let (waiting, ready): (HashMap<Key, NewPlan>, HashMap<Key, NewPlan>) =
            std::mem::take(&mut self.plans).into_iter().partition(|(_, plan)| waits(plan.query_id));
        self.plans = waiting;
        let mut plans: Vec<NewPlan> = ready.into_values().collect();
        for plan in plans.iter_mut().filter(|plan| named.contains(&plan.query_id.0)) {
            plan.query_id = self.known.find(&view.statement_texts, plan.query_id.0).unwrap_or(plan.query_id);
        }
        plans.sort_by_key(|plan| plan.first);
        let texts = std::mem::take(&mut self.texts).into_iter().filter(|(id, _)| !named.contains(id)).collect();
        (plans, texts)
    }
}
