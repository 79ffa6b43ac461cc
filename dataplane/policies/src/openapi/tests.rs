use serde_json::json;

use super::*;

fn mk_document(version: &str, paths: &Value) -> Value {
    json!({"openapi": version, "paths": paths, "components": {
        "schemas": {
            "Item": {"type": "object", "required": ["id", "name"], "properties": {
                "id": {"type": "integer", "readOnly": true},
                "name": {"type": "string", "nullable": true},
                "parent": {"$ref": "#/components/schemas/Item"},
                "size": {"type": "integer", "minimum": 0, "exclusiveMinimum": true},
            }},
        },
        "requestBodies": {"Item": {"required": true, "content": {
            "application/json; charset=utf-8": {"schema": {"$ref": "#/components/schemas/Item"}},
            "text/*": {},
        }}},
    }})
}

fn mk_operations(document: &Value, base: Option<&str>) -> Operations {
    Operations::read(document, base, false).unwrap()
}

/// What it says of a body: nothing, that there is no operation, or whether it takes it.
#[track_caller]
fn judged(operations: &Operations, method: &str, path: &str, body: &Value) -> Option<bool> {
    match operations.find(method, path) {
        Found::Nothing => None,
        Found::Unknown => panic!("{method} {path} is unknown"),
        Found::Body(found) => {
            let schema = found.schema_for("application/json").unwrap();
            schema.map(|schema| schema.is_followed_by(body))
        }
    }
}

#[test]
fn what_is_written_out_wins_over_parameters() {
    let of = |name: &str| json!({"post": {"requestBody": {"content": {"application/json": {"schema": {"enum": [name]}}}}}, "get": {}});
    let paths = json!({
        "/{a}/{b}": of("any"), "/items/{id}": of("item"), "/items/mine": of("mine"), "/items/{id}.json": of("json"),
        "/{a}/mine": of("a"), "/": of("root"), "/a b/é": of("odd"),
    });
    let operations = mk_operations(&mk_document("3.1.0", &paths), None);
    for (path, name) in [
        ("/items/mine", "mine"),
        ("/items/7", "item"),
        ("/items/7.json", "json"),
        ("/others/mine", "a"),
        ("/others/7", "any"),
        ("/", "root"),
        ("/a%20b/%C3%A9", "odd"),
    ] {
        assert_eq!(
            judged(&operations, "POST", path, &name.into()),
            Some(true),
            "{path}"
        );
    }
    for (method, path) in [
        ("PUT", "/items/7"),
        ("POST", "/items/7/"),
        ("POST", "/items"),
        ("POST", "//7"),
    ] {
        let found = operations.find(method, path);
        assert!(matches!(found, Found::Unknown), "{method} {path}: {found:?}");
    }
    assert_eq!(judged(&operations, "HEAD", "/items/7", &Value::Null), None);
}

#[test]
fn paths_stand_behind_that_of_a_server() {
    let mut document = mk_document("3.0.3", &json!({"/items": {"get": {}}}));
    let is_known = |document: &Value, base: Option<&str>, path: &str| {
        !matches!(mk_operations(document, base).find("GET", path), Found::Unknown)
    };
    assert!(is_known(&document, None, "/items"));
    document["servers"] = json!([
        {"url": "https://shop.example/{v}/", "variables": {"v": {"default": "v1"}}}, {"url": "/proxy/shop"}]);
    assert!(is_known(&document, None, "/v1/items") && is_known(&document, None, "/proxy/shop/items"));
    assert!(!is_known(&document, None, "/items") && !is_known(&document, None, "/v1items"));
    assert!(is_known(&document, Some("/gate/"), "/gate/items"));
    assert!(!is_known(&document, Some("/gate"), "/v1/items"));
}

#[test]
fn references_lead_into_the_document() {
    let paths = json!({
        "/items": {"post": {"requestBody": {"$ref": "#/components/requestBodies/Item"}}},
        "/again": {"$ref": "#/paths/~1items"},
        "/list": {"put": {"requestBody": {"content": {"application/*": {"schema":
            {"type": "array", "items": {"$ref": "#/components/schemas/Item"}}}}}}},
    });
    let operations = mk_operations(&mk_document("3.0.3", &paths), None);
    for (path, body, expected) in [
        ("/items", json!({"name": "a"}), true),
        ("/items", json!({"name": null, "parent": {"name": "b"}}), true),
        ("/items", json!({}), false),
        ("/again", json!({"name": "a", "parent": {"name": 1}}), false),
        ("/items", json!({"name": "a", "size": 0}), false),
        ("/items", json!({"name": "a", "size": 1}), true),
    ] {
        assert_eq!(
            judged(&operations, "POST", path, &body),
            Some(expected),
            "{path} {body}"
        );
    }
    assert_eq!(
        judged(&operations, "PUT", "/list", &json!([{"name": "a"}])),
        Some(true)
    );
    assert_eq!(judged(&operations, "PUT", "/list", &json!([{}])), Some(false));
    let Found::Body(body) = operations.find("POST", "/items") else {
        panic!("it has a body");
    };
    assert!(body.is_required);
    assert!(matches!(body.schema_for("text/plain"), Some(None)));
    assert!(body.schema_for("image/png").is_none());
    assert_eq!(body.to_string(), "application/json or text/*");
}

#[test]
fn version_3_1_is_json_schema() {
    let paths = json!({"/a": {"post": {"requestBody": {"content": {"application/json": {"schema": {
        "type": ["object", "null"], "properties": {"n": {"exclusiveMinimum": 0}, "i": {"$ref": "#/components/schemas/I"}}}}}}}}});
    let mut document = mk_document("3.1.1", &paths);
    document["components"]["schemas"] = json!({"I": {"const": 1}});
    let operations = mk_operations(&document, None);
    for (body, expected) in [
        (json!(null), true),
        (json!({"n": 0}), false),
        (json!({"n": 1, "i": 1}), true),
        (json!({"i": 2}), false),
    ] {
        assert_eq!(judged(&operations, "POST", "/a", &body), Some(expected), "{body}");
    }
}

#[test]
fn what_is_no_document_is_refused_with_a_sentence() {
    let body = |schema: Value| json!({"/a": {"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}}}});
    for (document, expected) in [
        (
            json!({"swagger": "2.0"}),
            "it is no OpenAPI document, it has no member openapi",
        ),
        (
            json!({"openapi": "4.0.0"}),
            "it is of OpenAPI 4.0.0; 3.0 and 3.1 are known",
        ),
        (
            mk_document("3.0.0", &json!({"/{a": {}})),
            "/{a: { is not closed by }",
        ),
        (
            mk_document(
                "3.0.0",
                &json!({"/a": {"post": {"requestBody": {"$ref": "#/components/nothing"}}}}),
            ),
            "POST /a: #/components/nothing leads to nothing",
        ),
        (
            mk_document("3.0.0", &json!({"/a": {"$ref": "other.json#/a"}})),
            "/a: other.json#/a is not part of the document; references lead only inside it",
        ),
        (
            mk_document("3.0.0", &json!({"/a": {"$ref": "#/paths/~1a"}})),
            "/a: its references lead in a circle",
        ),
        (mk_document("3.1.0", &body(json!({"type": "no"}))), "POST /a: "),
        (
            mk_document("3.1.0", &body(json!({"$ref": "#/components/schemas/No"}))),
            "POST /a: ",
        ),
    ] {
        let refused = Operations::read(&document, None, false).unwrap_err();
        assert!(refused.starts_with(expected), "{refused}");
    }
    let refused = Operations::of_file(b"openapi: 3.0.0\n", None, false).unwrap_err();
    assert!(refused.contains("the document has to be JSON"), "{refused}");
}
