//! The server's settings, from `pg_settings`.

use super::Text;
use super::file_settings::FileSetting;
use super::row::rows;
use std::borrow::Cow;

rows! {
    /// One setting. Passwords and the values of settings whose name says that they are secret are masked in the query.
    pub struct Setting {
        /// Name.
        label name: Text;
        /// Value, in `unit`.
        info setting: Option<Text>;
        /// Unit of the value: `8kB`, `ms`, …
        info unit: Option<Text>;
        /// Chapter of the manual.
        info category: Text;
        /// What it is for, as PostgreSQL says it.
        info short_desc: Text;
        /// When it can be changed: `postmaster` (restart), `sighup` (reload), `superuser`, `user`, `internal`, …
        info context: Text;
        /// `bool`, `integer`, `real`, `enum`, `string`.
        info vartype: Text;
        /// Where the value comes from: `default`, `configuration file`, `command line`, …
        info source: Text;
        /// Smallest value allowed.
        info min_val: Option<Text>;
        /// Largest value allowed.
        info max_val: Option<Text>;
        /// Value when nothing is configured.
        info boot_val: Option<Text>;
        /// Value that RESET gives.
        info reset_val: Option<Text>;
        /// File that sets it.
        info sourcefile: Option<Text>;
        /// Line of that file.
        info sourceline: Option<i64>;
        /// Whether a value was changed in the files and waits for a restart.
        gauge pending_restart: bool;
    }
}

impl Setting {
    /// The value in the setting's unit that a session of the same role and database gets, where pgtend's own has another one to bound
    /// itself (`statement_timeout`, `jit`, …). Where it had to bound itself before its first statement, what the files say, or the
    /// built-in value when they say nothing; none when the files may not be read.
    pub fn on_server<'a>(&'a self, files: Option<&'a [FileSetting]>) -> Option<Cow<'a, str>> {
        match &*self.source {
            "session" => return self.reset_val.as_deref().map(Cow::Borrowed),
            "client" => {}
            _ => return self.setting.as_deref().map(Cow::Borrowed),
        }
        let applied = |file: &&FileSetting| file.applied && file.name.as_deref() == Some(&*self.name);
        match files?.iter().rfind(applied) {
            Some(file) => self.in_unit(file.setting.as_deref()?),
            None => self.boot_val.as_deref().map(Cow::Borrowed),
        }
    }

    /// A value of a numeric setting in the unit that it is best told in (`seconds`, `bytes`, or none), and the name of that unit.
    /// -1 stands for a default or for "off" whatever the unit, and stays.
    pub fn in_base_unit(&self, value: &str) -> Option<(&'static str, f64)> {
        in_base_unit(value.parse().ok()?, self.unit.as_deref().unwrap_or(""))
    }

    /// A value as a file writes it, in the setting's unit.
    fn in_unit<'a>(&self, written: &'a str) -> Option<Cow<'a, str>> {
        match (&*self.vartype, self.unit.as_deref()) {
            ("bool", _) => {
                let on = ["on", "true", "yes", "1", "t", "y"].contains(&written.to_lowercase().as_str());
                Some(Cow::Borrowed(if on { "on" } else { "off" }))
            }
            (_, Some("ms")) if written.ends_with(|c: char| c.is_alphabetic()) => {
                crate::units::duration(written).ok().map(|time| Cow::Owned(time.as_millis().to_string()))
            }
            _ => Some(Cow::Borrowed(written)),
        }
    }
}

fn in_base_unit(value: f64, unit: &str) -> Option<(&'static str, f64)> {
    let number = unit.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (name, factor) = match &unit[number.len()..] {
        "" => return number.is_empty().then_some(("", value)),
        "us" => ("seconds", 1e-6),
        "ms" => ("seconds", 1e-3),
        "s" => ("seconds", 1.0),
        "min" => ("seconds", 60.0),
        "h" => ("seconds", 3600.0),
        "d" => ("seconds", 86_400.0),
        "B" => ("bytes", 1.0),
        "kB" => ("bytes", 1024.0),
        "MB" => ("bytes", 1_048_576.0),
        "GB" => ("bytes", 1_073_741_824.0),
        "TB" => ("bytes", 1_099_511_627_776.0),
        _ => return None,
    };
    let multiple: f64 = if number.is_empty() { 1.0 } else { number.parse().ok()? };
    #[expect(clippy::float_cmp, reason = "-1 is written as such")]
    let is_special = value == -1.0;
    Some((name, if is_special { value } else { value * multiple * factor }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::testing::row;

    fn setting(source: &str) -> Setting {
        row(|row: &mut Setting| {
            row.name = "statement_timeout".into();
            row.vartype = "integer".into();
            row.unit = Some("ms".into());
            row.setting = Some("2000".into());
            row.boot_val = Some("0".into());
            row.reset_val = Some("60000".into());
            row.source = source.into();
        })
    }

    fn file(value: &str, applied: bool) -> FileSetting {
        row(|row: &mut FileSetting| {
            row.name = Some("statement_timeout".into());
            row.setting = Some(value.into());
            row.applied = applied;
        })
    }

    #[test]
    fn what_pgtends_own_session_sets_is_not_the_servers() {
        let files = [file("1min", true), file("30s", true), file("7", false)];
        assert_eq!(setting("configuration file").on_server(None).as_deref(), Some("2000"));
        assert_eq!(setting("client").on_server(Some(&files)).as_deref(), Some("30000"));
        assert_eq!(setting("client").on_server(Some(&[])).as_deref(), Some("0"));
        assert_eq!(setting("session").on_server(None).as_deref(), Some("60000"));
        assert_eq!(setting("client").on_server(None), None);
    }
}
