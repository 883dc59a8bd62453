//! Errors as Spring Boot answers them: `{"timestamp","status","error","message","path"}`.

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use vernal::commons::chain::Chain;
use vernal::commons::clock;

/// An error answer.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    timestamp: String,
    status: u16,
    error: &'static str,
    message: String,
    path: String,
}

impl Problem {
    /// An answer of this status to a request for `path`.
    #[must_use]
    pub fn new(status: StatusCode, message: impl Into<String>, path: &Uri) -> Self {
        Self {
            timestamp: clock::iso_millis(clock::now_millis()),
            status: status.as_u16(),
            error: status.canonical_reason().unwrap_or("Error"),
            message: message.into(),
            path: path.path().to_owned(),
        }
    }

    /// 404.
    #[must_use]
    pub fn not_found(message: impl Into<String>, path: &Uri) -> Self {
        Self::new(StatusCode::NOT_FOUND, message, path)
    }

    /// 400.
    #[must_use]
    pub fn bad_request(message: impl Into<String>, path: &Uri) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message, path)
    }

    /// 500. The cause goes to the log, not to the caller.
    #[must_use]
    pub fn internal(error: &(dyn std::error::Error + 'static), path: &Uri) -> Self {
        tracing::error!(error = %Chain(error), path = path.path(), "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error", path)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self)).into_response()
    }
}

/// The answer to a path that no route knows.
pub async fn no_route(uri: Uri) -> Problem {
    Problem::not_found("No message available", &uri)
}

/// A JSON request body; anything else is answered with 400 and the reason.
#[derive(Debug, Clone)]
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let uri = request.uri().clone();
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::bad_request(rejection.body_text(), &uri)),
        }
    }
}
