//! The device's session: a signed challenge gives a bearer token, kept until shortly before it ends.
//! Refuses to open two sessions side by side.

use super::http::{Call, Http};
use super::retry::{Failed, Retry};
use super::wire;
use crate::error::AgentError;
use crate::state::{DeviceKey, StateDir};
use base::{DeviceId, Span, Timestamp};
use engine::{Progress, RemoteError};
use protocol::agent::session::{ChallengeReply, ChallengeRequest, SessionReply, SessionRequest, signed_bytes};
use protocol::{Hex, Text};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Who asks, and the token that proves it at the moment.
pub(super) struct Auth {
    device: DeviceId,
    key: DeviceKey,
    /// Where the counter of this device is kept between sessions.
    counted_in: Option<StateDir>,
    /// Held while a session is opened: whoever comes in between waits for that one.
    token: Mutex<Option<Token>>,
}

struct Token {
    bearer: Arc<str>,
    renew_at: Timestamp,
}

impl Auth {
    /// For the device with this key. Never fails.
    pub fn new(device: DeviceId, key: DeviceKey) -> Self {
        Self { device, key, counted_in: None, token: Mutex::new(None) }
    }

    /// The same, with the counter that is kept in `dir`. Never fails.
    pub fn counted_in(self, dir: StateDir) -> Self {
        Self { counted_in: Some(dir), ..self }
    }

    /// A token that is good now.
    ///
    /// # Errors
    /// No answer, or the server's refusal.
    pub async fn bearer(&self, http: &Http, retry: &Retry, meter: &Arc<Progress>) -> Result<Arc<str>, Failed> {
        let mut token = self.token.lock().await;
        if let Some(token) = token.as_ref().filter(|token| retry.clock.now() < token.renew_at) {
            return Ok(Arc::clone(&token.bearer));
        }
        let asked_at = retry.clock.now();
        let reply = self.sign_in(http, retry, meter).await?;
        // A tenth is left for the way and for clocks that do not go alike.
        let renew_at = asked_at + Span::ms(reply.expires_in_ms / 10 * 9);
        let bearer: Arc<str> = reply.token.into();
        *token = Some(Token { bearer: Arc::clone(&bearer), renew_at });
        Ok(bearer)
    }

    /// Drops a token that the server did not take. Never fails.
    pub async fn discard(&self, bearer: &str) {
        let mut token = self.token.lock().await;
        if token.as_ref().is_some_and(|token| &*token.bearer == bearer) {
            *token = None;
        }
    }

    async fn sign_in(&self, http: &Http, retry: &Retry, meter: &Arc<Progress>) -> Result<SessionReply, Failed> {
        let Some(dir) = &self.counted_in else { return self.exchange(http, meter, None).await };
        let public_key = self.key.public();
        // Whoever signs in beside us with the same state takes the next counter, not the same one.
        let _turn = dir.turn(&*retry.clock).await.map_err(|error| here(&error))?;
        let counter = dir.counter(&public_key).map_err(|error| here(&error))?;
        let reply = self.exchange(http, meter, counter).await?;
        // ORDER: the counter is durable before the token is used, or a power cut would make this computer look like
        // a copy of itself.
        dir.change(&public_key, |state| state.counter = Some(reply.counter)).map_err(|error| here(&error))?;
        Ok(reply)
    }

    async fn exchange(
        &self,
        http: &Http,
        meter: &Arc<Progress>,
        counter: Option<Hex<56>>,
    ) -> Result<SessionReply, Failed> {
        let device = Text(self.device);
        let call = wire::post("/v1/sessions/challenge", &ChallengeRequest { device });
        let ChallengeReply { challenge, .. } = exchange(http, &call, meter).await?;
        let signature = Hex(self.key.sign(&signed_bytes(self.device, &challenge.0)));
        let call = wire::post("/v1/sessions", &SessionRequest { device, challenge, signature, counter });
        exchange(http, &call, meter).await.map_err(|mut failed| {
            // The answer to a challenge was lost, or came late: with another one it may come through.
            if matches!(failed.error.code.as_str(), "challenge_used" | "challenge_expired") {
                failed.again = Some(Span::ZERO);
            }
            failed
        })
    }
}

/// What is wrong on this computer, as what ends a request.
fn here(error: &AgentError) -> Failed {
    let (code, sentence, kind) = (error.code().to_owned(), error.sentence(), error.kind());
    Failed::for_good(RemoteError { code, sentence, kind, retry: error.retry() })
}

async fn exchange<T: serde::de::DeserializeOwned>(
    http: &Http,
    call: &Call,
    meter: &Arc<Progress>,
) -> Result<T, Failed> {
    let response = http.send(call, None, meter).await?;
    let bytes = http.read(response, meter).await?;
    wire::json(&bytes).ok_or_else(|| Failed::for_good(http.damaged("it is not the JSON that was asked for")))
}
