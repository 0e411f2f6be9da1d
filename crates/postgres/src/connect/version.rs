//! The server's version, from what it reports when a session starts.

use pgtend_model::error::{self, Error, Kind};

/// The oldest major that pgtend looks after.
const OLDEST: u32 = 13;

/// `version_num` (150018) from `server_version` (`15.18 (Debian 15.18-0+deb12u1)`, `18beta2`).
///
/// # Errors
/// `Unsupported` for majors before 13, and for what is no PostgreSQL.
pub fn parse(reported: &str) -> error::Result<u32> {
    let unsupported = |what: String| Error::new(Kind::Unsupported, what).hint("pgtend looks after PostgreSQL 13 to 18");
    if reported.contains("bouncer") {
        return Err(unsupported("this is PgBouncer's own console, not a database".to_owned()));
    }
    let mut numbers = reported.split(|character: char| !character.is_ascii_digit()).map(str::parse::<u32>);
    let Some(Ok(major)) = numbers.next() else {
        return Err(unsupported(format!("the server says that its version is \"{reported}\"")));
    };
    if major < OLDEST {
        return Err(unsupported(format!("PostgreSQL {reported} is too old")));
    }
    // A beta has letters where a release has its minor.
    let released = reported.strip_prefix(&major.to_string()).is_some_and(|rest| rest.starts_with('.'));
    let minor = numbers.next().filter(|_| released).and_then(Result::ok).unwrap_or(0);
    Ok(major * 10_000 + minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_become_numbers() {
        let cases = [("15.18 (Debian 15.18-0+deb12u1)", 150_018), ("13.23", 130_023), ("18beta2", 180_000), ("19devel", 190_000)];
        for (reported, number) in cases {
            assert_eq!(parse(reported).unwrap(), number, "{reported}");
        }
    }

    #[test]
    fn what_is_too_old_or_no_postgresql_is_refused() {
        for reported in ["12.22", "9.6.24", "1.18.0/bouncer", "", "unknown"] {
            let error = parse(reported).unwrap_err();
            assert_eq!(error.kind, Kind::Unsupported, "{reported}");
            assert!(error.hint.contains("13 to 18"), "{error}");
        }
    }
}
