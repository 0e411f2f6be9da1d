//! What went wrong with one request to S3: whether it may pass, and how it is told.

use object_store::Error as StoreError;
use object_store::client::{HttpError, HttpErrorKind};
use pgtend_model::error::{Error, Kind, Retry};
use std::time::Duration;

/// Failures of no known kind are tried so often.
const TRIES_OF_THE_UNKNOWN: u32 = 3;

/// One request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The service answered: status, its own code (`SlowDown`), its message.
    Answer { status: u16, code: String, message: String },
    /// No answer within the limit.
    Timeout,
    /// No connection, or one that broke.
    Connection(String),
    /// An answer that ended early.
    CutOff,
    /// Anything else.
    Other(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        let mut last = String::new();
        while let Some(this) = cause {
            if let Some(http) = this.downcast_ref::<HttpError>() {
                return Self::of_connection(http);
            }
            last = this.to_string();
            cause = this.source();
        }
        Self::of_answer(&last).unwrap_or(Self::Other(last))
    }
}

impl Failure {
    fn of_connection(error: &HttpError) -> Self {
        if error.kind() == HttpErrorKind::Timeout {
            return Self::Timeout;
        }
        let mut innermost: &dyn std::error::Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        Self::Connection(innermost.to_string())
    }

    /// Reads what `object_store` says of an answer: it has no type for it that others could see.
    fn of_answer(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("Server returned non-2xx status code: ")?;
        let status = rest.get(..3)?.parse().ok()?;
        let body = rest.split_once(": ").map_or("", |(_, body)| body);
        let message = element(body, "Message").map(|message| message.chars().take(300).collect());
        Some(Self::Answer { status, code: element(body, "Code").unwrap_or_default(), message: message.unwrap_or_default() })
    }

    fn code(&self) -> &str {
        match self {
            Self::Answer { code, .. } => code,
            _ => "",
        }
    }

    fn status(&self) -> u16 {
        match self {
            Self::Answer { status, .. } => *status,
            _ => 0,
        }
    }

    /// Whether S3 says that there is no such object. A bare 404 says nothing: it may come from anything on the way, and to believe it
    /// would end a recovery early.
    pub(super) fn is_absent(&self) -> bool {
        self.status() == 404 && self.code() == "NoSuchKey"
    }

    /// Whether the key was taken, where it had to be free.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self.status(), 412 | 304)
    }

    /// Whether the part that was asked for lies beyond the end.
    pub(super) fn is_beyond_end(&self) -> bool {
        self.status() == 416
    }

    /// Whether the service knows no `If-None-Match` and says so.
    pub(super) fn knows_no_condition(&self) -> bool {
        self.status() == 501 || self.code() == "NotImplemented"
    }

    /// Whether another try may go well, after so many.
    pub(super) fn passes(&self, tries: u32) -> bool {
        match self {
            Self::Timeout | Self::Connection(_) | Self::CutOff => true,
            Self::Other(_) => tries < TRIES_OF_THE_UNKNOWN,
            // 507: storage full.
            Self::Answer { status, code, .. } => match status {
                501 | 505 | 507 => false,
                408 | 429 | 500..=599 => true,
                // S3 says these with 400 and 409: what was sent came too slowly or damaged, or two writers met.
                _ => matches!(
                    code.as_str(),
                    "RequestTimeout"
                        | "BadDigest"
                        | "IncompleteBody"
                        | "XAmzContentSHA256Mismatch"
                        | "ConditionalRequestConflict"
                        | "OperationAborted"
                        | "SlowDown"
                ),
            },
        }
    }

    /// In few words.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Answer { status, code, message } => {
                let words = [code.as_str(), message.trim_end_matches('.')].into_iter().filter(|word| !word.is_empty());
                let words = words.collect::<Vec<_>>().join(": ");
                if words.is_empty() { format!("the answer is {status}") } else { format!("the answer is {status} {words}") }
            }
            Self::Timeout => "no answer in time".to_owned(),
            Self::Connection(reason) => format!("the connection failed: {reason}"),
            Self::CutOff => "the answer ended early".to_owned(),
            Self::Other(reason) => reason.clone(),
        }
    }

    /// For a person, once it is final.
    pub(super) fn told(&self, what: &str, place: String, tries: u32, took: Duration) -> Error {
        let (kind, hint) = self.kind_and_hint();
        let tried = if tries > 1 { format!(" (tried {tries} times in {} s)", took.as_secs()) } else { String::new() };
        let error = Error::new(kind, format!("{what}: {}{tried}", self.shown())).at(place).hint(hint);
        if self.passes(0) { error.retry(Retry::Later) } else { error }
    }

    fn kind_and_hint(&self) -> (Kind, &'static str) {
        if self.is_absent() {
            return (Kind::NotFound, "");
        }
        match (self, self.code()) {
            (Self::Timeout, _) => {
                (Kind::Timeout, "see whether the endpoint answers from this host; `timeout` of the repository can be raised")
            }
            (Self::Connection(_), _) => (Kind::Unreachable, "see whether `endpoint` is right and can be reached from this host"),
            (_, "NoSuchBucket") => (Kind::Config, "the bucket must be there: pgtend makes none; see `url`, `endpoint` and `region`"),
            (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "ExpiredToken" | "TokenRefreshRequired") => {
                (Kind::Authentication, "see access_key_id and secret_access_key_file, or the machine's role")
            }
            (_, "RequestTimeTooSkewed") => (Kind::Authentication, "the clock of this host is wrong: set it by NTP"),
            (_, "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException") => {
                (Kind::Config, "the bucket is in another region: see `region`")
            }
            (_, "QuotaExceeded" | "XMinioStorageFull") => {
                (Kind::System, "make room there: `pgtend backup expire --dry-run` shows what could go")
            }
            _ => self.kind_and_hint_by_status(),
        }
    }

    fn kind_and_hint_by_status(&self) -> (Kind, &'static str) {
        match self.status() {
            401 => (Kind::Authentication, "see access_key_id and secret_access_key_file, or the machine's role"),
            403 => (
                Kind::Privilege,
                "the key must be allowed s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket there: docs/repository.md has the policy",
            ),
            404 => (Kind::Config, "this is no answer of S3: see `endpoint`"),
            301..=308 => (Kind::Config, "the bucket is elsewhere: see `region` and `endpoint`"),
            507 => (Kind::System, "the storage is full: `pgtend backup expire --dry-run` shows what could go"),
            408 | 429 | 500..=599 => (Kind::Unreachable, "the service is overloaded or failing: what was written before stays whole"),
            _ => (Kind::Unreachable, ""),
        }
    }
}

/// What stands in an element of a small XML document.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once("</").map(|(text, _)| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str) -> Failure {
        Failure::Answer { status, code: code.into(), message: "Words.".into() }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_nothing_else() {
        for (failure, passes) in [
            (answer(503, "SlowDown"), true),
            (answer(500, ""), true),
            (answer(429, ""), true),
            (answer(400, "RequestTimeout"), true),
            (answer(409, "ConditionalRequestConflict"), true),
            (Failure::Timeout, true),
            (answer(403, "AccessDenied"), false),
            (answer(404, "NoSuchBucket"), false),
            (answer(412, "PreconditionFailed"), false),
            (answer(501, "NotImplemented"), false),
            (answer(507, ""), false),
        ] {
            assert_eq!(failure.passes(1), passes, "{failure:?}");
        }
        assert!(!Failure::Other(String::new()).passes(3));
    }

    #[test]
    fn only_s3_itself_can_say_that_there_is_none() {
        assert!(answer(404, "NoSuchKey").is_absent());
        for other in [answer(404, ""), answer(404, "NoSuchBucket"), answer(403, "NoSuchKey")] {
            assert!(!other.is_absent(), "{other:?}");
            assert_ne!(other.told("x", String::new(), 1, Duration::ZERO).kind, Kind::NotFound);
        }
    }

    #[test]
    fn an_answer_is_told_by_its_code_and_message_only() {
        let body =
            "<Error><Code>SignatureDoesNotMatch</Code><Message>Check your key.</Message><StringToSign>AWS4 abc</StringToSign></Error>";
        let failure = Failure::of_answer(&format!("Server returned non-2xx status code: 403 Forbidden: {body}")).unwrap();
        let told = failure.told("the object cannot be read", "s3://b/k".into(), 1, Duration::ZERO);
        assert_eq!(told.kind, Kind::Authentication);
        assert_eq!(told.what, "the object cannot be read: the answer is 403 SignatureDoesNotMatch: Check your key");
    }

    #[test]
    fn how_often_it_was_tried_is_told() {
        let told = answer(503, "SlowDown").told("it cannot be written", "s3://b/k".into(), 7, Duration::from_secs(121));
        assert_eq!(told.what, "it cannot be written: the answer is 503 SlowDown: Words (tried 7 times in 121 s)");
        assert_eq!((told.kind, told.retry), (Kind::Unreachable, Retry::Later));
    }
}
