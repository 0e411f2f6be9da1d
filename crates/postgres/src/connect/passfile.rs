//! The password file: `host:port:database:user:password` lines, the first that fits counts.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a connection is, as the lines of a password file describe it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The host as it was named; `localhost` for the default socket directory.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: &'a str,
    /// The user.
    pub user: &'a str,
}

/// Why a password file is ignored, in words for a person.
///
/// A file that is not there is no reason for a word.
pub fn complaint(path: &Path) -> Option<String> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return None,
        Err(error) => return Some(format!("the password file {} is ignored: {error}", path.display())),
    };
    if !metadata.is_file() {
        return Some(format!("the password file {} is ignored: it is not a plain file", path.display()));
    }
    let open_to_others = metadata.permissions().mode() & 0o077 != 0;
    open_to_others
        .then(|| format!("the password file {0} is ignored: others than its owner have access to it; run chmod 0600 {0}", path.display()))
}

/// The password that the file has for a connection, unless the file is missing or ignored.
pub fn lookup(path: &Path, wanted: Wanted<'_>) -> Option<String> {
    if complaint(path).is_some() {
        return None;
    }
    find(&fs::read_to_string(path).ok()?, wanted)
}

/// The password of the first line that fits.
fn find(text: &str, wanted: Wanted<'_>) -> Option<String> {
    let port = wanted.port.to_string();
    let fields = [wanted.host, &port, wanted.database, wanted.user];
    let fits = |line| fields.iter().try_fold(line, |rest, field| match_field(rest, field));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(fits).map(password).next().filter(|password| !password.is_empty())
}

/// What follows a field that fits: it is `*`, or the text, any character of it escaped by a backslash or not.
fn match_field<'l>(line: &'l str, field: &str) -> Option<&'l str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let mut rest = line;
    for expected in field.chars() {
        rest = rest.strip_prefix('\\').unwrap_or(rest).strip_prefix(expected)?;
    }
    rest.strip_prefix(':')
}

/// The last field, up to an unescaped colon.
fn password(field: &str) -> String {
    let mut password = String::new();
    let mut rest = field.chars();
    while let Some(next) = rest.next() {
        match next {
            ':' => break,
            '\\' => password.push(rest.next().unwrap_or('\\')),
            _ => password.push(next),
        }
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wanted<'a>(host: &'a str, user: &'a str) -> Wanted<'a> {
        Wanted { host, port: 5432, database: "shop", user }
    }

    fn found(text: &str) -> Option<String> {
        find(text, wanted("db", "app"))
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        assert_eq!(found("db:5432:shop:app:one\ndb:5432:shop:app:two").as_deref(), Some("one"));
        assert_eq!(found("db:5433:shop:app:one\n*:*:*:*:any").as_deref(), Some("any"));
        assert_eq!(found("# *:*:*:*:comment\n\n*:*:shop:*:later").as_deref(), Some("later"));
        assert_eq!(found("db:5432:shop:app:\n*:*:shop:*:later"), None);
        assert_eq!(found("db:5432:shop:app:one\r\n").as_deref(), Some("one"));
        assert_eq!(found("db:5432:shop:application:x\nd:5432:shop:app:x\ndb:5432:shop:ap:x\n:5432:shop:app:x"), None);
        assert_eq!(found("*b:5432:shop:app:x\n**:5432:shop:app:x\ndb"), None);
    }

    #[test]
    fn backslashes_escape() {
        assert_eq!(find(r"::1:5432:shop:app:x", wanted("::1", "app")).as_deref(), Some("x"));
        assert_eq!(find(r"\:\:1:5432:shop:app:x", wanted("::1", "app")).as_deref(), Some("x"));
        assert_eq!(find(r"d\b:5432:shop:a\\b:x", wanted("db", r"a\b")).as_deref(), Some("x"));
        assert_eq!(found(r"*:*:*:*:a\:b\\c:rest").as_deref(), Some(r"a:b\c"));
        assert_eq!(found(r"*:*:*:*:a\").as_deref(), Some(r"a\"));
    }

    #[test]
    fn a_file_that_others_can_read_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pgpass");
        assert_eq!(complaint(&path), None);
        fs::write(&path, "*:*:*:*:secret").unwrap();
        for (mode, ignored) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o700, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(lookup(&path, wanted("db", "app")).is_none(), ignored, "{mode:o}");
            assert_eq!(complaint(&path).is_some_and(|text| text.contains("chmod 0600")), ignored, "{mode:o}");
        }
        assert!(complaint(directory.path()).unwrap().contains("not a plain file"));
    }

    fn escaped(field: &str) -> String {
        field.replace('\\', r"\\").replace(':', r"\:")
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_fall(text in "[ -~é:*\\\\\n]{0,80}") {
            let _ = found(&text);
        }

        #[test]
        fn escaped_fields_come_back(host in "[ -~é]{1,20}", user in "[ -~é]{1,20}", password in "[ -~é]{1,20}") {
            // A comment is a comment whatever follows.
            prop_assume!(!host.starts_with('#'));
            let line = format!("other:*:*:*:no\n{}:5432:shop:{}:{}", escaped(&host), escaped(&user), escaped(&password));
            prop_assume!(host != "other");
            prop_assert_eq!(find(&line, wanted(&host, &user)), Some(password));
        }
    }
}
