//! Keeps a copy of the history elsewhere, where the configuration says so.

use super::recording::Recording;
use super::tasks::Tasks;
use pgtend_model::config::effective::History as Settings;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_store::history::{Copier, CopyTo};

/// Starts to copy, where that is asked for.
///
/// # Errors
/// When the address or the secret's file cannot be used.
pub(super) fn start(settings: &Settings, recording: &Recording, tasks: &Tasks) -> Result<()> {
    let Some(url) = settings.copy_to.clone() else { return Ok(()) };
    let to = CopyTo { url, endpoint: settings.copy_endpoint.clone(), region: settings.copy_region.clone(), keys: keys(settings)? };
    let copier = Copier::new(recording.history().clone(), &to)?;
    let (ends, recording) = (tasks.token(), recording.clone());
    tasks.spawn("history copy", async move {
        tokio::select! {
            () = ends.cancelled() => {}
            () = copy(copier, &recording) => {}
        }
    });
    Ok(())
}

fn keys(settings: &Settings) -> Result<Option<(String, String)>> {
    let (Some(id), Some(file)) = (&settings.copy_access_key_id, &settings.copy_secret_access_key_file) else { return Ok(None) };
    let secret = std::fs::read_to_string(file).map_err(|error| {
        Error::new(Kind::Config, format!("the file with the secret access key cannot be read: {error}"))
            .at(file.display().to_string())
            .hint("it must be readable by the user that runs the agent")
    })?;
    Ok(Some((id.clone(), secret.trim().to_owned())))
}

/// Looks for files to copy whenever files may have come: once a minute, while they come once an hour.
async fn copy(mut copier: Copier, recording: &Recording) {
    let mut failing = false;
    loop {
        recording.tended().await;
        match copier.round().await {
            Ok(done) => {
                if done.files > 0 || std::mem::take(&mut failing) {
                    tracing::info!(files = done.files, bytes = done.bytes, removed = done.removed, "history copied");
                }
            }
            // Once, until it goes well again: a store that is away for a day is one piece of news.
            Err(error) if !failing => {
                failing = true;
                tracing::error!(error = error.what, place = error.place, hint = error.hint, "the history is not copied; it is tried again");
            }
            Err(_) => {}
        }
    }
}
