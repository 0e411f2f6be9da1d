//! `pgtend generate-docs DIR`: writes the reference, from the definitions by which pgtend works. `cargo xtask gen-docs` runs it.

mod commands;
mod metrics;
mod probes;

use clap::Args;
use pgtend_model::error::{Error, Kind, Result};
use std::path::PathBuf;

/// A document of the reference.
struct Document {
    name: &'static str,
    text: fn() -> String,
}

/// The documents of the reference.
const DOCUMENTS: &[Document] = &[
    Document { name: "api.md", text: crate::api::reference },
    Document { name: "cli.md", text: commands::document },
    Document { name: "configuration.md", text: pgtend_model::config::reference },
    Document { name: "connection.md", text: pgtend_postgres::connect::reference },
    Document { name: "metrics.md", text: metrics::document },
    Document { name: "probes.md", text: probes::document },
];

const ORIGIN: &str = "<!-- Written by `pgtend generate-docs`. Change the definitions in the code, not this file. -->\n\n";

/// Writes the reference documentation
#[derive(Debug, Args)]
pub(super) struct GenerateDocs {
    /// Where to
    directory: PathBuf,
}

impl GenerateDocs {
    pub(super) fn run(&self) -> Result<u8> {
        for document in DOCUMENTS {
            let path = self.directory.join(document.name);
            let failed = |error: std::io::Error| Error::new(Kind::System, error.to_string()).at(path.display().to_string());
            std::fs::create_dir_all(&self.directory).map_err(failed)?;
            std::fs::write(&path, format!("{ORIGIN}{}", (document.text)())).map_err(failed)?;
        }
        Ok(0)
    }
}
