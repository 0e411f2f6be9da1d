//! `pgtend config`: checks the configuration, and shows what follows from it.

use super::Global;
use super::output::{self, Format, Table, Tabular};
use crate::config::ConfigFile;
use clap::{Args, Subcommand};
use pgtend_model::config::{Effective, Notice, Parsed, Problems, Secrets};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_postgres::connect::{Environment, Target};
use serde::Serialize;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Checks and shows the configuration
#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(Check),
    Show(Show),
    Alerts(Alerts),
}

impl Config {
    pub(super) fn run(&self, global: &Global) -> Result<u8> {
        match &self.command {
            Command::Check(check) => check.run(global),
            Command::Show(show) => show.run(global),
            Command::Alerts(Alerts {}) => output::write(ALERTS).map(|()| 0),
        }
    }
}

/// Says everything that is wrong with the configuration, with line and remedy
#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    file: ConfigFile,
}

/// Shows the configuration as TOML (or --format json, yaml), secrets masked
#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    file: ConfigFile,
    /// Show every key, defaults included, and not only those that the file sets
    #[arg(long)]
    effective: bool,
}

/// Prints alert rules for Prometheus, for what somebody must look at
#[derive(Debug, Args)]
struct Alerts {}

/// The rules, as they also lie in the documentation.
const ALERTS: &str = include_str!("../../../../docs/alerts.yml");

/// What a check found.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    servers: Vec<String>,
    problems: Vec<Error>,
    notices: Vec<Notice>,
}

impl Check {
    fn run(&self, global: &Global) -> Result<u8> {
        let report = self.report();
        let code = report.problems.first().map_or(0, |problem| problem.kind.exit_code());
        if global.format == Format::Table {
            for notice in &report.notices {
                output::notice(notice);
            }
            for problem in &report.problems {
                output::error(problem);
            }
            if report.problems.is_empty() {
                output::write(&format!("{}: good; servers: {}\n", report.file, report.servers.join(", ")))?;
            }
        } else {
            output::print(&report, global.format)?;
        }
        Ok(code)
    }

    fn report(&self) -> Report {
        let file = self.file.path.display().to_string();
        match self.file.load() {
            Err(Problems(problems)) => Report { file, servers: Vec::new(), problems, notices: Vec::new() },
            Ok(Parsed { effective, notices, .. }) => {
                let servers = effective.server.iter().map(|server| server.name.clone()).collect();
                let problems = surroundings(&effective).into_iter().map(|problem| problem.at(&file)).collect();
                Report { file, servers, problems, notices }
            }
        }
    }
}

/// What is wrong with the files and connection strings that the configuration names.
fn surroundings(config: &Effective) -> Vec<Error> {
    let mut problems = Vec::new();
    let environment = Environment::from_process();
    for server in &config.server {
        let of = |error: Error| Error { what: format!("server {}: {}", server.name, error.what), ..error };
        problems.extend(Target::resolve(Some(server.dsn.expose()), &environment).err().map(of));
        problems.extend(server.password_file.as_deref().and_then(|path| private_file("password_file", path).err()).map(of));
    }
    problems.extend(config.api.tls_certificate.as_deref().and_then(|path| exists("api.tls_certificate", path).err()));
    problems.extend(config.api.tls_key.as_deref().and_then(|path| private_file("api.tls_key", path).err()));
    problems
}

fn exists(key: &str, path: &Path) -> Result<std::fs::Metadata> {
    std::fs::metadata(path).map_err(|error| Error::new(Kind::Config, format!("{key} is {}: {error}", path.display())))
}

fn private_file(key: &str, path: &Path) -> Result<()> {
    let mode = exists(key, path)?.permissions().mode();
    if mode & 0o007 != 0 {
        let what = format!("{key} is {}, and everybody may read it", path.display());
        return Err(Error::new(Kind::Config, what).hint(format!("chmod 640 {}", path.display())));
    }
    Ok(())
}

impl Tabular for Report {
    fn tables(&self) -> Vec<Table> {
        let mut table = Table::new("", &["severity", "what", "place", "hint"]);
        let problems = self.problems.iter().map(|p| vec!["problem".to_owned(), p.what.clone(), p.place.clone(), p.hint.clone()]);
        let notices = self.notices.iter().map(|n| vec!["notice".to_owned(), n.text.clone(), n.place.clone(), String::new()]);
        problems.chain(notices).for_each(|row| table.push(row));
        vec![table]
    }
}

impl Show {
    fn run(&self, global: &Global) -> Result<u8> {
        let parsed = self.file.load()?;
        let shown = if self.effective { parsed.effective.to_toml(Secrets::Masked) } else { parsed.written };
        let broken = |error: &dyn std::fmt::Display| Error::new(Kind::Internal, format!("the configuration cannot be printed: {error}"));
        let text = match global.format {
            Format::Table => toml::to_string_pretty(&shown).map_err(|error| broken(&error))?,
            Format::Json => serde_json::to_string_pretty(&shown).map_err(|error| broken(&error))? + "\n",
            Format::Yaml => serde_yaml_ng::to_string(&shown).map_err(|error| broken(&error))?,
            Format::Csv | Format::Summary | Format::Html => {
                let hint = "leave --format out for TOML, or take json or yaml";
                return Err(Error::new(Kind::Usage, "a configuration is no table, so there is neither CSV nor summary of it").hint(hint));
            }
        };
        output::write(&text)?;
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::ALERTS;
    use std::collections::BTreeSet;

    #[derive(serde::Deserialize)]
    struct Rules {
        groups: Vec<Group>,
    }

    #[derive(serde::Deserialize)]
    struct Group {
        rules: Vec<Rule>,
    }

    #[derive(serde::Deserialize)]
    struct Rule {
        alert: String,
        expr: String,
    }

    #[test]
    fn alert_rules_ask_for_metrics_that_there_are() {
        let chapters = pgtend_model::metric::reference();
        let known: BTreeSet<&str> = chapters.iter().flat_map(|chapter| &chapter.families).map(|family| family.name.as_ref()).collect();
        let rules: Rules = serde_yaml_ng::from_str(ALERTS).unwrap();
        let rules: Vec<Rule> = rules.groups.into_iter().flat_map(|group| group.rules).collect();
        assert!(rules.len() > 10, "{}", rules.len());
        for rule in rules {
            let words = rule.expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let metrics: Vec<&str> = words.filter(|word| word.starts_with("pgtend_") || word.starts_with("backup_")).collect();
            assert!(!metrics.is_empty(), "{}", rule.alert);
            for metric in metrics {
                assert!(known.contains(metric), "{}: {metric}", rule.alert);
            }
        }
    }
}
