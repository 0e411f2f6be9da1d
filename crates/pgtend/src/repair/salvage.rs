//! Copies the rows of a table that can be read into a new one: in large steps, and where one fails in ever smaller ones, down to the single row.

use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::repair::page::shown;
use pgtend_postgres::writing::{Writing, literal};
use std::collections::BTreeSet;

/// Pages that are copied at once.
const STEP: u32 = 1024;
/// Rows that a page can have at most (`MaxHeapTuplesPerPage`, and more for larger pages).
const ROWS: u32 = 1164;

/// What was copied.
#[derive(Debug, Default)]
pub(super) struct Salvaged {
    pub into: String,
    pub rows: u64,
    /// Pages of which nothing, or not all, could be read.
    pub pages: BTreeSet<u32>,
    /// Single rows that could not be read.
    pub lost_rows: u64,
}

impl Salvaged {
    /// In words.
    pub fn told(&self) -> String {
        let pages: Vec<u32> = self.pages.iter().copied().collect();
        let lost = match (pages.is_empty(), self.lost_rows) {
            (true, 0) => "nothing was unreadable".to_owned(),
            (true, rows) => format!("{rows} rows could not be read"),
            (false, 0) => format!("pages {} could not be read", shown(&pages)),
            (false, rows) => format!("pages {} and {rows} rows could not be read", shown(&pages)),
        };
        format!("{} rows are in {}; {lost}", self.rows, self.into)
    }
}

/// Copies a table but for these pages. The new table has its columns and nothing else.
pub(super) async fn salvage(session: &Writing, relation: &str, bad: &[u32]) -> Result<Salvaged> {
    if session.version() < 140_000 {
        return Err(Error::new(Kind::Unsupported, "rows are read by page from PostgreSQL 14 on")
            .hint("dump the table with zero_damaged_pages on, of a copy of the server: pgtend recover --aggressive"));
    }
    let facts = format!(
        "select pg_catalog.format('%I.%I', n.nspname, c.relname), \
            pg_catalog.format('%I.%I', n.nspname, pg_catalog.left(c.relname, 40) || '_salvaged_' || pg_catalog.to_char(pg_catalog.now(), 'YYYYMMDDHH24MISS')), \
            (pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint)::text \
         from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace \
         where c.oid = pg_catalog.to_regclass({}) and c.relkind = 'r'",
        literal(relation)
    );
    let row = session.row(&facts).await?;
    let [Some(from), Some(into), Some(pages)] = row.as_slice() else {
        return Err(Error::new(Kind::Unsupported, format!("{relation} is no ordinary table: its rows are not copied")));
    };
    let pages: u32 = pages.parse().map_err(|_| Error::new(Kind::Internal, "the table's length is no number"))?;
    session.run("set enable_seqscan = off; set zero_damaged_pages = off").await?;
    session.run(&format!("create table {into} as select * from {from} where false")).await?;
    let mut copy = Copy { session, from, into, salvaged: Salvaged { into: into.clone(), ..Salvaged::default() } };
    let bad: BTreeSet<u32> = bad.iter().copied().collect();
    let mut first = 0;
    while first < pages {
        if bad.contains(&first) {
            copy.salvaged.pages.insert(first);
            first += 1;
            continue;
        }
        let wall = bad.range(first..).next().copied().unwrap_or(pages).min(pages);
        let next = wall.min(first.saturating_add(STEP));
        copy.range(first, next).await?;
        first = next;
    }
    Ok(copy.salvaged)
}

struct Copy<'a> {
    session: &'a Writing,
    from: &'a str,
    into: &'a str,
    salvaged: Salvaged,
}

impl Copy<'_> {
    /// Copies pages from `first` up to but not including `next`.
    async fn range(&mut self, first: u32, next: u32) -> Result<()> {
        let mut pending = vec![(first, next)];
        while let Some((first, next)) = pending.pop() {
            match self.insert(&format!("ctid >= '({first},0)' and ctid < '({next},0)'")).await {
                Ok(rows) => self.salvaged.rows += rows,
                Err(error) if !is_of_data(&error) => return Err(error),
                Err(_) if next - first > 1 => {
                    let middle = first + (next - first) / 2;
                    pending.extend([(middle, next), (first, middle)]);
                }
                Err(_) => self.page(first).await?,
            }
        }
        Ok(())
    }

    /// Copies the rows of a page one by one.
    async fn page(&mut self, page: u32) -> Result<()> {
        for row in 1..=ROWS {
            match self.insert(&format!("ctid = '({page},{row})'")).await {
                Ok(rows) => self.salvaged.rows += rows,
                Err(error) if !is_of_data(&error) => return Err(error),
                Err(error) if error.what.contains("invalid page") || error.what.contains("could not read block") => {
                    self.salvaged.pages.insert(page);
                    return Ok(());
                }
                Err(_) => self.salvaged.lost_rows += 1,
            }
        }
        Ok(())
    }

    async fn insert(&self, condition: &str) -> Result<u64> {
        let sql = format!(
            "with copied as (insert into {} select * from {} where {condition} returning 1) select pg_catalog.count(*)::text from copied",
            self.into, self.from
        );
        Ok(self.session.ask(&sql).await?.and_then(|text| text.parse().ok()).unwrap_or(0))
    }
}

/// Whether the data is the reason, and not the connection, a right, or the disk.
fn is_of_data(error: &Error) -> bool {
    matches!(error.kind, Kind::Server | Kind::Internal | Kind::System | Kind::Conflict) && !error.what.contains("No space left")
}
