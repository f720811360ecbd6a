//! Holdfast's server program: routes, conversion between wire and use cases, TLS, and the admin commands.
//! Refuses rules: a handler converts, calls one function of `app`, and converts back. Wire: docs/protocol.md.

mod admin;
mod api;
mod client;
pub mod command;
mod extract;
mod metrics;
pub mod out;
mod reply;
pub mod routes;
mod run;
mod tls;

pub use admin::openapi::value as openapi;
pub use metrics::Metrics;
pub use run::{HANDSHAKE_SPAN, HEADER_BYTES_MAX, HEADER_SPAN, STALL_SPAN, ServeError, Serving, serve, signals};
pub use tls::TlsError;
