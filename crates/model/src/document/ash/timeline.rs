//! What one process did, one thing after the other.

use crate::ash::WaitClass;
use crate::ash::block::{Columns, Dimension, Key};
use crate::ash::cube::key_in;
use crate::ash::sampled::Sampled;
use crate::ash::scope::Scope;
use crate::error::Result;
use crate::past::Past;
use crate::query_id::QueryId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A stretch in which a session was seen to do the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshDoing)]
pub struct Doing {
    /// First sample of it.
    pub first_seen: Timestamp,
    /// Last sample of it.
    pub last_seen: Timestamp,
    /// How long, in ms.
    pub duration_ms: f64,
    /// ACTIVE, WAITING, BLOCKED or IDLE (in a transaction).
    pub session_state: String,
    /// Class of what it waited for; CPU when it did not wait.
    pub wait_class: WaitClass,
    /// What it waited for, as `Type:Event`; null on CPU.
    pub event: Option<String>,
    /// Its statement.
    pub sql_id: Option<QueryId>,
    /// The statement's text.
    pub sql_text: Option<String>,
}

const KEYS: [Dimension; 5] = [Dimension::Session, Dimension::State, Dimension::WaitClass, Dimension::WaitEvent, Dimension::Query];

/// What the process did, newest first.
///
/// # Errors
/// When the history cannot be read.
pub(super) fn of(past: &dyn Past, scope: &Scope, sampled: &Sampled, limit: usize) -> Result<Vec<Doing>> {
    let mut seen: Vec<(i64, Vec<Key>)> = Vec::new();
    scope.each(past, Columns::of(&KEYS), &mut |block| {
        let keys = |row: usize| KEYS.iter().map(|dimension| block.key(row, *dimension).clone()).collect();
        seen.extend(block.at_ms.iter().enumerate().map(|(row, at)| (*at, keys(row))));
    })?;
    seen.sort();
    let patience_ms = i64::try_from(sampled.patience().as_millis()).unwrap_or(i64::MAX);
    let mut stretches: Vec<(i64, i64, Vec<Key>)> = Vec::new();
    for (at, keys) in seen {
        match stretches.last_mut() {
            Some((_, last, same)) if *same == keys && at - *last <= patience_ms => *last = at,
            _ => stretches.push((at, at, keys)),
        }
    }
    stretches.into_iter().rev().take(limit).map(|stretch| doing(past, sampled, &stretch)).collect()
}

fn doing(past: &dyn Past, sampled: &Sampled, (first, last, keys): &(i64, i64, Vec<Key>)) -> Result<Doing> {
    let key = |dimension| key_in(&KEYS, keys, dimension);
    let sql_id = key(Dimension::Query).query().map(QueryId);
    #[expect(clippy::cast_precision_loss, reason = "times are far below 2^53 ms")]
    let apart = (last - first) as f64;
    Ok(Doing {
        first_seen: Timestamp::from_millisecond(*first).unwrap_or_default(),
        last_seen: Timestamp::from_millisecond(*last).unwrap_or_default(),
        duration_ms: apart + sampled.time_ms(1),
        session_state: key(Dimension::State).text().unwrap_or_default().to_owned(),
        wait_class: key(Dimension::WaitClass).wait_class(),
        event: key(Dimension::WaitEvent).text().map(str::to_owned),
        sql_id,
        sql_text: super::sql_stats::text(past, sql_id)?,
    })
}
