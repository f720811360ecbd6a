//! Turns `holdfast activate` into a question for the server: what is missing comes from the state of last time, or
//! from the person at the terminal. Refuses to trust a server that nobody vouched for.

use super::args::Activate;
use crate::activation::{Ask, AskProof};
use crate::error::AgentError;
use crate::folders;
use crate::remote::{Around, Connection, normal_url};
use crate::state::{Pin, Server, State, StateDir, fingerprint_from_text, fingerprint_text};
use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::Path;

/// The largest file that is read as a password or a certificate.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The whole question.
///
/// # Errors
/// Something is missing and cannot be asked for; a file cannot be read; the person does not know the server.
pub(super) async fn activation(around: &Around, dir: &StateDir, wanted: Activate) -> Result<Ask, AgentError> {
    let before = match dir.load() {
        Ok(before) => before.map(|(state, _)| state),
        // Without the old key a damaged state is as good as none: this activation puts it right.
        Err(AgentError::State { code: "state_damaged" | "state_version", .. }) if !wanted.old_key => None,
        Err(error) => return Err(error),
    };
    let server = server(around, &wanted, before.as_ref()).await?;
    let folders = wanted.folders.iter().map(|typed| folders::folder(typed)).collect::<Result<Vec<_>, _>>()?;
    let proof = if wanted.old_key { AskProof::OldKey } else { password(&wanted, before.as_ref())? };
    Ok(Ask { server, proof, choice: wanted.choice, folders })
}

async fn server(around: &Around, wanted: &Activate, before: Option<&State>) -> Result<Server, AgentError> {
    let url = match (&wanted.server, before) {
        (Some(url), _) => normal_url(url)?,
        (None, Some(before)) => before.server.url.clone(),
        (None, None) => return Err(AgentError::usage("server_missing", "say which server: --server URL")),
    };
    let pin = match (&wanted.ca, &wanted.fingerprint, before) {
        (Some(file), _, _) => Pin::Ca(read_text(file)?),
        (None, Some(text), _) => {
            let sentence = "a fingerprint has 64 hexadecimal digits, with or without colons";
            let pin = fingerprint_from_text(text).map(Pin::Fingerprint);
            pin.ok_or_else(|| AgentError::usage("fingerprint_invalid", sentence))?
        }
        (None, None, Some(before)) if before.server.url == url => before.server.pin.clone(),
        (None, None, _) => confirmed(around, &url).await?,
    };
    Ok(Server { url, pin })
}

/// Shows a person the certificate of whoever answers, and asks whether it is the right one.
async fn confirmed(around: &Around, url: &str) -> Result<Pin, AgentError> {
    if !is_at_terminal() {
        let sentence = "say how the server is known: --ca FILE or --fingerprint SHA256, which your admin can give you";
        return Err(AgentError::usage("certificate_unpinned", sentence));
    }
    let shown = Connection::look(url, around).await?;
    let text = fingerprint_text(&shown.fingerprint);
    let question = format!(
        "The server at {url} is known by this SHA-256 fingerprint:\n\n  {text}\n\n\
         Your admin sees the right one with `holdfast-server fingerprint`.\n\
         Is it the same? Type yes to go on: "
    );
    let answer = ask_line(&question)?;
    if answer.trim().eq_ignore_ascii_case("yes") {
        return Ok(Pin::Fingerprint(shown.fingerprint));
    }
    Err(AgentError::usage("certificate_unconfirmed", "nothing was sent: the certificate was not confirmed"))
}

fn password(wanted: &Activate, before: Option<&State>) -> Result<AskProof, AgentError> {
    let known = before.map(|before| before.user.clone());
    let email = wanted.email.clone().or(known).filter(|email| !email.trim().is_empty());
    let email = email.ok_or_else(|| AgentError::usage("email_missing", "say who you are: --email E"))?;
    let password = match &wanted.password_file {
        Some(file) => read_text(file)?.lines().next().unwrap_or_default().to_owned(),
        None if is_at_terminal() => {
            let asked = rpassword::prompt_password(format!("Password of {email}: "));
            asked.map_err(|cause| AgentError::Output { during: "asking for the password", cause })?
        }
        None => {
            let sentence = "there is no terminal to ask for the password: give it with --password-file FILE";
            return Err(AgentError::usage("password_missing", sentence));
        }
    };
    if password.is_empty() {
        return Err(AgentError::usage("password_missing", "the password is empty"));
    }
    Ok(AskProof::Password { email, password })
}

fn read_text(file: &Path) -> Result<String, AgentError> {
    let mut text = String::new();
    let read = File::open(file).and_then(|open| open.take(FILE_BYTES_MAX).read_to_string(&mut text));
    read.map_err(AgentError::file("reading", file))?;
    Ok(text)
}

fn is_at_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn ask_line(question: &str) -> Result<String, AgentError> {
    let failed = |cause| AgentError::Output { during: "asking on the terminal", cause };
    let mut terminal = io::stderr().lock();
    terminal.write_all(question.as_bytes()).and_then(|()| terminal.flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(answer)
}
