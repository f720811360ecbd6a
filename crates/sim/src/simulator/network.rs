//! The network between devices and servers: requests and answers take their time, get lost, come twice and late.
//! A device asks again as the endpoint does; it is answered by any server.

use super::clock;
use super::server::Server;
use super::world::World;
use app::{App, AppError};
use base::{Kind, Retry, Span};
use engine::RemoteError;
use futures::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::oneshot;

/// How long a message takes at most, mostly.
const WAY_SPAN: Span = Span::ms(80);
/// The same over a slow line.
const SLOW_WAY_SPAN: Span = Span::seconds(12);
/// After how long a device takes an answer for lost.
const ANSWER_SPAN: Span = Span::seconds(60);
/// How late a message may come that comes twice.
const LATE_SPAN: Span = Span::minutes(15);
/// For how long a device sleeps at most with a run under way.
const LID_SPAN: Span = Span::hours(9);
/// For how long a device asks again.
const PATIENCE: Span = Span::minutes(8);

/// What a request makes a server do.
pub(super) type Deed<T> = Arc<dyn Fn(Arc<App>) -> BoxFuture<'static, Result<T, AppError>> + Send + Sync>;

/// Asks until there is an answer, or the patience is over.
///
/// # Errors
/// The server's refusal; `server_unreachable`.
pub(super) async fn ask<T: Send + 'static>(world: &Arc<World>, deed: Deed<T>) -> Result<T, RemoteError> {
    if world.faults.once_in(100) {
        // The lid is closed in the middle of it.
        clock::pause(world.dice.span_of_any_size(LID_SPAN)).await;
    }
    let until = world.passed().as_ms() + PATIENCE.as_ms();
    loop {
        let error = match once(world, &deed).await {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(error)) => remote(&error),
            None => RemoteError::new("server_unreachable", "no answer", Kind::Unavailable),
        };
        let Retry::After(wait) = error.retry else { return Err(error) };
        if error.kind != Kind::Unavailable || world.passed().as_ms() + wait.as_ms() > until {
            return Err(error);
        }
        clock::pause(wait).await;
        clock::pause(world.dice.span(Span::seconds(2))).await;
    }
}

/// What an admin asks, at a server that lives, once and over a good line; none when the server is killed meanwhile, or
/// none lives.
pub(super) async fn order<T: Send + 'static>(
    world: &Arc<World>,
    deed: impl Fn(Arc<App>) -> BoxFuture<'static, Result<T, AppError>>,
) -> Option<Result<T, AppError>> {
    let server = world.dice.pick(&world.servers)?;
    begun(world, server, deed(server.app()?))?.await.ok()
}

/// Has a server work on something; none when it does not live.
fn begun<T: Send + 'static>(
    world: &Arc<World>,
    server: &Server,
    work: BoxFuture<'static, T>,
) -> Option<oneshot::Receiver<T>> {
    let (sender, answer) = oneshot::channel();
    server.work(world, async move { drop(sender.send(work.await)) }).then_some(answer)
}

/// Asks once; none when no answer comes.
async fn once<T: Send + 'static>(world: &Arc<World>, deed: &Deed<T>) -> Option<Result<T, AppError>> {
    clock::pause(way(world)).await;
    if world.faults.once_in(200) {
        clock::pause(ANSWER_SPAN).await;
        return None;
    }
    let server = world.dice.pick(&world.servers).map(Arc::clone)?;
    let app = server.app()?;
    if world.faults.once_in(150) {
        let (late, deed, server) = (world.dice.span_of_any_size(LATE_SPAN), Arc::clone(deed), Arc::clone(&server));
        let (again, world) = (Arc::clone(world), Arc::clone(world));
        world.spawn(async move {
            clock::pause(late).await;
            if let Some(app) = server.app() {
                server.work(&again, async move { drop(deed(app).await) });
            }
        });
    }
    let answer = begun(world, &server, deed(app))?;
    let answer = tokio::select! {
        biased;
        // A server that is killed breaks its connections.
        answer = answer => answer.ok()?,
        () = clock::pause(ANSWER_SPAN) => return None,
    };
    clock::pause(way(world)).await;
    if world.faults.once_in(150) {
        clock::pause(ANSWER_SPAN).await;
        return None;
    }
    Some(answer)
}

/// How long one message is under way.
fn way(world: &World) -> Span {
    world.dice.span(if world.faults.once_in(4) { SLOW_WAY_SPAN } else { WAY_SPAN })
}

/// What a device hears of an error.
fn remote(error: &AppError) -> RemoteError {
    let outside = error.outside();
    let said = outside.as_ref().unwrap_or(error);
    RemoteError { code: said.code().to_owned(), sentence: said.to_string(), kind: said.kind(), retry: said.retry() }
}
