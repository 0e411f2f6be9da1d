//! Cuts SQL into tokens: enough of PostgreSQL's lexer to tell a name from a string, a comment or an operator.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name or a keyword, unquoted: in lower case.
    Word,
    /// A name in double quotes, or a placeholder in braces that the program fills in: never a keyword.
    Name,
    /// A string, a number or a parameter.
    Value,
    /// One character of punctuation or operator; `::` is one token.
    Symbol,
}

#[derive(Debug, Clone)]
pub struct Token {
    pub kind: Kind,
    pub text: String,
    /// From 1.
    pub line: usize,
    /// For a parenthesis: the index of the other one.
    pub partner: Option<usize>,
}

/// Why a text is not SQL.
#[derive(Debug)]
pub struct Unreadable {
    pub line: usize,
    pub message: String,
}

/// The tokens of a query, comments left out, parentheses paired.
pub fn tokens(text: &str) -> Result<Vec<Token>, Unreadable> {
    let mut cursor = Cursor { rest: text, line: 1 };
    let mut tokens: Vec<Token> = Vec::new();
    let mut open = Vec::new();
    while cursor.skip_blank()? {
        let line = cursor.line;
        let (kind, text) = cursor.token()?;
        let mut partner = None;
        if kind == Kind::Symbol && text == "(" {
            open.push(tokens.len());
        } else if kind == Kind::Symbol && text == ")" {
            let Some(opening) = open.pop() else { return Err(unreadable(line, "a closing parenthesis too many")) };
            tokens[opening].partner = Some(tokens.len());
            partner = Some(opening);
        }
        tokens.push(Token { kind, text, line, partner });
    }
    match open.pop() {
        Some(opening) => Err(unreadable(tokens[opening].line, "this parenthesis is never closed")),
        None => Ok(tokens),
    }
}

fn unreadable(line: usize, message: &str) -> Unreadable {
    Unreadable { line, message: message.to_owned() }
}

struct Cursor<'a> {
    rest: &'a str,
    line: usize,
}

impl Cursor<'_> {
    /// Takes so many bytes.
    fn take(&mut self, length: usize) -> String {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken.to_owned()
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let length = self.rest.find(|next| !wanted(next)).unwrap_or(self.rest.len());
        self.take(length)
    }

    /// Goes on behind white space and comments; false at the end.
    fn skip_blank(&mut self) -> Result<bool, Unreadable> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest.starts_with("--") {
                self.take_while(|next| next != '\n');
            } else if self.rest.starts_with("/*") {
                self.block_comment()?;
            } else {
                return Ok(!self.rest.is_empty());
            }
        }
    }

    /// Block comments nest in SQL.
    fn block_comment(&mut self) -> Result<(), Unreadable> {
        let line = self.line;
        let mut depth = 0;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.take(2);
            } else if let Some(next) = self.rest.chars().next() {
                self.take(next.len_utf8());
            } else {
                return Err(unreadable(line, "this comment is never closed"));
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<(Kind, String), Unreadable> {
        let is_word = |next: char| next.is_alphanumeric() || next == '_' || next == '$';
        let first = self.rest.chars().next().unwrap_or_default();
        let escapes = self.rest.starts_with("e'") || self.rest.starts_with("E'");
        let prefixed = ["b'", "B'", "x'", "X'", "n'", "N'"].iter().any(|prefix| self.rest.starts_with(prefix));
        if escapes || prefixed {
            self.take(1);
            return Ok((Kind::Value, self.quoted('\'', escapes)?));
        }
        match first {
            '\'' => Ok((Kind::Value, self.quoted('\'', false)?)),
            '"' => Ok((Kind::Name, self.quoted('"', false)?)),
            '{' => Ok((Kind::Name, self.placeholder()?)),
            '$' => self.dollar().map(|text| (Kind::Value, text)),
            ':' if self.rest.starts_with("::") => Ok((Kind::Symbol, self.take(2))),
            _ if first.is_ascii_digit() => Ok((Kind::Value, self.take_while(|next| next.is_alphanumeric() || next == '.'))),
            _ if is_word(first) => Ok((Kind::Word, self.take_while(is_word).to_lowercase())),
            _ => Ok((Kind::Symbol, self.take(first.len_utf8()))),
        }
    }

    /// A string or a quoted name; the quote doubled is the quote itself.
    fn quoted(&mut self, quote: char, escapes: bool) -> Result<String, Unreadable> {
        let line = self.line;
        self.take(1);
        let mut text = String::new();
        while let Some(next) = self.rest.chars().next() {
            self.take(next.len_utf8());
            if escapes && next == '\\' {
                let escaped = self.rest.chars().next().map_or(0, char::len_utf8);
                text.push_str(&self.take(escaped));
            } else if next == quote && !self.rest.starts_with(quote) {
                return Ok(text);
            } else {
                text.push(next);
                if next == quote {
                    self.take(1);
                }
            }
        }
        Err(unreadable(line, "this quote is never closed"))
    }

    fn placeholder(&mut self) -> Result<String, Unreadable> {
        match self.rest.find('}') {
            Some(end) => Ok(self.take(end + 1)),
            None => Err(unreadable(self.line, "this brace is never closed")),
        }
    }

    /// `$1`, or a string between dollar quotes.
    fn dollar(&mut self) -> Result<String, Unreadable> {
        let line = self.line;
        let tag_length = self.rest[1..].find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(self.rest.len() - 1);
        let is_quote = self.rest[1 + tag_length..].starts_with('$') && !self.rest[1..].starts_with(|next: char| next.is_ascii_digit());
        if !is_quote {
            return Ok(self.take(1 + tag_length));
        }
        let tag = self.take(tag_length + 2);
        match self.rest.find(&tag) {
            Some(end) => Ok(self.take(end + tag.len())),
            None => Err(unreadable(line, "this dollar quote is never closed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str, kind: Kind) -> Vec<String> {
        tokens(sql).unwrap().into_iter().filter(|token| token.kind == kind).map(|token| token.text).collect()
    }

    #[test]
    fn names_in_strings_and_comments_are_no_names() {
        let sql = "select a -- from b\n, 'from ''c''' /* from d /* e */ f */, E'it\\'s g', $$h$$, $x$i $$ j$x$, $1 from k";
        assert_eq!(texts(sql, Kind::Word), ["select", "a", "from", "k"]);
        assert_eq!(texts(sql, Kind::Value), ["from 'c'", "it's g", "h$$", "i $$ j$x$", "$1"]);
    }

    #[test]
    fn quoted_names_keep_their_case_and_placeholders_are_names() {
        assert_eq!(texts("select \"A b\", C from {schema}.t", Kind::Name), ["A b", "{schema}"]);
        assert_eq!(texts("select \"A b\", C from {schema}.t", Kind::Word), ["select", "c", "from", "t"]);
    }

    #[test]
    fn casts_and_parentheses_are_recognized() {
        let tokens = tokens("f((a)::int8)").unwrap();
        let symbols: Vec<&str> = tokens.iter().filter(|token| token.kind == Kind::Symbol).map(|token| token.text.as_str()).collect();
        assert_eq!(symbols, ["(", "(", ")", "::", ")"]);
        assert_eq!((tokens[1].partner, tokens[2].partner), (Some(7), Some(4)));
    }

    #[test]
    fn lines_are_counted_through_comments_and_strings() {
        let tokens = tokens("-- one\n'two\nthree'\n/* four\n*/ five").unwrap();
        assert_eq!(tokens.iter().map(|token| token.line).collect::<Vec<_>>(), [2, 5]);
    }

    #[test]
    fn what_is_never_closed_is_said_with_its_line() {
        for (sql, line) in [("select\n'a", 2), ("select (a", 1), ("a\n)", 2), ("/* a", 1), ("$$ a", 1), ("\n\"a", 2)] {
            assert_eq!(tokens(sql).unwrap_err().line, line, "{sql}");
        }
    }
}
