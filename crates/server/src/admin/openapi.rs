//! The document of the admin API in the form of OpenAPI 3.1, made from the table of routes and the types of their
//! handlers. Refuses to say anything that a stranger must not know: it is the same on every server.

use crate::admin::describe::{Content, Made, Media};
use crate::admin::{Entry, PREFIX, get, once, table};
use crate::extract::At;
use crate::reply::No;
use crate::routes::{Audience, Route};
use axum::http::{Method, header};
use axum::response::IntoResponse as _;
use control::Permit;
use protocol::Problem;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::marker::PhantomData;
use std::sync::LazyLock;

pub(crate) fn routes() -> Vec<Entry> {
    let summary = "This document.";
    // The permit does not matter to a route that is open.
    vec![get("openapi", "/api/v1/openapi.json", Permit::UserRead, summary, document).open()]
}

/// The document, ready to be sent.
static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", value()));

/// `GET /api/v1/openapi.json`.
async fn document(_: At) -> Result<Made<Document>, No> {
    Ok(Made(([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response(), PhantomData))
}

struct Document;

impl Media for Document {
    fn contents() -> Vec<Content> {
        vec![Content { media: "application/json", schema: |_| schemars::json_schema!({ "type": "object" }) }]
    }
}

/// The document. Never fails.
pub fn value() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for entry in table() {
        let methods = paths.entry(entry.route.path).or_insert_with(|| json!({}));
        methods[entry.route.method.as_str().to_lowercase()] = operation(&entry, &mut generator);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Holdfast admin API",
            "version": "1",
            "description": "Conventions, errors and examples: docs/api.md. Fields may be added to answers.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "credential": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": { "IdempotencyKey": idempotency_key() },
            "responses": { "Problem": {
                "description": "The request was not carried out; `code` says why, `detail` says it to a person.",
                "content": { "application/problem+json": { "schema": problem } },
            } },
            "securitySchemes": { "credential": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "hfa1_…",
                "description": "A credential of the admin API, made by `holdfast-server credential make`.",
            } },
        },
    })
}

fn operation(entry: &Entry, generator: &mut SchemaGenerator) -> Value {
    let Entry { route, operation, .. } = entry;
    let mut parameters = path_parameters(entry, generator);
    parameters.extend(operation.query.into_iter().flat_map(|query| query_parameters(query(generator).as_value())));
    if route.repeats {
        parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
    }
    let mut said = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [tag(route.path)],
        "parameters": parameters,
        "responses": responses(entry, generator),
    });
    match route.audience {
        Audience::Admin(permit) => said["x-permit"] = json!(permit.word()),
        Audience::Anyone | Audience::Operator | Audience::Device(_) => said["security"] = json!([]),
    }
    if let Some(body) = &operation.body {
        said["requestBody"] = json!({ "required": true, "content": contents(&[*body], generator) });
    }
    said
}

fn path_parameters(entry: &Entry, generator: &mut SchemaGenerator) -> Vec<Value> {
    let names = names(entry.route.path);
    assert_eq!(names.len(), entry.operation.path.len(), "{}: the handler takes every name", entry.route.path);
    let parameter = |(name, schema): (&str, &super::describe::SchemaOf)| json!({ "name": name, "in": "path", "required": true, "schema": schema(generator) });
    names.into_iter().zip(&entry.operation.path).map(parameter).collect()
}

/// Each property of the query's object as a parameter.
fn query_parameters(object: &Value) -> Vec<Value> {
    let required = |name: &str| {
        object["required"].as_array().is_some_and(|required| required.iter().any(|required| required == name))
    };
    let properties = object["properties"].as_object().cloned().unwrap_or_default();
    let parameter = |(name, mut schema): (String, Value)| {
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let mut parameter = json!({ "name": name, "in": "query", "required": required(&name), "schema": schema });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        parameter
    };
    properties.into_iter().map(parameter).collect()
}

/// The answer of a request that was carried out, and every status of one that was not.
fn responses(entry: &Entry, generator: &mut SchemaGenerator) -> Value {
    let Entry { route, operation, .. } = entry;
    let mut responses = json!({ "200": {
        "description": "The request was carried out.",
        "content": contents(&operation.answer, generator),
    } });
    for status in refused_by(route) {
        responses[status] = json!({ "$ref": "#/components/responses/Problem" });
    }
    responses
}

fn refused_by(route: &Route) -> Vec<&'static str> {
    let guarded = matches!(route.audience, Audience::Admin(_));
    let reads = route.method == Method::GET;
    let rows = [
        ("400", true),
        ("401", guarded),
        ("403", guarded),
        ("404", route.path.contains('{') || route.queried),
        ("409", !reads),
        ("413", true),
        ("422", guarded),
        ("429", guarded),
        ("503", true),
    ];
    rows.into_iter().filter(|(_, may)| *may).map(|(status, _)| status).collect()
}

fn contents(contents: &[Content], generator: &mut SchemaGenerator) -> Value {
    let contents = contents.iter().map(|content| {
        let schema: Value = (content.schema)(generator).into();
        (content.media.to_owned(), json!({ "schema": schema }))
    });
    Value::Object(contents.collect())
}

fn idempotency_key() -> Value {
    json!({
        "name": once::KEY.as_str(),
        "in": "header",
        "required": false,
        "description": "Drawn by the caller for this request. The same request with the same key is carried out once, \
                        and gets the same answer for 24 hours.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": app::idempotency::KEY_TEXT_MAX,
            "pattern": "^[!-~]+$",
        },
    })
}

/// The names in braces, in order.
fn names(path: &str) -> Vec<&str> {
    path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
}

/// The first word of the path below the prefix.
fn tag(path: &'static str) -> &'static str {
    path.strip_prefix(PREFIX).and_then(|rest| rest.split('/').nth(1)).unwrap_or(path)
}
