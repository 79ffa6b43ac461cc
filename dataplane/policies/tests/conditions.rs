//! What bodies have to be: conditions in JSONata, and the schema of an operation.

#![allow(clippy::unwrap_used, reason = "a plan that cannot be made fails the test")]

#[path = "vectors/mk.rs"]
mod mk;
#[path = "plans/setup.rs"]
mod setup;

use genkan_policies::Class;
use serde_json::{Value, json};

use setup::Setup;

fn document() -> Value {
    json!({"openapi": "3.0.3", "paths": {
        "/items": {
            "post": {"requestBody": {"required": true, "content": {"application/json": {
                "schema": {"type": "object", "required": ["name"]}}}}},
            "get": {},
        },
        "/other": {"post": {}},
    }})
}

fn by_operation(with: &Value) -> Setup {
    let mut whole = json!({"schemaFrom": "operation"});
    let members = with.as_object().unwrap().clone();
    whole.as_object_mut().unwrap().extend(members);
    let mut setup = Setup::new(json!([{"use": "validateSchema", "with": whole}]));
    let files = &mut setup.world.files;
    files.insert("ext", "api/shop.json", document().to_string(), false);
    files.insert("ext", "api/shop.yaml", "openapi: 3.0.3", false);
    setup
}

#[test]
fn a_body_follows_the_schema_of_its_operation() {
    let setup = by_operation(&json!({"openapi": "api/shop.json", "basePath": "/proxy/shop"}));
    assert_eq!(setup.link().unwrap().class(), Class::EarlyBody);
    let refused = |body: &'static str| {
        let answer = setup.post(body).answer;
        answer.map(|answer| (answer.status, answer.reason.to_string(), answer.message))
    };
    assert_eq!(refused(r#"{"name": "a"}"#), None);
    let (status, reason, _) = refused(r#"{"nam": "a"}"#).unwrap();
    assert_eq!((status, reason.as_str()), (400, "SchemaViolation"));
    let (status, reason, message) = refused("").unwrap();
    assert_eq!((status, reason.as_str()), (400, "BadInput"));
    assert_eq!(message, "the operation needs a body");

    let elsewhere = by_operation(&json!({"openapi": "api/shop.json"}));
    let answer = elsewhere.post(r#"{"name": "a"}"#).answer.unwrap();
    assert_eq!((answer.status, &*answer.reason), (400, "BadInput"));
    assert_eq!(
        answer.message,
        "the API has no operation with this method and path"
    );
}

#[test]
fn an_operation_needs_a_document() {
    for (with, expected) in [
        (
            json!({}),
            "spec.policies[0].with.openapi: schemaFrom: operation needs an OpenAPI document; name a file of an entry, ENTRY/PATH",
        ),
        (
            json!({"openapi": "api/none.json"}),
            "spec.policies[0].with.openapi: there is no file api/none.json; files are named ENTRY/PATH",
        ),
        (
            json!({"openapi": "api/shop.yaml"}),
            "spec.policies[0].with.openapi: api/shop.yaml: not JSON (line 1, column 1); the document has to be JSON, which tools make of YAML",
        ),
        (
            json!({"schemaFrom": "path"}),
            "spec.policies[0].with.schemaFrom: \"path\" is not known; operation is",
        ),
        (
            json!({"openapi": "api/shop.json", "basePath": "shop"}),
            "spec.policies[0].with.basePath: it has to begin with /",
        ),
        (
            json!({"openapi": "api/shop.json", "contentTypes": ["a/b"]}),
            "spec.policies[0].with.contentTypes: with schemaFrom the document says which types an operation takes",
        ),
    ] {
        assert_eq!(by_operation(&with).link().unwrap_err().message, expected);
    }
    let schema = json!([{"use": "validateSchema", "with": {"schema": true, "openapi": "api/shop.json"}}]);
    assert_eq!(
        Setup::new(schema).link().unwrap_err().message,
        "spec.policies[0].with.openapi: it goes with schemaFrom: operation only"
    );
}

#[test]
fn conditions_in_jsonata_read_what_they_mention() {
    let switch = |condition: &str| {
        Setup::new(json!([{"use": "switch", "with": {"cases": [
            {"jsonata": condition, "steps": [{"use": "throw", "with": {"error": "Met"}}]}]}}]))
    };
    let of_head = switch("$header('plan') = 'gold'");
    assert_eq!(of_head.link().unwrap().class(), Class::HeaderOnly);
    assert_eq!(
        of_head.send("GET", &[("plan", "gold")]).answer.unwrap().reason,
        "Met"
    );
    assert!(of_head.send("GET", &[]).answer.is_none());
    let of_body = switch("message.body.amount > 10");
    assert_eq!(of_body.link().unwrap().class(), Class::EarlyBody);
    assert_eq!(of_body.post(r#"{"amount": 11}"#).answer.unwrap().reason, "Met");
    assert!(of_body.post(r#"{"amount": 1}"#).answer.is_none());
    let answer = of_body.post(r#"{"amount": "many"}"#).answer.unwrap();
    assert_eq!((answer.status, &*answer.reason), (500, "PolicyFailed"));
    assert_eq!(
        switch("$xpath(body, '/a')").link().unwrap_err().message,
        "spec.policies[0].with.cases[0].jsonata: $xpath is not offered; bodies are not read as XML"
    );
}

#[test]
fn rules_of_a_check_may_be_jsonata() {
    let setup = Setup::new(json!([{"use": "check", "with": {"rules": [
        {"jsonata": "$sum(message.body.lines.price) < 100", "message": "too much"},
        {"cel": "request.method == 'POST'", "message": "no post"}]}}]));
    assert!(
        setup
            .post(r#"{"lines": [{"price": 1}, {"price": 2}]}"#)
            .answer
            .is_none()
    );
    let answer = setup
        .post(r#"{"lines": [{"price": 99}, {"price": 2}]}"#)
        .answer
        .unwrap();
    assert_eq!((answer.status, answer.message.as_str()), (422, "too much"));
}
