//! Settings: those that changed in the period, and those that are not at their default.

use crate::awr::known::Known;
use crate::awr::page::{Cell, Section, Table};
use crate::document::Unknowns;
use crate::sample::file_settings::FileSetting;
use crate::sample::settings::Setting as Row;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrSettings)]
pub struct Settings {
    /// Those whose value at the end is another one than at the begin.
    pub changed: Vec<SettingChange>,
    /// Those that are not at their built-in value at the end.
    pub not_default: Vec<SettingIs>,
    /// Those that were changed in the files and wait for a restart.
    pub pending_restart: Vec<String>,
    /// Why something is missing.
    pub unknown: Unknowns,
}

/// A setting that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrSettingChange)]
pub struct SettingChange {
    /// Its name.
    pub name: String,
    /// Its value at the begin; null when it was not there.
    pub before: Option<String>,
    /// Its value at the end; null when it is no longer there.
    pub after: Option<String>,
}

/// A setting at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrSetting)]
pub struct SettingIs {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The built-in value.
    pub default: Option<String>,
    /// Where it comes from.
    pub source: String,
}

impl Settings {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        let mut unknown = Unknowns::default();
        let (begin, end) = (&known.period.begin.readings, &known.period.end.readings);
        let Some(after) = unknown.take("settings", end.settings.current()) else { return Self { unknown, ..Self::default() } };
        let files = |readings: &crate::sample::Readings| readings.file_settings.current().ok().map(|sample| sample.rows.clone());
        let (files_before, files_after) = (files(begin), files(end));
        let now = values(&after.rows, files_after.as_deref());
        let changed = match unknown.take("changed", begin.settings.current()) {
            Some(before) => differences(&values(&before.rows, files_before.as_deref()), &now),
            None => Vec::new(),
        };
        let not_default = after.rows.iter().filter_map(|row| is(row, now.get(&*row.name)?)).collect();
        let pending_restart = after.rows.iter().filter(|row| row.pending_restart).map(|row| row.name.to_string()).collect();
        Self { changed, not_default, pending_restart, unknown }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let value = |value: &Option<String>| value.as_deref().map_or_else(|| Cell::from("(not there)"), Cell::from);
        let change = |row: &SettingChange| [row.name.as_str().into(), value(&row.before), value(&row.after)];
        let changed = Table::new("Changed in the period", &["setting", "*before", "*after"])
            .rows(self.changed.iter().map(change))
            .or("none changed")
            .wrapping();
        let is = |row: &SettingIs| {
            [
                row.name.as_str().into(),
                row.value.as_str().into(),
                row.default.as_deref().unwrap_or_default().into(),
                row.source.as_str().into(),
            ]
        };
        let others = Table::new("Not at the built-in value, at the end", &["setting", "*value", "*built-in", "from"])
            .rows(self.not_default.iter().map(is))
            .or("all are at their built-in value")
            .wrapping();
        let mut section = Section::new("settings", "Settings", "").missing(self.unknown.iter()).with(changed).with(others);
        if !self.pending_restart.is_empty() {
            section = section.note(format!("Wait for a restart: {}.", self.pending_restart.join(", ")));
        }
        section
    }
}

/// Values for people, by name.
type Values<'a> = BTreeMap<&'a str, String>;

fn values<'a>(rows: &'a [Row], files: Option<&[FileSetting]>) -> Values<'a> {
    let value = |row: &'a Row| Some((&*row.name, with_unit(row, &row.on_server(files)?)));
    rows.iter().filter_map(value).collect()
}

/// A value as a person writes it: `128MB`, `5min`.
fn with_unit(row: &Row, value: &str) -> String {
    let special = matches!(value, "-1" | "0");
    let (false, Some(number)) = (special, value.parse::<f64>().ok()) else { return value.to_owned() };
    match (row.unit.as_deref(), row.in_base_unit(value)) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes and times are whole and not negative here")]
        (Some("B" | "kB" | "8kB" | "MB" | "16MB" | "64kB" | "32kB" | "16kB" | "4kB"), Some((_, bytes))) if number > 0.0 => {
            exact_bytes(bytes as u64)
        }
        (Some(unit @ ("us" | "ms" | "s" | "min" | "h" | "d")), Some((_, seconds))) if number > 0.0 => match unit {
            "us" => format!("{value}us"),
            _ => crate::units::exact_duration(std::time::Duration::from_secs_f64(seconds)),
        },
        (Some(unit), _) if unit.chars().all(|c| c.is_ascii_alphabetic()) => format!("{value}{unit}"),
        _ => value.to_owned(),
    }
}

fn exact_bytes(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")];
    let unit = units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes}B"), |(unit, name)| format!("{}{name}", bytes / unit))
}

fn differences(before: &Values<'_>, after: &Values<'_>) -> Vec<SettingChange> {
    let mut names: Vec<&str> = before.keys().chain(after.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    let changed = names.into_iter().filter(|name| before.get(name) != after.get(name));
    changed
        .map(|name| SettingChange { name: name.to_owned(), before: before.get(name).cloned(), after: after.get(name).cloned() })
        .collect()
}

/// None for a setting at its built-in value, and for those that only tell what the server is.
fn is(row: &Row, value: &str) -> Option<SettingIs> {
    let default = row.boot_val.as_deref().map(|value| with_unit(row, value));
    // What begins so is of the transaction in which it was asked.
    let of_transaction = row.name.starts_with("transaction_");
    let tells = of_transaction || &*row.context == "internal" || matches!(&*row.source, "default" | "client" | "session");
    (!tells && default.as_deref() != Some(value)).then(|| SettingIs {
        name: row.name.to_string(),
        value: value.to_owned(),
        default,
        source: row.source.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::testing::row;

    #[test]
    fn values_are_told_as_a_person_writes_them() {
        let told = |unit: &str, value: &str| {
            let setting = row(|row: &mut Row| row.unit = Some(unit.into()).filter(|unit: &crate::sample::Text| !unit.is_empty()));
            with_unit(&setting, value)
        };
        assert_eq!(told("8kB", "16384"), "128MB");
        assert_eq!(told("ms", "300000"), "5min");
        assert_eq!(told("kB", "-1"), "-1");
        assert_eq!(told("", "on"), "on");
        assert_eq!(told("min", "5"), "5min");
        assert_eq!(told("", "0.9"), "0.9");
    }
}
