//! Whoever sits at the terminal: asked in plain lines, with what is taken for an empty answer in brackets.
//! Refuses to be asked where there is no terminal, and to show what is typed when that is a secret.

use crate::error::AgentError;
use crate::hidden::Hidden;
use std::io::{self, BufRead, IsTerminal, Write};

/// Somebody who can answer.
pub(super) trait Person {
    /// Shows `text` and reads a line.
    fn line(&mut self, text: &str) -> Result<String, AgentError>;

    /// Shows `text` and reads a line that is not shown.
    fn secret(&mut self, text: &str) -> Result<Hidden, AgentError>;

    /// Shows `text`.
    fn tell(&mut self, text: &str);
}

/// The person at the terminal.
pub(super) struct Terminal;

impl Terminal {
    /// The person, if there is one. Never fails.
    pub fn of_this_process() -> Option<Self> {
        (io::stdin().is_terminal() && io::stderr().is_terminal()).then_some(Self)
    }
}

impl Terminal {
    /// The person, if there is one to whom nothing but secrets is asked, at the terminal that the program was started
    /// from: what it reads otherwise may come from elsewhere. Never fails.
    pub fn for_secrets() -> Option<Self> {
        io::stderr().is_terminal().then_some(Self)
    }
}

impl Person for Terminal {
    fn line(&mut self, text: &str) -> Result<String, AgentError> {
        let failed = |cause| AgentError::Output { during: "asking on the terminal", cause };
        let mut terminal = io::stderr().lock();
        terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush()).map_err(failed)?;
        let mut answer = String::new();
        match io::stdin().lock().read_line(&mut answer).map_err(failed)? {
            0 => Err(failed(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(answer.trim().to_owned()),
        }
    }

    fn secret(&mut self, text: &str) -> Result<Hidden, AgentError> {
        let asked = rpassword::prompt_password(text);
        asked.map(Hidden::new).map_err(|cause| AgentError::Output { during: "asking on the terminal", cause })
    }

    fn tell(&mut self, text: &str) {
        // Who cannot be told can still answer.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}
