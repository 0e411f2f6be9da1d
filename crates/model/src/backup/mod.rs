//! Backups: what one is, and what follows from what there is. No file is opened here.

pub mod annotation;
pub mod backup_label;
pub mod doctor;
pub mod file_list;
pub mod head;
pub mod label;
pub mod logical;
pub mod proof;
pub mod repo_report;
pub mod restore_plan;
pub mod retention;
pub mod selection;
pub mod standing;
pub mod tree;
pub mod tree_path;
pub mod wal_bounds;
pub mod wal_gap;
pub mod wal_open;
pub mod wal_status;
pub mod wal_stream;

pub use backup_label::BackupLabel;
pub use file_list::{Extent, FileEntry, FileType};
pub use head::{BackupHead, BackupKind, Checksums, Dump, DumpedDatabase, DumpedExtension, Tablespace};
pub use label::Label;
pub use selection::Selection;
