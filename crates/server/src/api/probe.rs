//! Whether the server is well, and what it counts: for whoever operates it. Refuses details of any device.

use crate::extract::At;
use crate::reply::No;
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// What Prometheus expects.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /healthz`: `ok` when the database answers.
pub(crate) async fn health(at: At) -> Result<&'static str, No> {
    app::database::answers(&at.app).await?;
    Ok("ok\n")
}

/// `GET /metrics`.
pub(crate) async fn metrics(at: At) -> Response {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], at.shared.metrics.text()).into_response()
}
