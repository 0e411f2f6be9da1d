//! How streaming goes, as a table.

use super::super::output::{Cell, Table, Tone};
use super::size;
use pgtend_model::backup::wal_status::WalStatus;
use pgtend_model::backup::wal_stream::{StreamState, Streaming};
use pgtend_model::units::show_seconds;

/// Whether something is to be done.
pub(super) fn is_wrong(streaming: Option<&Streaming>) -> bool {
    streaming.is_some_and(|streaming| matches!(streaming.state, StreamState::Failing | StreamState::Off))
}

pub(super) fn table(status: &WalStatus) -> Table {
    let columns =
        ["server", "written to", "streamed to", ">would be lost", ">of the last", ">pieces", ">stored", "slot", ">holds", "state"];
    let mut table = Table::new("Streaming of the open segment", &columns);
    for server in &status.servers {
        let Some(told) = &server.archiving.streaming else { continue };
        let unknown = || "unknown".to_owned();
        let is_standby = told.state == StreamState::Standby;
        let figure = |text: Option<String>| if is_standby { String::new() } else { text.unwrap_or_else(unknown) };
        let row = [
            server.server.clone(),
            figure(told.flushed_lsn.map(|lsn| lsn.to_string())),
            figure(told.streamed_lsn.map(|lsn| lsn.to_string())),
            figure(told.lag_bytes.map(size)),
            figure(told.lag_seconds.map(show_seconds)),
            told.pieces.to_string(),
            size(told.stored_bytes),
            told.slot.clone().unwrap_or_else(|| "none: archive_command".to_owned()),
            told.slot_held_bytes.map(size).unwrap_or_default(),
        ];
        table.push(row.into_iter().map(Cell::from).chain([state(told)]));
    }
    table
}

fn state(told: &Streaming) -> Cell {
    let why = || told.error.as_ref().map(|error| error.what.clone()).unwrap_or_default();
    match told.state {
        StreamState::Starting => Cell::new("starting", Tone::Warn),
        StreamState::Streaming => Cell::new("ok", Tone::Good),
        StreamState::Standby => Cell::new("a standby: its primary's WAL is streamed there", Tone::Dim),
        StreamState::Failing | StreamState::Off => {
            let since = told.failing_since.map(|since| format!("since {since:.0}: ")).unwrap_or_default();
            let hint =
                told.error.as_ref().filter(|error| !error.hint.is_empty()).map(|error| format!(" ({})", error.hint)).unwrap_or_default();
            Cell::new(format!("{since}{}{hint}", why()), Tone::Bad)
        }
    }
}
