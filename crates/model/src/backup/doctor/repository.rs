//! A repository: whether it can be reached and written, whether what is in it is sound and new enough, and how long its room lasts.

use super::checks::{bytes, fail, failed, not_known, ok, time, unknown, warn};
use super::server::clock;
use super::{Asked, Check, DiskFacts, ExpectedFacts, Facts, FileFacts, RepositoryFacts, WalFacts};
use crate::backup::BackupHead;
use jiff::{SignedDuration, Timestamp};

/// A disk that is full sooner is told.
const FULL_SOON_DAYS: u64 = 30;
const FULL_NOW_DAYS: u64 = 3;
/// How much later than its turn a backup may come.
const GRACE: SignedDuration = SignedDuration::from_hours(1);
/// WAL of a server that writes comes more often.
const WAL_OLD: SignedDuration = SignedDuration::from_hours(1);

/// All checks of a repository.
pub fn checks(repository: &RepositoryFacts, facts: &Facts) -> Vec<Check> {
    let name = repository.name.as_str();
    let mut checks = Vec::new();
    match &repository.probed {
        Ok(seconds) => checks.push(ok("storage", name, format!("{} was written to, read and listed in {seconds:.2} s", repository.place))),
        Err(error) => {
            checks.push(failed("storage", name, error));
            checks.extend(repository.directory.as_ref().map(|directory| own_directory(directory, facts)));
            checks.extend(repository.key_file.as_ref().map(|key| key_file(key, repository)));
            for id in ["space", "backups", "age", "sample", "wal", "locks"] {
                checks.push(unknown(id, name, "the repository could not be opened or written to", "mend that first"));
            }
            return checks;
        }
    }
    checks.extend(repository.directory.as_ref().map(|directory| own_directory(directory, facts)));
    checks.extend(repository.key_file.as_ref().map(|key| key_file(key, repository)));
    checks.push(match &repository.clock {
        Ok(storage) => clock("storage_clock", name, "the storage's clock", storage.ahead),
        Err(error) => not_known("storage_clock", name, error),
    });
    let heads = repository.backups.as_ref().map_or(&[][..], |(heads, _)| heads);
    checks.push(space(name, repository.disk.as_ref(), heads, facts.now));
    checks.push(intact(repository));
    checks.extend(repository.expected.iter().map(|expected| age(name, expected, facts.now)));
    checks.extend(repository.expected.iter().filter_map(|expected| attempt(name, expected)));
    checks.extend(repository.sample.as_ref().map(|sample| match sample {
        Ok(sample) => ok(
            "sample",
            name,
            format!("{} of {} extents of {} were read and are what their names say", sample.extents, sample.of, sample.label),
        ),
        Err(error) if repository.reads => failed("sample", name, error),
        Err(error) => not_known("sample", name, error),
    }));
    checks.push(verified(repository, facts.now));
    checks.extend(repository.wal.as_ref().map(|wal| continuity(name, wal, facts.now)));
    checks.push(locks(repository));
    checks
}

fn own_directory(directory: &Asked<FileFacts>, facts: &Facts) -> Check {
    let id = "repository_directory";
    let directory = match directory {
        Ok(directory) => directory,
        Err(error) => return failed(id, &facts.server, error),
    };
    let path = directory.path.as_str();
    if !directory.readable || !directory.writable {
        return fail(
            id,
            path,
            format!("{} may not read and write it; it belongs to {}", facts.host.user, directory.owner),
            format!("chown -R {} {path}", facts.host.user),
        );
    }
    if directory.mode & 0o022 != 0 {
        return warn(id, path, format!("its mode is {:04o}: others may write to it", directory.mode), format!("chmod 0700 {path}"));
    }
    ok(id, path, format!("it belongs to {}, mode {:04o}", directory.owner, directory.mode))
}

fn key_file(key: &Asked<FileFacts>, repository: &RepositoryFacts) -> Check {
    let id = "key_file";
    let key = match key {
        Ok(key) => key,
        Err(error) => return failed(id, &repository.name, error),
    };
    if !key.readable {
        return fail(id, &key.path, "the agent's user may not read it", "chown it to the agent's user, mode 0600");
    }
    if key.mode & 0o077 != 0 {
        return fail(
            id,
            &key.path,
            format!("its mode is {:04o}: others can read what opens the backups", key.mode),
            format!("chmod 0600 {}", key.path),
        );
    }
    if repository.key_inside {
        return fail(id, &key.path, "the key lies in the repository that it opens: whoever has one has both", "move it, and set key_file");
    }
    ok(id, &key.path, "it can be read by the agent alone. Without it there is no restore: is there a copy elsewhere?")
}

/// How long the room lasts, by what the backups of the last weeks took.
fn space(name: &str, disk: Option<&DiskFacts>, heads: &[BackupHead], now: Timestamp) -> Check {
    let id = "space";
    let Some(disk) = disk else {
        return unknown(id, name, "a bucket does not tell its quota", "set an alarm on the bucket's size where your provider has one");
    };
    let free = disk.free_bytes;
    let growth = growth_a_day(heads, now);
    let largest = heads.iter().rev().take(5).map(|head| head.stored_bytes).max().unwrap_or(0);
    let fix = "make room, move the repository, or keep fewer backups (keep_days, keep_count); `pgtend backup expire --dry-run` tells what would go";
    let Some(growth) = growth.filter(|growth| *growth > 0) else {
        return super::host::room(id, disk, name, 1 << 30);
    };
    let days = free / growth;
    let found = format!("{} are free, backups took {} a day: enough for {days} days; WAL comes on top", bytes(free), bytes(growth));
    if days < FULL_NOW_DAYS || free < largest {
        return fail(id, name, found, fix);
    }
    if days < FULL_SOON_DAYS {
        return warn(id, name, found, fix);
    }
    ok(id, name, found)
}

/// What all backups but the first of the last 30 days took a day: the first one takes everything.
pub fn growth_a_day(heads: &[BackupHead], now: Timestamp) -> Option<u64> {
    let since = now - SignedDuration::from_hours(30 * 24);
    let recent: Vec<&BackupHead> = heads.iter().skip(1).filter(|head| head.started >= since).collect();
    let first = heads.iter().rev().take(recent.len() + 1).next_back().filter(|_| !recent.is_empty())?;
    let hours = u64::try_from(now.duration_since(first.started).as_hours()).ok().filter(|hours| *hours >= 6)?;
    let stored: u64 = recent.iter().map(|head| head.stored_bytes).sum();
    Some(stored * 24 / hours)
}

fn intact(repository: &RepositoryFacts) -> Check {
    let (id, name) = ("backups", repository.name.as_str());
    match &repository.backups {
        Err(error) => failed(id, name, error),
        Ok((heads, damaged)) if damaged.is_empty() => {
            let incomplete = heads.iter().filter(|head| head.warning_count > 0 || head.checksums.wrong_pages > 0).count();
            let found = format!("{} backups, all of them readable", heads.len());
            match incomplete {
                0 => ok(id, name, found),
                some => {
                    warn(id, name, format!("{found}; {some} with wrong pages or missing files"), "`pgtend backup show LABEL` names them")
                }
            }
        }
        Ok((heads, damaged)) => {
            let first = damaged.first().map(|error| format!("{} ({})", error.what, error.place)).unwrap_or_default();
            fail(
                id,
                name,
                format!("{} of {} backups cannot be read: {first}", damaged.len(), heads.len() + damaged.len()),
                "`pgtend repo verify` tells what is hurt; take a backup now",
            )
        }
    }
}

fn age(name: &str, expected: &ExpectedFacts, now: Timestamp) -> Check {
    let id = "age";
    let kind = expected.what.as_str();
    let Some(newest) = &expected.newest else {
        return fail(id, name, format!("there is no {kind} backup"), "take one: `pgtend backup run` (--logical, --files NAME)");
    };
    let old = now.duration_since(newest.finished);
    let Some(every) = expected.every else {
        return ok(id, name, format!("the newest {kind} backup is {} old; they are taken by hand", time(old)));
    };
    let found = format!("the newest {kind} backup, {}, is {} old, and one is due every {}", newest.label, time(old), time(every));
    if old > every + every + GRACE {
        return fail(id, name, found, "`pgtend backup list` and the agent's log say why none came");
    }
    if old > every + GRACE {
        return warn(id, name, found, "`pgtend backup list` and the agent's log say why none came");
    }
    if newest.warnings > 0 || newest.wrong_pages > 0 {
        return warn(
            id,
            name,
            format!("{found}; {} things are missing in it, {} pages are wrong", newest.warnings, newest.wrong_pages),
            format!("`pgtend backup show {}`", newest.label),
        );
    }
    ok(id, name, found)
}

fn attempt(name: &str, expected: &ExpectedFacts) -> Option<Check> {
    let error = expected.failed.as_ref()?;
    Some(fail("last_attempt", name, format!("the last {} backup failed: {}", expected.what, error.what), error.hint.clone()))
}

fn verified(repository: &RepositoryFacts, now: Timestamp) -> Check {
    let (id, name) = ("verified", repository.name.as_str());
    match repository.verified {
        Some(last) if !last.sound => fail(
            id,
            name,
            format!("the last `pgtend repo verify`, {} ago, found damage", time(now.duration_since(last.at))),
            "`pgtend repo verify` names the backups that are hurt",
        ),
        Some(last) => ok(id, name, format!("`pgtend repo verify` found all sound {} ago", time(now.duration_since(last.at)))),
        None => unknown(id, name, "this agent has never read the whole repository", "`pgtend repo verify` does"),
    }
}

fn continuity(name: &str, wal: &Asked<WalFacts>, now: Timestamp) -> Check {
    let id = "wal";
    let wal = match wal {
        Ok(wal) => wal,
        Err(error) => return failed(id, name, error),
    };
    if let Some(segment) = &wal.broken_by {
        return fail(
            id,
            name,
            format!("WAL is missing from {segment} on, after the newest backup: no later moment can be reached"),
            "take a backup now: `pgtend backup run`",
        );
    }
    let Some(last) = wal.last else {
        return warn(id, name, "no WAL has come yet", "does archive_command call `pgtend wal push`? `pgtend wal status` tells");
    };
    let old = now.duration_since(last);
    let waiting = wal.waiting.unwrap_or(0);
    let found = format!("the newest segment came {} ago, {waiting} wait, {} gaps before the newest backup", time(old), wal.gaps);
    if waiting > 0 && old > WAL_OLD {
        return fail(id, name, found, "`pgtend wal status` says why they wait");
    }
    ok(id, name, found)
}

fn locks(repository: &RepositoryFacts) -> Check {
    let (id, name) = ("locks", repository.name.as_str());
    match &repository.locks {
        Err(error) => not_known(id, name, error),
        Ok(locks) => match locks.iter().find(|lock| lock.left_over) {
            Some(lock) => warn(
                id,
                name,
                format!("the lock {} is left over from {} on {}", lock.name, lock.what, lock.host),
                "nothing to do: the next one who wants it takes it over",
            ),
            None if locks.is_empty() => ok(id, name, "nobody holds a lock"),
            None => ok(id, name, format!("{} goes on", locks.iter().map(|lock| lock.what.as_str()).collect::<Vec<_>>().join(", "))),
        },
    }
}
