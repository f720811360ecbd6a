//! docs/openapi.json is what the server says of its admin API, names every route, and is a document that tools read.
//! `HOLDFAST_GOLDEN=write` writes it.

use crate::world::World;
use serde_json::Value;
use server::routes::{Audience, admin_list};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json")
}

#[tokio::test]
async fn the_document_in_the_repository_is_the_one_that_is_served() {
    let world = World::start().await;
    let answer = world.ask("GET", "/api/v1/openapi.json", "").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    let served = String::from_utf8(answer.body.to_vec()).expect("text");
    if std::env::var_os("HOLDFAST_GOLDEN").is_some_and(|word| word == "write") {
        std::fs::write(file(), &served).expect("the folder can be written");
    }
    let kept = std::fs::read_to_string(file()).expect("the file is in the repository");
    assert!(kept == served, "docs/openapi.json is old: run this test with HOLDFAST_GOLDEN=write");
}

#[test]
fn every_route_is_in_the_document_with_its_permit_its_errors_and_its_key() {
    let document = server::openapi();
    for route in admin_list() {
        let method = route.method.as_str().to_lowercase();
        let operation = &document["paths"][route.path][&method];
        let name = format!("{} {}", route.method, route.path);
        assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{name}");
        match route.audience {
            Audience::Admin(permit) => {
                assert_eq!(operation["x-permit"], permit.word(), "{name}");
                for status in ["401", "403", "429", "503"] {
                    let refused = &operation["responses"][status]["$ref"];
                    assert_eq!(refused, "#/components/responses/Problem", "{name}");
                }
            }
            _ => assert_eq!(operation["security"], serde_json::json!([]), "{name}"),
        }
        let content = operation["responses"]["200"]["content"].as_object().expect("an answer has content");
        assert!(!content.is_empty() && content.values().all(|content| content["schema"].is_object()), "{name}");
        let key = serde_json::json!({ "$ref": "#/components/parameters/IdempotencyKey" });
        let keyed = operation["parameters"].as_array().is_some_and(|parameters| parameters.contains(&key));
        assert_eq!(keyed, route.repeats, "{name}");
    }
    let operations = document["paths"].as_object().expect("paths").values();
    let count: usize = operations.map(|methods| methods.as_object().map_or(0, serde_json::Map::len)).sum();
    assert_eq!(count, admin_list().len(), "no route that there is not");
}

#[test]
fn the_document_is_whole() {
    let document = server::openapi();
    assert_eq!(document["openapi"], "3.1.0");
    let (mut references, mut ids) = (BTreeSet::new(), Vec::new());
    walk(&document, &mut |name, value| match (name, value) {
        ("$ref", Value::String(reference)) => drop(references.insert(reference.clone())),
        ("operationId", Value::String(id)) => ids.push(id.clone()),
        _ => {}
    });
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("into this document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let unique: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    for (name, schema) in schemas {
        let good = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter));
        assert!(good && schema.is_object(), "{name}");
        let Some(properties) = schema["properties"].as_object() else { continue };
        for (property, described) in properties {
            let said = described["description"].is_string() || described["const"].is_string();
            assert!(said, "{name}.{property} says nothing");
        }
    }
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for operation in methods.as_object().expect("methods").values() {
            let names = path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
            let parameters = operation["parameters"].as_array().expect("parameters");
            let inside = |name: &&str| parameters.iter().any(|one| one["in"] == "path" && one["name"] == **name);
            assert!(names.into_iter().all(|name| inside(&name)), "{path}");
        }
    }
}

fn walk(value: &Value, see: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                see(name, value);
                walk(value, see);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
        _ => {}
    }
}
