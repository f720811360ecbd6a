//! Every route, one line each, with who may ask, how long the body may be and how long the answer may take.
//! Refuses a request before its body is read: wrong credential, wrong state, too large. Described in docs/protocol.md.

use crate::admin::extract::malformed;
use crate::admin::{self, once};
use crate::api::{activation, fetch, password, policy, probe, run, session, snapshot};
use crate::extract::{bearer, content_length, source_of};
use crate::metrics::Metrics;
use crate::reply::{No, SaidCode};
use crate::run::Line;
use app::lanes::{Lane, Lanes};
use app::passwords::LINK_PAGE;
use app::support_bundles::BUNDLE_BYTES_MAX;
use app::{AdminActor, App, AppError, DeviceActor, credentials};
use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{self, MethodRouter};
use base::{Bytes, Span};
use control::access::Verb;
use control::{Permit, Refusal};
use format::limits::{MANIFEST_BYTES_MAX, PACK_BYTES_MAX};
use http_body_util::BodyExt as _;
use protocol::agent::run::REFS_MAX;
use std::net::SocketAddr;
use std::sync::Arc;

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Whoever reaches the listener; the request itself proves what it must.
    Anyone,
    /// Programs on the server's own machine, and others when `metrics.remote` says so.
    Operator,
    /// A device with an open session that may do at least this now; the use case asks for more where it needs more.
    Device(Verb),
    /// Somebody who administers and has this permit: a credential of the admin API, or the server's command line.
    Admin(Permit),
}

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with names in braces.
    pub path: &'static str,
    /// Who may ask.
    pub audience: Audience,
    /// The longest body.
    pub body_max: Bytes,
    /// The longest time from the request's header to the answer's.
    pub span: Span,
    /// Whether a request with an idempotency key is carried out once and its answer given again.
    pub repeats: bool,
    /// Whether it takes a query; of the admin API alone, which refuses one elsewhere.
    pub queried: bool,
}

/// Which routes a listener answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    /// All of them.
    Both,
    /// Those of devices and operators.
    Devices,
    /// Those of the admin API, and whether the server is well.
    Admins,
}

impl Route {
    /// The lane that a request of this route waits in; none for what is cheap, and for activations, which take theirs
    /// only once they have proved who asks.
    fn lane<'a>(&self, lanes: &'a Lanes) -> Option<&'a Lane> {
        match self.audience {
            Audience::Anyone if self.path.starts_with("/v1/sessions") => Some(&lanes.control),
            Audience::Anyone | Audience::Operator => None,
            Audience::Device(verb) if is_data(verb) => Some(&lanes.data),
            Audience::Device(_) => Some(&lanes.control),
            // Admins are few, and must get through in a storm.
            Audience::Admin(_) => None,
        }
    }

    /// The method as a word that outlives the route, for labels.
    fn method_word(&self) -> &'static str {
        match self.method {
            Method::GET => "GET",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            _ => "POST",
        }
    }
}

/// Whether the server is well: every listener answers that.
const HEALTH: &str = "/healthz";
/// An answer that leaves at once.
const SHORT_BYTES_MAX: Bytes = Bytes::kib(64);
/// A request without a body.
pub const NO_BODY: Bytes = Bytes(0);
/// A small JSON body.
pub const JSON_BYTES_MAX: Bytes = Bytes::kib(16);
/// As many refs or ids as one request may carry.
pub const NAMES_BYTES_MAX: Bytes = Bytes(REFS_MAX as u64 * 32);
/// An answer that needs a look at the database.
pub const QUICK_SPAN: Span = Span::seconds(30);
/// An answer that waits for its turn at hashing a password.
pub const SIGN_IN_SPAN: Span = Span::minutes(2);
/// An upload: at the least 20 kB/s for the largest pack.
pub const UPLOAD_SPAN: Span = Span::hours(1);
/// A commit, which reads every new tree.
pub const COMMIT_SPAN: Span = Span::minutes(30);

#[rustfmt::skip]
fn table() -> Vec<(Route, MethodRouter<Shared>)> {
    use Audience::{Anyone, Device, Operator};
    use Verb::{Append, BeginBackup, ChangePolicy, ConfirmWipe, ReadAppended, ReadPolicy, ReadStatus, SendBundle};
    vec![
        get(HEALTH,                              Anyone, probe::health),
        get("/metrics",                          Operator, probe::metrics),
        get("/v1/hello",                         Anyone, session::hello),
        post("/v1/activations",                  Anyone, JSON_BYTES_MAX, SIGN_IN_SPAN, activation::activate),
        get(LINK_PAGE,                           Anyone, password::page),
        get("/password.js",                      Anyone, password::script),
        post("/v1/password-links",               Anyone, JSON_BYTES_MAX, SIGN_IN_SPAN, password::link_use),
        post("/v1/sessions/challenge",           Anyone, JSON_BYTES_MAX, QUICK_SPAN, session::challenge),
        post("/v1/sessions",                     Anyone, JSON_BYTES_MAX, QUICK_SPAN, session::open),
        get("/v1/device",                        Device(ReadStatus), session::device),
        post("/v1/device/wiped",                 Device(ConfirmWipe), NO_BODY, QUICK_SPAN, session::wiped),
        put("/v1/device/support-bundle",         Device(SendBundle), BUNDLE_BYTES_MAX, QUICK_SPAN, session::bundle),
        post("/v1/runs",                         Device(BeginBackup), JSON_BYTES_MAX, QUICK_SPAN, run::begin),
        post("/v1/runs/{run}/dedupe",            Device(Append), NAMES_BYTES_MAX, QUICK_SPAN, run::dedupe),
        put("/v1/runs/{run}/packs/{pack}",       Device(Append), PACK_BYTES_MAX, UPLOAD_SPAN, run::upload),
        post("/v1/runs/{run}/verify",            Device(Append), NAMES_BYTES_MAX, QUICK_SPAN, run::verify),
        post("/v1/runs/{run}/commit",            Device(Append), MANIFEST_BYTES_MAX, COMMIT_SPAN, run::commit),
        post("/v1/runs/{run}/abort",             Device(Append), NO_BODY, QUICK_SPAN, run::abort),
        post("/v1/runs/{run}/locate",            Device(ReadAppended), NAMES_BYTES_MAX, QUICK_SPAN, fetch::locate),
        post("/v1/runs/{run}/fetch",             Device(ReadAppended), NAMES_BYTES_MAX, QUICK_SPAN, fetch::fetch),
        get("/v1/snapshots",                     Device(ReadAppended), snapshot::list),
        get("/v1/snapshots/{snapshot}",          Device(ReadAppended), snapshot::show),
        get("/v1/snapshots/{snapshot}/problems", Device(ReadAppended), snapshot::problems),
        get("/v1/policy",                        Device(ReadPolicy), policy::show),
        patch("/v1/policy/values",               Device(ChangePolicy), JSON_BYTES_MAX, QUICK_SPAN, policy::values),
        post("/v1/policy/folders",               Device(ChangePolicy), JSON_BYTES_MAX, QUICK_SPAN, policy::folder_add),
        delete("/v1/policy/folders/{folder}",    Device(ChangePolicy), policy::folder_remove),
        post("/v1/policy/folders/{folder}/unlink", Device(ChangePolicy), NO_BODY, QUICK_SPAN, policy::folder_unlink),
        post("/v1/policy/folders/{folder}/link", Device(ChangePolicy), NO_BODY, QUICK_SPAN, policy::folder_link),
    ]
}

/// Whether a verb moves data, and is not only about what the device is and may do.
fn is_data(verb: Verb) -> bool {
    use Verb::{Append, BeginBackup, BeginRestore, Fetch, ListSnapshots, ReadAppended, ReadOwnTrees};
    matches!(verb, BeginBackup | Append | ReadOwnTrees | ListSnapshots | BeginRestore | Fetch | ReadAppended)
}

/// Every route for devices and operators, for tests that must not forget one and for docs/protocol.md. Never fails.
pub fn list() -> Vec<Route> {
    table().into_iter().map(|(route, _)| route).collect()
}

/// Every route of the admin API, for the same tests and for docs/openapi.json. Never fails.
pub fn admin_list() -> Vec<Route> {
    admin::table().into_iter().map(|entry| entry.route).collect()
}

/// The routes, ready for a listener. Never fails.
pub(crate) fn router(app: Arc<App>, metrics: Arc<Metrics>, tables: Tables) -> Router {
    let shared = Shared { app, metrics };
    let mut router = Router::new();
    let admins = admin::table().into_iter().map(|entry| (entry.route, entry.handler));
    let chosen = table().into_iter().chain(admins).filter(|(route, _)| match tables {
        Tables::Both => true,
        Tables::Devices => !route.path.starts_with(admin::PREFIX),
        Tables::Admins => route.path.starts_with(admin::PREFIX) || route.path == HEALTH,
    });
    for (route, handler) in chosen {
        let path = route.path;
        let guarded = handler.layer(from_fn_with_state((shared.clone(), Arc::new(route)), guard));
        router = router.route(path, guarded);
    }
    router
        .fallback(|| async {
            No(AppError::not_found(
                "route_unknown",
                "There is nothing at this path. GET /api/v1/openapi.json describes the admin API.",
            ))
        })
        .method_not_allowed_fallback(|| async {
            No(AppError::invalid(
                "method_unknown",
                "This path does not take this method. GET /api/v1/openapi.json describes the admin API.",
            ))
        })
        .with_state(shared)
}

/// What every handler may use.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) app: Arc<App>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Marks a request of the server's own command line, which asks in the same process. Nothing that comes over a
/// network can bear it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnCommand;

/// A route that is read: no body, and a quick answer.
fn get<H, T>(path: &'static str, audience: Audience, handler: H) -> (Route, MethodRouter<Shared>)
where
    H: Handler<T, Shared>,
    T: 'static,
{
    (route(Method::GET, path, audience, NO_BODY, QUICK_SPAN), routing::get(handler))
}

fn post<H, T>(
    path: &'static str,
    audience: Audience,
    body_max: Bytes,
    span: Span,
    handler: H,
) -> (Route, MethodRouter<Shared>)
where
    H: Handler<T, Shared>,
    T: 'static,
{
    (route(Method::POST, path, audience, body_max, span), routing::post(handler))
}

fn put<H, T>(
    path: &'static str,
    audience: Audience,
    body_max: Bytes,
    span: Span,
    handler: H,
) -> (Route, MethodRouter<Shared>)
where
    H: Handler<T, Shared>,
    T: 'static,
{
    (route(Method::PUT, path, audience, body_max, span), routing::put(handler))
}

fn route(method: Method, path: &'static str, audience: Audience, body_max: Bytes, span: Span) -> Route {
    Route { method, path, audience, body_max, span, repeats: false, queried: false }
}

fn patch<H, T>(
    path: &'static str,
    audience: Audience,
    body_max: Bytes,
    span: Span,
    handler: H,
) -> (Route, MethodRouter<Shared>)
where
    H: Handler<T, Shared>,
    T: 'static,
{
    (route(Method::PATCH, path, audience, body_max, span), routing::patch(handler))
}

/// A route that takes something away: no body, and a quick answer.
fn delete<H, T>(path: &'static str, audience: Audience, handler: H) -> (Route, MethodRouter<Shared>)
where
    H: Handler<T, Shared>,
    T: 'static,
{
    (route(Method::DELETE, path, audience, NO_BODY, QUICK_SPAN), routing::delete(handler))
}

/// Stands before every handler: audience, size, lane, time, count.
async fn guard(State((shared, route)): State<(Shared, Arc<Route>)>, mut request: Request, next: Next) -> Response {
    let began_at = shared.app.clock.now();
    request.extensions_mut().insert(Arc::clone(&route));
    let response = answer(&shared, &route, request, next).await.unwrap_or_else(No::into_response);
    let code = response.extensions().get::<SaidCode>().map(|code| code.0);
    let span = shared.app.clock.now().since(began_at);
    let method = route.method_word();
    shared.metrics.answered(method, route.path, response.status().as_u16(), code, span);
    tracing::debug!(route = route.path, status = response.status().as_u16(), "answered {method} {}", route.path);
    response
}

async fn answer(shared: &Shared, route: &Arc<Route>, mut request: Request, next: Next) -> Result<Response, No> {
    let key = admit(shared, route, &mut request).await?;
    let asker = request.extensions().get::<DeviceActor>().cloned();
    let line = request.extensions().get::<Arc<Line>>().cloned();
    let work = async {
        let _turn = match route.lane(&shared.app.lanes) {
            Some(lane) => Some(lane.turn().await?),
            None => None,
        };
        if let Some(key) = key {
            return Ok(once::carried_out(shared.clone(), Arc::clone(route), key, request, next).await);
        }
        let answered = tokio::time::timeout(route.span.as_duration(), next.run(request)).await;
        answered.map_err(|_| No::from(Refusal::ServerBusy { left: QUICK_SPAN }))
    };
    match (route.audience, asker) {
        // A device that is cut off while its body comes in, or the answer is made, hears so at once …
        (Audience::Device(verb), Some(actor)) => {
            let response = app::guard::hold(&shared.app, &actor, verb, work).await??;
            Ok(looked_after(response, line, actor, verb))
        }
        (Audience::Anyone | Audience::Operator | Audience::Admin(_) | Audience::Device(_), _) => work.await,
    }
}

/// … and when the answer is on its way already, its connection is closed in the middle.
fn looked_after(response: Response, line: Option<Arc<Line>>, actor: DeviceActor, verb: Verb) -> Response {
    let is_short = response.body().size_hint().exact().is_some_and(|len| len <= SHORT_BYTES_MAX.0);
    let Some(line) = line.filter(|_| !is_short) else { return response };
    let answering = line.answers(actor, verb);
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &answering;
            frame
        }))
    })
}

/// Lets a request in or refuses it; the answer is its idempotency key, where it has one that counts.
async fn admit(shared: &Shared, route: &Route, request: &mut Request) -> Result<Option<HeaderValue>, No> {
    match route.audience {
        Audience::Anyone => {}
        Audience::Operator => {
            let local = request.extensions().get::<Peer>().is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
            if !local && !shared.app.config.metrics_remote {
                return Err(Refusal::NotPermitted.into());
            }
        }
        Audience::Device(verb) => {
            let actor = match bearer(request.headers()) {
                Some(token) if token.starts_with(credentials::TEXT_PREFIX) => {
                    return Err(Refusal::WrongAudience.into());
                }
                Some(token) => app::session::authenticate(&shared.app, token, verb).await?,
                None => return Err(Refusal::SessionInvalid.into()),
            };
            let source = source_of(request.extensions(), request.headers(), shared);
            request.extensions_mut().insert(actor.from_source(source));
        }
        Audience::Admin(permit) => {
            let actor = if request.extensions().get::<OwnCommand>().is_some() {
                AdminActor::Command
            } else {
                let source = source_of(request.extensions(), request.headers(), shared);
                credentials::authenticate(&shared.app, bearer(request.headers()), source).await?
            };
            actor.need(permit)?;
            request.extensions_mut().insert(actor);
            if !route.queried && request.uri().query().is_some_and(|query| !query.is_empty()) {
                return Err(malformed("This route takes no query."));
            }
            if route.body_max == NO_BODY && content_length(request.headers()).is_some_and(|length| length > 0) {
                return Err(malformed("This route takes no body."));
            }
        }
    }
    match content_length(request.headers()) {
        Some(length) if length > route.body_max.0 => Err(Refusal::RequestTooLarge.into()),
        Some(_) | None if route.repeats => once::key(request.headers()),
        Some(_) | None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_in_the_document_with_its_audience_and_its_limits() {
        let document = include_str!("../../../docs/protocol.md");
        for Route { method, path, audience, body_max, span, .. } in list() {
            let audience = match audience {
                Audience::Anyone => "anyone".to_owned(),
                Audience::Operator => "operator".to_owned(),
                Audience::Device(verb) => format!("device, {verb}"),
                Audience::Admin(permit) => format!("admin, {permit}"),
            };
            let row = format!("| `{method} {path}` | {audience} | {} | {span} |", body_max.0);
            assert!(document.contains(&row), "docs/protocol.md lacks: {row}");
        }
    }
}
