//! How bad a message is.

/// How bad a message is; what ends a statement or more comes last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Not known: the server writes its messages in another language, and no SQLSTATE.
    #[default]
    Unknown,
    /// For developers of PostgreSQL.
    Debug,
    /// For the client.
    Info,
    /// For the client.
    Notice,
    /// For whoever looks after the server.
    Log,
    /// Something that may be wrong.
    Warning,
    /// A statement failed.
    Error,
    /// A session ended.
    Fatal,
    /// All sessions ended.
    Panic,
}

impl Severity {
    /// The word that stands for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Notice => "NOTICE",
            Self::Log => "LOG",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Panic => "PANIC",
        }
    }

    /// Whether something failed.
    pub fn is_error(self) -> bool {
        self >= Self::Error
    }

    /// Of the word in the log, which is in the language of `lc_messages`; in others than English the SQLSTATE tells.
    pub fn of(word: &str, sqlstate: Option<&str>) -> Self {
        match word.trim() {
            word if word.starts_with("DEBUG") => Self::Debug,
            "INFO" => Self::Info,
            "NOTICE" => Self::Notice,
            "LOG" => Self::Log,
            "WARNING" => Self::Warning,
            "ERROR" => Self::Error,
            "FATAL" => Self::Fatal,
            "PANIC" => Self::Panic,
            _ => match sqlstate.and_then(|state| state.get(..2)) {
                None => Self::Unknown,
                Some("00" | "02") => Self::Log,
                Some("01") => Self::Warning,
                Some(_) => Self::Error,
            },
        }
    }
}
