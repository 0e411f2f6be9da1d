//! Reads pages that look wrong again, until it is clear whether they are damaged.

use super::file::{Opened, damage, read_fully};
use super::{Manner, Outcome, Progress};
use crate::files::page::{self, Header, HeaderFault, Verdict};
use pgtend_model::pgdata::Lsn;
use pgtend_model::sample::Reason;
use pgtend_model::verify::DamageKind;
use pgtend_model::verify::suspect::{Ruling, Seen, Suspect};
use std::io;

/// A page that looked wrong when it was last read.
pub(super) struct Doubt {
    /// Its number in the file.
    pub(super) index: u32,
    /// Its number in the fork.
    pub(super) block: u32,
    pub(super) verdict: Verdict,
    pub(super) lsn: Lsn,
    pub(super) suspect: Suspect,
}

/// Settles all doubts about a file. They wait together, so many take no longer than one.
pub(super) fn settle(manner: &Manner<'_>, opened: &Opened<'_>, mut doubts: Vec<Doubt>, outcome: &mut Outcome, progress: &Progress) {
    let mut page = vec![0; manner.control.block_bytes as usize];
    while !doubts.is_empty() {
        let server_runs = (manner.server_runs)();
        let wait = doubts.iter().map(|doubt| doubt.suspect.wait(server_runs)).max().unwrap_or_default();
        std::thread::sleep(wait);
        doubts.retain_mut(|doubt| {
            let seen = look_again(manner, opened, doubt, &mut page);
            match doubt.suspect.rule(seen, server_runs) {
                Ruling::LookAgain => return true,
                Ruling::InFlux => outcome.checked.pages_in_flux += 1,
                Ruling::Gone => {}
                Ruling::Damaged => outcome.damaged(told(manner, opened, doubt), progress),
                Ruling::Restless => {
                    let detail = format!("page {} was being written each time it was read, and never read right", doubt.block);
                    outcome.unchecked(&opened.subject.path, Reason::Failed, detail);
                }
            }
            false
        });
    }
}

fn look_again(manner: &Manner<'_>, opened: &Opened<'_>, doubt: &mut Doubt, page: &mut [u8]) -> Seen {
    let at = u64::from(doubt.index) * u64::from(manner.control.block_bytes);
    match read_fully(&opened.file, page, at) {
        Ok(read) if read < page.len() => return Seen::Gone,
        Ok(_) => {}
        // It could be read a moment ago: nothing new is known.
        Err(_) => return Seen::Wrong(doubt.suspect.fingerprint),
    }
    let verdict = page::judge(page, doubt.block, manner.control.has_checksums());
    if verdict.is_good() {
        return Seen::Right;
    }
    // A relation that was dropped is still there for who has it open.
    if is_removed(opened) {
        return Seen::Gone;
    }
    doubt.verdict = verdict;
    doubt.lsn = Header::of(page).lsn;
    Seen::Wrong(crc32c::crc32c(page))
}

fn is_removed(opened: &Opened<'_>) -> bool {
    use std::os::unix::fs::MetadataExt;
    let links: io::Result<u64> = opened.file.metadata().map(|metadata| metadata.nlink());
    links.is_ok_and(|links| links == 0)
}

fn told(manner: &Manner<'_>, opened: &Opened<'_>, doubt: &Doubt) -> pgtend_model::verify::Damage {
    let (kind, expected, found, detail) = match doubt.verdict {
        Verdict::Checksum { stored, computed } => {
            let detail = format!("the page carries the checksum {stored}, its contents give {computed}");
            (DamageKind::ChecksumMismatch, Some(stored), Some(computed), detail)
        }
        Verdict::Header(fault) => (DamageKind::PageHeader, None, None, header_fault(fault).to_owned()),
        _ => (DamageKind::NewPageNotZero, None, None, "the header says that the page was never used, but it is not empty".to_owned()),
    };
    let mut damage = damage(opened, kind, detail);
    damage.block = Some(doubt.block);
    damage.expected = expected.map(u64::from);
    damage.found = found.map(u64::from);
    damage.offset_bytes = Some(u64::from(doubt.index) * u64::from(manner.control.block_bytes));
    damage.lsn = Some(doubt.lsn);
    damage
}

fn header_fault(fault: HeaderFault) -> &'static str {
    match fault {
        HeaderFault::Flags => "the page has flags that mean nothing",
        HeaderFault::Bounds => "the parts of the page overlap or reach beyond it",
        HeaderFault::Special => "the access method's part of the page begins where none can",
        HeaderFault::Size => "the page says that it has another size or layout",
    }
}
