//! Whether the server is well, and what it counts: for whoever operates it. Refuses details of any device.

use crate::extract::At;
use crate::reply::No;
use app::AppError;
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// What Prometheus expects.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /healthz`: `ok` when the database answers.
pub(crate) async fn health(at: At) -> Result<&'static str, No> {
    let tx = at.app.db.read().await.map_err(AppError::db("looking whether the database answers"))?;
    drop(tx);
    Ok("ok\n")
}

/// `GET /metrics`.
pub(crate) async fn metrics(at: At) -> Response {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], at.shared.metrics.text()).into_response()
}
