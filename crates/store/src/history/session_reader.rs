//! Reads sealed session samples as blocks, some row groups at a time: to decode a day takes longer than to count it.

use super::parquet_file::Opened;
use super::remembered::at;
use super::session_blocks;
use pgtend_model::ash::block::{Block, Wanted};
use pgtend_model::past::Span;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope, available_parallelism, scope};

/// Threads at most: a report must leave processors to the server that it is about.
const THREADS: usize = 2;

/// A row group of a file.
pub(super) struct Part {
    path: PathBuf,
    file: Arc<Opened>,
    group: usize,
}

impl Part {
    /// Those of a file that reach into a stretch of time.
    pub(super) fn of(path: &Path, span: Span) -> io::Result<impl Iterator<Item = Self>> {
        let file = Arc::new(Opened::open(path)?);
        let groups = file.groups_within((span.start.as_millisecond(), span.end.as_millisecond())).into_iter();
        Ok(groups.map(move |group| Self { path: path.to_owned(), file: file.clone(), group }))
    }

    fn blocks(&self, columns: &[&str], wanted: &Wanted) -> io::Result<Vec<Block>> {
        let tables = self.file.batches(self.group, Some(columns))?;
        let blocks = tables.map(|table| Ok(session_blocks::block(&table?, wanted)));
        blocks.filter(|block| block.as_ref().map_or(true, |block: &Block| !block.is_empty())).collect()
    }
}

/// What is read of each part.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) columns: &'a [&'static str],
    pub(super) wanted: &'a Wanted,
}

impl Reader<'_> {
    /// The blocks of all parts, in the order of the parts.
    pub(super) fn read(self, parts: &[Part], each: &mut dyn FnMut(&Block)) -> io::Result<()> {
        let threads = available_parallelism().map_or(1, |processors| processors.get().min(THREADS)).min(parts.len());
        if threads < 2 {
            return parts.iter().try_for_each(|part| {
                self.blocks(part)?.iter().for_each(&mut *each);
                Ok(())
            });
        }
        scope(|scope| {
            let readers: Vec<_> = (0..threads).map(|first| self.spawn(scope, parts, first, threads)).collect::<io::Result<_>>()?;
            for reader in (0..parts.len()).map(|number| &readers[number % threads]) {
                let blocks = reader.recv().map_err(|_| io::Error::other("a thread that reads the history ended"))??;
                blocks.iter().for_each(&mut *each);
            }
            Ok(())
        })
    }

    /// Reads every so manieth part, one ahead of who takes them.
    fn spawn<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        parts: &'scope [Part],
        first: usize,
        step: usize,
    ) -> io::Result<Receiver<io::Result<Vec<Block>>>>
    where
        Self: 'scope,
    {
        let (sender, receiver) = sync_channel(1);
        Builder::new().name("history reader".to_owned()).spawn_scoped(scope, move || {
            let mine = parts.iter().skip(first).step_by(step);
            // Nobody takes more after an error.
            let _ = mine.map(|part| self.blocks(part)).try_for_each(|blocks| sender.send(blocks));
        })?;
        Ok(receiver)
    }

    fn blocks(self, part: &Part) -> io::Result<Vec<Block>> {
        part.blocks(self.columns, self.wanted).map_err(|error| at(&part.path, &error))
    }
}
