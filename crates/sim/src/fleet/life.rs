//! A device at work: sends a request, takes the answer, and comes again when it was told to, or did not get through.
//! Refuses to go on for ever: after the plan's patience a device gives up, with the last reason.

use super::link::{Answer, Call, Link};
use super::{Crowd, Device, Plan, SimError, Step};
use base::{Span, Timestamp};
use protocol::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The first wait after a broken connection; it doubles up to the second.
const AGAIN_MIN: Span = Span::ms(200);
const AGAIN_MAX: Span = Span::seconds(10);

/// A device and the connection that it has at the moment.
pub(super) struct Life<'a> {
    pub(super) crowd: &'a Crowd,
    pub(super) device: Device,
    link: Option<Link>,
}

/// A request, and the word that it is counted by.
pub(super) struct Request<'a> {
    pub(super) word: &'static str,
    pub(super) method: &'static str,
    pub(super) path: &'a str,
    pub(super) body: Vec<u8>,
    /// Whether it carries the session's token.
    pub(super) signed_in: bool,
}

impl<'a> Life<'a> {
    pub(super) fn new(crowd: &'a Crowd, device: Device, link: Option<Link>) -> Self {
        Self { crowd, device, link }
    }

    /// The device, and its connection where there is one.
    pub(super) fn end(self) -> (Device, Option<Link>) {
        (self.device, self.link)
    }

    /// Does one step.
    ///
    /// # Errors
    /// The last reason why it could not be done.
    pub(super) async fn step(&mut self, step: Step) -> Result<(), SimError> {
        match step {
            Step::Activate => self.activate().await,
            Step::Open => self.open().await,
            Step::Look => self.look().await.map(drop),
            Step::Commit => self.commit().await,
            Step::Return => self.come_back().await,
        }
    }

    /// The address of the device's user.
    pub(super) fn email(&self) -> String {
        let Plan { users, user_from, email, .. } = &self.crowd.plan;
        email.replace("{}", &self.device.user(*user_from, *users).to_string())
    }

    /// Sends a JSON request and takes a JSON answer.
    ///
    /// # Errors
    /// As `bytes`; an answer in another form.
    pub(super) async fn post<T: DeserializeOwned>(
        &mut self,
        word: &'static str,
        path: &str,
        body: &impl Serialize,
        signed_in: bool,
    ) -> Result<T, SimError> {
        let body = serde_json::to_vec(body).expect("messages are plain values");
        self.json(Request { word, method: "POST", path, body, signed_in }).await
    }

    /// Sends a request and takes a JSON answer.
    ///
    /// # Errors
    /// As `bytes`; an answer in another form.
    pub(super) async fn json<T: DeserializeOwned>(&mut self, request: Request<'_>) -> Result<T, SimError> {
        let path = request.path.to_owned();
        let bytes = self.bytes(request).await?;
        serde_json::from_slice(&bytes).map_err(|_| SimError::Answer { path })
    }

    /// Sends a request, again and again where that may help.
    ///
    /// # Errors
    /// Refused for good; refused for now, or without a connection, for longer than the plan's patience.
    pub(super) async fn bytes(&mut self, request: Request<'_>) -> Result<Vec<u8>, SimError> {
        let crowd = self.crowd;
        let give_up_at = crowd.clock.now() + crowd.plan.patience;
        let mut again = AGAIN_MIN;
        loop {
            let (error, wait) = match self.attempt(&request).await {
                Ok(answer) if answer.status == 200 => return Ok(answer.body),
                Ok(answer) => refusal(&answer, request.path),
                Err(error) => {
                    self.link = None;
                    again = Span::ms(again.as_ms() * 2).min(AGAIN_MAX);
                    (error, Some(again))
                }
            };
            crowd.figures().refused(error.code());
            let Some(wait) = wait else { return Err(error) };
            if crowd.clock.now() + wait > give_up_at {
                return Err(error);
            }
            crowd.clock.sleep(wait).await;
        }
    }

    async fn attempt(&mut self, request: &Request<'_>) -> Result<Answer, SimError> {
        let crowd = self.crowd;
        let began_at = crowd.clock.now();
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::open(&crowd.server).await?,
        };
        let bearer = self.device.bearer.as_deref().filter(|_| request.signed_in);
        let call = Call { method: request.method, path: request.path, bearer, body: &request.body };
        let answer = link.ask(&call).await?;
        if !answer.last {
            self.link = Some(link);
        }
        if answer.status == 200 {
            crowd.figures().took(request.word, crowd.clock.now().since(began_at));
        }
        Ok(answer)
    }

    /// Waits for a point in time that is near enough to wait for. Never fails.
    pub(super) async fn wait_until(&self, ms: i64) {
        let wait = Timestamp::from_ms(ms).since(self.crowd.clock.now());
        self.crowd.clock.sleep(wait.min(self.crowd.plan.patience)).await;
    }
}

/// What a no says, and when to come again.
fn refusal(answer: &Answer, path: &str) -> (SimError, Option<Span>) {
    match serde_json::from_slice::<Problem>(&answer.body) {
        Ok(problem) => (SimError::Refused { code: problem.code }, problem.retry_after_ms.map(Span::ms)),
        Err(_) => (SimError::Answer { path: path.to_owned() }, None),
    }
}
