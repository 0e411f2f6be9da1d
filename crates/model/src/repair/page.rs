//! Whether a page that was brought back may take the place of the one in the file.

use crate::pgdata::Lsn;

/// A page, as far as it counts here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Whether header and checksum are right.
    pub sound: bool,
    /// Whether it was never used, and is empty.
    pub new: bool,
    /// Its LSN, as it stands there.
    pub lsn: Lsn,
    /// Where its special space begins: the same on all pages of a relation of one kind.
    pub special: u16,
    /// Page size and layout version.
    pub size_and_version: u16,
}

/// Why a page is not put in place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing to mend.
    #[error("the page in the file is sound")]
    NotDamaged,
    /// The relation is shorter there.
    #[error("the backup, rolled forward, has no such page: the relation is shorter there")]
    Absent,
    /// The copy is damaged, too.
    #[error("the page is damaged in the backup, too: try an older one (--backup)")]
    CopyDamaged,
    /// The copy is of another history.
    #[error("the page of the backup is of {copy}, beyond the end of this server's log at {end}: it is of another history")]
    BeyondLog {
        /// Its LSN.
        copy: Lsn,
        /// Where the log ends.
        end: Lsn,
    },
    /// The copy lacks changes.
    #[error(
        "the damaged page is of {damaged}, the one of the backup of {copy}: it may lack changes (--accept-older takes it all the same)"
    )]
    Older {
        /// The LSN on the damaged page, which may be damaged itself.
        damaged: Lsn,
        /// The copy's.
        copy: Lsn,
    },
    /// The copy is a page of something else.
    #[error("the page of the backup is laid out otherwise than the others of this relation")]
    OtherKind,
}

/// What was allowed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowed {
    /// A page that is older than the damaged one says it was.
    pub older: bool,
    /// A page over one that looks sound.
    pub over_sound: bool,
}

/// Judges a page. `neighbour` is a sound page of the same fork, where there is one; `end` is where the server's log ends.
///
/// # Errors
/// Why it is not put in place.
pub fn judge(live: Option<Seen>, copy: Option<Seen>, neighbour: Option<Seen>, end: Lsn, allowed: Allowed) -> Result<Seen, Refusal> {
    if live.is_some_and(|live| live.sound) && !allowed.over_sound {
        return Err(Refusal::NotDamaged);
    }
    let copy = copy.ok_or(Refusal::Absent)?;
    if !copy.sound {
        return Err(Refusal::CopyDamaged);
    }
    if copy.lsn > end {
        return Err(Refusal::BeyondLog { copy: copy.lsn, end });
    }
    if copy.new {
        return Ok(copy);
    }
    if let Some(neighbour) = neighbour.filter(|neighbour| neighbour.sound && !neighbour.new)
        && (neighbour.special, neighbour.size_and_version) != (copy.special, copy.size_and_version)
    {
        return Err(Refusal::OtherKind);
    }
    // An LSN beyond the end of the log is part of the damage and says nothing.
    if let Some(live) = live.filter(|live| live.lsn > copy.lsn && live.lsn <= end && !allowed.older) {
        return Err(Refusal::Older { damaged: live.lsn, copy: copy.lsn });
    }
    Ok(copy)
}

/// Reads a list of pages: `3,7-9`.
///
/// # Errors
/// What is wrong with it, in words.
pub fn list(text: &str) -> Result<Vec<u32>, String> {
    /// More at once are a matter for a restore.
    const AT_MOST: usize = 100_000;
    let mut pages = std::collections::BTreeSet::new();
    for part in text.split(',').map(str::trim) {
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| format!("\"{text}\" is no page number: write 3,7-9"));
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if first > last || (last - first) as usize >= AT_MOST {
            return Err(format!("\"{part}\" is no range of pages"));
        }
        pages.extend(first..=last);
    }
    if pages.len() > AT_MOST {
        Err("these are too many pages: restore the relation instead".to_owned())
    } else {
        Ok(pages.into_iter().collect())
    }
}

/// The same the other way: `3, 7-9`.
pub fn shown(pages: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &page in pages {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == page => *last = page,
            _ => runs.push((page, page)),
        }
    }
    let run = |(first, last): (u32, u32)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    runs.into_iter().map(run).collect::<Vec<_>>().join(",")
}
