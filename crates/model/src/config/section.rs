//! A section: a table with known keys. Declared once, it gives the type, its reading, its defaults and its reference.

use super::hints;
use super::key::{Default, Key, Shape};
use super::raw::Document;
use super::setting::{At, Node, Setting};
use crate::error::{Error, Kind};
use std::cell::RefCell;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table while it is read.
pub struct Section<'a> {
    pub(super) at: At<'a>,
    table: &'a DeTable<'a>,
    keys: &'static [Key],
    taken: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    /// Starts to read a table; notes it when the value is none.
    pub(super) fn open(node: &'a Node<'_>, at: &At<'a>, keys: &'static [Key]) -> Option<Self> {
        match node.get_ref() {
            DeValue::Table(table) => {
                let at = At { document: at.document, span: at.span.clone(), path: at.path.clone(), key: at.key };
                Some(Self { at, table, keys, taken: RefCell::default() })
            }
            DeValue::Array(elements) if elements.iter().all(|element| element.get_ref().is_table()) => {
                at.wrong(format!("[[{}]] is no list: there is only one", at.path), format!("write [{}]", at.path));
                None
            }
            _ => {
                at.wrong_type(&format!("a section: {}", at.header()), node);
                None
            }
        }
    }

    /// The value of a key, or what stands in for it; what is wrong is noted, and then there is none.
    pub(super) fn take<T: Setting>(&self, name: &'static str) -> Option<T> {
        let key = declared(self.keys, name);
        self.taken.borrow_mut().push(name);
        match (self.table.get(name), key.default) {
            (Some(node), _) => {
                let at = self.at.below(name, node, Some(key));
                at.note_unused();
                T::read(node, &at)
            }
            (None, Default::Required) => {
                self.at.wrong(format!("{} has no {name}", self.at.header()), format!("{name}: {}", key.meaning()));
                None
            }
            (None, _) => Some(default_of(key)),
        }
    }

    /// Notes the keys that nobody took.
    pub(super) fn close(&self) {
        let known: Vec<&str> = self.keys.iter().map(|key| key.name).collect();
        for (name, node) in self.table {
            if !self.taken.borrow().contains(&name.get_ref().as_ref()) {
                hints::unknown_key(&self.at, name, node, &known);
            }
        }
    }

    /// Notes that the value of a key is wrong, where it stands; the whole section when the key is not written.
    pub(super) fn reject(&self, key: &str, what: impl Into<String>, hint: impl Into<String>) {
        self.reject_at(&[key.into()], what, hint);
    }

    /// Notes that a value is wrong, where it stands or as near as it was written.
    pub(super) fn reject_at(&self, path: &[Step<'_>], what: impl Into<String>, hint: impl Into<String>) {
        let (first, rest) = path.split_first().map_or((None, path), |(first, rest)| (first.of(self.table), rest));
        let node = first.map(|first| rest.iter().try_fold(first, |node, step| step.below(node)).unwrap_or(first));
        let span = node.map_or(self.at.span.clone(), Spanned::span);
        self.at.document.problem(&span, Error::new(Kind::Config, what).hint(hint));
    }

    /// What there is to know about a key, if it is written.
    pub(super) fn notice(&self, name: &str, text: impl Into<String>) {
        if let Some(node) = self.table.get(name) {
            self.at.document.notice(&node.span(), text.into());
        }
    }

    /// The value of a key as it is written.
    pub(super) fn node(&self, name: &str) -> Option<&'a Node<'a>> {
        self.table.get(name)
    }
}

/// A step from a table or a list to what is in it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'s> {
    /// The value of a key.
    Key(&'s str),
    /// An element, counted from zero.
    Element(usize),
}

impl<'s> From<&'s str> for Step<'s> {
    fn from(key: &'s str) -> Self {
        Self::Key(key)
    }
}

impl From<usize> for Step<'_> {
    fn from(index: usize) -> Self {
        Self::Element(index)
    }
}

impl Step<'_> {
    fn of<'n>(self, table: &'n DeTable<'n>) -> Option<&'n Node<'n>> {
        match self {
            Self::Key(key) => table.get(key),
            Self::Element(_) => None,
        }
    }

    fn below<'n>(self, node: &'n Node<'n>) -> Option<&'n Node<'n>> {
        match self {
            Self::Key(key) => node.get_ref().get(key),
            Self::Element(index) => node.get_ref().get(index),
        }
    }
}

#[expect(clippy::expect_used, reason = "both come from one declaration")]
fn declared(keys: &'static [Key], name: &str) -> &'static Key {
    keys.iter().find(|key| key.name == name).expect("a section takes only keys that it declares")
}

/// What stands in for a key that is not written.
#[expect(clippy::expect_used, reason = "a test reads every default")]
pub(super) fn default_of<T: Setting>(key: &'static Key) -> T {
    let text = match (key.default, key.shape) {
        (Default::Value(text), _) => text,
        (_, Shape::Value) => return T::absent().expect("only an optional key has no default"),
        (_, Shape::Array) => "[]",
        (_, Shape::Table | Shape::Tables | Shape::Map) => "{}",
    };
    let node = DeValue::parse(text).expect("a default is TOML");
    let document = Document::new("the built-in defaults", text);
    let at = At { document: &document, span: node.span(), path: key.name.to_owned(), key: Some(key) };
    T::read(&node, &at).expect("a default is valid")
}

/// Declares a section. Each key is `name: type as "unit" = "default in TOML" in "from to to", applies;` under its documentation,
/// which becomes its entry in the reference. The default may be `required` or `none`.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident $(, checked by $check:path)? {
            $($(#[doc = $help:literal])+ $field:ident: $ty:ty $(as $unit:literal)? = $default:tt $(in $range:literal)?, $applies:ident;)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $help])+ pub $field: $ty,)+
        }

        impl $crate::config::Setting for $name {
            const TYPE: &'static str = "section";
            const SHAPE: $crate::config::Shape = $crate::config::Shape::Table;
            const KEYS: &'static [$crate::config::Key] = &[$($crate::config::Key {
                name: stringify!($field),
                about: concat!($($help, "\n"),+),
                ty: <$ty as $crate::config::Setting>::TYPE,
                unit: concat!($($unit)?),
                default: $crate::config::section::default!($default),
                range: concat!($($range)?),
                applies: $crate::config::section::applies!($applies),
                shape: <$ty as $crate::config::Setting>::SHAPE,
                keys: <$ty as $crate::config::Setting>::KEYS,
            }),+];

            fn read(node: &$crate::config::setting::Node<'_>, at: &$crate::config::setting::At<'_>) -> Option<Self> {
                let section = $crate::config::section::Section::open(node, at, Self::KEYS)?;
                $(let $field = section.take::<$ty>(stringify!($field));)+
                #[allow(unused_mut, reason = "only a check may change what was read")]
                let mut read = (|| Some(Self { $($field: $field?),+ }))();
                $(if let Some(read) = &mut read {
                    $check(read, &section);
                })?
                section.close();
                read
            }

            fn show(&self, _: &str, secrets: $crate::config::Secrets) -> Option<toml::Value> {
                let mut table = toml::Table::new();
                for key in Self::KEYS {
                    let value = match key.name {
                        $(stringify!($field) => $crate::config::Setting::show(&self.$field, key.unit, secrets),)+
                        _ => None,
                    };
                    if let Some(value) = value {
                        table.insert(key.name.to_owned(), value);
                    }
                }
                Some(toml::Value::Table(table))
            }
        }
    };
}

macro_rules! default {
    (required) => {
        $crate::config::Default::Required
    };
    (none) => {
        $crate::config::Default::None
    };
    ($text:literal) => {
        $crate::config::Default::Value($text)
    };
}

macro_rules! applies {
    (now) => {
        $crate::config::Applies::Now
    };
    (restart) => {
        $crate::config::Applies::AfterRestart
    };
    (not_yet) => {
        $crate::config::Applies::NotYet
    };
}

pub(super) use {applies, default, section};
