//! The statements around a table that is brought back, and those that somebody may want afterwards.

/// A name as SQL writes it.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL writes it.
pub fn literal(text: &str) -> String {
    if text.contains('\\') {
        return format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"));
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// What one can do with a restored table beside its original.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NextSteps {
    /// Shows the rows that are gone since, or are different now.
    pub compare: String,
    /// Brings back the rows that are gone; only where there is a primary key.
    pub merge: Option<String>,
    /// Puts the restored table in the place of the original, which is kept.
    pub swap: String,
}

impl NextSteps {
    /// For a table in `schema` that was restored into `restored`. `key` are the columns of its primary key.
    pub fn new(schema: &str, name: &str, restored: &str, key: &[String], insertable: &[String]) -> Self {
        let original = format!("{}.{}", identifier(schema), identifier(name));
        let copy = format!("{}.{}", identifier(restored), identifier(name));
        let aside = identifier(&format!("before_{restored}"));
        let columns: Vec<String> = insertable.iter().map(|column| identifier(column)).collect();
        let same: Vec<String> = key.iter().map(|column| identifier(column)).map(|column| format!("o.{column} = r.{column}")).collect();
        let listed = columns.join(", ");
        let from_copy: Vec<String> = columns.iter().map(|column| format!("r.{column}")).collect();
        let merge = (!key.is_empty() && !columns.is_empty()).then(|| {
            format!(
                "INSERT INTO {original} ({listed}) OVERRIDING SYSTEM VALUE SELECT {} FROM {copy} r WHERE NOT EXISTS (SELECT FROM {original} o WHERE {});",
                from_copy.join(", "),
                same.join(" AND ")
            )
        });
        Self {
            compare: format!("SELECT * FROM {copy} EXCEPT ALL SELECT * FROM {original};"),
            merge,
            swap: format!(
                "BEGIN; CREATE SCHEMA IF NOT EXISTS {aside}; ALTER TABLE {original} SET SCHEMA {aside}; ALTER TABLE {copy} SET SCHEMA {}; COMMIT;",
                identifier(schema)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_quoted() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'"), "E'a\\\\'''");
    }

    #[test]
    fn rows_that_are_gone_come_back_by_their_key() {
        let columns = ["id".to_owned(), "total".to_owned()];
        let steps = NextSteps::new("public", "orders", "restored_1", &columns[..1], &columns);
        assert_eq!(
            steps.merge.unwrap(),
            "INSERT INTO \"public\".\"orders\" (\"id\", \"total\") OVERRIDING SYSTEM VALUE SELECT r.\"id\", r.\"total\" FROM \"restored_1\".\"orders\" r WHERE NOT EXISTS (SELECT FROM \"public\".\"orders\" o WHERE o.\"id\" = r.\"id\");"
        );
        assert_eq!(NextSteps::new("public", "orders", "restored_1", &[], &columns).merge, None);
    }
}
