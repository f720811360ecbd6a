//! The way to the server: one connection that signs in, asks again after silence, and speaks each route.
//! Refuses to decide anything: it carries questions and answers. Routes and messages: docs/protocol.md.

mod auth;
mod fetch;
mod http;
mod retry;
mod routes;
mod run;
mod wire;

use crate::error::AgentError;
use crate::state::{DeviceKey, Pin, Server, State, StateDir};
use auth::Auth;
use base::{Clock, DeviceId, Entropy, Span};
use bytes::Bytes;
use engine::{Progress, RemoteError};
use http::{Call, Http};
pub use pin::Stranger;
use reqwest::Response;
use retry::{Failed, Retry};
pub use run::RunRemote;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// What a connection needs of the world around it; cheap to clone.
#[derive(Clone)]
pub struct Around {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Counts what is sent and fetched.
    pub progress: Arc<Progress>,
    /// How long one request is tried in all.
    pub patience: Span,
}

/// A server that can be asked.
pub struct Connection {
    http: Http,
    auth: Option<Auth>,
    retry: Retry,
    meter: Arc<Progress>,
}

impl Connection {
    /// A connection that can only ask who answers, and activate. Nothing is sent yet.
    ///
    /// # Errors
    /// `url_invalid`, `ca_invalid`.
    pub fn to(server: &Server, around: &Around) -> Result<Self, AgentError> {
        Self::new(&server.url, Some(&server.pin), None, around)
    }

    /// A connection that signs in as this device. Nothing is sent yet.
    ///
    /// # Errors
    /// As `to`.
    pub fn signed_in(server: &Server, device: DeviceId, key: DeviceKey, around: &Around) -> Result<Self, AgentError> {
        Self::new(&server.url, Some(&server.pin), Some(Auth::new(device, key)), around)
    }

    /// A connection that signs in as the device of this state, with the counter that is kept there. Nothing is sent
    /// yet.
    ///
    /// # Errors
    /// As `to`.
    pub fn of_device(dir: &StateDir, state: &State, key: DeviceKey, around: &Around) -> Result<Self, AgentError> {
        let auth = Auth::new(state.device, key).counted_in(dir.clone());
        Self::new(&state.server.url, Some(&state.server.pin), Some(auth), around)
    }

    /// How long the server has asked to wait, in its last "no"; `None` where it has not. Never fails.
    pub fn asked_to_wait(&self) -> Option<Span> {
        self.http.asked_to_wait()
    }

    /// The certificate of whoever answers at this address; nothing is sent to them.
    ///
    /// # Errors
    /// `url_invalid`; nobody answers, or not over TLS 1.3.
    pub async fn look(url: &str, around: &Around) -> Result<Stranger, AgentError> {
        let connection = Self::new(url, None, None, &Around { patience: Span::ZERO, ..around.clone() })?;
        let answered = connection.ask(&wire::get("/v1/hello")).await;
        match (connection.http.take_stranger(), answered) {
            (Some(stranger), _) => Ok(stranger),
            (None, Err(error)) => Err(AgentError::Remote(error)),
            (None, Ok(_)) => Err(AgentError::Remote(connection.http.damaged("it showed no certificate"))),
        }
    }

    fn new(url: &str, pin: Option<&Pin>, auth: Option<Auth>, around: &Around) -> Result<Self, AgentError> {
        let Around { clock, entropy, progress, patience } = around.clone();
        let retry = Retry { clock, entropy, patience };
        Ok(Self { http: Http::new(url, pin)?, auth, retry, meter: progress })
    }

    /// Asks until there is a whole answer, or a refusal, or the patience is at an end.
    async fn ask(&self, call: &Call) -> Result<Bytes, RemoteError> {
        let mut waits = self.retry.begin();
        loop {
            let answered = match self.attempt(call).await {
                Ok(response) => self.http.read(response, &self.meter).await,
                Err(failed) => Err(failed),
            };
            match answered {
                Ok(bytes) => return Ok(bytes),
                Err(failed) => waits.after(failed).await?,
            }
        }
    }

    /// As `ask_json`, with no more patience than this.
    async fn ask_json_within<T: DeserializeOwned>(&self, call: &Call, patience: Span) -> Result<T, RemoteError> {
        let retry = Retry { patience: patience.min(self.retry.patience), ..self.retry.clone() };
        let mut waits = retry.begin();
        loop {
            let answered = match self.attempt(call).await {
                Ok(response) => self.http.read(response, &self.meter).await,
                Err(failed) => Err(failed),
            };
            match answered {
                Ok(bytes) => return wire::json(&bytes).ok_or_else(|| self.http.damaged("it is not a policy")),
                Err(failed) => waits.after(failed).await?,
            }
        }
    }

    /// As `ask`, for an answer that is a message.
    async fn ask_json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, RemoteError> {
        let bytes = self.ask(call).await?;
        wire::json(&bytes).ok_or_else(|| self.http.damaged("it is not the JSON that was asked for"))
    }

    /// One attempt, signed in where the connection is. A session that has ended is opened anew, once.
    async fn attempt(&self, call: &Call) -> Result<Response, Failed> {
        let Some(auth) = &self.auth else { return self.http.send(call, None, &self.meter).await };
        let bearer = auth.bearer(&self.http, &self.retry, &self.meter).await?;
        match self.http.send(call, Some(&bearer), &self.meter).await {
            Err(failed) if is_session(&failed) => {
                auth.discard(&bearer).await;
                let bearer = auth.bearer(&self.http, &self.retry, &self.meter).await?;
                self.http.send(call, Some(&bearer), &self.meter).await
            }
            done => done,
        }
    }
}

/// A server's address in its one form: `https://host:port`, without a final slash.
///
/// # Errors
/// `url_invalid`.
pub fn normal_url(text: &str) -> Result<String, AgentError> {
    http::checked_url(text).map(|url| url.as_str().trim_end_matches('/').to_owned())
}

fn is_session(failed: &Failed) -> bool {
    matches!(failed.error.code.as_str(), "session_expired" | "session_invalid")
}
