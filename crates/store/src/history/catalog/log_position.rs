//! How far the logs of servers were read.

use super::Catalog;
use pgtend_model::error::Result;
use pgtend_model::logline::Position;
use rusqlite::{OptionalExtension, params};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Numbers of files may be beyond SQLite's integers: they are kept with the same bits.
pub(super) const SCHEMA: &str = "
    create table if not exists log_position (
        server text not null primary key,
        file blob not null,
        inode integer not null,
        offset integer not null
    ) strict, without rowid;";

impl Catalog {
    /// Notes how far a server's log was read.
    pub(in super::super) fn keep_log_position(&self, server: &str, position: &Position) -> Result<()> {
        let sql = "insert into log_position (server, file, inode, offset) values (?1, ?2, ?3, ?4)
             on conflict (server) do update set file = excluded.file, inode = excluded.inode, offset = excluded.offset";
        let (inode, offset) = (position.inode.cast_signed(), position.offset.cast_signed());
        let values = params![server, position.file.as_os_str().as_bytes(), inode, offset];
        self.told(self.connection().execute(sql, values).map(|_| ()))
    }

    /// How far a server's log was read.
    pub(in super::super) fn log_position(&self, server: &str) -> Result<Option<Position>> {
        let sql = "select file, inode, offset from log_position where server = ?1";
        let found = self.connection().query_row(sql, [server], |row| {
            let file: Vec<u8> = row.get(0)?;
            let (inode, offset): (i64, i64) = (row.get(1)?, row.get(2)?);
            Ok(Position { file: OsString::from_vec(file).into(), inode: inode.cast_unsigned(), offset: offset.cast_unsigned() })
        });
        self.told(found.optional())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_counts() {
        let directory = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&directory.path().join("catalog.db")).unwrap();
        assert_eq!(catalog.log_position("main").unwrap(), None);
        for offset in [7, 9] {
            let position = Position { file: "/var/log/x.log".into(), inode: u64::MAX, offset };
            catalog.keep_log_position("main", &position).unwrap();
            assert_eq!(catalog.log_position("main").unwrap(), Some(position));
        }
    }
}
