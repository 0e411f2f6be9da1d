//! pgtend's own log on standard error, as `[logging]` says; its levels can change while it runs.

use pgtend_model::config::effective::{LogFormat, Logging};
use std::io::IsTerminal;
use std::sync::OnceLock;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts to log for a command that prints what it has to say itself: warnings, or what `PGTEND_LOG` asks for.
pub fn start_quiet() {
    let filter = EnvFilter::try_from_env("PGTEND_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let _set_once = fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// Starts to log as the configuration says.
pub fn start(logging: &Logging) {
    let (filter, handle) = reload::Layer::new(EnvFilter::new(logging.directives()));
    // The journal has times of its own.
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).with_target(false);
    let lines = match logging.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text if journal => lines.without_time().boxed(),
        LogFormat::Text => lines.boxed(),
    };
    if tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok() {
        let _only_the_first_counts = FILTER.set(handle);
    }
}

/// Changes the levels.
pub fn change(logging: &Logging) {
    if let Some(Err(error)) = FILTER.get().map(|filter| filter.reload(EnvFilter::new(logging.directives()))) {
        tracing::warn!(%error, "the levels of the log stay as they were");
    }
}
