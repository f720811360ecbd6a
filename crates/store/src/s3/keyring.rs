//! The access key that signs the requests: asked for again every few minutes, and when a server refuses it.
//! Refuses to print a secret, and to sign with a key that no header can carry.

use super::trouble::KeyFailure;
use async_trait::async_trait;
use base::{Clock, Span, Timestamp};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// How long a key is used before it is asked for again, so that one that was rotated is found without a restart.
const KEY_SPAN: Span = Span::minutes(2);

/// An access key. Wiped on drop; `Debug` shows the id only.
#[derive(Clone)]
pub struct S3Key {
    /// Its id, which is no secret.
    pub id: String,
    /// What signs.
    pub secret: Zeroizing<String>,
    /// What comes with a key that was lent for a session.
    pub token: Option<Zeroizing<String>>,
}

/// Where access keys come from: a file, a service. Asked at most once at a time, every two minutes or when the
/// server refuses the last one.
#[async_trait]
pub trait S3Keys: Send + Sync + 'static {
    /// The key that is good now.
    ///
    /// # Errors
    /// What went wrong, without the key in it: it is shown to the admin.
    async fn key(&self) -> io::Result<S3Key>;
}

/// A key that never changes.
#[async_trait]
impl S3Keys for S3Key {
    async fn key(&self) -> io::Result<S3Key> {
        Ok(self.clone())
    }
}

impl fmt::Debug for S3Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The key in use, and where the next one comes from.
pub(super) struct Keyring {
    keys: Arc<dyn S3Keys>,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<Held>>,
}

struct Held {
    credential: Arc<AwsCredential>,
    since: Timestamp,
    /// A server has refused it: it is not used again.
    doubted: bool,
}

impl Keyring {
    pub(super) fn new(keys: Arc<dyn S3Keys>, clock: Arc<dyn Clock>) -> Self {
        Self { keys, clock, held: Mutex::new(None) }
    }

    /// A request that was signed after `begun` was refused for its key, so a key that is older is not used again.
    pub(super) async fn doubt(&self, begun: Timestamp) {
        if let Some(held) = &mut *self.held.lock().await
            && held.since <= begun
        {
            held.doubted = true;
        }
    }
}

#[async_trait]
impl CredentialProvider for Keyring {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        // The lock is held while the key is asked for: whoever comes meanwhile waits for the same answer.
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        let usable = held.as_ref().filter(|held| !held.doubted).map(|held| (Arc::clone(&held.credential), held.since));
        if let Some((credential, since)) = &usable
            && now.since(*since) < KEY_SPAN
        {
            return Ok(Arc::clone(credential));
        }
        match (self.keys.key().await.and_then(credential), usable) {
            (Ok(fresh), _) => {
                let fresh = Arc::new(fresh);
                *held = Some(Held { credential: Arc::clone(&fresh), since: now, doubted: false });
                Ok(fresh)
            }
            // A file that is being replaced may be away for a moment, and the key in use may well be good.
            (Err(cause), Some((credential, _))) => {
                tracing::warn!("the access key of the store cannot be read again, so the last one is used: {cause}");
                Ok(credential)
            }
            (Err(cause), None) => {
                Err(object_store::Error::Generic { store: "S3", source: Box::new(KeyFailure(cause)) })
            }
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring")
    }
}

/// The library takes plain texts, which it does not wipe, and ends the program over a letter that no header can have.
fn credential(key: S3Key) -> io::Result<AwsCredential> {
    let fits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let token_fits = key.token.as_ref().is_none_or(|token| fits(token));
    if !fits(&key.id) || !fits(&key.secret) || !token_fits {
        let sentence = "a part of the access key is empty, or has a blank or a letter that no key has";
        return Err(io::Error::new(io::ErrorKind::InvalidData, sentence));
    }
    let token = key.token.map(|token| token.to_string());
    Ok(AwsCredential { key_id: key.id, secret_key: key.secret.to_string(), token })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::ManualClock;
    use std::sync::Mutex as Plain;

    /// Gives what the test says next, again and again for the last.
    struct Given(Plain<Vec<Option<&'static str>>>);

    #[async_trait]
    impl S3Keys for Given {
        async fn key(&self) -> io::Result<S3Key> {
            let mut given = self.0.lock().expect("no test panics here");
            let next = if given.len() > 1 { given.remove(0) } else { given[0] };
            let id = next.ok_or_else(|| io::Error::other("the file is away"))?.to_owned();
            Ok(S3Key { id, secret: Zeroizing::new("secret".to_owned()), token: None })
        }
    }

    fn keyring(given: &[Option<&'static str>]) -> (Keyring, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_ms(0)));
        (Keyring::new(Arc::new(Given(Plain::new(given.to_vec()))), Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    async fn id(keyring: &Keyring) -> Option<String> {
        keyring.get_credential().await.ok().map(|credential| credential.key_id.clone())
    }

    #[tokio::test]
    async fn a_key_is_asked_for_again_after_minutes_and_when_it_is_doubted() {
        let (keyring, clock) = keyring(&[Some("one"), Some("two"), Some("three")]);
        assert_eq!(id(&keyring).await.as_deref(), Some("one"));
        clock.advance(Span::seconds(100));
        assert_eq!(id(&keyring).await.as_deref(), Some("one"));
        clock.advance(Span::seconds(20));
        assert_eq!(id(&keyring).await.as_deref(), Some("two"));
        keyring.doubt(Timestamp::from_ms(5)).await;
        assert_eq!(id(&keyring).await.as_deref(), Some("two"), "it is younger than the request that was refused");
        keyring.doubt(clock.now()).await;
        assert_eq!(id(&keyring).await.as_deref(), Some("three"));
    }

    #[tokio::test]
    async fn a_file_that_is_away_does_no_harm_unless_the_key_is_doubted() {
        let (keyring, clock) = keyring(&[Some("one"), None]);
        assert_eq!(id(&keyring).await.as_deref(), Some("one"));
        clock.advance(KEY_SPAN);
        assert_eq!(id(&keyring).await.as_deref(), Some("one"));
        keyring.doubt(clock.now()).await;
        assert_eq!(id(&keyring).await, None);
    }

    #[test]
    fn a_key_is_not_printed_and_one_that_no_header_can_carry_is_refused() {
        let key = |id: &str, secret: &str, token: Option<&str>| S3Key {
            id: id.to_owned(),
            secret: Zeroizing::new(secret.to_owned()),
            token: token.map(|token| Zeroizing::new(token.to_owned())),
        };
        assert_eq!(format!("{:?}", key("AKIA", "hunter2", Some("hunter3"))), "S3Key { id: \"AKIA\", .. }");
        assert!(credential(key("AKIA", "hunter2", Some("a+/="))).is_ok());
        for wrong in [key("", "s", None), key("a", "hunter\n", None), key("a", "s", Some("")), key("ä", "s", None)] {
            let error = credential(wrong).expect_err("it cannot be sent").to_string();
            assert!(!error.contains("hunter"), "{error}");
        }
    }
}
