//! Metrics that somebody registered by the API, with their values.

use super::StateStore;
use jiff::Timestamp;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::metric::pushed::{AT_MOST, Change, Pushed, PushedKind};
use rusqlite::{OptionalExtension, Row, Transaction, params};

const COLUMNS: &str = "name, kind, help, labels, value, changed_ms";

impl StateStore {
    /// All of them, by name.
    ///
    /// # Errors
    /// `System` when the state cannot be read.
    pub fn metrics(&self) -> Result<Vec<Pushed>> {
        let connection = self.connection();
        let read_all = || {
            let mut query = connection.prepare(&format!("select {COLUMNS} from metric order by name"))?;
            query.query_map([], read)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        read_all().map_err(|error| self.failed(&error))
    }

    /// Registers one, or gives one that is there another help and other labels. Its value stays.
    ///
    /// # Errors
    /// `Usage` when it may not be one; `Conflict` when one of this name is of another kind, or there are too many.
    pub fn register_metric(&self, new: &Pushed) -> Result<Pushed> {
        new.check()?;
        let labels = serde_json::to_string(&new.labels).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        let outcome = self.change(|transaction| {
            let known = find(transaction, &new.name)?;
            if known.as_ref().is_some_and(|known| known.kind != new.kind) {
                return Ok(Err("there is one of this name that is of another type"));
            }
            let count: i64 = transaction.query_row("select count(*) from metric", [], |row| row.get(0))?;
            if known.is_none() && usize::try_from(count).is_ok_and(|count| count >= AT_MOST) {
                return Ok(Err("there are as many as there may be"));
            }
            let sql = "insert into metric (name, kind, help, labels, value) values (?1, ?2, ?3, ?4, 0)
                       on conflict (name) do update set help = excluded.help, labels = excluded.labels";
            transaction.execute(sql, params![new.name, new.kind.word(), new.help, labels])?;
            find(transaction, &new.name).map(Ok)
        })?;
        let conflict = |what| Error::new(Kind::Conflict, what).at(&new.name).hint("DELETE /api/v1/admin/metrics/NAME takes one away");
        outcome.map_err(conflict)?.ok_or_else(|| absent(&new.name))
    }

    /// Changes a value.
    ///
    /// # Errors
    /// `NotFound` when there is no such metric; `Usage` when it cannot change so.
    pub fn change_metric(&self, name: &str, change: Change, now: Timestamp) -> Result<Pushed> {
        let outcome = self.change(|transaction| {
            let Some(mut known) = find(transaction, name)? else { return Ok(Err(absent(name))) };
            match known.changed(change) {
                Ok(value) => known.value = value,
                Err(error) => return Ok(Err(error)),
            }
            known.changed = Some(now);
            let sql = "update metric set value = ?2, changed_ms = ?3 where name = ?1";
            transaction.execute(sql, params![name, known.value, now.as_millisecond()])?;
            Ok(Ok(known))
        });
        outcome?
    }

    /// Takes one away.
    ///
    /// # Errors
    /// `NotFound` when there is no such metric.
    pub fn remove_metric(&self, name: &str) -> Result<Pushed> {
        let sql = format!("delete from metric where name = ?1 returning {COLUMNS}");
        self.change(|transaction| transaction.query_row(&sql, [name], read).optional())?.ok_or_else(|| absent(name))
    }
}

fn find(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<Option<Pushed>> {
    transaction.query_row(&format!("select {COLUMNS} from metric where name = ?1"), [name], read).optional()
}

fn absent(name: &str) -> Error {
    Error::new(Kind::NotFound, format!("no metric is registered as \"{}\"", name.escape_debug()))
        .hint("GET /api/v1/admin/metrics lists them; POST /api/v1/admin/metrics/register makes one")
}

fn read(row: &Row<'_>) -> rusqlite::Result<Pushed> {
    let (kind, labels): (String, String) = (row.get("kind")?, row.get("labels")?);
    let changed: Option<i64> = row.get("changed_ms")?;
    Ok(Pushed {
        name: row.get("name")?,
        kind: if kind == PushedKind::Counter.word() { PushedKind::Counter } else { PushedKind::Gauge },
        help: row.get("help")?,
        labels: serde_json::from_str(&labels).unwrap_or_default(),
        value: row.get("value")?,
        changed: changed.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(kind: PushedKind) -> Pushed {
        let labels = [("app".to_owned(), "shop".to_owned())].into();
        Pushed { name: "events".into(), kind, help: "Events.".into(), labels, value: 7.0, changed: None }
    }

    #[test]
    fn values_outlive_the_agent_and_a_second_registration() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let state = StateStore::open(&path).unwrap();
        assert_eq!(state.register_metric(&metric(PushedKind::Counter)).unwrap().value, 0.0);
        state.change_metric("events", Change::Add(2.5), now).unwrap();
        assert!(state.change_metric("events", Change::Set(1.0), now).is_err());
        drop(state);
        let state = StateStore::open(&path).unwrap();
        let again = state.register_metric(&Pushed { help: "All events.".into(), ..metric(PushedKind::Counter) }).unwrap();
        assert_eq!((again.value, again.help.as_str(), again.changed), (2.5, "All events.", Some(now)));
        assert_eq!(state.register_metric(&metric(PushedKind::Gauge)).unwrap_err().kind, Kind::Conflict);
        assert_eq!(state.metrics().unwrap(), [again]);
        state.remove_metric("events").unwrap();
        assert_eq!(state.change_metric("events", Change::Add(1.0), now).unwrap_err().kind, Kind::NotFound);
    }
}
