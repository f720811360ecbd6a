//! What an unattended activation is to do, from all the places that say something of it: the command line, the
//! environment file, the legacy file, and the state of last time.
//! Refuses to trust a server that nothing vouches for.

use super::trusted::Trusted;
use super::{Found, Origin, Wish, env_file, legacy};
use crate::activation::{Ask, AskProof};
use crate::error::AgentError;
use crate::hidden::Hidden;
use crate::remote::normal_url;
use crate::state::{Pin, Server, State, fingerprint_from_text};
use protocol::agent::activation::{Choice, Preview, Restore};
use std::path::{Path, PathBuf};

/// What to do.
#[derive(Debug)]
pub(super) struct Plan {
    /// Addresses in their one form, at least one.
    pub servers: Vec<String>,
    pub pin: Pin,
    /// Whose device, empty where the server finds that out, and the token; `None` when there is none, and this computer
    /// has no key that could prove it either.
    pub proof: Option<(String, Hidden)>,
    pub choice: Choice,
    pub restore: Option<Restore>,
    /// The place that the token is from, for people.
    pub found_in: String,
    /// The files out of which the token is to be taken.
    pub scrub: Scrub,
}

/// Files that hold a token, which is taken out once it was used.
#[derive(Debug)]
pub(super) struct Scrub {
    pub env: Option<PathBuf>,
    pub legacy: Option<PathBuf>,
}

impl Plan {
    /// The question for one of the servers. Never fails.
    pub(super) fn ask(&self, url: &str) -> Ask {
        let proof = match &self.proof {
            Some((email, token)) => AskProof::Token { email: email.clone(), token: token.clone() },
            None => AskProof::OldKey,
        };
        Ask {
            server: Server { url: url.to_owned(), pin: self.pin.clone() },
            proof,
            choice: self.choice.clone(),
            restore: self.restore,
            can_ask: false,
            preview: Preview::None,
            folders: Vec::new(),
        }
    }
}

/// Looks everywhere.
///
/// # Errors
/// A file is wrong, or something is missing and stands nowhere.
pub(super) fn find(wish: &Wish, before: Option<&State>) -> Result<Plan, AgentError> {
    let env = named(wish.env_file.as_deref(), Some(Path::new(env_file::ENV_FILE)), env_file::read)?;
    let usual = wish.config.as_ref().map(|config| config.join(legacy::LEGACY_FILE));
    let old = named(wish.legacy_file.as_deref(), usual.as_deref(), legacy::read)?;
    let places: Vec<&Found> = [Some(&wish.said), env.as_ref(), old.as_ref()].into_iter().flatten().collect();

    let servers = match places.iter().find(|found| !found.servers.is_empty()) {
        Some(found) => found.servers.iter().map(|text| normal_url(text)).collect::<Result<Vec<_>, _>>()?,
        None => before.map(|before| before.server.url.clone()).into_iter().collect(),
    };
    if servers.is_empty() {
        let sentence = "nothing says which server: neither --server, nor an environment file, nor a legacy file";
        return Err(AgentError::usage("server_missing", sentence));
    }
    let pin = pin(&places, &servers, before)?;
    let with_token = places.iter().find(|found| found.token.is_some());
    let email = places.iter().find_map(|found| found.email.clone()).unwrap_or_default();
    let proof = with_token.and_then(|found| Some((email, found.token.clone()?)));
    let with_one = |found: &Option<Found>| {
        found.as_ref().filter(|found| found.token.is_some()).and_then(|found| found.path.clone())
    };
    Ok(Plan {
        servers,
        pin,
        proof,
        choice: places.iter().find_map(|found| found.choice.clone()).unwrap_or(Choice::Auto),
        restore: places.iter().find_map(|found| found.restore),
        found_in: with_token.map(ToString::to_string).unwrap_or_default(),
        scrub: Scrub { env: with_one(&env), legacy: with_one(&old) },
    })
}

/// The sentence for a computer that nothing was left for. Never fails.
pub(super) fn no_token() -> AgentError {
    let sentence = "there is no token: give --token-file F, or have an installer leave an environment file";
    AgentError::usage("token_missing", sentence)
}

/// What a file says: the one that is named, which must be there, else the usual one.
fn named(
    named: Option<&Path>,
    usual: Option<&Path>,
    read: impl Fn(&Path) -> Result<Option<Found>, AgentError>,
) -> Result<Option<Found>, AgentError> {
    match (named, usual) {
        (Some(path), _) => {
            let missing = || AgentError::file("reading", path)(std::io::ErrorKind::NotFound.into());
            read(path)?.ok_or_else(missing).map(Some)
        }
        (None, Some(path)) => read(path),
        (None, None) => Ok(None),
    }
}

fn pin(places: &[&Found], servers: &[String], before: Option<&State>) -> Result<Pin, AgentError> {
    let said = places.iter().find(|found| found.ca.is_some() || found.fingerprint.is_some());
    if let Some(found) = said {
        return match (&found.ca, &found.fingerprint) {
            (Some(file), _) => authority(file, found.origin),
            (None, text) => {
                let pin = text.as_deref().and_then(fingerprint_from_text).map(Pin::Fingerprint);
                let sentence = format!("the fingerprint in {found} is none: it has 64 hexadecimal digits");
                pin.ok_or_else(|| AgentError::usage("fingerprint_invalid", sentence))
            }
        };
    }
    match before.filter(|before| servers.contains(&before.server.url)) {
        Some(before) => Ok(before.server.pin.clone()),
        None => {
            let sentence = "nothing says how the server is known: give --ca or --fingerprint, or HOLDFAST_CA or \
                            HOLDFAST_FINGERPRINT in the environment file";
            Err(AgentError::usage("certificate_unpinned", sentence))
        }
    }
}

fn authority(file: &Path, origin: Origin) -> Result<Pin, AgentError> {
    if origin == Origin::CommandLine {
        // Who typed the name has chosen the file, as for `holdfast activate`.
        let read = std::fs::read_to_string(file);
        return read.map(Pin::Ca).map_err(AgentError::file("reading", file));
    }
    let missing = || AgentError::file("reading", file)(std::io::ErrorKind::NotFound.into());
    Trusted::read(file)?.ok_or_else(missing).map(|read| Pin::Ca(read.text.expose().to_owned()))
}
