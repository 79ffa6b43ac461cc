//! Bodies under policies: which are read at all, and what becomes of those that nobody can read.

#![allow(clippy::unwrap_used, reason = "a plan that cannot be made fails the test")]

#[path = "vectors/mk.rs"]
mod mk;
#[path = "plans/setup.rs"]
mod setup;

use genkan_policies::{Class, Coming, Reading, class_of};
use http::{HeaderMap, HeaderValue};
use serde_json::json;

use mk::mk_steps;
use setup::Setup;

const REGO: &str =
    "package genkan\nimport rego.v1\ndefault allow := false\nallow if not input.request.body.admin\n";

/// What stands in a file is looked at like what is written out.
#[test]
fn rego_of_a_file_reads_the_body() {
    let steps = json!([{"use": "authorize", "with": {"file": "e/a.rego", "query": "data.genkan.allow"}}]);
    let mut setup = Setup::new(steps.clone());
    setup.world.files.insert("ext", "e/a.rego", REGO, false);
    assert_eq!(setup.link().unwrap().class(), Class::EarlyBody);
    assert!(setup.post("{}").answer.is_none());
    assert_eq!(
        setup.post(r#"{"admin": true}"#).answer.unwrap().reason,
        "PolicyDenied"
    );
    // A file that is not here may read anything; one without a word about bodies reads none.
    let steps = mk_steps(&steps);
    assert_eq!(
        class_of(&steps, &genkan_policies::World::default()),
        Class::EarlyBody
    );
    let text = "package genkan\nimport rego.v1\nallow if input.request.method == \"GET\"\n";
    setup.world.files.insert("ext", "e/a.rego", text, false);
    assert_eq!(class_of(&steps, &setup.world), Class::HeaderOnly);
}

/// It is not the same as none.
#[test]
fn a_body_that_nobody_can_read_is_an_error() {
    let rego = json!([{"use": "authorize", "with": {"rego": REGO, "query": "data.genkan.allow"}}]);
    let cel =
        json!([{"use": "authorize", "with": {"cel": "!has(request.body) || !has(request.body.admin)"}}]);
    for steps in [rego, cel] {
        let setup = Setup::new(steps.clone());
        assert!(setup.post("").answer.is_none(), "{steps}");
        assert!(setup.post("{}").answer.is_none(), "{steps}");
        assert_eq!(
            setup.post(r#"{"admin": 1}"#).answer.unwrap().reason,
            "PolicyDenied"
        );
        for body in [r#"{"admin": 1, "admin": 2}"#, r#"{"admin": 1"#] {
            let answer = setup.post(body).answer.unwrap();
            assert_eq!(
                (answer.status, &*answer.reason),
                (500, "PolicyFailed"),
                "{steps} {body}"
            );
        }
        // It was not read.
        assert_eq!(
            setup.send("POST", &[]).answer.unwrap().reason,
            "PolicyFailed",
            "{steps}"
        );
    }
}

#[test]
fn a_body_is_of_one_type_and_not_coded() {
    let setup = Setup::new(json!([{"use": "filter", "with": {"json": {}}}]));
    let plan = setup.link().unwrap();
    let reason = |lines: &[(&'static str, &[u8])]| {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        match plan.class_for(&Reading::of(&headers, false, true)) {
            Coming::EarlyBody => "EarlyBody".to_owned(),
            Coming::HeaderOnly => "HeaderOnly".to_owned(),
            Coming::Answer(answer) => answer.reason.into_owned(),
        }
    };
    let kind: (&str, &[u8]) = ("content-type", b"application/json");
    let coding = "content-encoding";
    assert_eq!(reason(&[kind]), "EarlyBody");
    assert_eq!(reason(&[kind, (coding, b"identity")]), "EarlyBody");
    for lines in [
        &[kind, (coding, b"identity"), (coding, b"gzip")][..],
        &[kind, (coding, b"identity, gzip")],
        &[kind, (coding, b"gz\xffip")],
        &[("content-type", b"text/plain"), kind],
        &[("content-type", b"text/plain, application/json")],
        &[("content-type", b"application/json\xff")],
    ] {
        assert_eq!(reason(lines), "UnsupportedMediaType", "{lines:?}");
    }
    assert_eq!(
        reason(&[("content-type", b"Application/gRPC+proto")]),
        "StreamWithBodyPolicy"
    );
}

/// Letters of a parameter say nothing about the type.
#[test]
fn parameters_of_a_type_hide_no_body_from_a_filter() {
    let setup = Setup::new(json!([{"use": "filter", "with": {"json": {"maxDepth": 1}}}]));
    let deep = r#"{"a": {"b": {}}}"#;
    let kind = HeaderValue::from_bytes(b"application/json; x=\xff").unwrap();
    let answer = setup.post_as(kind, deep).answer.unwrap();
    assert_eq!(answer.status, 400);
}
