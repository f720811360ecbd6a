//! Ports to those who know people better than this server does: a directory, and a provider of single sign-on.
//! Refuses to be one: none is configured until somebody fits one in. Both answer with addresses; users are looked up
//! here by them.

use crate::AppError;
use crate::password::Password;
use async_trait::async_trait;
use std::sync::Arc;

/// Who else knows people. Nobody, by default.
#[derive(Clone, Default)]
pub struct Identity {
    /// The directory.
    pub directory: Option<Arc<dyn Directory>>,
    /// The provider of single sign-on.
    pub sign_on: Option<Arc<dyn SignOn>>,
}

/// A directory of people. Never called while a transaction is open.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The address of whoever has this account of an operating system; `domain` is what stood before the backslash.
    /// `None` when the directory knows nobody, or more than one.
    ///
    /// # Errors
    /// `Unavailable` when it does not answer.
    async fn find_by_os_user(&self, domain: Option<&str>, user: &str) -> Result<Option<String>, AppError>;

    /// Whether this is the password of the person with this address. In the same time for an address that the
    /// directory does not know.
    ///
    /// # Errors
    /// `Unavailable` when it does not answer.
    async fn verify_password(&self, email: &str, password: &Password) -> Result<bool, AppError>;
}

/// A provider of single sign-on. Never called while a transaction is open.
#[async_trait]
pub trait SignOn: Send + Sync {
    /// The address of whoever was given this code, which is good once; `None` for a code that is not good.
    ///
    /// # Errors
    /// `Unavailable` when it does not answer.
    async fn redeem(&self, code: &str) -> Result<Option<String>, AppError>;
}

/// The parts of an account as Windows writes it, `DOMAIN\user`; other systems name no domain. Never fails.
pub(crate) fn os_user(text: &str) -> (Option<&str>, &str) {
    match text.split_once('\\') {
        Some((domain, user)) => (Some(domain), user),
        None => (None, text),
    }
}
