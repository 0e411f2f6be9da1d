//! How far long work is: a bar on standard error, where that is a terminal.

use crate::backup::progress::Seen;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// A bar of bytes, with rate and time left.
pub(super) fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(
        "{bar:30} {percent:>3} %  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left  {msg}",
    );
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Brings the bar of a backup or restore to where the work is.
pub(super) fn show(bar: &ProgressBar, seen: &Seen) {
    bar.set_length(seen.total_bytes);
    bar.set_position(seen.done_bytes);
    bar.set_message(seen.phase.text());
}

/// Does the work, and brings a bar to where it is five times a second.
pub(super) async fn watched<T>(work: impl Future<Output = T>, show: impl Fn(&ProgressBar)) -> T {
    let bar = bar();
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    tokio::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = tick.tick() => show(&bar),
        }
    };
    bar.finish_and_clear();
    done
}
