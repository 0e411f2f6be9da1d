//! `[backup]` and `[[backup.repository]]`: where backups and WAL go, when, and how long they stay.

use super::choice::choice;
use super::effective::same_names;
use super::section::{Section, default_of, section};
use super::setting::Setting;
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// Backups of the servers that run beside this agent (those with a `data_directory`), with their WAL. Nothing is backed up unless
    /// there is a `[[backup.repository]]`.
    pub struct Backup, checked by check_backup {
        /// Where backups and WAL are kept. There can be several: each has every backup and all WAL.
        repository: Vec<Repository> = none, restart;
        /// When a backup is taken, as cron writes it, in the time zone of this machine. Every backup restores like a full one and costs what
        /// changed. `off`: by hand only.
        schedule: String = "'0 3 * * *'", restart;
        /// Threads that read, compress and encrypt; as many write.
        workers: usize = "2" in "1 to 64", restart;
        /// Level of zstd. 3 is quick; higher ones take much longer for little; 0 does not compress.
        compression_level: u32 = "3" in "0 to 19", restart;
        /// Whether changed extents are kept as the pages that changed, which needs the extents that they were; not with `recipients`, which
        /// cannot read.
        page_deltas: bool = "true", restart;
        /// How long a backup waits for the WAL that it needs to be in the repository.
        wal_timeout: Duration = "'10min'" in "1s to 1d", restart;
        /// Bytes a second that a backup reads from the server's disk at most. 0: as fast as it goes.
        max_read_bytes_per_second: u64 as "bytes" = "0" in "0 to 1TB", restart;
        /// Segments of WAL that are brought to the repository at once, when PostgreSQL is behind.
        wal_workers: usize = "2" in "1 to 32", restart;
        /// Segments that are fetched before recovery asks for them.
        wal_prefetch: usize = "8" in "0 to 256", restart;
        /// WAL that may wait in `pg_wal` for the repositories. An alarm is raised from half of it on. 0: any.
        max_wal_waiting_bytes: u64 as "bytes" = "'8GB'" in "0 to 1000TB", restart;
        /// What must stay free on the file system of `pg_wal` while WAL waits there. An alarm is raised from twice of it on. 0: nothing.
        min_wal_free_bytes: u64 as "bytes" = "'2GB'" in "0 to 1000TB", restart;
        /// Whether WAL that a repository does not take is dropped beyond these limits, so that the server goes on. Each dropped segment is
        /// noted as a gap, and no moment after it can be reached until the next backup. Otherwise PostgreSQL keeps all WAL, and stops when
        /// its disk is full.
        drop_wal_beyond_limits: bool = "false", restart;
        /// The Unix socket that `pgtend wal push` and `pgtend wal get` talk to. Not written: beside the API's socket, with the ending `.wal`.
        wal_socket: Option<PathBuf> = none, restart;
    }
}

section! {
    /// A place where backups and WAL are kept.
    pub struct Repository, checked by check_repository {
        /// What it is called: on the command line as `--repository`.
        name: String = "'main'", restart;
        /// A directory.
        path: Option<PathBuf> = none, restart;
        /// A bucket instead: `s3://bucket/prefix`.
        url: Option<String> = none, restart;
        /// The S3 service's address, where it is not Amazon's: `https://minio.example.com:9000`.
        endpoint: Option<String> = none, restart;
        /// The bucket's region. Without it, `AWS_REGION` says it.
        region: Option<String> = none, restart;
        /// The access key's identifier. Without it, credentials come from the environment or from the machine's role.
        access_key_id: Option<String> = none, restart;
        /// A file that holds the secret access key and nothing else.
        secret_access_key_file: Option<PathBuf> = none, restart;
        /// By what it is encrypted.
        encryption: Encryption = "'key_file'", restart;
        /// The key file. **Without it there is no restore: keep a copy elsewhere.** Made at set-up where it is not there. Not written:
        /// `repository-NAME.key` in the agent's state directory.
        key_file: Option<PathBuf> = none, restart;
        /// A file whose first line is the passphrase, with `encryption = "passphrase"`.
        passphrase_file: Option<PathBuf> = none, restart;
        /// age recipients (`age1…`) that may read, with `encryption = "recipients"`: this host writes without being able to read.
        recipients: Vec<String> = "[]", restart;
        /// Whether `archive_command` waits until WAL is durable here too. One that need not be there gets it later.
        required: bool = "true", restart;
        /// The newest backups that stay, whatever their age.
        keep_count: u32 = "2" in "1 to 10000", restart;
        /// Backups of the last so many days stay, with the WAL to reach every instant since the oldest of them.
        keep_days: u32 as "days" = "7" in "0 to 36500", restart;
        /// The last backup of each of so many weeks stays.
        keep_weekly: u32 = "0" in "0 to 10000", restart;
        /// The last backup of each of so many months stays.
        keep_monthly: u32 = "0" in "0 to 10000", restart;
        /// The last backup of each of so many years stays.
        keep_yearly: u32 = "0" in "0 to 1000", restart;
    }
}

impl Repository {
    /// A directory, opened by this key file, with defaults for the rest.
    pub fn in_directory(path: PathBuf, key_file: PathBuf) -> Self {
        fn default<T: Setting>(name: &str) -> T {
            #[expect(clippy::expect_used, reason = "called below with the names of its own fields only")]
            default_of(Repository::KEYS.iter().find(|key| key.name == name).expect("a key of [[backup.repository]]"))
        }
        Self {
            name: default("name"),
            path: Some(path),
            url: None,
            endpoint: None,
            region: None,
            access_key_id: None,
            secret_access_key_file: None,
            encryption: default("encryption"),
            key_file: Some(key_file),
            passphrase_file: None,
            recipients: Vec::new(),
            required: default("required"),
            keep_count: default("keep_count"),
            keep_days: default("keep_days"),
            keep_weekly: default("keep_weekly"),
            keep_monthly: default("keep_monthly"),
            keep_yearly: default("keep_yearly"),
        }
    }
}

choice! {
    /// By what a repository is encrypted.
    pub enum Encryption {
        /// A key file on this host.
        KeyFile = "key_file",
        /// A passphrase.
        Passphrase = "passphrase",
        /// age recipients; this host cannot read what it writes.
        Recipients = "recipients",
        /// Nothing. Damage is still detected.
        None = "none",
    }
}

fn check_backup(backup: &mut Backup, section: &Section<'_>) {
    same_names("repository", "repository", backup.repository.iter().map(|repository| repository.name.as_str()), section);
}

fn check_repository(repository: &mut Repository, section: &Section<'_>) {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if repository.name.is_empty() || repository.name.len() > 63 || !repository.name.chars().all(legal) {
        let what = format!("\"{}\" cannot be the name of a repository", repository.name);
        section.reject("name", what, "use up to 63 letters, digits, '.', '_' and '-'");
    }
    match (&repository.path, &repository.url) {
        (Some(_), None) => {}
        (None, Some(url)) if url.strip_prefix("s3://").is_some_and(|rest| !rest.is_empty()) => {}
        (None, Some(url)) => {
            section.reject("url", format!("backup.repository.url is \"{url}\""), "write s3://bucket/prefix, or path = \"/directory\"");
        }
        _ => section.reject("path", "a repository is either a directory (path) or a bucket (url)", "write one of the two"),
    }
    if repository.encryption == Encryption::Recipients && repository.recipients.is_empty() {
        section.reject("recipients", "nobody could read what this host writes", "write recipients = [\"age1…\"]");
    }
    if repository.encryption == Encryption::Passphrase && repository.passphrase_file.is_none() {
        section.reject("passphrase_file", "the passphrase is missing", "write passphrase_file = \"/path\"");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Effective, parse};
    use super::*;

    fn read(text: &str) -> Result<Effective, String> {
        let text = format!("[[server]]\nname = \"main\"\ndsn = \"\"\n{text}");
        parse(&text, "pgtend.toml").map(|parsed| parsed.effective).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_directory_is_enough() {
        let backup = read("[[backup.repository]]\npath = \"/srv/backup\"").unwrap().backup;
        let repository = &backup.repository[0];
        assert_eq!((repository.name.as_str(), repository.encryption, repository.keep_days), ("main", Encryption::KeyFile, 7));
        assert_eq!((backup.workers, backup.compression_level), (2, 3));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, complaint) in [
            ("[[backup.repository]]", "either a directory (path) or a bucket"),
            ("[[backup.repository]]\npath = \"/a\"\nurl = \"s3://b\"", "either a directory (path) or a bucket"),
            ("[[backup.repository]]\npath = \"backup\"", "is not absolute"),
            ("[[backup.repository]]\nurl = \"ftp://b\"", "write s3://bucket/prefix"),
            ("[[backup.repository]]\npath = \"/a\"\nencryption = \"recipients\"", "nobody could read"),
            ("[[backup.repository]]\npath = \"/a\"\nencryption = \"passphrase\"", "the passphrase is missing"),
            ("[[backup.repository]]\npath = \"/a\"\n[[backup.repository]]\npath = \"/b\"", "are called \"main\""),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(complaint), "{text}: {told}");
        }
    }
}
