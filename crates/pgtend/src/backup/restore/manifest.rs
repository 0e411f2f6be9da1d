//! `backup_manifest`, so that PostgreSQL's own `pg_verifybackup -n` can check what was restored (`src/backend/backup/backup_manifest.c`).

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pgtend_model::backup::{BackupHead, FileEntry, FileType};
use std::fmt::Write as _;

/// The name of the file.
pub const NAME: &str = "backup_manifest";

/// Its text. WAL is not in it: that stays in the repository.
pub fn text(head: &BackupHead, files: &[FileEntry]) -> String {
    let mut text = String::from("{ ");
    let version = if head.postgresql_version >= 170_000 { 2 } else { 1 };
    let _ = writeln!(text, "\"PostgreSQL-Backup-Manifest-Version\": {version},");
    if version == 2 {
        let _ = writeln!(text, "\"System-Identifier\": {},", head.system_identifier);
    }
    text.push_str("\"Files\": [\n");
    let lines: Vec<String> = files.iter().filter(|file| file.file_type == FileType::File).map(line).collect();
    text.push_str(&lines.join(",\n"));
    text.push_str("\n],\n\"WAL-Ranges\": [\n");
    let _ =
        writeln!(text, "{{ \"Timeline\": {}, \"Start-LSN\": \"{}\", \"End-LSN\": \"{}\" }}", head.timeline, head.start_lsn, head.stop_lsn);
    text.push_str("],\n");
    let checksum = digest(&SHA256, text.as_bytes());
    let _ = writeln!(text, "\"Manifest-Checksum\": \"{}\"}}", hex(checksum.as_ref()));
    text
}

fn line(file: &FileEntry) -> String {
    let modified = Timestamp::from_nanosecond(i128::from(file.modified_ns)).unwrap_or_default().to_zoned(TimeZone::UTC);
    format!(
        "{{ \"Path\": {}, \"Size\": {}, \"Last-Modified\": \"{}\", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"{}\" }}",
        serde_json::Value::from(file.path.as_str()),
        file.bytes,
        modified.strftime("%Y-%m-%d %H:%M:%S GMT"),
        // The bytes as they lie in memory, which is how PostgreSQL writes them.
        hex(&file.crc32c.to_le_bytes())
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
