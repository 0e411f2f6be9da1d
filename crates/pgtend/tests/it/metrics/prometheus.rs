//! Prometheus' text format, read.

use std::collections::{BTreeMap, BTreeSet};

/// A family.
#[derive(Debug, Default)]
pub struct Family {
    /// `counter`, `gauge`, …
    pub kind: String,
    /// Values by labels.
    pub series: BTreeMap<BTreeMap<String, String>, f64>,
}

impl Family {
    /// The sets of label names that its series have.
    pub fn label_names(&self) -> BTreeSet<Vec<&str>> {
        self.series.keys().map(|labels| labels.keys().map(String::as_str).collect()).collect()
    }
}

/// A text with all its families.
#[derive(Debug, Default)]
pub struct Text(pub BTreeMap<String, Family>);

impl Text {
    /// Reads a text; fails the test where it is not as it should be.
    pub fn parse(text: &str) -> Self {
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                let family = Family { kind: kind.to_owned(), ..Family::default() };
                assert!(families.insert(name.to_owned(), family).is_none(), "{name} comes twice");
                name.clone_into(&mut current);
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, mut labels) = series.split_once('{').map_or((series, BTreeMap::new()), |(name, rest)| (name, read_labels(rest)));
                assert!(name.starts_with(&current), "{name} is not of {current}");
                labels.extend((name != current).then(|| ("__name__".to_owned(), name.to_owned())));
                let twice = families.get_mut(&current).unwrap().series.insert(labels, value.parse().unwrap());
                assert!(twice.is_none(), "a series comes twice: {line}");
            }
        }
        Self(families)
    }

    /// The sum over the series of a family that have these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |all: &BTreeMap<String, String>| labels.iter().all(|(name, value)| all.get(*name).map(String::as_str) == Some(value));
        self.0.get(name).into_iter().flat_map(|family| &family.series).filter(|(all, _)| has(all)).map(|(_, value)| value).sum()
    }
}

fn read_labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().unwrap() {
                (end, '"') => break end,
                (_, '\\') => value.push(match characters.next().unwrap().1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        rest = &after[end + 1..];
    }
    labels
}
