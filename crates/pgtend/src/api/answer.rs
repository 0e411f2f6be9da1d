//! The envelope of guide 3: `{"success": true, "data": …}`, or the error with its hint.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pgtend_model::error::Error;
use serde::{Deserialize, Serialize};

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

/// An answer that carries an error.
#[derive(Debug)]
pub struct Failed(pub Error);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(serde_json::json!({ "success": false, "error": self.0 }))).into_response()
    }
}
