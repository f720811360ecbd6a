//! Activation and reactivation of a simulated device. Refuses to draw a second key for a request that got no answer:
//! it is repeated as it is.

use super::SimError;
use super::device::{Device, public, sign};
use super::life::Life;
use base::Span;
use protocol::agent::activation::{
    ActivationAnswer, ActivationReply, ActivationRequest, Choice, OldKey, Preview, Proof,
};
use protocol::{Hex, Text};

/// By what a device proves who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    OldKey,
    Token,
    Password,
}

impl By {
    const fn word(self) -> &'static str {
        match self {
            By::OldKey => "old_key",
            By::Token => "token",
            By::Password => "password",
        }
    }
}

impl Life<'_> {
    /// Makes a key and has it bound, by the token where there is one, else by the password.
    ///
    /// # Errors
    /// The server's refusal.
    pub(super) async fn activate(&mut self) -> Result<(), SimError> {
        let by = if self.crowd.plan.token.is_some() { By::Token } else { By::Password };
        self.bind("activate", by).await
    }

    /// Comes back after a reset, if there was one, by the least that the server takes.
    ///
    /// # Errors
    /// The last refusal.
    pub(super) async fn come_back(&mut self) -> Result<(), SimError> {
        self.device.bearer = None;
        let mut reason = match self.look().await {
            Ok(own) if own.state != "held" => {
                self.crowd.figures().back("none");
                return Ok(());
            }
            Ok(_) => SimError::Refused { code: "device_held".to_owned() },
            Err(error @ SimError::Refused { .. }) => error,
            Err(error) => return Err(error),
        };
        for by in [By::OldKey, By::Token, By::Password] {
            match self.bind("return", by).await {
                Ok(()) => {
                    self.crowd.figures().back(by.word());
                    return Ok(());
                }
                // This was not enough; what comes next may be.
                Err(error @ SimError::Refused { .. }) => reason = error,
                Err(SimError::NoProof) => {}
                Err(error) => return Err(error),
            }
        }
        Err(reason)
    }

    async fn bind(&mut self, word: &'static str, by: By) -> Result<(), SimError> {
        let request = self.request(by)?;
        let give_up_at = self.crowd.clock.now() + self.crowd.plan.patience;
        loop {
            match self.post(word, "/v1/activations", &request, false).await? {
                ActivationAnswer::Activated(reply) => {
                    self.bound(&reply);
                    return Ok(());
                }
                ActivationAnswer::Waiting(waiting) => {
                    let wait = Span::ms(waiting.retry_after_ms);
                    if self.crowd.clock.now() + wait > give_up_at {
                        return Err(SimError::Refused { code: "waiting".to_owned() });
                    }
                    self.crowd.clock.sleep(wait).await;
                }
                ActivationAnswer::Question(_) | ActivationAnswer::Changes(_) => {
                    return Err(SimError::Answer { path: "/v1/activations".to_owned() });
                }
            }
        }
    }

    fn request(&self, by: By) -> Result<ActivationRequest, SimError> {
        let device = &self.device;
        let made = device.made(device.generation + 1);
        let email = self.email();
        let (proof, named) = match by {
            By::OldKey => (Proof::OldKey, String::new()),
            // The user is found by the account of the operating system.
            By::Token => (Proof::Token { token: secret(self.crowd.plan.token.as_ref())? }, String::new()),
            By::Password => (Proof::Password { password: secret(self.crowd.plan.password.as_ref())? }, email.clone()),
        };
        let mut request = ActivationRequest {
            request: Hex(made.request),
            email: named,
            proof,
            device_key: Hex(public(&made.key)),
            signature: Hex([0; 64]),
            evidence: device.evidence(&email),
            platform: Device::platform(),
            choice: Choice::Auto,
            can_ask: false,
            preview: Preview::None,
            restore: None,
            old_key: None,
        };
        let signed = request.signed_bytes();
        request.signature = Hex(sign(&made.key, &signed));
        request.old_key = device.record.map(|Text(record)| {
            let signature = Hex(sign(&device.made(device.generation).key, &signed));
            OldKey { device: Text(record), signature, counter: device.counter }
        });
        match (by, &request.old_key) {
            (By::OldKey, None) => Err(SimError::NoProof),
            (By::OldKey | By::Token | By::Password, _) => Ok(request),
        }
    }

    fn bound(&mut self, reply: &ActivationReply) {
        let device = &mut self.device;
        device.generation += 1;
        device.record = Some(Text(reply.device.0));
        device.epoch = reply.epoch;
        device.catch_up_at_ms = reply.catch_up_at_ms;
        device.bearer = None;
        device.counter = Some(reply.counter);
    }
}

fn secret(text: Option<&String>) -> Result<String, SimError> {
    text.cloned().ok_or(SimError::NoProof)
}
