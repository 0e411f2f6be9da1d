//! Columns that a filter compares with a value, as far as that can be told from how PostgreSQL writes it. It is no parser: of what is
//! not simply `column operator value`, joined by AND, nothing is said.

/// The columns of a filter: those that must be equal to something first, then those that lie in a range.
pub fn columns(filter: &str) -> Vec<String> {
    let parts = conjuncts(outer(filter));
    let compared: Vec<(String, bool)> = parts.into_iter().filter_map(comparison).collect();
    let equal = compared.iter().filter(|(_, equal)| *equal);
    let range = compared.iter().filter(|(_, equal)| !equal).take(1);
    let mut columns: Vec<String> = Vec::new();
    for (column, _) in equal.chain(range) {
        if !columns.contains(column) {
            columns.push(column.clone());
        }
    }
    columns
}

/// Without the parentheses around the whole.
fn outer(text: &str) -> &str {
    let text = text.trim();
    match text.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) if is_balanced(inner) => outer(inner),
        _ => text,
    }
}

/// Whether every closing parenthesis has its opening one before it.
fn is_balanced(text: &str) -> bool {
    let mut depth = 0;
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

fn conjuncts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(found) = rest[from..].find(" AND ") {
        let end = from + found;
        if is_balanced(&rest[..end]) && rest[..end].matches('\'').count().is_multiple_of(2) {
            parts.push(&rest[..end]);
            rest = &rest[end + 5..];
            from = 0;
        } else {
            from = end + 5;
        }
    }
    parts.push(rest);
    parts
}

/// A column, and whether it must be equal.
fn comparison(part: &str) -> Option<(String, bool)> {
    const OPERATORS: [(&str, bool); 5] = [(" = ", true), (" >= ", false), (" <= ", false), (" > ", false), (" < ", false)];
    let part = outer(part);
    let (at, operator, equal) = OPERATORS.iter().filter_map(|(operator, equal)| Some((part.find(operator)?, *operator, *equal))).min()?;
    let value = &part[at + operator.len()..];
    if value.contains(" OR ") || (value.starts_with('(') && column(value).is_some()) {
        return None;
    }
    let name = column(&part[..at])?;
    let other_side_is_column = column(value).is_some();
    (!other_side_is_column).then_some((name, equal))
}

/// The column that this is, perhaps with a cast and the table's name.
fn column(text: &str) -> Option<String> {
    let mut text = text.trim();
    if let Some((inner, cast)) = text.strip_prefix('(').and_then(|rest| rest.split_once(")::"))
        && !cast.contains(['(', '\''])
    {
        text = inner;
    }
    let name = text.rsplit_once('.').map_or(text, |(_, name)| name);
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let quoted = name.len() > 2 && name.starts_with('"') && name.ends_with('"');
    let words = ["true", "false", "null", "now", "current_date"];
    ((plain || quoted) && !words.contains(&name)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_are_compared_with_a_value() {
        let cases = [
            ("(status = 'open'::text)", "status"),
            ("((o.placed > '2024-01-01'::date) AND ((o.status)::text = 'open'::text))", "status placed"),
            ("((a = 5) AND (b = 5) AND ((a + b) = 10))", "a b"),
            ("(customer_id = $1)", "customer_id"),
            ("(\"Weird Name\" = 3)", "\"Weird Name\""),
            ("(lower(name) = 'x'::text)", ""),
            ("((a = 1) OR (b = 2))", ""),
            ("(a = b)", ""),
            ("(note = 'this AND (that'::text)", "note"),
            ("(r.name <> o.status)", ""),
            ("", ""),
        ];
        for (filter, expected) in cases {
            assert_eq!(columns(filter).join(" "), expected, "{filter}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC*") {
            let _unused = columns(&text);
        }
    }
}
