//! Bearer tokens of the API.

use super::StateStore;
use super::secret::SecretHash;
use jiff::Timestamp;
use pgtend_model::config::api::Role;
use pgtend_model::error::{Error, Kind, Result};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A token to be remembered.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What people call it; one name, one token.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// What is kept of its secret.
    pub hash: SecretHash,
    /// Who made it, in words.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
    /// When it ends; none for never.
    pub expires: Option<Timestamp>,
}

/// A token as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its number.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// What is kept of its secret.
    pub hash: SecretHash,
    /// Who made it, in words.
    pub created_by: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; none for never.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

impl Token {
    /// Whether it opens anything at this time.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|end| now < end)
    }
}

const COLUMNS: &str = "id, name, role, hash, created_by, created_ms, expires_ms, last_used_ms, revoked_ms";

impl StateStore {
    /// Remembers a token.
    ///
    /// # Errors
    /// `Usage` when the name cannot be one; `Conflict` when another token that was not revoked has it.
    pub fn add_token(&self, new: &NewToken) -> Result<Token> {
        check_name(&new.name)?;
        if by_name(&self.connection(), &new.name).map_err(|error| self.failed(&error))?.is_some() {
            return Err(Error::new(Kind::Conflict, format!("there is a token named \"{}\"", new.name))
                .hint("choose another name, or revoke that one first")
                .retry(pgtend_model::error::Retry::Never));
        }
        let sql = format!(
            "insert into token (name, role, hash, created_by, created_ms, expires_ms) values (?1, ?2, ?3, ?4, ?5, ?6) returning {COLUMNS}"
        );
        let values = params![
            new.name,
            new.role.word(),
            new.hash.bytes(),
            new.created_by,
            new.created.as_millisecond(),
            new.expires.map(Timestamp::as_millisecond)
        ];
        self.change(|transaction| transaction.query_row(&sql, values, read))
    }

    /// All tokens that were not revoked, in the order of creation.
    ///
    /// # Errors
    /// `System` when the state cannot be read.
    pub fn tokens(&self) -> Result<Vec<Token>> {
        let connection = self.connection();
        let sql = format!("select {COLUMNS} from token where revoked_ms is null order by id");
        let read_all = || connection.prepare(&sql)?.query_map([], read)?.collect::<rusqlite::Result<Vec<_>>>();
        read_all().map_err(|error| self.failed(&error))
    }

    /// Revokes the token of this name, for good.
    ///
    /// # Errors
    /// `NotFound` when there is no such token.
    pub fn revoke_token(&self, name: &str, now: Timestamp) -> Result<Token> {
        let sql = format!("update token set revoked_ms = ?2 where name = ?1 and revoked_ms is null returning {COLUMNS}");
        let revoked = self.change(|transaction| transaction.query_row(&sql, params![name, now.as_millisecond()], read).optional());
        revoked?.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("there is no token named \"{name}\"")).hint("pgtend token list shows those there are")
        })
    }

    /// Notes when tokens were last used.
    ///
    /// # Errors
    /// `System` when the state cannot be written.
    pub fn note_token_use(&self, used: &[(i64, Timestamp)]) -> Result<()> {
        self.change(|transaction| {
            for (id, at) in used {
                transaction.execute("update token set last_used_ms = ?2 where id = ?1", params![id, at.as_millisecond()])?;
            }
            Ok(())
        })
    }
}

fn by_name(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection.query_row("select id from token where name = ?1 and revoked_ms is null", [name], |row| row.get(0)).optional()
}

fn check_name(name: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if name.is_empty() || name.len() > 63 || !name.chars().all(legal) {
        return Err(Error::new(Kind::Usage, format!("\"{}\" cannot be the name of a token", name.escape_debug()))
            .hint("use up to 63 letters, digits, '.', '_', '-' and '@'"));
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Token> {
    let word: String = row.get("role")?;
    let role = Role::ALL.iter().copied().find(|role| role.word() == word);
    let role = role.ok_or_else(|| rusqlite::Error::InvalidColumnType(2, "role".to_owned(), rusqlite::types::Type::Text))?;
    Ok(Token {
        id: row.get("id")?,
        name: row.get("name")?,
        role,
        hash: SecretHash::from_bytes(row.get("hash")?),
        created_by: row.get("created_by")?,
        created: time(row, "created_ms")?.unwrap_or_default(),
        expires: time(row, "expires_ms")?,
        last_used: time(row, "last_used_ms")?,
        revoked: time(row, "revoked_ms")?,
    })
}

fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    let ms: Option<i64> = row.get(column)?;
    Ok(ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
}

#[cfg(test)]
mod tests {
    use super::super::secret::Secret;
    use super::*;

    fn new(name: &str, expires: Option<Timestamp>) -> NewToken {
        let hash = Secret::generate().unwrap().hash();
        let created = "2026-01-01T00:00:00Z".parse().unwrap();
        NewToken { name: name.to_owned(), role: Role::Operator, hash, created_by: "root".to_owned(), created, expires }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn tokens_are_remembered_across_restarts_until_they_are_revoked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let state = StateStore::open(&path).unwrap();
        let made = state.add_token(&new("ci", Some(at("2026-04-01T00:00:00Z")))).unwrap();
        assert_eq!((made.role, made.name.as_str(), made.last_used), (Role::Operator, "ci", None));
        state.note_token_use(&[(made.id, at("2026-02-01T10:00:00Z"))]).unwrap();

        let state = StateStore::open(&path).unwrap();
        let found = state.tokens().unwrap().remove(0);
        assert_eq!(found, Token { last_used: Some(at("2026-02-01T10:00:00Z")), ..made });
        assert!(found.is_valid(at("2026-03-31T23:59:59Z")) && !found.is_valid(at("2026-04-01T00:00:00Z")));

        let revoked = state.revoke_token("ci", at("2026-02-02T00:00:00Z")).unwrap();
        assert!(!revoked.is_valid(at("2026-02-02T00:00:00Z")));
        assert!(state.tokens().unwrap().is_empty());
        assert_eq!(state.revoke_token("ci", at("2026-02-02T00:00:00Z")).unwrap_err().kind, Kind::NotFound);
    }

    #[test]
    fn a_name_is_one_token_and_is_free_after_it_was_revoked() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateStore::open(&directory.path().join("state.db")).unwrap();
        state.add_token(&new("ci", None)).unwrap();
        assert_eq!(state.add_token(&new("ci", None)).unwrap_err().kind, Kind::Conflict);
        state.revoke_token("ci", at("2026-02-02T00:00:00Z")).unwrap();
        assert!(state.add_token(&new("ci", None)).is_ok());
        for illegal in ["", "a b", "ü", "a\n", &"x".repeat(64)] {
            assert_eq!(state.add_token(&new(illegal, None)).unwrap_err().kind, Kind::Usage, "{illegal:?}");
        }
    }
}
