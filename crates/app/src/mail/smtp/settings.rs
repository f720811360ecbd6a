//! How a mail server is reached. Refuses to hold a password: it is read from its file whenever a connection is made.

use super::Failure;
use crate::config::MailSecurity;
use crate::{AppError, Config};
use base::Span;
use lettre::Address;
use lettre::message::Mailbox;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use std::io;
use std::path::{Path, PathBuf};

/// The largest file with a password or certificates, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How a mail server is reached.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// Its name or address; the certificate must be made out to it.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: MailSecurity,
    /// Who this server is to it; `None` when it wants no login.
    pub login: Option<Login>,
    /// The file with the certificates of authorities, as PEM, that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The sender.
    pub from: Mailbox,
    /// Where answers go, if not to the sender.
    pub reply_to: Option<Mailbox>,
    /// What is waited for.
    pub timeouts: Timeouts,
}

/// A login at the mail server.
#[derive(Clone, Debug)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The file with the password.
    pub password_file: PathBuf,
}

/// What is waited for. All of them together are shorter than `MailPolicy::sending_span`.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection, its encryption and the greetings.
    pub connect: Span,
    /// For the answer to one command.
    pub command: Span,
    /// For the text to be written and the final answer to come.
    pub text: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Span::minutes(1), command: Span::minutes(2), text: Span::minutes(10) }
    }
}

impl SmtpSettings {
    /// What this configuration says; `None` when it names no mail server.
    ///
    /// # Errors
    /// `config_invalid` for a sender that is none, which `Config::parse` refuses too.
    pub fn of(config: &Config) -> Result<Option<Self>, AppError> {
        if config.mail_server.is_empty() {
            return Ok(None);
        }
        let from = mailbox(&config.mail_from)?;
        let reply_to = (!config.mail_reply_to.is_empty()).then(|| mailbox(&config.mail_reply_to)).transpose()?;
        let login = (!config.mail_user.is_empty()).then(|| Login {
            user: config.mail_user.clone(),
            password_file: PathBuf::from(&config.mail_password_file),
        });
        let ca_file = (!config.mail_ca_file.is_empty()).then(|| PathBuf::from(&config.mail_ca_file));
        let port = u16::try_from(config.mail_port).expect("the key takes ports only");
        Ok(Some(Self {
            server: config.mail_server.clone(),
            port,
            security: config.mail_security,
            login,
            ca_file,
            from,
            reply_to,
            timeouts: Timeouts::default(),
        }))
    }

    /// What this server calls itself: the domain that it sends for. Never fails.
    pub(super) fn hello(&self) -> ClientId {
        ClientId::Domain(self.from.email.domain().to_owned())
    }

    /// The authorities that are trusted, and the name that the certificate must have.
    pub(super) fn tls(&self) -> Result<TlsParameters, Failure> {
        let builder = TlsParameters::builder(self.server.clone());
        let Some(path) = &self.ca_file else { return Ok(builder.build()?) };
        let certificate = Certificate::from_pem(&file_read(path)?)?;
        Ok(builder.certificate_store(CertificateStore::None).add_root_certificate(certificate).build()?)
    }
}

impl Login {
    /// The password, without the end of its line. Fails with a sentence that has nothing of it.
    pub(super) fn password(&self) -> Result<String, String> {
        let unread = |cause| format!("The password of the mail server cannot be read from its file: {cause}.");
        let text = file_read(&self.password_file).map_err(unread)?;
        let text = String::from_utf8(text).map_err(|_| "The file with the mail server's password is no text.")?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// Whether this is the name and address of a sender, or an address alone. Never fails.
pub(crate) fn is_mailbox(text: &str) -> bool {
    mailbox(text).is_ok()
}

/// The address in `text`; `None` when it is none that mail can go to. Never fails.
pub(super) fn address(text: &str) -> Option<Address> {
    text.parse().ok().filter(|_| !text.chars().any(|letter| letter.is_control() || letter.is_whitespace()))
}

fn mailbox(text: &str) -> Result<Mailbox, AppError> {
    let plain = !text.chars().any(char::is_control);
    let mailbox = text.parse::<Mailbox>().ok().filter(|_| plain);
    let refused = || AppError::invalid("config_invalid", format!("\"{}\" is no sender of mail.", text.escape_debug()));
    mailbox.ok_or_else(refused)
}

fn file_read(path: &Path) -> io::Result<Vec<u8>> {
    let named = |cause: io::Error| io::Error::new(cause.kind(), format!("{}: {cause}", path.display()));
    if std::fs::metadata(path).map_err(named)?.len() > FILE_BYTES_MAX {
        return Err(named(io::Error::other("larger than 1 MiB")));
    }
    std::fs::read(path).map_err(named)
}
