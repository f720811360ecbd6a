//! Sessions of a simulated device, and what it may know of itself. Refuses to use a token before it has kept the
//! counter that came with it: the device is what it has kept.

use super::SimError;
use super::device::sign;
use super::life::{Life, Request};
use protocol::agent::session::{ChallengeReply, ChallengeRequest, SessionReply, SessionRequest, signed_bytes};
use protocol::agent::status::DeviceReply;
use protocol::{Hex, Text};

impl Life<'_> {
    /// Opens a session.
    ///
    /// # Errors
    /// The device has no record; the server's refusal.
    pub(super) async fn open(&mut self) -> Result<(), SimError> {
        let device = self.device.record.ok_or(SimError::NoProof)?;
        let asked = ChallengeRequest { device };
        let reply: ChallengeReply = self.post("challenge", "/v1/sessions/challenge", &asked, false).await?;
        let Hex(challenge) = reply.challenge;
        let key = self.device.made(self.device.generation).key;
        let signature = Hex(sign(&key, &signed_bytes(device.0, &challenge)));
        let counter = self.device.counter;
        let asked = SessionRequest { device: Text(device.0), challenge: Hex(challenge), signature, counter };
        let reply: SessionReply = self.post("open", "/v1/sessions", &asked, false).await?;
        self.device.counter = Some(reply.counter);
        self.device.bearer = Some(reply.token);
        Ok(())
    }

    /// Asks for the device's state; opens a session where there is none, or the one there was has ended.
    ///
    /// # Errors
    /// The server's refusal.
    pub(super) async fn look(&mut self) -> Result<DeviceReply, SimError> {
        if self.device.bearer.is_some() {
            match self.look_once().await {
                Err(SimError::Refused { code }) if code == "session_expired" || code == "session_invalid" => {}
                other => return other,
            }
        }
        self.open().await?;
        self.look_once().await
    }

    async fn look_once(&mut self) -> Result<DeviceReply, SimError> {
        let request = Request { word: "look", method: "GET", path: "/v1/device", body: Vec::new(), signed_in: true };
        self.json(request).await
    }
}
