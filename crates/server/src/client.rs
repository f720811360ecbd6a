//! A client of the admin API, for this program's own commands: over HTTPS to a server, or in this process over a data
//! directory, through the very same routes. Refuses to know resources: paths and messages are the commands'.

mod own;
mod remote;

pub(crate) use own::Own;
pub(crate) use remote::Remote;

use crate::out::{Failure, retry_own};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use protocol::Problem;
use protocol::admin::Page;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What the path of every route begins with.
const PREFIX: &str = crate::admin::PREFIX;
/// The most items that one request asks for.
const LIMIT: u64 = app::page::LIMIT_MAX as u64;

/// A way to the admin API.
pub(crate) enum Client {
    /// In this process.
    Own(Box<Own>),
    /// Over the network.
    Remote(Box<Remote>),
}

/// One request.
pub(crate) struct Call {
    pub(crate) method: &'static str,
    /// With its query.
    pub(crate) path: String,
    pub(crate) media: &'static str,
    pub(crate) body: Bytes,
}

/// An answer of success, still on its way.
pub(crate) type Pieces = BoxStream<'static, Result<Bytes, Failure>>;

/// An answer: as the message, and as the JSON that came.
#[derive(Debug)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) json: Value,
}

impl Client {
    /// Asks for what is at a path below `/api/v1`.
    ///
    /// # Errors
    /// The server's refusal; no answer, or one that cannot be understood.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> Result<Said<T>, Failure> {
        said(self.whole(call("GET", path, query, None)).await?)
    }

    /// Asks for every page of a list. In JSON it is one page without a next.
    ///
    /// # Errors
    /// As `get`.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> Result<Said<Vec<T>>, Failure> {
        let mut asked = object(query);
        asked.insert("limit".to_owned(), LIMIT.into());
        let (mut items, mut shown) = (Vec::new(), Vec::new());
        loop {
            let mut page: Said<Page<T>> = self.get(path, &asked).await?;
            items.append(&mut page.value.items);
            if let Some(more) = page.json["items"].as_array_mut() {
                shown.append(more);
            }
            let Some(next) = page.value.next else { break };
            asked.insert("after".to_owned(), next.into());
        }
        Ok(Said { value: items, json: serde_json::json!({ "items": shown, "next": null }) })
    }

    /// Has something made or changed.
    ///
    /// # Errors
    /// As `get`.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Said<T>, Failure> {
        self.change("POST", path, body).await
    }

    /// The same with another method: `PUT`, `DELETE`.
    ///
    /// # Errors
    /// As `get`.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        method: &'static str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Said<T>, Failure> {
        let body = serde_json::to_value(body).expect("messages are plain values");
        // Nothing at all where there is nothing to say: a route without a body takes none.
        let body = (body.as_object().is_none_or(|fields| !fields.is_empty())).then_some(body);
        said(self.whole(call(method, path, &(), body)).await?)
    }

    /// Sends a request; its answer comes whole, or it is asked for again.
    async fn whole(&self, call: Call) -> Result<Vec<u8>, Failure> {
        match self {
            Client::Own(own) => whole(own.send(call).await?).await,
            Client::Remote(remote) => remote.whole(call).await,
        }
    }

    /// Sends a request; its answer comes piece by piece.
    ///
    /// # Errors
    /// As `get`.
    pub(crate) async fn send(&self, call: Call) -> Result<Pieces, Failure> {
        match self {
            Client::Own(own) => own.send(call).await,
            Client::Remote(remote) => remote.send(call).await,
        }
    }
}

/// A request for a path below `/api/v1`. Never fails.
pub(crate) fn call(method: &'static str, path: &str, query: &impl Serialize, body: Option<Value>) -> Call {
    let pairs: Vec<String> = object(query).iter().filter_map(|(name, value)| pair(name, value)).collect();
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    Call { method, path: format!("{PREFIX}{path}{query}"), media: "application/json", body }
}

/// A text as a part of a path or query. Never fails.
pub(crate) fn encoded(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}

/// The whole of an answer.
///
/// # Errors
/// It breaks off.
pub(crate) async fn whole(mut pieces: Pieces) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece?);
    }
    Ok(body)
}

/// What an answer that is no success says.
fn refused(status: u16, body: &[u8]) -> Failure {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => {
            // A server of an older release does not say: its code does.
            let retry = problem.retry().unwrap_or_else(|| retry_own(&problem.code));
            Failure::said(problem.code, problem.detail, retry)
        }
        Err(_) => damaged(&format!("status {status}")),
    }
}

/// An answer that came whole.
///
/// # Errors
/// `answer_damaged`.
pub(crate) fn said<T: DeserializeOwned>(body: Vec<u8>) -> Result<Said<T>, Failure> {
    let json: Value = serde_json::from_slice(&body).map_err(|_| damaged("it is not JSON"))?;
    drop(body);
    let value = serde_json::from_value(json.clone()).map_err(|error| damaged(&error.to_string()))?;
    Ok(Said { value, json })
}

fn damaged(why: &str) -> Failure {
    let sentence = format!("The server's answer cannot be understood ({why}): is it a Holdfast server?");
    Failure::new("answer_damaged", sentence)
}

fn object(query: &impl Serialize) -> serde_json::Map<String, Value> {
    match serde_json::to_value(query).expect("messages are plain values") {
        Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    }
}

fn pair(name: &str, value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(format!("{}={}", encoded(name), encoded(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::admin::user::UserQuery;

    #[test]
    fn a_query_has_what_is_given_and_every_sign_is_kept() {
        let query = UserQuery { part: Some("a&b=c ü".to_owned()), limit: Some(5), ..Default::default() };
        assert_eq!(call("GET", "/users", &query, None).path, "/api/v1/users?limit=5&part=a%26b%3Dc%20%C3%BC");
        assert_eq!(call("GET", "/users", &(), None).path, "/api/v1/users");
    }
}
