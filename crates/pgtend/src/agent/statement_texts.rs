//! Which statement texts are still to be asked for, and keeping those that came.

use pgtend_model::sample::Text;
use pgtend_model::view::View;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before texts are asked for again, at least; the first ones are asked for at once.
const REST: Duration = Duration::from_secs(10);
/// What asking may cost: this many times as long as it took is waited before the next time.
const SHARE: u32 = 200;
/// Most texts asked for at once. A few cost the server as much as many.
const MOST: usize = 5000;

/// When texts were last asked for, and which are not to be had.
#[derive(Debug, Default)]
pub(super) struct StatementTexts {
    not_before: Duration,
    tried: HashSet<i64>,
}

impl StatementTexts {
    /// The statements whose texts are to be asked for now, those that take the most time first.
    pub(super) fn wanted(&mut self, view: &View, now: Duration) -> Vec<i64> {
        let Ok(sample) = view.readings.statements.current() else { return Vec::new() };
        if now < self.not_before {
            return Vec::new();
        }
        self.tried.retain(|id| sample.rows.iter().any(|row| row.queryid == *id));
        let unknown = |id: &i64| !view.statement_texts.contains_key(id) && !self.tried.contains(id);
        let mut rows: Vec<_> = sample.rows.iter().filter(|row| unknown(&row.queryid)).collect();
        rows.sort_by(|a, b| b.total_exec_time.total_cmp(&a.total_exec_time));
        let mut wanted: Vec<i64> = rows.into_iter().map(|row| row.queryid).collect();
        wanted.dedup();
        wanted.truncate(MOST);
        if !wanted.is_empty() {
            self.tried.extend(&wanted);
        }
        wanted
    }

    /// Notes what asking took.
    pub(super) fn asked(&mut self, now: Duration, took: Duration) {
        self.not_before = now + REST.max(took * SHARE);
    }

    /// Keeps the texts that came, and lets go of those whose statements are gone.
    pub(super) fn keep(view: &mut View) {
        let live: HashSet<i64> =
            view.readings.statements.latest.iter().flat_map(|sample| sample.rows.iter().map(|row| row.queryid)).collect();
        let known = view.statement_texts.iter().map(|(id, text)| (*id, text.clone()));
        let came = view.readings.statement_texts.latest.iter().flat_map(|sample| sample.rows.iter());
        let came = came.map(|row| (row.queryid, row.query.clone()));
        let texts: HashMap<i64, Text> = known.chain(came).filter(|(id, _)| live.contains(id)).collect();
        view.statement_texts = Arc::new(texts);
    }
}
