//! What is kept on disk of one server, by kind.

use super::layout::Layout;
use super::session_table::{ASH, TICKS};
use pgtend_model::past::{Kept, Span};
use std::io;

/// Files of a kind, as they are added up.
struct Sum(Kept);

impl Sum {
    fn new(kind: &str) -> Self {
        Self(Kept { kind: kind.to_owned(), files: 0, bytes: 0, oldest: None, newest: None })
    }

    fn add(&mut self, bytes: u64, covers: Span) {
        let kept = &mut self.0;
        kept.files += 1;
        kept.bytes += bytes;
        kept.oldest = Some(kept.oldest.map_or(covers.start, |oldest| oldest.min(covers.start)));
        kept.newest = Some(kept.newest.map_or(covers.end, |newest| newest.max(covers.end)));
    }
}

/// Samples, readings and journal.
pub(super) fn kept(layout: &Layout, server: &str) -> io::Result<Vec<Kept>> {
    let (mut samples, mut readings, mut journal) = (Sum::new("samples"), Sum::new("readings"), Sum::new("journal"));
    for dataset in layout.datasets()? {
        let sum = if dataset == ASH || dataset == TICKS { &mut samples } else { &mut readings };
        for file in layout.sealed_files(&dataset, server)? {
            sum.add(file.bytes, file.span());
        }
    }
    for file in layout.journals(server)? {
        journal.add(file.path.metadata().map_or(0, |metadata| metadata.len()), file.hour.span());
    }
    Ok([samples, readings, journal].map(|sum| sum.0).into())
}
