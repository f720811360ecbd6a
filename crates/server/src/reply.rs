//! From the use case's answer to HTTP: JSON for a yes, `application/problem+json` (RFC 9457) for a no.
//! Refuses to tell a device what only an operator can use: paths, causes, statements stay in the log.

use app::{AppError, chain};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::{Kind, Retry, Span};
use control::Refusal;
use protocol::Problem;
use serde::Serialize;

/// What a handler gives.
pub(crate) type Reply<T> = Result<Yes<T>, No>;

/// The answer to a request that was carried out: 200 and JSON.
pub(crate) struct Yes<T>(pub(crate) T);

/// The answer to a request that was not carried out.
#[derive(Debug)]
pub(crate) struct No(pub(crate) AppError);

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

impl<T: Serialize> IntoResponse for Yes<T> {
    fn into_response(self) -> Response {
        Json(self.0).into_response()
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let No(error) = self;
        log(&error);
        let said = said(&error);
        let status = status(&said);
        let problem = problem(&said, status);
        let mut response = (status, Json(&problem)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some(after) = said.retry.after() {
            let seconds = after.as_ms().div_ceil(1_000);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(SaidCode(said.code));
        if let AppError::Db { .. } | AppError::Store { .. } | AppError::Format { .. } | AppError::File { .. } = &error {
            response.extensions_mut().insert(Behind {
                code: error.code(),
                sentence: chain(&error),
                retry: error.retry(),
            });
        }
        response
    }
}

impl From<AppError> for No {
    /// Every error of a use case is an answer. Never fails.
    fn from(error: AppError) -> Self {
        No(error)
    }
}

impl From<Refusal> for No {
    /// A refusal of the rim itself: a body that is not one, a token that is absent. Never fails.
    fn from(refusal: Refusal) -> Self {
        No(AppError::Refused(refusal))
    }
}

/// The code of a problem, on its way to the metrics.
#[derive(Clone, Copy)]
pub(crate) struct SaidCode(pub(crate) &'static str);

/// What is behind an answer that a part of the server has broken: for a command in the same process, which is an
/// operator's. It does not travel.
#[derive(Clone)]
pub(crate) struct Behind {
    pub(crate) code: &'static str,
    pub(crate) sentence: String,
    pub(crate) retry: Retry,
}

/// What a device is told.
struct Said {
    kind: Kind,
    code: &'static str,
    sentence: String,
    retry: Retry,
}

fn said(error: &AppError) -> Said {
    let outside = error.outside();
    let error = outside.as_ref().unwrap_or(error);
    Said { kind: error.kind(), code: error.code(), sentence: error.to_string(), retry: error.retry() }
}

/// The status by kind, and four that HTTP has its own word for.
fn status(said: &Said) -> StatusCode {
    match said.code {
        "session_invalid" | "session_expired" | "credential_invalid" | "credential_expired" | "credential_revoked" => {
            return StatusCode::UNAUTHORIZED;
        }
        "too_many_requests" => return StatusCode::TOO_MANY_REQUESTS,
        "request_too_large" => return StatusCode::PAYLOAD_TOO_LARGE,
        "method_unknown" => return StatusCode::METHOD_NOT_ALLOWED,
        _ => {}
    }
    match said.kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Refused => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Damaged => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn problem(said: &Said, status: StatusCode) -> Problem {
    let title = match said.kind {
        Kind::Invalid => "The request is wrong",
        Kind::Refused => "A rule says no",
        Kind::NotFound => "There is no such thing",
        Kind::Conflict => "Something else happened first",
        Kind::Unavailable => "Not now",
        Kind::Damaged => "Bytes are not what they must be",
    };
    let is_refusal = Refusal::ALL.iter().any(|(code, _)| *code == said.code);
    let page = if is_refusal { "docs/control.md" } else { "docs/api.md" };
    Problem {
        reference: format!("{page}#{}", said.code),
        title: title.to_owned(),
        status: status.as_u16(),
        code: said.code.to_owned(),
        detail: said.sentence.clone(),
        retry: Some(said.retry.into()),
        retry_after_ms: said.retry.after().map(Span::as_ms),
    }
}

/// A refusal is a device's business; a part that broke is the operator's, with everything that is known.
pub(crate) fn log(error: &AppError) {
    match error {
        AppError::Refused(refusal) => tracing::debug!(code = refusal.code(), "refused a request: {}", refusal.code()),
        // The sentence is for whoever asked: it may repeat an address or a name that was sent.
        AppError::Said { code, .. } => tracing::info!(code, "refused a request: {code}"),
        AppError::Db { .. } | AppError::Store { .. } | AppError::Format { .. } | AppError::File { .. } => {
            tracing::error!(code = error.code(), "a request failed {}", chain(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(error: AppError) -> (u16, String) {
        let response = No(error).into_response();
        let code = response.extensions().get::<SaidCode>().map_or("", |code| code.0);
        (response.status().as_u16(), code.to_owned())
    }

    #[test]
    fn every_refusal_has_the_status_of_its_kind() {
        for refusal in Refusal::samples() {
            let expected = match (refusal.code(), refusal.kind()) {
                ("session_invalid" | "session_expired", _) => 401,
                ("credential_invalid" | "credential_expired" | "credential_revoked", _) => 401,
                ("too_many_requests", _) => 429,
                ("request_too_large", _) => 413,
                (_, Kind::Invalid) => 400,
                (_, Kind::Refused) => 403,
                (_, Kind::NotFound) => 404,
                (_, Kind::Conflict) => 409,
                (_, Kind::Unavailable) => 503,
                (_, Kind::Damaged) => 422,
            };
            assert_eq!(answer(AppError::Refused(refusal.clone())), (expected, refusal.code().to_owned()));
        }
    }

    #[test]
    fn a_broken_part_is_not_described_to_a_device() {
        let cause = std::io::Error::other("the secret place");
        let error = AppError::File { during: "reading", path: "/var/lib/holdfast/keys".into(), cause };
        let said = said(&error);
        assert_eq!((said.code, said.kind), ("server_failed", Kind::Unavailable));
        assert!(!said.sentence.contains("holdfast/keys") && !said.sentence.contains("secret"), "{}", said.sentence);
        assert_eq!(answer(error), (503, "server_failed".to_owned()));
    }

    #[test]
    fn every_answer_says_whether_and_when_to_try_again() {
        for refusal in Refusal::samples() {
            let said = said(&AppError::Refused(refusal.clone()));
            let problem = problem(&said, status(&said));
            assert_eq!(problem.retry, Some(refusal.retry().into()), "{}", refusal.code());
            assert_eq!(problem.retry_after_ms, refusal.retry_after().map(Span::as_ms), "{}", refusal.code());
        }
    }

    #[test]
    fn the_table_of_codes_says_what_the_answers_say_of_trying_again() {
        let page = include_str!("../../../docs/api.md");
        let table = page.split("<!-- table: codes -->").nth(1).expect("the table");
        let rows: Vec<Vec<&str>> = table
            .lines()
            .skip(3)
            .map_while(|line| Some(line.strip_prefix('|')?.split('|').map(str::trim).collect()))
            .collect();
        assert!(rows.len() > 80, "{}", rows.len());
        for row in rows {
            let code = row[0].trim_matches('`');
            let kinds = [Kind::Invalid, Kind::NotFound, Kind::Conflict, Kind::Damaged, Kind::Unavailable];
            // What travels has a kind; the rest is said by a command itself.
            let retry = match kinds.into_iter().find(|kind| kind.word() == row[1]) {
                Some(kind) => app::retry_said(kind, code),
                None => crate::out::retry_own(code),
            };
            assert_eq!(row[2], retry.word().replace('_', " "), "{code}");
        }
    }
}
