//! The admin API in this process, over a data directory: the same routes, and nobody to be refused by. Works beside a
//! running server and without one. Refuses to hide what broke: whoever may read the data directory may know.

use super::{Call, Pieces, refused};
use crate::metrics::Metrics;
use crate::out::Failure;
use crate::reply::Behind;
use crate::routes::{self, OwnCommand, Tables};
use app::App;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use futures::{StreamExt as _, TryStreamExt};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;

/// The routes over an open data directory.
pub(crate) struct Own {
    service: TowerToHyperService<Router>,
}

impl Own {
    /// The routes over this data directory. Never fails.
    pub(crate) fn new(app: App) -> Self {
        let router = routes::router(Arc::new(app), Arc::new(Metrics::new()), Tables::Both);
        Self { service: TowerToHyperService::new(router) }
    }

    /// Carries a request out.
    ///
    /// # Errors
    /// The refusal; what broke, with its causes.
    pub(crate) async fn send(&self, call: Call) -> Result<Pieces, Failure> {
        let Call { method, path, media, body } = call;
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, media);
        let request = request.extension(OwnCommand).body(Body::from(body)).expect("paths are encoded");
        let response = match self.service.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status();
        if status.is_success() {
            let broke = |error: axum::Error| Failure::new("server_failed", error.to_string());
            return Ok(TryStreamExt::map_err(response.into_body().into_data_stream(), broke).boxed());
        }
        if let Some(Behind { code, sentence, retry }) = response.extensions().get() {
            return Err(Failure::said(*code, sentence.clone(), *retry));
        }
        let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Err(refused(status.as_u16(), &body))
    }
}
