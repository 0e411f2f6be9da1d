//! Which session samples are meant: a period and conditions.

use super::block::{Block, Columns, Dimension, Key, Wanted};
use crate::error::Result;
use crate::past::{Past, Span};

/// Which session samples are meant.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The period.
    pub span: Span,
    /// Of each of these dimensions one of these keys.
    pub only: Vec<(Dimension, Vec<Key>)>,
    /// Only of this process id, whichever sessions had it.
    pub pid: Option<i64>,
    /// The server's own processes too, not only what works for clients.
    pub background: bool,
}

impl Scope {
    /// All samples of clients in a period.
    pub const fn of(span: Span) -> Self {
        Self { span, only: Vec::new(), pid: None, background: false }
    }

    /// The samples that are meant, with these columns.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn each(&self, past: &dyn Past, mut columns: Columns, each: &mut dyn FnMut(&Block)) -> Result<()> {
        if !self.background {
            columns.dimensions.push(Dimension::BackendType);
        }
        if self.pid.is_some() {
            columns.dimensions.push(Dimension::Session);
        }
        columns.dimensions.sort_unstable();
        columns.dimensions.dedup();
        let only = self.only.clone();
        let wanted = Wanted { from: Some(self.span.start), to: Some(self.span.end), only, blocked: false, columns };
        past.sessions(&wanted, &mut |block| {
            let kinds = marks(block, Dimension::BackendType, |key| self.background || key.is_foreground());
            let sessions = marks(block, Dimension::Session, |key| match (self.pid, key) {
                (Some(wanted), Key::Session(pid, _)) => wanted == *pid,
                (wanted, _) => wanted.is_none(),
            });
            let holds = |row: usize| kinds.as_ref().is_none_or(|kinds| kinds(row)) && sessions.as_ref().is_none_or(|pids| pids(row));
            if (0..block.len()).all(&holds) {
                each(block);
            } else {
                let meant = block.filter(holds);
                if !meant.is_empty() {
                    each(&meant);
                }
            }
        })
    }
}

/// Whether what a row has in a dimension is meant; none where the block does not have the dimension.
fn marks(block: &Block, dimension: Dimension, holds: impl Fn(&Key) -> bool) -> Option<impl Fn(usize) -> bool> {
    let coded = block.dimensions.get(&dimension)?;
    let marks: Vec<bool> = coded.keys.iter().map(holds).collect();
    Some(move |row: usize| marks[coded.codes[row] as usize])
}
