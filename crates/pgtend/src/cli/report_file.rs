//! Where a report goes, and in which form.

use super::Global;
use super::output::{self, Format};
use crate::awr::html;
use crate::client::Client;
use clap::Args;
use pgtend_model::awr::request::{Form, Paged};
use pgtend_model::error::{Error, Kind, Result};
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where a report goes.
#[derive(Debug, Clone, Args)]
pub(super) struct ReportFile {
    /// Write it to this file, and not to standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The form that a format asks for.
fn form(format: Format) -> Result<Form> {
    match format {
        Format::Table => Ok(Form::Text),
        Format::Json => Ok(Form::Json),
        Format::Html => Ok(Form::Html),
        Format::Yaml | Format::Csv | Format::Summary => {
            Err(Error::new(Kind::Usage, "a report is text, html or json").hint("choose --format text, html or json"))
        }
    }
}

impl ReportFile {
    /// The format that was asked for; where none was, the one that the file's ending names.
    pub fn format(&self, global: &Global) -> Format {
        let ending = self.output.as_deref().and_then(Path::extension).and_then(|ending| ending.to_str()).map(str::to_lowercase);
        match (global.format, ending.as_deref()) {
            (Format::Table, Some("html" | "htm")) => Format::Html,
            (Format::Table, Some("json")) => Format::Json,
            (format, _) => format,
        }
    }

    /// The form of the report. Told before the work begins, as well as that the file cannot be written.
    ///
    /// # Errors
    /// `Usage` when a report cannot be had in the format; `System` when the file cannot be written.
    pub fn form(&self, global: &Global) -> Result<Form> {
        let form = form(self.format(global))?;
        match &self.output {
            Some(path) => writable(path).map(|()| form).map_err(|error| unwritten(path, &error)),
            None => Ok(form),
        }
    }

    /// Has an agent make a report, and writes it.
    ///
    /// # Errors
    /// What the agent says; `System` when the file cannot be written.
    pub async fn fetch(
        &self,
        client: &Client,
        path: &str,
        server: Option<&str>,
        request: &(impl Serialize + Sync),
        global: &Global,
    ) -> Result<()> {
        match form(self.format(global))? {
            Form::Json => self.write(&json(&client.make::<serde_json::Value>(path, server, request).await?)?),
            Form::Text | Form::Html => self.write(&client.make_text(path, server, request).await?),
        }
    }

    /// Writes a report that was made here.
    ///
    /// # Errors
    /// `System` when the file cannot be written.
    pub fn put(&self, report: &impl Paged, global: &Global) -> Result<()> {
        self.write(&match form(self.format(global))? {
            Form::Json => json(report)?,
            Form::Text => report.text(),
            Form::Html => html(&report.page())?,
        })
    }

    fn write(&self, text: &str) -> Result<()> {
        let Some(path) = &self.output else { return output::write(text) };
        std::fs::write(path, text).map_err(|error| unwritten(path, &error))?;
        output::progress(&format!("wrote {}", path.display()));
        Ok(())
    }
}

/// Whether a file can be written. What was not there is not there afterwards either; a pipe is left to whoever reads it.
pub(super) fn writable(path: &Path) -> std::io::Result<()> {
    match path.metadata() {
        Ok(found) if !found.is_file() && !found.is_dir() => Ok(()),
        Ok(_) => OpenOptions::new().append(true).open(path).map(|_| ()),
        Err(_) => OpenOptions::new().append(true).create(true).open(path).and_then(|_| std::fs::remove_file(path)),
    }
}

/// The error for a report that cannot be written there.
pub(super) fn unwritten(path: &Path, error: &std::io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::NotFound => "the directory must exist: make it, or write elsewhere",
        ErrorKind::PermissionDenied => "write to a directory where you may, or leave out --output and redirect what is printed",
        ErrorKind::IsADirectory => "name a file in it",
        _ => "write elsewhere, or leave out --output and redirect what is printed",
    };
    Error::new(Kind::System, format!("the report cannot be written: {error}")).at(path.display().to_string()).hint(hint)
}

fn json(document: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(document);
    text.map(|text| text + "\n").map_err(|error| Error::new(Kind::Internal, format!("the report cannot be written as JSON: {error}")))
}
