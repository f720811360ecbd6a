//! Turns `holdfast activate` into a question for the server: what is missing comes from the state of last time, or
//! from the person at the terminal. Refuses to trust a server that nobody vouched for.

use super::args::Activate;
use super::person::Person;
use crate::activation::{Ask, AskProof};
use crate::error::AgentError;
use crate::folders;
use crate::hidden::Hidden;
use crate::remote::{Around, Connection, normal_url};
use crate::state::{Pin, Server, State, StateDir, fingerprint_from_text, fingerprint_text};
use crate::unattended::trusted;
use protocol::agent::activation::{Choice, Preview};
use std::fs::File;
use std::io::{BufRead as _, Read};
use std::path::Path;

/// The largest file that is read as a password or a certificate.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Whoever can be asked, if anybody.
pub(super) type Somebody<'a> = Option<&'a mut dyn Person>;

/// The whole question.
///
/// # Errors
/// Something is missing and cannot be asked for; a file cannot be read; the person does not know the server.
pub(super) async fn activation(
    around: &Around,
    dir: &StateDir,
    wanted: Activate,
    person: &mut Somebody<'_>,
) -> Result<Ask, AgentError> {
    let before = match dir.load() {
        Ok(before) => before.map(|(state, _)| state),
        // Without the old key a damaged state is as good as none: this activation puts it right.
        Err(AgentError::State { code: "state_damaged" | "state_version", .. }) if !wanted.old_key => None,
        Err(error) => return Err(error),
    };
    let named =
        Named { url: wanted.server.as_deref(), ca: wanted.ca.as_deref(), fingerprint: wanted.fingerprint.as_deref() };
    let server = server(around, &named, before.as_ref(), person).await?;
    let folders = wanted.folders.iter().map(|typed| folders::folder(typed)).collect::<Result<Vec<_>, _>>()?;
    let proof = proof(&wanted, before.as_ref(), person)?;
    // Who has chosen is not asked; the old key, and an installer's token, speak for one record.
    let can_ask = wanted.choice.is_none() && matches!(proof, AskProof::Password { .. } | AskProof::Ticket { .. });
    let (choice, restore) = (wanted.choice.unwrap_or(Choice::Auto), wanted.restore);
    Ok(Ask { server, proof, choice, restore, can_ask, preview: Preview::None, folders })
}

/// A server as it is named on the command line.
pub(super) struct Named<'a> {
    pub url: Option<&'a str>,
    pub ca: Option<&'a Path>,
    pub fingerprint: Option<&'a str>,
}

/// Which server, and how it is known: as named, as last time, else as the person says.
///
/// # Errors
/// Something is missing and cannot be asked for; a file cannot be read; the person does not know the server.
pub(super) async fn server(
    around: &Around,
    named: &Named<'_>,
    before: Option<&State>,
    person: &mut Somebody<'_>,
) -> Result<Server, AgentError> {
    let url = match (named.url, before, person.as_deref_mut()) {
        (Some(url), _, _) => normal_url(url)?,
        (None, Some(before), _) => before.server.url.clone(),
        (None, None, Some(person)) => normal_url(&person.line("Server, such as backup.example.com:8471: ")?)?,
        (None, None, None) => return Err(AgentError::usage("server_missing", "say which server: --server URL")),
    };
    let pin = match (named.ca, named.fingerprint, before) {
        (Some(file), _, _) => Pin::Ca(read_text(file)?),
        (None, Some(text), _) => {
            let sentence = "a fingerprint has 64 hexadecimal digits, with or without colons";
            let pin = fingerprint_from_text(text).map(Pin::Fingerprint);
            pin.ok_or_else(|| AgentError::usage("fingerprint_invalid", sentence))?
        }
        (None, None, Some(before)) if before.server.url == url => before.server.pin.clone(),
        (None, None, _) => confirmed(around, &url, person).await?,
    };
    Ok(Server { url, pin })
}

/// Shows a person the certificate of whoever answers, and asks whether it is the right one.
async fn confirmed(around: &Around, url: &str, person: &mut Somebody<'_>) -> Result<Pin, AgentError> {
    let Some(person) = person else {
        let sentence = "say how the server is known: --ca FILE or --fingerprint SHA256, which your admin can give you";
        return Err(AgentError::usage("certificate_unpinned", sentence));
    };
    let shown = Connection::look(url, around).await?;
    let text = fingerprint_text(&shown.fingerprint);
    let question = format!(
        "The server at {url} is known by this SHA-256 fingerprint:\n\n  {text}\n\n\
         Your admin sees the right one with `holdfast-server fingerprint`.\n\
         Is it the same? Type yes to go on: "
    );
    if person.line(&question)?.eq_ignore_ascii_case("yes") {
        return Ok(Pin::Fingerprint(shown.fingerprint));
    }
    Err(AgentError::usage("certificate_unconfirmed", "nothing was sent: the certificate was not confirmed"))
}

fn proof(wanted: &Activate, before: Option<&State>, person: &mut Somebody<'_>) -> Result<AskProof, AgentError> {
    if wanted.old_key {
        return Ok(AskProof::OldKey);
    }
    if let Some(file) = &wanted.token_file {
        let token = trusted::token_file(file)?;
        return Ok(AskProof::Token { email: wanted.email.clone().unwrap_or_default(), token });
    }
    let email = email(wanted, before, person)?;
    if wanted.ticket || wanted.ticket_file.is_some() {
        let code = secret(wanted.ticket_file.as_deref(), "Code of your ticket: ", &TICKET, person)?;
        return Ok(AskProof::Ticket { email, code });
    }
    let password = secret(wanted.password_file.as_deref(), &format!("Password of {email}: "), &PASSWORD, person)?;
    Ok(AskProof::Password { email, password })
}

fn email(wanted: &Activate, before: Option<&State>, person: &mut Somebody<'_>) -> Result<String, AgentError> {
    let known = before.map(|before| before.user.clone()).filter(|email| !email.trim().is_empty());
    if let Some(email) = wanted.email.clone().filter(|email| !email.trim().is_empty()) {
        return Ok(email);
    }
    let asked = match (person, &known) {
        (Some(person), Some(known)) => person.line(&format!("E-mail address [{known}]: "))?,
        (Some(person), None) => person.line("E-mail address: ")?,
        (None, _) => String::new(),
    };
    let email = if asked.is_empty() { known } else { Some(asked) };
    email.ok_or_else(|| AgentError::usage("email_missing", "say who you are: --email E"))
}

/// What to say when a secret is missing or empty.
struct Missing {
    code: &'static str,
    nobody: &'static str,
    empty: &'static str,
}

const PASSWORD: Missing = Missing {
    code: "password_missing",
    nobody: "there is no terminal to ask for the password: give it with --password-file FILE",
    empty: "the password is empty",
};
const LINK: Missing = Missing {
    code: "link_missing",
    nobody: "there is no terminal to ask for the link: give it with --link-file FILE, or - for the standard input",
    empty: "the link is empty",
};
const NEW_PASSWORD: Missing = Missing {
    code: "password_missing",
    nobody: "there is no terminal to ask for the new password: give it with --password-file FILE",
    empty: "the password is empty",
};
const TICKET: Missing = Missing {
    code: "ticket_missing",
    nobody: "there is no terminal to ask for the ticket's code: give it with --ticket-file FILE",
    empty: "the ticket's code is empty",
};

fn secret(
    file: Option<&Path>,
    question: &str,
    missing: &Missing,
    person: &mut Somebody<'_>,
) -> Result<Hidden, AgentError> {
    let secret = match (file, person) {
        (Some(file), _) => Hidden::new(read_text(file)?.lines().next().unwrap_or_default().to_owned()),
        (None, Some(person)) => person.secret(question)?,
        (None, None) => return Err(AgentError::usage(missing.code, missing.nobody)),
    };
    if secret.expose().trim().is_empty() {
        return Err(AgentError::usage(missing.code, missing.empty));
    }
    Ok(secret)
}

/// The text of a password link.
///
/// # Errors
/// There is none; it cannot be read.
pub(super) fn link(file: Option<&Path>, person: &mut Somebody<'_>) -> Result<Hidden, AgentError> {
    if file.is_none_or(|file| file != Path::new("-")) {
        return secret(file, "Link, or the address of its page: ", &LINK, person);
    }
    let mut line = String::new();
    let read = std::io::stdin().lock().take(FILE_BYTES_MAX).read_line(&mut line);
    read.map_err(|cause| AgentError::Output { during: "reading the standard input", cause })?;
    match line.trim() {
        "" => Err(AgentError::usage(LINK.code, LINK.empty)),
        link => Ok(Hidden::new(link.to_owned())),
    }
}

/// A new password: of a file, else typed twice.
///
/// # Errors
/// There is none; it cannot be read; somebody has typed two.
pub(super) fn new_password(file: Option<&Path>, person: &mut Somebody<'_>) -> Result<Hidden, AgentError> {
    let first = secret(file, "New password: ", &NEW_PASSWORD, person)?;
    if file.is_some() {
        return Ok(first);
    }
    let second = secret(None, "The same again: ", &NEW_PASSWORD, person)?;
    if first.expose() == second.expose() {
        return Ok(first);
    }
    Err(AgentError::usage("passwords_differ", "two different passwords were typed, so nothing was changed"))
}

fn read_text(file: &Path) -> Result<String, AgentError> {
    let mut text = String::new();
    let read = File::open(file).and_then(|open| open.take(FILE_BYTES_MAX).read_to_string(&mut text));
    read.map_err(AgentError::file("reading", file))?;
    Ok(text)
}
