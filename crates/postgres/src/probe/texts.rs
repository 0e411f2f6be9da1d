//! One allocation for each text, however many rows and samples hold it.

use pgtend_model::sample::Text;
use std::collections::HashSet;
use std::sync::Arc;

/// Texts that samples hold, each once. Those that nobody holds any more are let go as the set grows.
#[derive(Debug, Default)]
pub struct Texts {
    known: HashSet<Text>,
    sweep_at: usize,
}

impl Texts {
    /// The shared allocation of this text.
    pub fn share(&mut self, text: &str) -> Text {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|text| Arc::strong_count(text) > 1);
            self.sweep_at = (self.known.len() * 2).max(1024);
        }
        let shared: Text = text.into();
        self.known.insert(shared.clone());
        shared
    }

    /// How many texts are held.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_the_same_allocation_and_unused_ones_go() {
        let mut texts = Texts::default();
        let kept = texts.share("kept");
        for n in 0..10_000 {
            texts.share(&n.to_string());
        }
        assert!(texts.len() < 5_000, "{} unused texts are held", texts.len());
        assert!(Arc::ptr_eq(&kept, &texts.share("kept")));
    }
}
