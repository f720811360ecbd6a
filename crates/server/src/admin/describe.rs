//! What a handler's signature says of its route: path, query, body, answer. Refuses a second place for it: the
//! document is made from the very types that the handler takes and gives.

use crate::admin::extract::{AtAdmin, Body, Named, NamedPair, Query, Raw};
use crate::extract::At;
use crate::reply::{No, Yes};
use axum::response::Response;
use protocol::Text;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::future::Future;

/// One operation of docs/openapi.json.
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    /// For each name in the path, in order.
    pub(crate) path: Vec<SchemaOf>,
    /// An object whose properties are the parameters.
    pub(crate) query: Option<SchemaOf>,
    pub(crate) body: Option<Content>,
    pub(crate) answer: Vec<Content>,
}

/// Gives a schema, and puts the named ones beneath it into the document.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A body of a request or an answer.
#[derive(Clone, Copy)]
pub(crate) struct Content {
    pub(crate) media: &'static str,
    pub(crate) schema: SchemaOf,
}

impl Operation {
    /// An operation that takes and gives nothing yet. Never fails.
    pub(crate) fn new(id: &'static str, summary: &'static str) -> Self {
        Self { id, summary, path: Vec::new(), query: None, body: None, answer: Vec::new() }
    }
}

/// JSON of this type. Never fails.
pub(crate) fn json<T: JsonSchema>() -> Content {
    Content { media: "application/json", schema: |generator| generator.subschema_for::<T>() }
}

/// A part of a request that a handler takes.
pub(crate) trait Part {
    /// Adds to the operation what this part says of it.
    fn describe(operation: &mut Operation);
}

impl Part for AtAdmin {
    fn describe(_: &mut Operation) {}
}

impl Part for At {
    fn describe(_: &mut Operation) {}
}

impl<T> Part for Named<T>
where
    Text<T>: JsonSchema,
{
    fn describe(operation: &mut Operation) {
        operation.path.push(|generator| generator.subschema_for::<Text<T>>());
    }
}

impl<T, U> Part for NamedPair<T, U>
where
    Text<T>: JsonSchema,
    Text<U>: JsonSchema,
{
    fn describe(operation: &mut Operation) {
        Named::<T>::describe(operation);
        Named::<U>::describe(operation);
    }
}

impl<T: JsonSchema> Part for Query<T> {
    fn describe(operation: &mut Operation) {
        operation.query = Some(|generator| T::json_schema(generator));
    }
}

impl<T: JsonSchema> Part for Body<T> {
    fn describe(operation: &mut Operation) {
        operation.body = Some(json::<T>());
    }
}

impl Part for Raw {
    fn describe(operation: &mut Operation) {
        operation.body = Some(Content { media: "text/csv", schema: |_| text() });
    }
}

/// What a handler gives when all went well.
pub(crate) trait Answer {
    /// Adds to the operation what this answer says of it.
    fn describe(operation: &mut Operation);
}

impl<T: JsonSchema> Answer for Yes<T> {
    fn describe(operation: &mut Operation) {
        operation.answer.push(json::<T>());
    }
}

/// An answer that a handler has put together itself: a stream, a file. What it is, the marker says.
pub(crate) struct Made<M>(pub(crate) Response, pub(crate) std::marker::PhantomData<M>);

/// What such an answer is made of.
pub(crate) trait Media {
    /// Each form that it can have.
    fn contents() -> Vec<Content>;
}

impl<M: Media> Answer for Made<M> {
    fn describe(operation: &mut Operation) {
        operation.answer.extend(M::contents());
    }
}

impl<M> axum::response::IntoResponse for Made<M> {
    fn into_response(self) -> Response {
        self.0
    }
}

/// A handler of which the document can tell everything.
pub(crate) trait Described<T> {
    /// Adds to the operation what the handler's signature says of it.
    fn describe(operation: &mut Operation);
}

macro_rules! described {
    ($($part:ident),+) => {
        impl<F, Fut, A, M, $($part),+> Described<(M, $($part,)+)> for F
        where
            F: FnOnce($($part),+) -> Fut,
            Fut: Future<Output = Result<A, No>>,
            A: Answer,
            $($part: Part),+
        {
            fn describe(operation: &mut Operation) {
                $($part::describe(operation);)+
                A::describe(operation);
            }
        }
    };
}

described!(P1);
described!(P1, P2);
described!(P1, P2, P3);
described!(P1, P2, P3, P4);

/// Any text. Never fails.
#[allow(dead_code, reason = "for `Raw`")]
fn text() -> Schema {
    schemars::json_schema!({ "type": "string" })
}
