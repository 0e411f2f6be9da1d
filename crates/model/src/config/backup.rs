//! `[backup]` and `[[backup.repository]]`: where backups and WAL go, when, and how long they stay.

use super::choice::choice;
use super::effective::same_names;
use super::section::{Section, default_of, section};
use super::setting::Setting;
use crate::backup::wal_stream::is_slot_name;
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// Backups of the servers that run beside this agent (those with a `data_directory`), with their WAL. Nothing is backed up unless
    /// there is a `[[backup.repository]]`.
    pub struct Backup, checked by check_backup {
        /// Where backups and WAL are kept. There can be several: each has every backup and all WAL.
        repository: Vec<Repository> = none, restart;
        /// Logical backups.
        logical: Logical = none, restart;
        /// Verification of the repositories.
        verify: RepoVerify = none, restart;
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
        /// By how much the server goes first: added to the nice value of the threads that read, compress and encrypt, and of pg_dump. Their reads queue accordingly
        /// where the kernel's I/O scheduler knows priorities.
        nice: u32 = "0" in "0 to 19", restart;
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
        /// Whether WAL is brought to the repositories every `stream_interval`, before its segment is full: so that seconds are lost with a machine, not
        /// all since the last segment.
        stream_wal: bool = "false", restart;
        /// How often, with `stream_wal`.
        stream_interval: Duration = "'2s'" in "100ms to 1h", restart;
        /// A physical replication slot that keeps WAL on the server until it is durable in every required repository. Not written: one called `pgtend_` and the
        /// server's name, and only where `archive_command` does not call `pgtend wal push`.
        stream_slot: Option<String> = none, restart;
        /// Where single tables, single pages and drills are restored to for a while: it needs as much room as the databases that are looked at. Not
        /// written: `/var/tmp`.
        scratch_directory: Option<PathBuf> = none, restart;
        /// The Unix socket that `pgtend wal push` and `pgtend wal get` talk to. Not written: beside the API's socket, with the ending `.wal`.
        wal_socket: Option<PathBuf> = none, restart;
    }
}

section! {
    /// Verification of the repositories, on schedule. By hand: `pgtend repo verify`. To read a whole bucket costs hours and money, so what is usual is a sample; it tells
    /// whether a storage rots, and drills read whole backups besides.
    pub struct RepoVerify {
        /// When a sample of each repository is read, as cron writes it, in the time zone of this machine. `off`: by hand only.
        schedule: String = "'0 4 * * 6'", restart;
        /// How much of the packs and WAL files the sample has, another one each time. What was damaged before is always in it.
        sample_percent: f64 as "per cent" = "5" in "0.1 to 100", restart;
        /// When every object is read. `0 5 1 * *` is once a month, which suits a directory. `off`: by hand only.
        full_schedule: String = "'off'", restart;
        /// Threads that read, on schedule.
        workers: usize = "1" in "1 to 64", restart;
        /// Bytes a second that are read at most, on schedule. 0: as fast as it goes.
        max_read_bytes_per_second: u64 as "bytes" = "'100MB'" in "0 to 1TB", restart;
    }
}

section! {
    /// Logical backups: what pg_dump and pg_dumpall write, in the same repositories. `pgtend backup run --logical` takes one whatever the schedule says.
    pub struct Logical {
        /// When one is taken, as cron writes it, in the time zone of this machine. `off`: by hand only.
        schedule: String = "'off'", restart;
        /// Databases, by name; `*` stands for anything. All where none is named.
        databases: Vec<String> = "[]", restart;
        /// Databases that are left out, by name; `*` stands for anything.
        exclude: Vec<String> = "[]", restart;
        /// Tables that are dumped at once: as many connections of pg_dump, and one more.
        jobs: usize = "2" in "1 to 64", restart;
        /// How long pg_dump waits for the lock on a table before the backup fails.
        lock_wait_timeout: Duration = "'10min'" in "1s to 1d", restart;
        /// Where pg_dump writes first, in plain text, readable by the agent's user only. What is finished there is stored and removed at once: room for the
        /// largest `jobs` tables is enough. Not written: `staging` in the agent's state directory.
        staging_directory: Option<PathBuf> = none, restart;
        /// Where pg_dump is, where it is not in `PATH` or a usual place.
        bindir: Option<PathBuf> = none, restart;
        /// The newest logical backups that stay, in each repository, whatever their age.
        keep_count: u32 = "2" in "1 to 10000", restart;
        /// Those of the last so many days stay.
        keep_days: u32 as "days" = "7" in "0 to 36500", restart;
        /// The last one of each of so many weeks stays.
        keep_weekly: u32 = "0" in "0 to 10000", restart;
        /// The last one of each of so many months stays.
        keep_monthly: u32 = "0" in "0 to 10000", restart;
        /// The last one of each of so many years stays.
        keep_yearly: u32 = "0" in "0 to 1000", restart;
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
        /// A file of certificates (PEM) of authorities that are trusted for the endpoint, besides the system's.
        ca_file: Option<PathBuf> = none, restart;
        /// The storage class of packs and WAL, the objects that take the room: `STANDARD_IA`, `GLACIER_IR`, … Without it, the bucket's own. Classes that must
        /// be thawed before they can be read are refused.
        storage_class: Option<String> = none, restart;
        /// By what the storage itself encrypts, besides `encryption`: `AES256`, `aws:kms` or `aws:kms:dsse`. Without it, as the bucket is set up.
        server_side_encryption: Option<String> = none, restart;
        /// The KMS key, with `aws:kms`. Without it, the account's own.
        kms_key_id: Option<String> = none, restart;
        /// Whether what is written is made immutable by Object Lock, which the bucket must have. Locks and probes are not.
        object_lock: ObjectLock = "'off'", restart;
        /// For how many days after it was written an object is immutable, with `object_lock`.
        object_lock_days: u32 as "days" = "0" in "0 to 36500", restart;
        /// What happens with a storage that does not honour `If-None-Match: *`, by which no host can overwrite what another one wrote.
        conditional_writes: ConditionalWrites = "'required'", restart;
        /// Bytes a second that are sent to the bucket at most, in the mean: an object of some 16 MiB goes at full speed, and the next one waits. 0: no limit.
        max_upload_bytes_per_second: u64 as "bytes" = "0" in "0 to 1TB", restart;
        /// How long the bucket may take to answer, besides the time that the bytes need on the way.
        timeout: Duration = "'30s'" in "1s to 1h", restart;
        /// How long a request that failed in a way that may pass (503, time-outs, broken connections) is tried again.
        retry_for: Duration = "'2min'" in "0s to 1d", restart;
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
        Self { path: Some(path), key_file: Some(key_file), ..Self::named("main") }
    }

    /// One of this name with defaults, without a place.
    pub fn named(name: &str) -> Self {
        fn default<T: Setting>(name: &str) -> T {
            #[expect(clippy::expect_used, reason = "called below with the names of its own fields only")]
            default_of(Repository::KEYS.iter().find(|key| key.name == name).expect("a key of [[backup.repository]]"))
        }
        Self {
            name: name.to_owned(),
            path: None,
            url: None,
            endpoint: None,
            region: None,
            access_key_id: None,
            secret_access_key_file: None,
            ca_file: None,
            storage_class: None,
            server_side_encryption: None,
            kms_key_id: None,
            object_lock: default("object_lock"),
            object_lock_days: default("object_lock_days"),
            conditional_writes: default("conditional_writes"),
            max_upload_bytes_per_second: default("max_upload_bytes_per_second"),
            timeout: default("timeout"),
            retry_for: default("retry_for"),
            encryption: default("encryption"),
            key_file: None,
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

choice! {
    /// Whether objects are made immutable for a time.
    pub enum ObjectLock {
        /// No, unless the bucket does so by itself.
        Off = "off",
        /// Yes, but for those who have `s3:BypassGovernanceRetention`.
        Governance = "governance",
        /// Yes, for everybody, the account's owner included.
        Compliance = "compliance",
    }
}

choice! {
    /// Whether the storage must write on a condition.
    pub enum ConditionalWrites {
        /// One that does not is refused.
        Required = "required",
        /// One that does not is used, with a warning: one host alone may write there.
        Unsafe = "unsafe",
    }
}

fn check_backup(backup: &mut Backup, section: &Section<'_>) {
    same_names("repository", "repository", backup.repository.iter().map(|repository| repository.name.as_str()), section);
    if let Some(name) = backup.stream_slot.as_deref().filter(|name| !is_slot_name(name)) {
        section.reject(
            "stream_slot",
            format!("\"{name}\" cannot be the name of a slot"),
            "use up to 63 lower-case letters, digits and '_'",
        );
    }
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
    check_bucket(repository, section);
    if repository.encryption == Encryption::Recipients && repository.recipients.is_empty() {
        section.reject("recipients", "nobody could read what this host writes", "write recipients = [\"age1…\"]");
    }
    if repository.encryption == Encryption::Passphrase && repository.passphrase_file.is_none() {
        section.reject("passphrase_file", "the passphrase is missing", "write passphrase_file = \"/path\"");
    }
}

fn check_bucket(repository: &Repository, section: &Section<'_>) {
    if repository.access_key_id.is_some() != repository.secret_access_key_file.is_some() {
        let written = if repository.access_key_id.is_some() { "access_key_id" } else { "secret_access_key_file" };
        section.reject(
            written,
            "one half of the credentials is missing",
            "write both access_key_id and secret_access_key_file, or neither",
        );
    }
    if let Some(class @ ("GLACIER" | "DEEP_ARCHIVE")) = repository.storage_class.as_deref() {
        let what = format!("objects of the class {class} cannot be read until they are thawed");
        section.reject("storage_class", what, "write GLACIER_IR, STANDARD_IA or another class that answers at once");
    }
    let encryption = repository.server_side_encryption.as_deref();
    if !matches!(encryption, None | Some("AES256" | "aws:kms" | "aws:kms:dsse")) {
        section.reject("server_side_encryption", "the storage encrypts by no such thing", "write AES256, aws:kms or aws:kms:dsse");
    }
    if repository.kms_key_id.is_some() && !encryption.is_some_and(|encryption| encryption.starts_with("aws:kms")) {
        section.reject("kms_key_id", "a KMS key is used with KMS only", "write server_side_encryption = \"aws:kms\"");
    }
    if (repository.object_lock == ObjectLock::Off) != (repository.object_lock_days == 0) {
        section.reject("object_lock_days", "object_lock and object_lock_days belong together", "write both, or neither");
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
            ("[backup]\nstream_slot = \"Main\"", "cannot be the name of a slot"),
            ("[[backup.repository]]", "either a directory (path) or a bucket"),
            ("[[backup.repository]]\npath = \"/a\"\nurl = \"s3://b\"", "either a directory (path) or a bucket"),
            ("[[backup.repository]]\npath = \"backup\"", "is not absolute"),
            ("[[backup.repository]]\nurl = \"ftp://b\"", "write s3://bucket/prefix"),
            ("[[backup.repository]]\nurl = \"s3://b\"\naccess_key_id = \"x\"", "one half of the credentials"),
            ("[[backup.repository]]\nurl = \"s3://b\"\nstorage_class = \"GLACIER\"", "until they are thawed"),
            ("[[backup.repository]]\nurl = \"s3://b\"\nserver_side_encryption = \"rot13\"", "no such thing"),
            ("[[backup.repository]]\nurl = \"s3://b\"\nkms_key_id = \"x\"", "with KMS only"),
            ("[[backup.repository]]\nurl = \"s3://b\"\nobject_lock = \"compliance\"", "belong together"),
            ("[[backup.repository]]\npath = \"/a\"\nencryption = \"recipients\"", "nobody could read"),
            ("[[backup.repository]]\npath = \"/a\"\nencryption = \"passphrase\"", "the passphrase is missing"),
            ("[[backup.repository]]\npath = \"/a\"\n[[backup.repository]]\npath = \"/b\"", "are called \"main\""),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(complaint), "{text}: {told}");
        }
    }
}
