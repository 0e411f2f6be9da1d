//! Where history lies: names of files, and what each of them covers.
//!
//! ```text
//! history/
//!   lock                                            held by the one agent that writes
//!   catalog.db                                      texts, snapshots, baselines (SQLite)
//!   journal/server=NAME/2026-11-21T03-00000042.journal
//!   ash/server=NAME/date=2026-11-21/03-00000042.parquet            one hour
//!   texts/server=NAME/texts.parquet                 texts of statements, from the catalog, for others to read
//!   ash/server=NAME/date=2026-11-20/day-00000018-00000041.parquet  a day, made of what had these numbers
//! ```
//! Numbers only grow. While a journal is there, what was sealed from it is not valid yet; once a day's file is there, hours whose
//! numbers it spans are no longer valid. So a crash between two steps leaves nothing twice.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};
use pgtend_model::past::Span;
use std::io;
use std::path::{Path, PathBuf};

/// The hour that a journal covers, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Hour {
    pub(super) date: Date,
    pub(super) hour: i8,
}

impl Hour {
    /// The hour of an instant.
    pub(super) fn of(at: Timestamp) -> Self {
        let civil = at.to_zoned(TimeZone::UTC).datetime();
        Self { date: civil.date(), hour: civil.hour() }
    }

    /// From when to when.
    pub(super) fn span(self) -> Span {
        let start = self.date.at(self.hour, 0, 0, 0).to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).unwrap_or_default();
        Span::new(start, start.checked_add(jiff::Span::new().hours(1)).unwrap_or(start))
    }
}

/// From when to when a date lasts, in UTC.
pub(super) fn day(date: Date) -> Span {
    let start = Hour { date, hour: 0 }.span().start;
    Span::new(start, start.checked_add(jiff::Span::new().hours(24)).unwrap_or(start))
}

/// A journal's file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct JournalFile {
    pub(super) hour: Hour,
    pub(super) number: u64,
    pub(super) path: PathBuf,
}

/// A sealed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) date: Date,
    /// The hour; none for a whole day.
    pub(super) hour: Option<i8>,
    /// The first and the last of the numbers that it is made of.
    pub(super) numbers: (u64, u64),
    pub(super) bytes: u64,
    pub(super) path: PathBuf,
}

impl Sealed {
    /// The time that it covers.
    pub(super) fn span(&self) -> Span {
        self.hour.map_or_else(|| day(self.date), |hour| Hour { date: self.date, hour }.span())
    }
}

/// The places of one history.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(super) fn catalog(&self) -> PathBuf {
        self.root.join("catalog.db")
    }

    fn journals_of(&self, server: &str) -> PathBuf {
        self.root.join("journal").join(partition("server", server))
    }

    /// The directory of a dataset's date.
    pub(super) fn date(&self, dataset: &str, server: &str, date: Date) -> PathBuf {
        self.dataset(dataset, server).join(partition("date", &date.to_string()))
    }

    /// Where the texts of a server's statements are for others to read.
    pub(super) fn texts(&self, server: &str) -> PathBuf {
        self.dataset("texts", server).join("texts.parquet")
    }

    fn dataset(&self, dataset: &str, server: &str) -> PathBuf {
        self.root.join(dataset).join(partition("server", server))
    }

    /// Where a journal of this hour and number is to be.
    pub(super) fn journal(&self, server: &str, hour: Hour, number: u64) -> JournalFile {
        let path = self.journals_of(server).join(format!("{}T{:02}-{number:08}.journal", hour.date, hour.hour));
        JournalFile { hour, number, path }
    }

    /// Where what is sealed from a journal is to be.
    pub(super) fn sealed(&self, dataset: &str, server: &str, journal: &JournalFile) -> PathBuf {
        self.date(dataset, server, journal.hour.date).join(format!("{:02}-{:08}.parquet", journal.hour.hour, journal.number))
    }

    /// Where a day that is made of these numbers is to be.
    pub(super) fn sealed_day(&self, dataset: &str, server: &str, date: Date, numbers: (u64, u64)) -> PathBuf {
        self.date(dataset, server, date).join(format!("day-{:08}-{:08}.parquet", numbers.0, numbers.1))
    }

    /// The journals of a server, in the order of their numbers.
    pub(super) fn journals(&self, server: &str) -> io::Result<Vec<JournalFile>> {
        let mut journals: Vec<JournalFile> = entries(&self.journals_of(server))?.into_iter().filter_map(journal).collect();
        journals.sort_by_key(|journal| journal.number);
        Ok(journals)
    }

    /// The servers of which there is anything.
    pub(super) fn servers(&self) -> io::Result<Vec<String>> {
        let mut servers: Vec<String> = Vec::new();
        for dataset in self.datasets()?.into_iter().chain(["journal".to_owned()]) {
            servers.extend(entries(&self.root.join(dataset))?.iter().filter_map(|path| value(path, "server")));
        }
        servers.sort();
        servers.dedup();
        Ok(servers)
    }

    /// The datasets of which there is anything.
    pub(super) fn datasets(&self) -> io::Result<Vec<String>> {
        let names = entries(&self.root)?.into_iter().filter(|path| path.is_dir());
        let names = names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let mut names: Vec<String> = names.filter(|name| name != "journal").collect();
        names.sort();
        Ok(names)
    }

    /// The sealed files of a dataset that count, in the order of time.
    pub(super) fn sealed_files(&self, dataset: &str, server: &str) -> io::Result<Vec<Sealed>> {
        let journals = self.journals(server)?;
        let mut files = Vec::new();
        for directory in entries(&self.dataset(dataset, server))? {
            let Some(date) = value(&directory, "date").and_then(|date| date.parse().ok()) else { continue };
            files.extend(valid(entries(&directory)?.into_iter().filter_map(|path| sealed(date, path)).collect(), &journals).0);
        }
        files.sort_by_key(|file| (file.date, file.hour, file.numbers));
        Ok(files)
    }

    /// The sealed files of a dataset that no longer count, or do not count yet.
    pub(super) fn superseded(&self, dataset: &str, server: &str) -> io::Result<Vec<Sealed>> {
        let mut files = Vec::new();
        for directory in entries(&self.dataset(dataset, server))? {
            let Some(date) = value(&directory, "date").and_then(|date| date.parse().ok()) else { continue };
            files.extend(valid(entries(&directory)?.into_iter().filter_map(|path| sealed(date, path)).collect(), &[]).1);
        }
        Ok(files)
    }

    /// The greatest number in use.
    pub(super) fn greatest_number(&self) -> io::Result<u64> {
        let mut greatest = 0;
        for server in self.servers()? {
            greatest = self.journals(&server)?.iter().map(|journal| journal.number).max().unwrap_or(0).max(greatest);
            for dataset in self.datasets()? {
                greatest = self.sealed_files(&dataset, &server)?.iter().map(|file| file.numbers.1).max().unwrap_or(0).max(greatest);
            }
        }
        Ok(greatest)
    }
}

/// Parts the files that count from those that a day's file, or a journal that is still there, stands for.
fn valid(files: Vec<Sealed>, journals: &[JournalFile]) -> (Vec<Sealed>, Vec<Sealed>) {
    let days: Vec<(PathBuf, (u64, u64))> =
        files.iter().filter(|file| file.hour.is_none()).map(|file| (file.path.clone(), file.numbers)).collect();
    let stands = |file: &Sealed| {
        let spanned = days.iter().any(|(path, (first, last))| {
            *path != file.path && *first <= file.numbers.0 && file.numbers.1 <= *last && (*first, *last) != file.numbers
        });
        let spanned = spanned || (file.hour.is_some() && days.iter().any(|(_, numbers)| *numbers == file.numbers));
        let early = file.hour.is_some() && journals.iter().any(|journal| journal.number == file.numbers.0);
        !spanned && !early
    };
    files.into_iter().partition(|file| stands(file))
}

/// `key=value`, with what a file name cannot hold written as %XX.
fn partition(key: &str, value: &str) -> String {
    use std::fmt::Write as _;
    let mut name = format!("{key}=");
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            name.push(char::from(byte));
        } else {
            let _never_fails = write!(name, "%{byte:02X}");
        }
    }
    name
}

fn value(path: &Path, key: &str) -> Option<String> {
    let written = path.file_name()?.to_str()?.strip_prefix(key)?.strip_prefix('=')?;
    let (mut bytes, mut rest) = (Vec::new(), written.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// What is in a directory; nothing when it is not there.
fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn journal(path: PathBuf) -> Option<JournalFile> {
    let name = path.file_name()?.to_str()?.strip_suffix(".journal")?;
    let (hour, number) = name.rsplit_once('-')?;
    let (date, hour) = hour.split_once('T')?;
    let hour = Hour { date: date.parse().ok()?, hour: hour.parse().ok()? };
    Some(JournalFile { hour, number: number.parse().ok()?, path })
}

fn sealed(date: Date, path: PathBuf) -> Option<Sealed> {
    let name = path.file_name()?.to_str()?.strip_suffix(".parquet")?;
    let bytes = path.metadata().map_or(0, |metadata| metadata.len());
    if let Some(numbers) = name.strip_prefix("day-") {
        let (first, last) = numbers.split_once('-')?;
        return Some(Sealed { date, hour: None, numbers: (first.parse().ok()?, last.parse().ok()?), bytes, path });
    }
    let (hour, number) = name.split_once('-')?;
    let number = number.parse().ok()?;
    Some(Sealed { date, hour: Some(hour.parse().ok()?), numbers: (number, number), bytes, path })
}

/// The instant, cut to whole ms.
pub(super) fn to_ms(at: Timestamp) -> Timestamp {
    at.round(Unit::Millisecond).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
    }

    fn names(files: &[Sealed]) -> Vec<&str> {
        files.iter().filter_map(|file| file.path.file_name()?.to_str()).collect()
    }

    #[test]
    fn a_journal_hides_what_was_sealed_from_it_and_a_day_its_hours() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path());
        let hour = Hour::of("2026-11-21T03:12:00Z".parse().unwrap());
        for number in [1, 2, 3] {
            let journal = layout.journal("main", Hour { hour: i8::try_from(number).unwrap(), ..hour }, number);
            touch(&layout.sealed("ash", "main", &journal));
            if number == 3 {
                touch(&journal.path);
            }
        }
        assert_eq!(names(&layout.sealed_files("ash", "main").unwrap()), ["01-00000001.parquet", "02-00000002.parquet"]);
        touch(&layout.sealed_day("ash", "main", hour.date, (1, 2)));
        assert_eq!(names(&layout.sealed_files("ash", "main").unwrap()), ["day-00000001-00000002.parquet"]);
        assert_eq!(names(&layout.superseded("ash", "main").unwrap()).len(), 2);
        assert_eq!(layout.greatest_number().unwrap(), 3);
    }

    #[test]
    fn any_name_of_a_server_makes_one_directory() {
        for name in ["main", "a b/../c", "größe", "%41", "x=y"] {
            let path = Path::new("/history/ash").join(partition("server", name));
            assert_eq!(path.components().count(), 4, "{path:?}");
            assert_eq!(value(&path, "server").as_deref(), Some(name));
        }
    }

    #[test]
    fn an_hour_lasts_from_its_first_instant_to_the_next_ones() {
        let span = Hour::of("2026-11-21T03:59:59.999Z".parse().unwrap()).span();
        assert_eq!((span.start.to_string(), span.end.to_string()), ("2026-11-21T03:00:00Z".to_owned(), "2026-11-21T04:00:00Z".to_owned()));
    }
}
