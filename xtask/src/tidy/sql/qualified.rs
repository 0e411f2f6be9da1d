//! Every relation, function and type says its schema.
//!
//! A heuristic over tokens, made to err on the side of asking: relations are the names after FROM, JOIN and the commas between
//! them; functions are names before a parenthesis; types are what follows `::` and the AS of a CAST. Names that the query
//! declares itself (WITH) need no schema, nor do constructs of the grammar (coalesce, exists …), which search_path cannot bend.

use std::collections::HashSet;

use super::lexer::{Kind, Token};

#[derive(Debug)]
pub struct Breach {
    pub line: usize,
    pub message: String,
}

/// Words of the grammar that may stand before a parenthesis: clauses, operators, and the expressions that are no functions.
const GRAMMAR: &str = "
    all and any array as between by case cast coalesce cross cube distinct else end except exists extract filter for from
    greatest group grouping having ilike in inner intersect is isnull join lateral least left like limit materialized not
    notnull nullif offset on operator or order outer over position recursive right rollup row select sets similar some then trim
    union using values when where with within";

/// Types that need no schema: the grammar's own, and PostgreSQL's by names that nobody else's type has a reason to bear.
const TYPES: &str = "
    aclitem bigint bit bool boolean bpchar bytea char character cidr date decimal double float float4 float8 inet int int2 int4
    int8 integer interval json jsonb name numeric oid pg_lsn real regclass regnamespace regoper regoperator regproc regprocedure
    regrole regtype smallint text tid time timestamp timestamptz timetz uuid varchar xid xid8";

/// What ends a FROM clause at its own depth.
const AFTER_FROM: &str = "
    except fetch for group having intersect limit offset order returning union where window";

/// What is not qualified in a query.
pub fn breaches(tokens: &[Token]) -> Vec<Breach> {
    let mut query = Query { tokens, declared: HashSet::new(), declarations: HashSet::new(), breaches: Vec::new() };
    for index in 0..tokens.len() {
        if query.is_word(index, "with") {
            query.declare(index + 1);
        }
    }
    for (index, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "from" if query.is_from_clause(index) => query.items(index + 1),
            "(" => query.function(index),
            "::" => query.type_name(index + 1),
            "cast" if query.is_symbol(index + 1, "(") => query.cast(index + 1),
            _ => {}
        }
    }
    query.breaches.sort_by_key(|breach| breach.line);
    query.breaches
}

struct Query<'a> {
    tokens: &'a [Token],
    /// Names of common table expressions.
    declared: HashSet<&'a str>,
    /// Where those names stand in their WITH, before a list of columns perhaps.
    declarations: HashSet<usize>,
    breaches: Vec<Breach>,
}

impl<'a> Query<'a> {
    fn is_word(&self, index: usize, text: &str) -> bool {
        self.tokens.get(index).is_some_and(|token| token.kind == Kind::Word && token.text == text)
    }

    /// Whether a word is in a list that is parted by white space.
    fn is_one_of(&self, index: usize, words: &str) -> bool {
        let is_one = |token: &Token| token.kind == Kind::Word && words.split_whitespace().any(|word| word == token.text);
        self.tokens.get(index).is_some_and(is_one)
    }

    fn is_symbol(&self, index: usize, text: &str) -> bool {
        self.tokens.get(index).is_some_and(|token| token.kind == Kind::Symbol && token.text == text)
    }

    fn is_name(&self, index: usize) -> bool {
        self.tokens.get(index).is_some_and(|token| matches!(token.kind, Kind::Word | Kind::Name))
    }

    fn before(&self, index: usize, back: usize, test: impl Fn(&Self, usize) -> bool) -> bool {
        index.checked_sub(back).is_some_and(|at| test(self, at))
    }

    fn breach(&mut self, index: usize, message: String) {
        self.breaches.push(Breach { line: self.tokens[index].line, message });
    }

    /// `WITH [RECURSIVE] name [(columns)] AS [[NOT] MATERIALIZED] (…), …`. Other uses of WITH (ORDINALITY, TIME ZONE) do not fit.
    fn declare(&mut self, mut index: usize) {
        if self.is_word(index, "recursive") {
            index += 1;
        }
        while self.is_name(index) {
            let name = index;
            index += 1;
            if let Some(close) = self.tokens.get(index).and_then(|token| token.partner) {
                index = close + 1;
            }
            if !self.is_word(index, "as") {
                return;
            }
            self.declared.insert(&self.tokens[name].text);
            self.declarations.insert(name);
            index += 1;
            while self.is_one_of(index, "not materialized") {
                index += 1;
            }
            let Some(close) = self.tokens.get(index).and_then(|token| token.partner) else { return };
            index = close + 1;
            if !self.is_symbol(index, ",") {
                return;
            }
            index += 1;
        }
    }

    /// Not the FROM of `extract(… from …)` and its like, nor of IS DISTINCT FROM and ROWS FROM.
    fn is_from_clause(&self, index: usize) -> bool {
        let not_a_clause = self.before(index, 1, |query, at| query.is_one_of(at, "distinct rows"));
        if self.tokens[index].kind != Kind::Word || not_a_clause {
            return false;
        }
        let opening = (0..index).rev().find(|&at| self.is_symbol(at, "(") && self.tokens[at].partner.is_some_and(|close| close > index));
        !opening.is_some_and(|opening| self.before(opening, 1, |query, at| query.is_one_of(at, "extract overlay substring trim")))
    }

    /// The items of a FROM clause, from the first one on.
    fn items(&mut self, mut index: usize) {
        loop {
            index = self.item(index);
            // Then an alias, a join condition and the like, up to the next item of this clause or to its end.
            loop {
                let Some(token) = self.tokens.get(index) else { return };
                if self.is_symbol(index, ",") || self.is_word(index, "join") {
                    index += 1;
                    break;
                }
                if self.is_symbol(index, ")") || self.is_symbol(index, ";") || self.is_one_of(index, AFTER_FROM) {
                    return;
                }
                index = token.partner.unwrap_or(index) + 1;
            }
        }
    }

    /// One item: a relation, a function, a subquery or a join in parentheses. Returns the index behind it.
    fn item(&mut self, mut index: usize) -> usize {
        while self.is_one_of(index, "lateral only") {
            index += 1;
        }
        if self.is_symbol(index, "(") {
            if !self.is_one_of(index + 1, "select values with") {
                self.items(index + 1);
            }
            return self.tokens[index].partner.unwrap_or(index) + 1;
        }
        let first = index;
        while self.is_name(index) && self.is_symbol(index + 1, ".") {
            index += 2;
        }
        let is_function = self.is_symbol(index + 1, "(") || self.is_word(first, "rows");
        if self.is_name(index) && index == first && !is_function && !self.declared.contains(self.tokens[index].text.as_str()) {
            let name = self.tokens[index].text.clone();
            self.breach(index, format!("the relation {name} is not qualified: write pg_catalog.{name}, or the schema that it is in"));
        }
        index + 1
    }

    /// A name before an opening parenthesis is a function, unless it is part of the grammar, an alias or a type.
    fn function(&mut self, open: usize) {
        let Some(name) = open.checked_sub(1) else { return };
        let is_declared = self.declarations.contains(&name) || self.is_alias(name) || self.is_type(name);
        let is_qualified = self.before(name, 1, |query, at| query.is_symbol(at, "."));
        if !self.is_name(name) || self.is_one_of(name, GRAMMAR) || is_declared || is_qualified {
            return;
        }
        let name_text = self.tokens[name].text.clone();
        self.breach(name, format!("the function {name_text} is not qualified: write pg_catalog.{name_text}"));
    }

    /// `… AS name (columns)`, and the same without AS behind a parenthesis.
    fn is_alias(&self, name: usize) -> bool {
        self.before(name, 1, |query, at| query.is_word(at, "as") || query.is_symbol(at, ")"))
    }

    /// `x::numeric(10, 2)`, `cast(x as varchar(10))`, and the columns of `as r(a numeric(10, 2))`.
    fn is_type(&self, name: usize) -> bool {
        let follows_cast = |query: &Self, at| query.is_symbol(at, "::") || query.is_word(at, "as");
        let follows_column = |query: &Self, at| query.is_name(at) && !query.is_one_of(at, GRAMMAR);
        self.is_one_of(name, TYPES) && self.before(name, 1, |query, at| follows_cast(query, at) || follows_column(query, at))
    }

    fn type_name(&mut self, index: usize) {
        if self.is_symbol(index + 1, ".") || self.is_one_of(index, TYPES) || !self.is_name(index) {
            return;
        }
        let name = self.tokens[index].text.clone();
        self.breach(index, format!("the type {name} is not qualified: write pg_catalog.{name}, or the schema that it is in"));
    }

    fn cast(&mut self, open: usize) {
        let Some(close) = self.tokens[open].partner else { return };
        let mut index = open + 1;
        while index < close {
            if self.is_word(index, "as") {
                self.type_name(index + 1);
                return;
            }
            index = self.tokens[index].partner.unwrap_or(index) + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lexer;
    use super::*;

    fn found(sql: &str) -> Vec<(usize, String)> {
        let name = |message: &str| message.split(" is not").next().unwrap_or_default().trim_start_matches("the ").to_owned();
        breaches(&lexer::tokens(sql).unwrap()).into_iter().map(|breach| (breach.line, name(&breach.message))).collect()
    }

    fn names(sql: &str) -> Vec<String> {
        found(sql).into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn qualified_queries_pass() {
        let good = [
            "select c.oid::int8, pg_catalog.count(*) filter (where c.relkind = 'r') from pg_catalog.pg_class as c group by c.oid",
            "select coalesce(nullif(a, ''), greatest(b, least(c, d))), cast(a as numeric(10, 2)), a::varchar(10) from pg_catalog.pg_class",
            "with recent as (select 1), old (a, b) as not materialized (select 1, 2) select * from recent join old on recent.a = old.a",
            "with recursive tree(pid) as (select 1 union all select pid from tree) select * from tree",
            "select extract(epoch from pg_catalog.now()), trim(both from a), position('a' in b), a is not distinct from b from pg_catalog.pg_class",
            "select * from pg_catalog.pg_class c, lateral pg_catalog.unnest(c.relacl) with ordinality as u(item, n) where c.oid in (select 1)",
            "select * from pg_catalog.unnest(array[1]) u(a), (values (1), (2)) as v (b), (select 1) as s",
            "select * from (pg_catalog.pg_class a join pg_catalog.pg_index i on i.indexrelid = a.oid) where exists (select 1 from only pg_catalog.pg_am)",
            "select pg_catalog.row_number() over (partition by a order by b) from {schema}.pg_stat_statements(true) as s",
            "select * from pg_catalog.json_to_recordset($1) as r(id int8, share numeric(5, 2))",
            "select a operator(pg_catalog.-) '0/0'::pg_lsn, array(select 1), row(1, 2), b::public.mood, (c).d, interval '1 s' from pg_catalog.pg_class",
            "select pg_catalog.percentile_cont(0.5) within group (order by a) from pg_catalog.pg_class order by (a) limit (1)",
            "select * from rows from (pg_catalog.unnest(a), pg_catalog.unnest(b)) as r(a, b), pg_catalog.pg_class",
            "select a::double precision, b::timestamp(0) with time zone from pg_catalog.pg_class for update",
        ];
        for sql in good {
            assert_eq!(names(sql), Vec::<String>::new(), "{sql}");
        }
    }

    #[test]
    fn relations_are_found_wherever_they_stand() {
        assert_eq!(names("select 1 from pg_class"), ["relation pg_class"]);
        assert_eq!(names("select 1 from pg_catalog.pg_class c, pg_index i"), ["relation pg_index"]);
        assert_eq!(
            names("select 1 from pg_catalog.pg_class c left join pg_index i on i.a = c.a, pg_am"),
            ["relation pg_index", "relation pg_am"]
        );
        assert_eq!(
            names("select (select 1 from a), extract(day from x.t) from b as x where exists (select 1 from c)"),
            ["relation a", "relation b", "relation c"]
        );
        assert_eq!(names("select 1 from (a join b using (c))"), ["relation a", "relation b"]);
        assert_eq!(names("with q as (select 1 from a) select 1 from q join \"Q\" using (x)"), ["relation a", "relation Q"]);
        assert_eq!(names("select 1 from (select 1) s, lateral (select 1 from only a) t"), ["relation a"]);
    }

    #[test]
    fn functions_are_found_wherever_they_stand() {
        assert_eq!(names("select now(), count (*) from f(g(1)) as r"), ["function now", "function count", "function f", "function g"]);
        assert_eq!(names("select pg_catalog.max(age(a)) from pg_catalog.pg_class"), ["function age"]);
        assert_eq!(names("select substring(a, 1, 2), \"Mine\"(a), text(a)"), ["function substring", "function Mine", "function text"]);
        assert_eq!(names("select text(a) where a in (select b()) and upper(c) = 'C'"), ["function text", "function b", "function upper"]);
    }

    #[test]
    fn types_are_found_wherever_they_stand() {
        assert_eq!(
            names("select a::mood, b::pg_catalog.text, cast(f.c as citext), d::hstore[]"),
            ["type mood", "type citext", "type hstore"]
        );
    }

    #[test]
    fn lines_are_those_of_the_names() {
        assert_eq!(found("select 1\n  from pg_catalog.pg_class\n  join\n    pg_index using (a)"), [(4, "relation pg_index".to_owned())]);
    }
}
