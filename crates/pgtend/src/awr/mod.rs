//! Reports as files that people send around: standalone HTML without script, text, JSON.

mod html;
mod svg;

pub use html::html;

#[cfg(test)]
mod tests;
