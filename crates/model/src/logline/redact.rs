//! Takes secrets out of what the server logged: passwords in statements, connection strings and addresses.

use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// What is replaced, and by what. A text may be cut in the middle of a secret, so that its end is no condition.
static SECRETS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        // Within a quoted connection string quotes are doubled.
        (r"(?i)\b((?:ssl)?password\s*=\s*)''(?:[^'])*(?:''|$)", "${1}***"),
        (r"(?i)\b((?:ssl)?password\s*(?:=|to\b)?\s*)(?:e|u&)?'(?:[^']|'')*(?:'|$)", "${1}'***'"),
        (r"(?i)\b(password\s*)\$\w*\$[\s\S]*?(?:\$\w*\$|$)", "${1}'***'"),
        (r#"(?i)\b((?:ssl)?password\s*=\s*)[^\s'"&;]+"#, "${1}***"),
        (r"(?i)\b([a-z][a-z0-9+.-]*://[^\s:/@']*):[^\s@']+@", "${1}:***@"),
    ];
    rules.into_iter().filter_map(|(pattern, with)| Some((Regex::new(pattern).ok()?, with))).collect()
});

/// The text with `***` in place of secrets.
pub fn redact(text: &str) -> String {
    let mut text = Cow::Borrowed(text);
    if !may_have(&text) {
        return text.into_owned();
    }
    for (pattern, with) in SECRETS.iter() {
        if let Cow::Owned(changed) = pattern.replace_all(&text, *with) {
            text = Cow::Owned(changed);
        }
    }
    text.into_owned()
}

/// Most texts have none: this is cheap.
fn may_have(text: &str) -> bool {
    text.contains("://") || text.as_bytes().windows(8).any(|window| window.eq_ignore_ascii_case(b"password"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_everything_else_stays() {
        let cases = [
            ("ALTER ROLE joe PASSWORD 'se''cret' VALID UNTIL 'infinity'", "ALTER ROLE joe PASSWORD '***' VALID UNTIL 'infinity'"),
            ("create user x with encrypted password E'secret' login", "create user x with encrypted password '***' login"),
            ("alter role joe password 'secr", "alter role joe password '***'"),
            ("alter role joe password $x$secret$x$", "alter role joe password '***'"),
            ("alter role joe PASSWORD NULL", "alter role joe PASSWORD NULL"),
            (
                "create subscription s connection 'host=a password=secret user=b' publication p",
                "create subscription s connection 'host=a password=*** user=b' publication p",
            ),
            ("select dblink('password=''se cret'' host=a')", "select dblink('password=*** host=a')"),
            ("connect to postgresql://joe:secret@db1/shop failed", "connect to postgresql://joe:***@db1/shop failed"),
            ("password authentication failed for user \"joe\"", "password authentication failed for user \"joe\""),
            ("select password from users where id = 7", "select password from users where id = 7"),
        ];
        for (text, expected) in cases {
            assert_eq!(redact(text), expected);
        }
        assert_eq!(redact("update users set password = 'secret' where id = 7"), "update users set password = '***' where id = 7");
    }

    proptest::proptest! {
        #[test]
        fn no_password_survives(before in "[a-z ']{0,20}", secret in "[A-Z]{6}[0-9]{4}", after in "[a-z ]{0,20}") {
            let text = redact(&format!("{before} PASSWORD '{secret}' {after}"));
            proptest::prop_assert!(!text.contains(&secret), "{}", text);
        }
    }
}
