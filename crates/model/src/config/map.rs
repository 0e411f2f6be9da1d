//! A table with names of the user's choice.

use super::key::{Key, Shape};
use super::secret::Secrets;
use super::setting::{At, Node, Setting};
use std::collections::BTreeMap;
use toml::de::DeValue;

impl<T: Setting> Setting for BTreeMap<String, T> {
    const TYPE: &'static str = T::TYPE;
    const SHAPE: Shape = if matches!(T::SHAPE, Shape::Table) { Shape::Tables } else { Shape::Map };
    const KEYS: &'static [Key] = T::KEYS;

    fn read(node: &Node<'_>, at: &At<'_>) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            at.wrong_type(&format!("a section: {}", at.header()), node);
            return None;
        };
        let read: Vec<Option<(String, T)>> = table
            .iter()
            .map(|(name, value)| {
                let name = name.get_ref().to_string();
                let at = at.below(&name, value, at.key);
                T::read(value, &at).map(|value| (name, value))
            })
            .collect();
        read.into_iter().collect()
    }

    fn show(&self, unit: &str, secrets: Secrets) -> Option<toml::Value> {
        let table: toml::Table = self.iter().filter_map(|(name, value)| Some((name.clone(), value.show(unit, secrets)?))).collect();
        (!table.is_empty()).then_some(toml::Value::Table(table))
    }
}
