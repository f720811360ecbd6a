//! What the server counts about itself, for Prometheus. Refuses labels with identities: no device, user, path or
//! address ever becomes one.

use base::{Bytes, Span};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Everything that is counted. One for each listener.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    connections: Gauge,
    received: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: &'static str,
}

/// Upper ends of the histogram's buckets, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

impl Metrics {
    /// With everything at zero. Never fails.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("holdfast");
        let requests = Family::default();
        let refusals = Family::default();
        let seconds: Family<_, _, fn() -> Histogram> = Family::new_with_constructor(|| Histogram::new(SECONDS));
        let (connections, received) = (Gauge::default(), Counter::default());
        registry.register("requests", "Requests answered, by route and status", requests.clone());
        registry.register("refusals", "Requests refused or failed, by code", refusals.clone());
        registry.register_with_unit("request", "Time to the head of the answer", Unit::Seconds, seconds.clone());
        registry.register("connections", "Connections open now", connections.clone());
        registry.register_with_unit("received", "Bytes of request bodies", Unit::Bytes, received.clone());
        Self { registry, requests, refusals, seconds, connections, received }
    }

    /// Counts one answer. Never fails.
    pub(crate) fn answered(
        &self,
        method: &'static str,
        route: &'static str,
        status: u16,
        code: Option<&'static str>,
        span: Span,
    ) {
        self.requests.get_or_create(&RequestLabels { method, route, status }).inc();
        self.seconds.get_or_create(&RouteLabels { method, route }).observe(span.as_duration().as_secs_f64());
        if let Some(code) = code {
            self.refusals.get_or_create(&RefusalLabels { code }).inc();
        }
    }

    /// Counts bytes of a request's body. Never fails.
    pub(crate) fn received(&self, bytes: Bytes) {
        self.received.inc_by(bytes.0);
    }

    /// Counts a connection as open until the answer is dropped. Never fails.
    pub(crate) fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// Everything as Prometheus reads it. Never fails.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// A connection that is open as long as this lives.
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
