//! The mailer that speaks SMTP: over TLS from the start, after STARTTLS, or plain where that was allowed.
//! Refuses to call a failure temporary once the end of the message may have reached the mail server: the command,
//! the text and the final dot are sent apart, so that it is known which of them failed.

mod compose;
mod settings;
mod tap;

pub(crate) use settings::is_mailbox;
pub use settings::{Login, SmtpSettings, Timeouts};

use super::{Answer, Letter, Mailer};
use crate::config::MailSecurity;
use async_trait::async_trait;
use base::Span;
use compose::Composed;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailParameter};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tap::Tap;

/// Codes by which a mail server says that it wants a login, or another one: no fault of a message.
const LOGIN_CODES: [u16; 4] = [530, 534, 535, 538];
/// The code by which it says that it closes the connection.
const CLOSING: u16 = 421;

/// A way to one mail server. Keeps its connection from one letter to the next until `rest`.
pub struct Smtp {
    settings: SmtpSettings,
    line: Mutex<Option<AsyncSmtpConnection>>,
}

impl Smtp {
    /// With these settings; connects when there is something to send. Never fails.
    pub fn new(settings: SmtpSettings) -> Self {
        Self { settings, line: Mutex::default() }
    }

    fn take(&self) -> Option<AsyncSmtpConnection> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, line: AsyncSmtpConnection) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
    }

    /// A connection that is encrypted and logged in as the settings say.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Answer> {
        let settings = &self.settings;
        let opened = within(settings.timeouts.connect, self.open()).await;
        let away = |failure| Answer::away(&format!("No connection to {}: {failure}.", settings.server));
        let mut line = opened.map_err(away)?;
        let Some(login) = settings.login.as_ref() else { return Ok(line) };
        let password = login.password().map_err(|said| Answer::away(&said))?;
        let credentials = Credentials::new(login.user.clone(), password);
        let auth = line.auth(&[Mechanism::Plain, Mechanism::Login], &credentials);
        match within(settings.timeouts.command, auth).await {
            Ok(_) => Ok(line),
            Err(failure) => Err(Answer::away(&format!("The mail server refuses the login: {failure}."))),
        }
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, Failure> {
        let settings = &self.settings;
        let (server, port, hello) = (settings.server.as_str(), settings.port, settings.hello());
        if settings.security == MailSecurity::Tls {
            let tls = Some(settings.tls()?);
            return Ok(AsyncSmtpConnection::connect_tokio1((server, port), None, &hello, tls, None).await?);
        }
        let stream = Tap::connect(server, port).await?;
        let mut line = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await?;
        if settings.security == MailSecurity::Starttls {
            // It fails when the mail server does not offer it: nothing goes out in the clear.
            line.starttls(settings.tls()?, &hello).await?;
        }
        Ok(line)
    }

    /// Sender, recipient and the request to send: after an error here the mail server has nothing.
    async fn envelope(&self, line: &mut AsyncSmtpConnection, letter: &Composed) -> Result<(), Refused> {
        let span = self.settings.timeouts.command;
        let mut parameters = Vec::new();
        if !letter.recipient.to_string().is_ascii() {
            if !line.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(Refused::Recipient("The mail server takes only addresses in ASCII.".to_owned()));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let sender = Some(self.settings.from.email.clone());
        within(span, line.command(Mail::new(sender, parameters))).await.map_err(Refused::Sender)?;
        within(span, line.command(Rcpt::new(letter.recipient.clone(), Vec::new()))).await.map_err(Refused::Later)?;
        within(span, line.command(Data)).await.map(drop).map_err(Refused::Later)
    }

    /// The text and the final dot, and whether the connection can be used further.
    async fn text(&self, line: &mut AsyncSmtpConnection, letter: &Composed) -> (Answer, bool) {
        let over = AtomicBool::new(false);
        let parts = Parts { bytes: Some(letter.bytes.as_slice()), over: &over };
        let ended = within(self.settings.timeouts.text, line.message_iter(parts)).await;
        let failure = match ended {
            Ok(reply) if (200..300).contains(&u16::from(reply.code())) => return (Answer::accepted(), true),
            Ok(reply) => {
                let said = format!("The mail server answered {} to the whole message.", reply.code());
                return (Answer::unclear(&said), false);
            }
            Err(failure) => failure,
        };
        let answer = match failure.code {
            // A code answers the final dot, and says that the mail server does not have the message.
            Some(500..) => Answer::permanent(&failure.said),
            Some(_) => Answer::temporary(&failure.said),
            None if over.load(Ordering::SeqCst) => {
                Answer::unclear(&format!("No answer came to the whole message: {failure}."))
            }
            None => Answer::temporary(&format!("The connection broke within the message: {failure}.")),
        };
        (answer, failure.code.is_some_and(|code| code != CLOSING))
    }

    /// One letter over a connection, and whether that can be used further.
    async fn talk(&self, line: &mut AsyncSmtpConnection, letter: &Composed) -> Result<(Answer, bool), Failure> {
        match self.envelope(line, letter).await {
            Ok(()) => Ok(self.text(line, letter).await),
            Err(Refused::Recipient(said)) => Ok((Answer::permanent(&said), true)),
            Err(Refused::Sender(failure)) if failure.is_whole() => Err(failure),
            Err(Refused::Sender(failure) | Refused::Later(failure)) => {
                let answer = match failure.code {
                    Some(500..) => Answer::permanent(&failure.said),
                    Some(_) | None => Answer::temporary(&failure.said),
                };
                let usable = failure.code.is_some_and(|code| code != CLOSING)
                    && within(self.settings.timeouts.command, line.command(Rset)).await.is_ok();
                Ok((answer, usable))
            }
        }
    }
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, letter: &Letter) -> Answer {
        let composed = match compose::compose(&self.settings, letter) {
            Ok(composed) => composed,
            Err(said) => return Answer::permanent(&said),
        };
        // A connection that was kept may have been closed meanwhile; the mail server has heard nothing of this letter
        // then, and a new one is tried. A new one that fails at once is an answer.
        for kept in [self.take(), None] {
            let is_new = kept.is_none();
            let mut line = match kept {
                Some(line) => line,
                None => match self.connect().await {
                    Ok(line) => line,
                    Err(answer) => return answer,
                },
            };
            match self.talk(&mut line, &composed).await {
                Ok((answer, usable)) => {
                    if usable {
                        self.keep(line);
                    }
                    return answer;
                }
                Err(failure) if is_new => return Answer::away(&format!("The mail server takes nothing: {failure}.")),
                Err(_) => {}
            }
        }
        Answer::away("The mail server takes nothing.")
    }

    async fn rest(&self) {
        if let Some(mut line) = self.take() {
            // How it takes the farewell changes nothing.
            let _ = within(self.settings.timeouts.command, line.quit()).await;
        }
    }
}

/// Why the mail server did not ask for the text.
enum Refused {
    /// The recipient is none for it, which was known before it was asked.
    Recipient(String),
    /// At the first command: it may be no fault of the letter.
    Sender(Failure),
    /// At a later one.
    Later(Failure),
}

/// What an SMTP command met.
struct Failure {
    /// The code of the reply, when one came.
    code: Option<u16>,
    said: String,
}

impl Failure {
    /// Whether every other letter would have met it too.
    fn is_whole(&self) -> bool {
        self.code.is_none_or(|code| code == CLOSING || LOGIN_CODES.contains(&code))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.said)
    }
}

impl From<Error> for Failure {
    /// The code of the reply, and what every cause says. Never fails.
    fn from(error: Error) -> Self {
        let code = error.status().map(u16::from);
        let mut causes = Vec::new();
        let mut cause = std::error::Error::source(&error);
        while let Some(next) = cause {
            causes.push(next.to_string());
            cause = next.source();
        }
        causes.dedup();
        let causes = if causes.is_empty() { error.to_string() } else { causes.join(": ") };
        let said = code.map_or_else(|| causes.clone(), |code| format!("{code} {causes}"));
        Self { code, said }
    }
}

impl From<std::io::Error> for Failure {
    /// A failure without a reply. Never fails.
    fn from(error: std::io::Error) -> Self {
        Self { code: None, said: error.to_string() }
    }
}

/// What this gives within `span`.
async fn within<T, E: Into<Failure>>(span: Span, work: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    // The network's own time: no clock of a test moves it.
    match tokio::time::timeout(span.as_duration(), work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(Failure { code: None, said: format!("no answer within {span}") }),
    }
}

/// The text as one part, and a note when it is written and the final dot comes next.
struct Parts<'a> {
    bytes: Option<&'a [u8]>,
    over: &'a AtomicBool,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        // ORDER: lettre writes and flushes a part before it asks for the next, and the final dot after the last. So
        // what fails before this note has failed before the dot: RFC 5321 lets no server take a message without it.
        let part = self.bytes.take();
        if part.is_none() {
            self.over.store(true, Ordering::SeqCst);
        }
        part
    }
}
