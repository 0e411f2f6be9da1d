//! What somebody says to `pgtend up`.

use clap::Args;
use pgtend_model::config::Listen;
use std::path::PathBuf;

/// The options of `pgtend up`.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Where everything lies; missing or empty, or made by pgtend before
    ///
    /// Without it: /var/lib/pgtend-up for root, $XDG_DATA_HOME/pgtend (~/.local/share/pgtend) for others.
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// The directory with postgres and initdb
    ///
    /// Without it: the highest of 13 to 18 in PATH and in the usual places.
    #[arg(long, value_name = "DIR", env = "PGTEND_BINDIR", hide_env_values = true)]
    pub bindir: Option<PathBuf>,
    /// As root: the user who runs PostgreSQL [default: postgres, or the owner of the data]
    #[arg(long, value_name = "NAME")]
    pub os_user: Option<String>,
    /// The port of PostgreSQL; 0 takes a free one [default: 5432, or a free one where that is taken]
    #[arg(long, value_name = "PORT")]
    pub pg_port: Option<u16>,
    /// Where the API answers, or `off`; port 0 takes a free one [default: 127.0.0.1:8080, or a free port]
    #[arg(long, value_name = "ADDR", value_parser = listen)]
    pub api: Option<Listen>,
    /// Where Prometheus finds the metrics, or `off`; port 0 takes a free one [default: 127.0.0.1:9187, or a free port]
    #[arg(long, value_name = "ADDR", value_parser = listen)]
    pub metrics: Option<Listen>,
    /// A file that gets one JSON object (dsn, api, metrics, data_directory, pid) when everything answers
    #[arg(long, value_name = "PATH")]
    pub ready_file: Option<PathBuf>,
    /// Leave PostgreSQL running at the end
    #[arg(long)]
    pub leave_running: bool,
    /// Leave PostgreSQL down when it dies, instead of starting it again (3 times in 5 minutes)
    #[arg(long)]
    pub no_restart: bool,
}

fn listen(text: &str) -> Result<Listen, String> {
    if text == "off" {
        return Ok(Listen::Off);
    }
    text.parse().map(Listen::At).map_err(|_| "write an IP address and a port such as 127.0.0.1:8080 or [::1]:0, or off".to_owned())
}
