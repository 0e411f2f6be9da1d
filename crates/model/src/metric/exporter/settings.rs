//! pg_settings: a family for every setting that is a number or a switch, in base units.

use crate::metric::family::{Described, Group, Kind};
use crate::metric::scrape::{Scrape, Subject};
use crate::metric::text::{Labels, Number, Text};
use crate::sample::Probe;
use crate::sample::file_settings::FileSetting;
use crate::sample::settings::Setting;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The settings.
pub struct Settings;

/// A family, named at run time, with the series of each server.
struct Family {
    help: String,
    labels: Labels,
    values: Vec<f64>,
}

impl Group for Settings {
    fn families(&self) -> Vec<Described> {
        vec![Described {
            name: Cow::Borrowed("pg_settings_NAME"),
            kind: Kind::Gauge,
            help: Cow::Borrowed(
                "The setting NAME, dots and dashes as underscores, if it is a number or a switch (on is 1); times in seconds and sizes in \
                 bytes, with that unit at the end of the name; -1 stays -1. What pgtend sets for its own session only (time limits, \
                 jit) is shown as any other session of the same role and database has it.",
            ),
            labels: Vec::new(),
            inherited: true,
        }]
    }

    fn covers(&self) -> Vec<(Probe, &'static str)> {
        Vec::new()
    }

    fn write(&self, scrape: &Scrape<'_>, text: &mut Text<'_>) {
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        for subject in &scrape.subjects {
            let common = scrape.labels(subject, true, &[]);
            let readings = &subject.view.readings;
            let files = readings.file_settings.current().ok().map(|sample| sample.rows.as_slice());
            for setting in readings.settings.current().iter().flat_map(|sample| &sample.rows) {
                let Some((name, unit, value)) = value(subject, setting, files).and_then(|value| figure(setting, &value)) else { continue };
                let family = families.entry(name).or_insert_with(|| Family {
                    help: help(setting, unit),
                    labels: Labels::default(),
                    values: Vec::new(),
                });
                if family.labels.add_new(common.iter().copied()) {
                    family.values.push(value);
                }
            }
        }
        for (name, family) in &families {
            text.header(name, Kind::Gauge, &family.help);
            for (index, value) in family.values.iter().enumerate() {
                text.series(name, family.labels.get(index), Number::Float(*value));
            }
        }
    }
}

/// The setting as a session without settings of its own has it. Its transactions are read-only on a standby, pgtend's always.
fn value<'a>(subject: &'a Subject<'_>, setting: &'a Setting, files: Option<&'a [FileSetting]>) -> Option<Cow<'a, str>> {
    if &*setting.name != "transaction_read_only" {
        return setting.on_server(files);
    }
    let readings = &subject.view.readings;
    let server = readings.server.current().ok()?.rows.first()?;
    let default = readings.settings.current().ok()?.rows.iter().find(|row| &*row.name == "default_transaction_read_only")?;
    if server.in_recovery { Some(Cow::Borrowed("on")) } else { default.on_server(files) }
}

/// The family's name, the unit in which it is shown, and the value in it.
fn figure(setting: &Setting, value: &str) -> Option<(String, &'static str, f64)> {
    let name = setting.name.replace(['.', '-'], "_");
    let (unit, value) = match &*setting.vartype {
        "bool" => ("", f64::from(u8::from(value == "on"))),
        "integer" | "real" => setting.in_base_unit(value)?,
        _ => return None,
    };
    let separator = if unit.is_empty() { "" } else { "_" };
    Some((format!("pg_settings_{name}{separator}{unit}"), unit, value))
}

fn help(setting: &Setting, unit: &str) -> String {
    if unit.is_empty() { setting.short_desc.to_string() } else { format!("{} [Units converted to {unit}.]", setting.short_desc) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::testing::row;

    fn shown(name: &str, vartype: &str, value: &str, unit: Option<&str>) -> Option<(String, f64)> {
        let setting = row(|row: &mut Setting| {
            row.name = name.into();
            row.vartype = vartype.into();
            row.unit = unit.map(Into::into);
        });
        figure(&setting, value).map(|(name, _, value)| (name, value))
    }

    #[test]
    fn units_as_postgres_exporter_shows_them() {
        let expect = |shown: Option<(String, f64)>, name: &str, value: f64| assert_eq!(shown, Some((format!("pg_settings_{name}"), value)));
        expect(shown("shared_buffers", "integer", "16384", Some("8kB")), "shared_buffers_bytes", 134_217_728.0);
        expect(shown("autovacuum_vacuum_cost_delay", "real", "2", Some("ms")), "autovacuum_vacuum_cost_delay_seconds", 0.002);
        expect(shown("authentication_timeout", "integer", "60", Some("s")), "authentication_timeout_seconds", 60.0);
        expect(shown("log_rotation_age", "integer", "1440", Some("min")), "log_rotation_age_seconds", 86_400.0);
        expect(shown("autovacuum_work_mem", "integer", "-1", Some("kB")), "autovacuum_work_mem_bytes", -1.0);
        expect(shown("pg_stat_statements.max", "integer", "5000", None), "pg_stat_statements_max", 5000.0);
        expect(shown("autovacuum", "bool", "on", None), "autovacuum", 1.0);
        expect(shown("fsync", "bool", "off", None), "fsync", 0.0);
        assert_eq!(shown("log_destination", "string", "stderr", None), None);
        assert_eq!(shown("x.y", "integer", "12", Some("furlongs")), None);
    }
}
