//! Hashes and compares passwords with Argon2id, off the async threads and only so many at a time.
//! Refuses to tell an unknown account from a wrong password: both cost a computation, at the price of a stored hash.

use crate::{App, AppError, Config};
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base::{Entropy, Span};
use control::Refusal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

/// How many computations may wait for each that runs; the next ones are told to come again.
const WAITING_PER_TURN: usize = 64;
/// When they are told to come again.
const COME_AGAIN: Span = Span::seconds(5);
/// Addresses share so many places; those at one place take turns.
const ADDRESS_PLACES: usize = 256;
const SALT_LEN: usize = 16;
const HASH_LEN: usize = 32;

/// A person's password in memory. Not printable; wiped on drop.
#[derive(Clone)]
pub struct Password(Arc<zeroize::Zeroizing<String>>);

/// What computes hashes. One for each `App`.
pub struct Passwords {
    turns: Semaphore,
    places: Semaphore,
    params: Params,
    /// Salt and hash that are compared with when there is no account: the hash of nothing.
    noise: [u8; SALT_LEN + HASH_LEN],
    /// How many computations there were.
    computed: AtomicU64,
    /// What they took in all: memory in KiB times passes.
    work: AtomicU64,
    /// Whose turn it is, of the addresses that share a place.
    of_address: [Mutex<()>; ADDRESS_PLACES],
}

impl Password {
    /// Takes a password over. Never fails.
    pub fn new(text: String) -> Self {
        Self(Arc::new(zeroize::Zeroizing::new(text)))
    }

    /// The text, for the one place that uses it. Never fails.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

impl Passwords {
    /// With the configured price of a computation. Never fails.
    pub fn new(config: &Config, entropy: &dyn Entropy) -> Self {
        let turns = usize::try_from(config.password_hashes_max).expect("the configuration allows at most 64");
        let memory_kib = u32::try_from(config.password_memory.0 >> 10).expect("the configuration allows 1 GiB");
        let passes = u32::try_from(config.password_passes).expect("the configuration allows at most 16");
        let params =
            Params::new(memory_kib, passes, 1, Some(HASH_LEN)).expect("the configuration allows only good prices");
        let mut noise = [0; SALT_LEN + HASH_LEN];
        entropy.fill(&mut noise);
        let places = Semaphore::new(turns * (1 + WAITING_PER_TURN));
        Self {
            turns: Semaphore::new(turns),
            places,
            params,
            noise,
            computed: AtomicU64::new(0),
            work: AtomicU64::new(0),
            of_address: std::array::from_fn(|_| Mutex::new(())),
        }
    }

    /// The price of a computation. Never fails.
    pub(crate) fn params(&self) -> Params {
        self.params.clone()
    }

    /// How many computations there were since the start. Never fails.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// What the computations since the start took: for each its memory in KiB times its passes. Never fails.
    pub fn work(&self) -> u64 {
        self.work.load(Ordering::Relaxed)
    }

    /// The text of a hash that no password has, at the price of `like`, or at the configured one. Never fails.
    fn dummy(&self, like: Option<&str>) -> String {
        let price = like.and_then(price_of).unwrap_or_else(|| self.params());
        let encode = |bytes: &[u8]| data_encoding::BASE64_NOPAD.encode(bytes);
        let (salt, hash) = self.noise.split_at(SALT_LEN);
        let (memory, passes, lanes) = (price.m_cost(), price.t_cost(), price.p_cost());
        format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${}${}", encode(salt), encode(hash))
    }

    fn worked(&self, price: &Params) {
        let work = u64::from(price.m_cost()) * u64::from(price.t_cost());
        self.work.fetch_add(work, Ordering::Relaxed);
    }

    /// The turn of whoever signs in with this address, of which this is the digest. Never fails.
    pub(crate) async fn turn_of(&self, address: &[u8; 32]) -> MutexGuard<'_, ()> {
        self.of_address[usize::from(address[0]) % ADDRESS_PLACES].lock().await
    }

    async fn turn(&self) -> Result<[SemaphorePermit<'_>; 2], AppError> {
        let place = self.places.try_acquire().map_err(|_| Refusal::ServerBusy { left: COME_AGAIN })?;
        let turn = self.turns.acquire().await.expect("the semaphore is never closed");
        self.computed.fetch_add(1, Ordering::Relaxed);
        Ok([place, turn])
    }
}

/// The hash of a new password, in its text form.
///
/// # Errors
/// `server_busy` when too many wait already.
pub async fn hash(app: &App, password: &Password) -> Result<String, AppError> {
    let _turn = app.passwords.turn().await?;
    let (password, params) = (password.clone(), app.passwords.params.clone());
    app.passwords.worked(&params);
    let mut salt = [0; SALT_LEN];
    app.entropy.fill(&mut salt);
    Ok(blocking(move || hash_now(&password, params, &salt)).await)
}

/// Whether the password is the one behind `hash`; without a hash the answer is no, after the work that the hash `like`
/// costs, or the configured one.
///
/// # Errors
/// `server_busy` when too many wait already; `Damaged` when `hash` is not the text of a hash.
pub async fn verify(app: &App, hash: Option<&str>, like: Option<&str>, password: &Password) -> Result<bool, AppError> {
    let _turn = app.passwords.turn().await?;
    let (known, text) = (hash.is_some(), hash.map_or_else(|| app.passwords.dummy(like), str::to_owned));
    if let Some(price) = price_of(&text) {
        app.passwords.worked(&price);
    }
    let password = password.clone();
    let matches = blocking(move || {
        let hash = PasswordHash::new(&text).ok()?;
        // The price is in the text: an old hash is compared at its own.
        Some(Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok())
    })
    .await;
    let damaged = || AppError::damaged("password_hash_damaged", "The stored password is damaged: set a new one.");
    Ok(matches.ok_or_else(damaged)? && known)
}

/// Another hash of the same password, where this one is not of the configured price; `None` where it is, or where too
/// many wait already. Never fails.
pub(crate) async fn hash_renewed(app: &App, text: &str, password: &Password) -> Option<String> {
    let price = price_of(text)?;
    let now = &app.passwords.params;
    if (price.m_cost(), price.t_cost(), price.p_cost()) == (now.m_cost(), now.t_cost(), now.p_cost()) {
        return None;
    }
    hash(app, password).await.ok()
}

/// The price of the hash with this text; `None` where it is none.
fn price_of(text: &str) -> Option<Params> {
    PasswordHash::new(text).ok().and_then(|hash| Params::try_from(&hash).ok())
}

/// The hash of a password at this price with this salt. Takes tens of milliseconds on purpose.
pub(crate) fn hash_now(password: &Password, params: Params, salt: &[u8; SALT_LEN]) -> String {
    let salt = SaltString::encode_b64(salt).expect("16 bytes are a good salt");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.expose().as_bytes(), &salt)
        .expect("the price was checked by `Passwords::new`, and passwords are bounded by the policy")
        .to_string()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    base::blocking(work).await.expect("the work does not panic, and the runtime outlives its requests")
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::SeededEntropy;

    #[test]
    fn the_dummy_costs_what_a_hash_costs_and_is_never_right() {
        let config = Config::parse("password.memory_mib = 1\npassword.passes = 1").expect("good text");
        let passwords = Passwords::new(&config, &SeededEntropy::new(1));
        let usual = passwords.dummy(None);
        let dummy = PasswordHash::new(&usual).expect("a hash's text");
        assert_eq!(Params::try_from(&dummy).expect("a price"), passwords.params);
        assert!(Argon2::default().verify_password(b"", &dummy).is_err());
        let text = hash_now(&Password::new("correct horse".to_owned()), passwords.params.clone(), &[7; 16]);
        let hash = PasswordHash::new(&text).expect("a hash's text");
        assert!(text.len() == usual.len() && hash.algorithm == dummy.algorithm);
        assert!(Argon2::default().verify_password(b"correct horse", &hash).is_ok());
        assert!(Argon2::default().verify_password(b"correct horsf", &hash).is_err());
        let other =
            hash_now(&Password::new("x".to_owned()), Params::new(64, 2, 1, Some(HASH_LEN)).expect("a price"), &[7; 16]);
        assert_eq!(price_of(&passwords.dummy(Some(&other))), price_of(&other), "the price of the one it stands beside");
        assert_eq!(passwords.dummy(Some("no hash")), usual);
    }

    #[tokio::test]
    async fn so_many_wait_and_the_next_is_told_to_come_again() {
        let config = Config::parse("password.hashes_max = 1").expect("good text");
        let passwords = Passwords::new(&config, &SeededEntropy::new(1));
        let first = passwords.turn().await.expect("nobody waits");
        let waiting: Vec<_> = (0..WAITING_PER_TURN).map(|_| passwords.places.try_acquire()).collect();
        assert!(waiting.iter().all(Result::is_ok));
        let refused = passwords.turn().await.expect_err("every place is taken");
        assert_eq!(refused.code(), "server_busy");
        drop((first, waiting));
        drop(passwords.turn().await.expect("nobody waits any more"));
    }
}
