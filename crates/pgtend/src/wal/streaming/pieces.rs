//! The open segment on its way to one repository, piece by piece.

use super::super::places::{Place, open_piece};
use super::source::Source;
use pgtend_model::backup::wal_open::{OpenPiece, Standing, chain, differs, next_from, standing};
use pgtend_model::error::{Error, Kind, Result, Retry};
use pgtend_model::pgdata::Lsn;
use pgtend_model::pgdata::wal::Segment;
use pgtend_postgres::wal_session::Position;
use pgtend_store::repo::Repository;
use pgtend_store::repo::open_wal::WalPiece;
use pgtend_store::repo::wal::Pushed;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How often it is looked whether segments came that were left long ago, on another timeline for example.
const OLD_EVERY: Duration = Duration::from_secs(60);

/// What one repository has in pieces.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// None before the repository was asked, and after something failed.
    known: Option<Vec<WalPiece>>,
    old_looked_at: Option<Instant>,
    /// Whether what is there of the open segment ends in a record that a crash cut off.
    cut_off: bool,
    /// Pieces that were stored.
    pub count: u64,
    /// Bytes that they took.
    pub stored_bytes: u64,
}

impl Pieces {
    /// Brings what was flushed since the last round, and takes away the pieces of segments that are whole by now.
    pub fn round(&mut self, place: &Place, source: &Source, at: Position, level: i32) -> Result<()> {
        let open = Segment::holding(at.timeline, at.flushed, source.size());
        let result = self.take_stock(place, source, at, open).and_then(|()| {
            self.bring(place, source, at, open, level)?;
            self.sweep(place, source, open)
        });
        if result.is_err() {
            self.known = None;
        }
        result
    }

    /// Up to where a segment is there; its start where nothing of it is.
    pub fn reach(&self, segment: Segment, source: &Source) -> Lsn {
        let last = self.chain(segment, source).last().map_or(0, |piece| piece.to_byte);
        Lsn(segment.start(source.size()).0 + u64::from(last))
    }

    fn all(&self) -> &[WalPiece] {
        self.known.as_deref().unwrap_or_default()
    }

    fn chain(&self, segment: Segment, source: &Source) -> Vec<OpenPiece> {
        let pieces: Vec<OpenPiece> = self.all().iter().filter_map(|piece| open_piece(piece, source.size())).collect();
        chain(&pieces, segment)
    }

    /// Asks what is there. What is there of the open segment must be what this server wrote.
    fn take_stock(&mut self, place: &Place, source: &Source, at: Position, open: Segment) -> Result<()> {
        if self.known.is_some() {
            return Ok(());
        }
        let (repository, owner) = (place.repository()?, &source.origin.owner);
        self.known = Some(repository.wal_pieces(owner)?);
        let standing = if repository.reads() {
            self.standing(place, source, at, open)?
        } else {
            self.standing_by_pieces(repository, source, at, open)?
        };
        if standing == Standing::Foreign {
            return Err(foreign(&open.name(source.size())).at(repository.shown()));
        }
        self.cut_off = standing == Standing::CutOff;
        Ok(())
    }

    fn standing(&self, place: &Place, source: &Source, at: Position, open: Segment) -> Result<Standing> {
        let there = place.beginning(&source.origin.owner, open, source.size())?.unwrap_or_default();
        let both = flushed(at, open, source).min(u32::try_from(there.len()).unwrap_or(u32::MAX));
        // A segment of which nothing is flushed need not be there.
        let own = if both == 0 { Vec::new() } else { source.read(open, 0, both)? };
        let is_damaged = self.chain(open, source).last().is_some_and(|piece| piece.to_byte as usize != there.len());
        Ok(match standing(&there, &own) {
            Standing::Same if is_damaged => Standing::CutOff,
            standing => standing,
        })
    }

    /// The same where this host cannot read what it wrote: a piece is the same or is not.
    fn standing_by_pieces(&self, repository: &Repository, source: &Source, at: Position, open: Segment) -> Result<Standing> {
        let chain = self.chain(open, source);
        let reached = chain.last().map_or(0, |piece| piece.to_byte);
        for piece in chain {
            let named = WalPiece::new(&open.name(source.size()), piece.from_byte, piece.to_byte);
            let is_same = piece.to_byte <= flushed(at, open, source) && {
                let own = source.read(open, piece.from_byte, piece.to_byte)?;
                repository.has_same_wal_piece(&source.origin.owner, &named, &own)?
            };
            if !is_same {
                return Ok(differs(reached - piece.from_byte));
            }
        }
        Ok(Standing::Same)
    }

    fn bring(&mut self, place: &Place, source: &Source, at: Position, open: Segment, level: i32) -> Result<()> {
        let name = open.name(source.size());
        let flushed = flushed(at, open, source);
        let there = self.chain(open, source);
        let reached = if self.cut_off { 0 } else { there.last().map_or(0, |piece| piece.to_byte) };
        let from = next_from(there.len(), reached);
        let piece = WalPiece::new(&name, from, flushed);
        // The name of what a crash cut off is free again when more is written.
        if flushed <= reached || self.all().iter().any(|other| other.name() == piece.name()) {
            return Ok(());
        }
        let content = source.read(open, from, flushed)?;
        if let Pushed::New(bytes) = place.push_piece(&source.origin, &piece, &content, level)? {
            self.count += 1;
            self.stored_bytes += bytes as u64;
        }
        if from == 0 {
            self.remove(place, source, |other| other.segment == name)?;
        }
        self.known.get_or_insert_default().push(piece);
        self.cut_off = false;
        Ok(())
    }

    fn sweep(&mut self, place: &Place, source: &Source, open: Segment) -> Result<()> {
        let old_too = self.old_looked_at.is_none_or(|at| at.elapsed() >= OLD_EVERY);
        if old_too {
            self.old_looked_at = Some(Instant::now());
        }
        let segments: BTreeSet<Segment> = self
            .all()
            .iter()
            .filter_map(|piece| Segment::of_name(&piece.segment, source.size()))
            .filter(|segment| *segment != open)
            .collect();
        for segment in segments.into_iter().filter(|segment| old_too || segment.number + 4 > open.number) {
            let name = segment.name(source.size());
            if place.repository()?.has_wal(&source.origin.owner, &name)? {
                self.remove(place, source, |piece| piece.segment == name)?;
            }
        }
        Ok(())
    }

    fn remove(&mut self, place: &Place, source: &Source, goes: impl Fn(&WalPiece) -> bool) -> Result<()> {
        let repository = place.repository()?;
        for piece in self.all().iter().filter(|piece| goes(piece)) {
            repository.remove_wal_piece(&source.origin.owner, piece)?;
        }
        self.known.get_or_insert_default().retain(|piece| !goes(piece));
        Ok(())
    }
}

/// How much of the open segment is flushed.
fn flushed(at: Position, open: Segment, source: &Source) -> u32 {
    u32::try_from(at.flushed.0 - open.start(source.size()).0).unwrap_or(0)
}

fn foreign(segment: &str) -> Error {
    Error::new(Kind::Conflict, format!("what the repository has of the open segment {segment} is not what this server wrote"))
        .hint("two servers write into one place: a clone, or a copy that went on by itself; give one of them another name, and take a new backup of it")
        .retry(Retry::Never)
}
