//! The files of a backup, a line of JSON each: `docs/repository-format.md`.

/// What a path is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum FileType {
    /// A regular file.
    #[default]
    #[serde(rename = "f")]
    File,
    /// A directory.
    #[serde(rename = "d")]
    Directory,
    /// A symbolic link.
    #[serde(rename = "l")]
    Link,
    /// One more name of a file of the list: a hard link.
    #[serde(rename = "h")]
    HardLink,
    /// A named pipe.
    #[serde(rename = "p")]
    Pipe,
}

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The name of its content: keyed BLAKE3.
    pub id: [u8; 32],
    /// CRC-32C of its content.
    pub crc32c: u32,
}

/// Bytes of an extent in `x`.
const EXTENT_BYTES: usize = 36;

/// One file, directory or link.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileEntry {
    /// Path relative to the data directory; in a file tree, from the root of the host, as [`super::tree_path`] writes it.
    #[serde(rename = "p")]
    pub path: String,
    /// What it is.
    #[serde(rename = "t")]
    pub file_type: FileType,
    /// Permission bits.
    #[serde(rename = "m")]
    pub mode: u32,
    /// Size in bytes.
    #[serde(rename = "s", default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
    /// When it was last written, in ns since 1970.
    #[serde(rename = "w", default)]
    pub modified_ns: i64,
    /// When its inode last changed, in ns since 1970.
    #[serde(rename = "c", default)]
    pub changed_ns: i64,
    /// Its inode.
    #[serde(rename = "i", default)]
    pub inode: u64,
    /// Where a link leads; for a hard link, the path of the file.
    #[serde(rename = "l", default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// CRC-32C of the whole file.
    #[serde(rename = "k", default, skip_serializing_if = "is_zero_u32")]
    pub crc32c: u32,
    /// Its extents.
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty", with = "extents")]
    pub extents: Vec<Extent>,
    /// Bytes of its extents, where they are not those of the server's files.
    #[serde(rename = "z", default, skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<u32>,
    /// Number of its owner, in a file tree.
    #[serde(rename = "u", default, skip_serializing_if = "is_zero_u32")]
    pub uid: u32,
    /// Number of its group, in a file tree.
    #[serde(rename = "g", default, skip_serializing_if = "is_zero_u32")]
    pub gid: u32,
    /// Names of both, as `owner:group`, in a file tree.
    #[serde(rename = "o", default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Whether it has holes, in a file tree.
    #[serde(rename = "q", default, skip_serializing_if = "is_false")]
    pub sparse: bool,
}

/// Bytes of an extent of a server's file; the last one is what is left.
pub const EXTENT: u32 = 1 << 20;

impl FileEntry {
    /// Whether the file has not been written since it was listed as `before`. A file that was written in the second before
    /// `copied_ns`, when the copy began, may have been written again within the same tick of the clock.
    pub fn is_as(&self, before: &Self, copied_ns: i64) -> bool {
        const MARGIN_NS: i64 = 2_000_000_000;
        self.file_type == before.file_type
            && self.bytes == before.bytes
            && self.modified_ns == before.modified_ns
            && self.changed_ns == before.changed_ns
            && self.inode == before.inode
            && before.modified_ns.max(before.changed_ns) < copied_ns.saturating_sub(MARGIN_NS)
    }

    /// The extents with their offsets and lengths in the file.
    pub fn pieces(&self) -> impl Iterator<Item = (u64, u32, Extent)> + '_ {
        let mut offset = 0_u64;
        self.extents.iter().enumerate().map(move |(index, extent)| {
            let left = u32::try_from(self.bytes.saturating_sub(offset)).unwrap_or(u32::MAX);
            let bytes = self.sizes.get(index).copied().unwrap_or(left.min(EXTENT));
            let at = offset;
            offset += u64::from(bytes);
            (at, bytes, *extent)
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero_u32(value: &u32) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Extents as one text of base64.
mod extents {
    use super::{EXTENT_BYTES, Extent};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
    use serde::{Deserialize, Deserializer, Serializer, de};
    use std::borrow::Cow;

    pub fn serialize<S: Serializer>(extents: &[Extent], serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(extents.len() * EXTENT_BYTES);
        for extent in extents {
            bytes.extend_from_slice(&extent.id);
            bytes.extend_from_slice(&extent.crc32c.to_le_bytes());
        }
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Extent>, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(de::Error::custom)?;
        let (records, rest) = bytes.as_chunks::<EXTENT_BYTES>();
        if !rest.is_empty() {
            return Err(de::Error::custom("the extents of a file are cut off"));
        }
        Ok(records.iter().map(read).collect())
    }

    fn read(record: &[u8; EXTENT_BYTES]) -> Extent {
        let mut id = [0; 32];
        id.copy_from_slice(&record[..32]);
        Extent { id, crc32c: u32::from_le_bytes([record[32], record[33], record[34], record[35]]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> FileEntry {
        FileEntry {
            path: "base/5/1259".into(),
            file_type: FileType::File,
            mode: 0o600,
            bytes: u64::from(EXTENT) + 8192,
            modified_ns: 5_000_000_000,
            changed_ns: 5_000_000_000,
            inode: 7,
            target: String::new(),
            crc32c: 9,
            extents: vec![Extent { id: [1; 32], crc32c: 2 }, Extent { id: [3; 32], crc32c: 4 }],
            ..FileEntry::default()
        }
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let line = serde_json::to_string(&entry()).unwrap();
        assert!(line.starts_with(r#"{"p":"base/5/1259","t":"f","m":384,"s":1056768,"#), "{line}");
        assert_eq!(serde_json::from_str::<FileEntry>(&line).unwrap(), entry());
    }

    #[test]
    fn the_last_extent_is_what_is_left() {
        let pieces: Vec<(u64, u32)> = entry().pieces().map(|(offset, bytes, _)| (offset, bytes)).collect();
        assert_eq!(pieces, [(0, EXTENT), (u64::from(EXTENT), 8192)]);
    }

    #[test]
    fn a_file_written_just_before_the_copy_is_not_trusted() {
        assert!(entry().is_as(&entry(), 60_000_000_000));
        assert!(!entry().is_as(&entry(), 6_000_000_000));
        let longer = FileEntry { bytes: 1, ..entry() };
        assert!(!longer.is_as(&entry(), 60_000_000_000));
        let touched = FileEntry { changed_ns: 1, ..entry() };
        assert!(!touched.is_as(&entry(), 60_000_000_000));
    }
}
