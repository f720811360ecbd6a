//! The admin API: every route of `/api/v1` in one table, which docs/openapi.json is made from too. Refuses handlers
//! with more than three moves: from wire, one use case, to wire.
//!
//! # To add a resource, in five steps
//!
//! 1. **Wire**: `protocol/src/admin/thing.rs` has its messages: `Thing`, `ThingQuery` (with `after` and `limit` where
//!    it is a list), a struct for each body. Requests derive `deny_unknown_fields`; every field has a sentence; all
//!    derive `Serialize, Deserialize, JsonSchema`. An identifier is `Text<ThingId>`, a secret has no derived `Debug`.
//! 2. **Use case**: `app/src/things.rs` has a free function for each route: `page(app, actor, filter, ask) -> Page`,
//!    `get`, `make`, … Each begins with `actor.need(Permit::…)`; each that changes something writes
//!    `Deed { action, subject, ..Deed::by(actor) }` in its transaction. That row also notes the idempotency key, so a
//!    change without it could be done twice. A "no" rolls back or changes nothing, and the commit comes last.
//! 3. **Handlers**: `server/src/admin/things.rs` has a function for each route that takes `AtAdmin` first, then
//!    `Named`, `NamedPair`, `Query`, and at the end `Body`, and gives `Reply<T>`. What OpenAPI says is read off this
//!    signature. `pub(super) fn routes() -> Vec<Entry>` lists them: `get`, `post`, `put` or `delete` with an id (noun
//!    first), the path below `/api/v1`, the permit and a sentence; `.body(max)` and `.span(longest)` where the usual
//!    16 KiB and 30 s do not do; `.streamed()` for an answer that goes on.
//! 4. **Table**: one line in `table` below. Then `HOLDFAST_GOLDEN=write cargo test -p server --test it openapi` writes
//!    docs/openapi.json, and the tests in tests/it/permits.rs walk the new routes by themselves.
//! 5. **Command**: `server/src/command/thing.rs` has the clap enum and its `answer(self, desk)`: it asks
//!    `desk.client().await?` and renders the answer; its variant stands in `Command`. See `command/user.rs`.

mod admins;
mod audit;
pub(crate) mod campaigns;
mod collections;
pub(crate) mod conflicts;
mod credentials;
mod describe;
pub(crate) mod desk;
pub(crate) mod device_map;
pub(crate) mod devices;
pub(crate) mod extract;
mod holds;
mod lines;
pub(crate) mod mail;
pub(crate) mod once;
pub(crate) mod openapi;
pub(crate) mod passwords;
pub(crate) mod policies;
pub(crate) mod profiles;
mod quota;
mod scrub;
pub(crate) mod snapshots;
mod storage;
pub(crate) mod templates;
pub(crate) mod tickets;
pub(crate) mod tokens;
pub(crate) mod users;

use crate::routes::{Audience, JSON_BYTES_MAX, NO_BODY, QUICK_SPAN, Route, Shared};
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{self, MethodRouter};
use base::{Bytes, Span};
use control::Permit;
pub(crate) use describe::{Described, Operation};

/// What the path of every route of the admin API begins with.
pub const PREFIX: &str = "/api/v1";

/// Every route of the admin API. Never fails.
pub(crate) fn table() -> Vec<Entry> {
    let resources = [
        openapi::routes(),
        users::routes(),
        devices::routes(),
        snapshots::routes(),
        holds::routes(),
        profiles::routes(),
        policies::routes(),
        quota::routes(),
        tokens::routes(),
        tickets::routes(),
        device_map::routes(),
        desk::routes(),
        passwords::routes(),
        templates::routes(),
        mail::routes(),
        campaigns::routes(),
        conflicts::routes(),
        scrub::routes(),
        collections::routes(),
        storage::routes(),
        credentials::routes(),
        admins::routes(),
        audit::routes(),
    ];
    resources.into_iter().flatten().collect()
}

/// One route of the admin API: who may ask, what it does, and what carries it out.
pub(crate) struct Entry {
    pub(crate) route: Route,
    pub(crate) operation: Operation,
    pub(crate) handler: MethodRouter<Shared>,
}

impl Entry {
    /// Takes a longer body, in bytes. Never fails.
    pub(crate) fn body(mut self, max: Bytes) -> Self {
        self.route.body_max = max;
        self
    }

    /// May take longer, until the head of the answer. Never fails.
    pub(crate) fn span(mut self, span: Span) -> Self {
        self.route.span = span;
        self
    }

    /// The answer goes on and on: it is not kept for a repeated request. Never fails.
    pub(crate) fn streamed(mut self) -> Self {
        self.route.repeats = false;
        self
    }

    /// Asks for no credential. Never fails.
    pub(crate) fn open(mut self) -> Self {
        self.route.audience = Audience::Anyone;
        self
    }
}

/// A route that reads. Never fails.
pub(crate) fn get<H, T>(
    id: &'static str,
    path: &'static str,
    permit: Permit,
    summary: &'static str,
    handler: H,
) -> Entry
where
    H: Handler<T, Shared> + Described<T>,
    T: 'static,
{
    entry(Method::GET, id, path, permit, summary, H::describe, routing::get(handler))
}

/// A route that makes or changes something; the same request with the same idempotency key does so once. Never fails.
pub(crate) fn post<H, T>(
    id: &'static str,
    path: &'static str,
    permit: Permit,
    summary: &'static str,
    handler: H,
) -> Entry
where
    H: Handler<T, Shared> + Described<T>,
    T: 'static,
{
    entry(Method::POST, id, path, permit, summary, H::describe, routing::post(handler))
}

/// A route that sets something to what the body says, as often as it is asked. Never fails.
pub(crate) fn put<H, T>(
    id: &'static str,
    path: &'static str,
    permit: Permit,
    summary: &'static str,
    handler: H,
) -> Entry
where
    H: Handler<T, Shared> + Described<T>,
    T: 'static,
{
    entry(Method::PUT, id, path, permit, summary, H::describe, routing::put(handler))
}

/// A route that takes something away. Never fails.
pub(crate) fn delete<H, T>(
    id: &'static str,
    path: &'static str,
    permit: Permit,
    summary: &'static str,
    handler: H,
) -> Entry
where
    H: Handler<T, Shared> + Described<T>,
    T: 'static,
{
    entry(Method::DELETE, id, path, permit, summary, H::describe, routing::delete(handler))
}

fn entry(
    method: Method,
    id: &'static str,
    path: &'static str,
    permit: Permit,
    summary: &'static str,
    describe: fn(&mut Operation),
    handler: MethodRouter<Shared>,
) -> Entry {
    let mut operation = Operation::new(id, summary);
    describe(&mut operation);
    let body_max = if operation.body.is_some() { JSON_BYTES_MAX } else { NO_BODY };
    let route = Route {
        repeats: method == Method::POST,
        method,
        path,
        audience: Audience::Admin(permit),
        body_max,
        span: QUICK_SPAN,
        queried: operation.query.is_some(),
    };
    Entry { route, operation, handler }
}
