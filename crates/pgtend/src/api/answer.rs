//! The envelope of guide 3: `{"success": true, "data": …}`, or the error with its hint. And its counterpart: what requests carry.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use pgtend_model::error::{Error, Kind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An answer that carries data.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer<T> {
    /// Always true.
    pub success: bool,
    /// The document.
    pub data: T,
}

impl<T> Answer<T> {
    /// Around this document.
    pub fn new(data: T) -> Self {
        Self { success: true, data }
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// An answer that says what went wrong.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// Always false.
    pub success: bool,
    /// What went wrong, and what to do about it.
    pub error: Error,
}

/// What a handler gives when it cannot answer.
#[derive(Debug)]
pub(super) struct Failed {
    status: StatusCode,
    error: Box<Error>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failed {
    /// With another status than the error's kind has.
    pub(super) fn new(status: StatusCode, error: Error) -> Self {
        Self { status, error: Box::new(error), headers: Vec::new() }
    }

    /// With a header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let status = StatusCode::from_u16(error.kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let failed = Self::new(status, error);
        match status {
            StatusCode::UNAUTHORIZED => failed.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"pgtend\"")),
            StatusCode::SERVICE_UNAVAILABLE => failed.with(header::RETRY_AFTER, HeaderValue::from_static("1")),
            _ => failed,
        }
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(Failure { success: false, error: *self.error })).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}

/// The parameters of a request's query.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failed> {
        let read = Query::from_request_parts(parts, state).await;
        read.map(|Query(params)| Self(params)).map_err(|rejection| unreadable("the query parameters", rejection.status(), &rejection))
    }
}

/// The parameters in a request's path.
#[derive(Debug)]
pub(super) struct InPath<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failed> {
        let read = Path::from_request_parts(parts, state).await;
        read.map(|Path(params)| Self(params)).map_err(|rejection| unreadable("the path", rejection.status(), &rejection))
    }
}

/// The body of a request.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failed;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failed> {
        let read = Json::from_request(request, state).await;
        read.map(|Json(body)| Self(body)).map_err(|rejection| unreadable("the body", rejection.status(), &rejection))
    }
}

fn unreadable(part: &str, status: StatusCode, why: &dyn std::fmt::Display) -> Failed {
    let hint = match status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "send JSON, with the header Content-Type: application/json",
        StatusCode::PAYLOAD_TOO_LARGE => "api.max_request_bytes of the configuration bounds it",
        _ => "GET /api/v1/openapi.json says what is expected",
    };
    Failed::new(status, Error::new(Kind::Usage, format!("{part} cannot be read: {why}")).hint(hint))
}
