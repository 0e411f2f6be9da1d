//! The backups in a repository: publishing, listing, reading, taking away.

use super::notes::CURRENT;
use super::storage::Put;
use super::{Repository, check_name};
use jiff::Timestamp;
use pgtend_model::backup::{BackupHead, FileEntry, Label};
use pgtend_model::error::{Error, Kind, Result, Retry};

const BELOW: &str = "backups";
const SERVERS: &str = "servers";

/// Which PostgreSQL writes under a server's name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// The cluster's identity, decimal.
    pub system_identifier: String,
    /// Its version when it was first seen.
    pub postgresql_version: u32,
    /// When that was.
    pub first_seen: Timestamp,
}

/// What lies where of one backup.
fn key(server: &str, label: Label, part: &str) -> String {
    format!("{BELOW}/{server}/{label}/{part}")
}

impl Repository {
    /// Says that this cluster writes under this name.
    ///
    /// # Errors
    /// `Conflict` when another cluster does already.
    pub fn claim_server(&self, server: &str, identity: &Identity) -> Result<()> {
        check_name(server)?;
        self.takes(server, &identity.system_identifier)?;
        self.introduce(server, identity)
    }

    /// Whether this cluster may write under this name.
    ///
    /// # Errors
    /// `Conflict` when another one does.
    pub fn takes(&self, server: &str, system_identifier: &str) -> Result<()> {
        let current = match self.current(server)? {
            Some(current) => Some(current.system_identifier),
            None => self.identities(server)?.into_iter().next(),
        };
        let Some(other) = current.filter(|current| *current != system_identifier) else { return Ok(()) };
        Err(Error::new(
            Kind::Conflict,
            format!("server \"{server}\" of this repository is the cluster {other}, and this one is {system_identifier}"),
        )
        .at(self.shown())
        .hint(
            "give this server another name; after an initdb, a pg_upgrade or a restore into a new cluster, `pgtend repo adopt` lets the new cluster \
             follow the old one",
        )
        .retry(Retry::Never))
    }

    /// Notes a cluster that writes under this name; one that is noted already stays as it is.
    ///
    /// # Errors
    /// What the storage says.
    pub fn introduce(&self, server: &str, identity: &Identity) -> Result<()> {
        check_name(server)?;
        let at = format!("{SERVERS}/{server}/{}", identity.system_identifier);
        if self.identities(server)?.contains(&identity.system_identifier) {
            return Ok(());
        }
        self.put_document(&at, identity).map(|_| ())
    }

    /// The clusters that have written under this name.
    ///
    /// # Errors
    /// What the storage says.
    pub fn identities(&self, server: &str) -> Result<Vec<String>> {
        let below = format!("{SERVERS}/{server}");
        let objects = self.storage.list(&below)?;
        let names = objects.iter().filter_map(|object| object.key.strip_prefix(&format!("{below}/")));
        Ok(names.filter(|name| !name.starts_with(CURRENT)).map(str::to_owned).collect())
    }

    /// The servers that have written here.
    ///
    /// # Errors
    /// What the storage says.
    pub fn servers(&self) -> Result<Vec<String>> {
        let objects = self.storage.list(SERVERS)?;
        let mut servers: Vec<String> = objects.iter().filter_map(|object| object.key.split('/').nth(1).map(str::to_owned)).collect();
        servers.dedup();
        Ok(servers)
    }

    /// A label that no backup of this server has, not before `now`.
    ///
    /// # Errors
    /// What the storage says.
    pub fn free_label(&self, server: &str, now: Timestamp) -> Result<Label> {
        let taken: Vec<String> = self.storage.list(&format!("{BELOW}/{server}"))?.into_iter().map(|object| object.key).collect();
        let mut label = Label::at(now);
        while taken.iter().any(|key| key.split('/').nth(2) == Some(&label.to_string())) {
            label = Label::at(label.timestamp() + jiff::SignedDuration::from_secs(1));
        }
        Ok(label)
    }

    /// Publishes a backup: its files first, its head last. Everything it needs must be durable before.
    ///
    /// # Errors
    /// `Conflict` when another of this label was published meanwhile; what the storage says.
    pub fn publish(&self, head: &BackupHead, files: &[FileEntry]) -> Result<()> {
        let mut lines = Vec::new();
        for file in files {
            serde_json::to_writer(&mut lines, file)
                .map_err(|error| Error::new(Kind::Internal, format!("the list of files cannot be written: {error}")))?;
            lines.push(b'\n');
        }
        let taken = || Error::new(Kind::Conflict, format!("there is a backup {} already", head.label)).at(self.shown());
        if self.put_text(&key(&head.server, head.label, "files"), &lines)? == Put::Exists {
            return Err(taken());
        }
        match self.put_document(&key(&head.server, head.label, "head"), head)? {
            Put::Made => Ok(()),
            Put::Exists => Err(taken()),
        }
    }

    /// The backups of a server, oldest first. Damaged heads are told beside.
    ///
    /// # Errors
    /// What the storage says.
    pub fn backups(&self, server: &str) -> Result<(Vec<BackupHead>, Vec<Error>)> {
        let mut heads = Vec::new();
        let mut damaged = Vec::new();
        for object in self.storage.list(&format!("{BELOW}/{server}"))? {
            if !object.key.ends_with("/head") {
                continue;
            }
            match self.get_document::<BackupHead>(&object.key) {
                Ok(head) => heads.push(head),
                // Taken away between the list and the look.
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) if error.kind == Kind::Conflict => damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        heads.sort_by_key(|head| head.label);
        Ok((heads, damaged))
    }

    /// One backup.
    ///
    /// # Errors
    /// `NotFound` when there is none of this label.
    pub fn backup(&self, server: &str, label: Label) -> Result<BackupHead> {
        self.get_document(&key(server, label, "head")).map_err(|error| match error.kind {
            Kind::NotFound => Error::new(Kind::NotFound, format!("server \"{server}\" has no backup {label}"))
                .at(self.shown())
                .hint("`pgtend backup list` shows what there is"),
            _ => error,
        })
    }

    /// The files of a backup.
    ///
    /// # Errors
    /// `NotFound` when there is no such backup, `Conflict` when its list is damaged.
    pub fn files(&self, server: &str, label: Label) -> Result<Vec<FileEntry>> {
        let at = key(server, label, "files");
        let lines = self.get_text(&at)?;
        let read = |line: &[u8]| serde_json::from_slice(line);
        lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(read)
            .collect::<Result<Vec<FileEntry>, _>>()
            .map_err(|error| super::sealed::damaged(&at, &format!("its list of files cannot be read: {error}")))
    }

    /// Takes a backup away: its head first, so that what is left is none. Its extents stay until garbage is collected.
    ///
    /// # Errors
    /// `NotFound` when there is none of this label; what the storage says.
    pub fn remove_backup(&self, server: &str, label: Label) -> Result<()> {
        self.backup(server, label)?;
        self.storage.delete(&key(server, label, "head"))?;
        for object in self.storage.list(&format!("{BELOW}/{server}/{label}"))? {
            self.storage.delete(&object.key)?;
        }
        Ok(())
    }
}
