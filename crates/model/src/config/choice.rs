//! A value that is one of a few words.

/// Declares an enumeration with the word for each variant; words are read without regard to case.
macro_rules! choice {
    (
        $(#[doc = $about:literal])+
        pub enum $name:ident {
            $($(#[doc = $help:literal])+ $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[doc = $help])+ $variant,)+
        }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl $crate::config::Setting for $name {
            const TYPE: &'static str = concat!("one of:", $(" `", $word, "`"),+);

            fn read(node: &$crate::config::setting::Node<'_>, at: &$crate::config::setting::At<'_>) -> Option<Self> {
                let text = <String as $crate::config::Setting>::read(node, at)?;
                let found = Self::ALL.iter().copied().find(|choice| choice.word().eq_ignore_ascii_case(&text));
                if found.is_none() {
                    let words: Vec<&str> = Self::ALL.iter().map(|choice| choice.word()).collect();
                    let (what, hint) = $crate::config::hints::unknown_word(&text, &at.path, &words);
                    at.wrong(what, hint);
                }
                found
            }

            fn show(&self, _: &str, _: $crate::config::Secrets) -> Option<toml::Value> {
                Some(self.word().into())
            }
        }
    };
}

pub(super) use choice;
