//! An identity for statement texts that come without one: PostgreSQL 13, or a backend that is blocked while parsing.
//!
//! Literals, comments, case and white space are taken out before hashing, so that the same statement with other values has the same
//! identity. It is no parser: two texts that differ only in how they are written may keep two identities, never the other way round.

/// A 64-bit identity of the statement, stable across versions of pgtend.
pub fn fingerprint(statement: &str) -> i64 {
    let hash = blake3::hash(normalize(statement).as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    i64::from_le_bytes(first)
}

/// The statement with `?` for each literal, in lower case outside of quoted identifiers, white space folded, comments taken out.
pub fn normalize(statement: &str) -> String {
    let mut out = String::with_capacity(statement.len());
    let mut rest = statement;
    while let Some(c) = rest.chars().next() {
        let taken = piece(rest, c, &mut out);
        rest = &rest[taken..];
    }
    fold_lists(out.trim_end().trim_end_matches(';').trim_end())
}

/// Writes the next lexical piece and returns its length in bytes.
fn piece(text: &str, first: char, out: &mut String) -> usize {
    let after_word = out.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$');
    match first {
        '\'' => literal(text, quoted_end(text, '\''), out),
        '"' => {
            let end = quoted_end(text, '"');
            out.push_str(&text[..end]);
            end
        }
        '-' if text.starts_with("--") => space(out, text.find('\n').unwrap_or(text.len())),
        '/' if text.starts_with("/*") => space(out, text.find("*/").map_or(text.len(), |end| end + 2)),
        '$' if !after_word && dollar_quote(text).is_some() => literal(text, dollar_quote(text).unwrap_or(text.len()), out),
        '$' if !after_word && text[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            let end = 1 + digits(&text[1..], |c| c.is_ascii_digit());
            literal(text, end, out)
        }
        '-' | '+' if is_sign(text, out) => 1,
        c if c.is_ascii_digit() && !after_word => literal(text, digits(text, |c| c.is_ascii_alphanumeric() || c == '.'), out),
        c if c.is_whitespace() => space(out, c.len_utf8()),
        c => {
            out.extend(c.to_lowercase());
            c.len_utf8()
        }
    }
}

/// Whether a number follows whose sign this is: pg_stat_statements makes `$1` of both together.
fn is_sign(text: &str, before: &str) -> bool {
    let operand_missing = before.trim_end().chars().next_back().is_none_or(|c| "=<>+-*/%^|&,(~!".contains(c));
    operand_missing && text[1..].starts_with(|c: char| c.is_ascii_digit() || c == '.')
}

fn literal(_text: &str, end: usize, out: &mut String) -> usize {
    out.push('?');
    end
}

fn space(out: &mut String, taken: usize) -> usize {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
    taken
}

fn digits(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn quoted_end(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            match chars.peek() {
                Some((_, next)) if *next == quote => drop(chars.next()),
                _ => return at + 1,
            }
        }
    }
    text.len()
}

fn dollar_quote(text: &str) -> Option<usize> {
    let tag_end = text[1..].find('$')? + 2;
    let tag = &text[..tag_end];
    let is_tag =
        tag[1..tag_end - 1].chars().all(|c| c.is_alphanumeric() || c == '_') && !tag[1..].starts_with(|c: char| c.is_ascii_digit());
    is_tag.then(|| text[tag_end..].find(tag).map_or(text.len(), |at| tag_end + at + tag_end))
}

/// `in (?, ?, ?)` of any length is one statement.
fn fold_lists(text: &str) -> String {
    let mut out = text.replace("?, ?", "?,?");
    while out.contains("?,?") {
        out = out.replace("?,?", "?");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_matter_and_names_do() {
        let same = ["SELECT * FROM t WHERE a = 1", "select *\n from t where a = 22 -- why", "select * from t where a = 'it''s';"];
        for statement in same {
            assert_eq!(normalize(statement), "select * from t where a = ?", "{statement}");
        }
        assert_eq!(fingerprint(same[0]), fingerprint(same[1]));
        assert_eq!(normalize("set b = b + -463 where a-1 = 2"), "set b = b + ? where a-? = ?");
        assert_eq!(fingerprint("set b = b + -463"), fingerprint("set b = b + $1"));
        assert_ne!(fingerprint("select 1 from t1"), fingerprint("select 1 from t2"));
        assert_eq!(normalize("select \"A\" from t where x in (1, 2,3) and y = $$a'b$$"), "select \"A\" from t where x in (?) and y = ?");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC*") {
            let _unused = fingerprint(&text);
        }

        #[test]
        fn a_number_is_a_number(a in 0_u32.., b in 0_u32..) {
            proptest::prop_assert_eq!(fingerprint(&format!("select x from t where y > {a}")), fingerprint(&format!("select x from t where y > {b}")));
        }
    }
}
