//! Paths of file trees as text: a file's name is bytes, and JSON has none (`docs/repository-format.md`).

/// Writes a path: `\\` stands for a backslash, `\xHH` for a byte that is no UTF-8.
pub fn encode(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', r"\\"));
        for byte in chunk.invalid() {
            text.push_str(&format!(r"\x{byte:02x}"));
        }
    }
    text
}

/// Reads it back; none when it was not written so.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut path = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        path.extend_from_slice(before.as_bytes());
        if let Some(after) = escape.strip_prefix('\\') {
            path.push(b'\\');
            rest = after;
            continue;
        }
        let digits = escape.strip_prefix('x')?.get(..2)?;
        path.push(u8::from_str_radix(digits, 16).ok()?);
        rest = escape.get(3..)?;
    }
    path.extend_from_slice(rest.as_bytes());
    Some(path)
}

/// Whether a path stays below where it is put: relative, and without `..`.
pub fn stays_below(path: &[u8]) -> bool {
    !path.is_empty() && !path.contains(&0) && path.split(|byte| *byte == b'/').all(|part| !part.is_empty() && part != b"." && part != b"..")
}

/// The directory of a database's dump, below `databases/`.
pub fn of_database(name: &str) -> String {
    let mut path = String::from("databases/");
    for (at, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) || (byte == b'.' && at > 0) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn people_can_read_it() {
        assert_eq!(encode("etc/größe".as_bytes()), "etc/größe");
        assert_eq!(encode(b"a\\b\xff\xfe/c"), r"a\\b\xff\xfe/c");
        for nonsense in [r"\", r"\q", r"\x1", r"\xzz"] {
            assert_eq!(decode(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn nothing_leads_out() {
        for path in ["etc/passwd", "...", "a/..b"] {
            assert!(stays_below(path.as_bytes()), "{path}");
        }
        for path in ["", "/etc", "..", "a/../b", "a//b", "./a", "a/", "a\0b"] {
            assert!(!stays_below(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_database_may_be_called_anything() {
        assert_eq!(of_database("shop_2.eu"), "databases/shop_2.eu");
        assert_eq!(of_database("../é=\"x"), "databases/%2E.%2F%C3%A9%3D%22x");
    }

    proptest! {
        #[test]
        fn every_name_comes_back(path in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(decode(&encode(&path)), Some(path));
        }
    }
}
