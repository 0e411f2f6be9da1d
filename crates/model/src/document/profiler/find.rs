//! Which statement a text is.

use crate::fingerprint::{fingerprint, normalize};
use crate::query_id::QueryId;
use crate::sample::Text;
use crate::sample::statements::Statement;

/// The statement that a text is: the one that the server computed, where it counts it; otherwise the one of the same text, whatever its
/// constants, and of several the one that took the most time. A value in place of a parameter makes another identifier, so a computed one
/// may not be counted although the statement is. Where nothing fits, the identity under which sessions are sampled.
pub fn find<'a>(computed: Option<QueryId>, sql: &str, statements: &[Statement], texts: impl Iterator<Item = (i64, &'a Text)>) -> QueryId {
    if let Some(id) = computed.filter(|id| statements.iter().any(|row| row.queryid == id.0)) {
        return id;
    }
    let wanted = normalize(sql);
    let same = texts.filter(|(_, text)| normalize(text) == wanted).map(|(id, _)| id);
    let time = |id: &i64| statements.iter().filter(|row| row.queryid == *id).map(|row| row.total_exec_time).sum::<f64>();
    let found = same.map(|id| (time(&id), id)).max_by(|a, b| a.0.total_cmp(&b.0));
    found.map(|(_, id)| QueryId(id)).or(computed).unwrap_or_else(|| QueryId(fingerprint(sql)))
}
