use genkan_routing::model::Secret;
use serde_json::json;
use zeroize::Zeroizing;

use super::*;

fn mk_secret(data: &[(&str, &str)]) -> Secret {
    Secret {
        kind: "Opaque".into(),
        data: data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Zeroizing::new(value.as_bytes().to_vec())))
            .collect(),
    }
}

#[track_caller]
fn generate(policy: &str, data: &[(&str, &str)]) -> Result<Generated, Failure> {
    let secret = mk_secret(data);
    let input = Input {
        secret: Some(&secret),
        method: "GET",
        headers: vec![("private-token", "t")],
        ..Input::default()
    };
    Policy::new(policy).unwrap().generate(&input)
}

#[test]
fn a_generator_says_where_and_what() {
    let made = generate(
        "package proxy\nimport rego.v1\nauth := {\"position\": \"header\", \"auth\": {\"Private-Token\": input.data.token}}\n",
        &[("token", "glpat-x")],
    )
    .unwrap();
    assert_eq!(made.position, Position::Header);
    assert_eq!(made.auth, [("Private-Token".to_owned(), json!("glpat-x"))]);
    let made = generate(
        "package proxy\nimport rego.v1\nauth := {\"position\": \"header\", \"auth\": {\"Authorization\": sprintf(\"Bearer %s\", [input.data.token])}}\n",
        &[("token", "ghp_x")],
    )
    .unwrap();
    assert_eq!(made.auth, [("Authorization".to_owned(), json!("Bearer ghp_x"))]);
    let made = generate(
        "package proxy\nimport rego.v1\nauth := {\"position\": \"body\", \"contentType\": \"application/json\", \"auth\": input.data}\n",
        &[("username", "svc"), ("password", "pw")],
    )
    .unwrap();
    assert_eq!(
        (made.position, made.content_type.as_str()),
        (Position::Body, "application/json")
    );
    assert_eq!(made.auth.len(), 2);
}

#[test]
fn the_form_of_before_rego_1_is_read_as_well() {
    let old = "package proxy\nauth = {\"position\": \"header\", \"auth\": {\"X-Key\": input.data.key}} {\n  input.data.key != \"\"\n}\n";
    assert_eq!(generate(old, &[("key", "k")]).unwrap().auth[0].1, json!("k"));
    assert_eq!(generate(old, &[("key", "")]).unwrap_err(), Failure::Undefined);
}

#[test]
fn two_values_are_none() {
    let dual = "package proxy\nimport rego.v1\nauth := {\"position\": \"header\", \"auth\": {\"X-Key\": input.data.apikey}}\nauth := {\"position\": \"header\", \"auth\": {\"X-Key\": input.data.oauth_token}} if input.data.oauth_token != \"\"\n";
    let data = [("apikey", "k1"), ("oauth_token", "o1")];
    assert_eq!(generate(dual, &data).unwrap_err(), Failure::Undefined);
}

#[test]
fn what_can_be_no_policy_is_told() {
    for text in [
        "",
        "package proxy\nauth := {",
        "package other\nauth := {}",
        "package proxy\nimport time\nauth := {}",
        "package proxy\nimport rego.v1\nauth := {\"x\": http.send({})}",
        &"x".repeat(LONGEST + 1),
    ] {
        let said = Policy::new(text).err();
        assert!(
            said.as_ref().is_some_and(|said| !said.is_empty()),
            "{:?}",
            &text[..text.len().min(60)]
        );
    }
}

#[test]
fn a_policy_that_does_not_end_is_ended() {
    let endless = "package proxy\nimport rego.v1\nauth := {\"position\": \"header\", \"auth\": {\"X\": sprintf(\"%v\", [count([1 | some i in numbers.range(1, 100000); some j in numbers.range(1, 100000); i == j])])}}\n";
    let failure = generate(endless, &[]).unwrap_err();
    assert!(
        failure == Failure::TooLong || failure == Failure::Undefined,
        "{failure}"
    );
}

#[test]
fn requests_can_be_signed() {
    let signed = "package proxy\nimport rego.v1\nauth := {\"position\": \"header\", \"auth\": {\"X-Signature\": crypto.hmac.sha256(input.request.method, input.data.key)}}\n";
    let made = generate(signed, &[("key", "k")]).unwrap();
    let signature = made.auth[0].1.as_str().unwrap().to_owned();
    assert_eq!(signature.len(), 64);
    assert!(signature.bytes().all(|digit| digit.is_ascii_hexdigit()));
}

#[test]
fn an_extractor_finds_a_token_or_none() {
    let policy = "package proxy\nimport rego.v1\ndefault auth := {\"token\": \"\"}\nauth := {\"token\": t} if t := input.request.headers[\"Private-Token\"][0]\n";
    let policy = Policy::new(policy).unwrap();
    let with = Input {
        headers: vec![("PRIVATE-token", "tok")],
        ..Input::default()
    };
    assert_eq!(policy.extract(&with), "tok");
    assert_eq!(policy.extract(&Input::default()), "");
}

#[test]
fn permissions_say_what_a_request_counts_as() {
    let policy = "package permissions\nimport rego.v1\n\
        default result := {\"verb\": \"\"}\n\
        result := {\"verb\": \"read\"} if { input.request.method == \"POST\"; endswith(input.request.path, \"/search\") }\n\
        result := {\"verb\": \"delete\"} if input.request.path == \"/purge\"\n\
        result := {\"verb\": \"own\"} if input.request.path == \"/odd\"\n";
    let policy = Policy::of_permissions(policy).unwrap();
    for (method, path, expected) in [
        ("POST", "/v1/search", Ok(Verb::Read)),
        ("POST", "/v1/issues", Ok(Verb::OfMethod)),
        ("GET", "/purge", Ok(Verb::Delete)),
        ("GET", "/odd", Err(Failure::Verb)),
    ] {
        let input = Input {
            method,
            path,
            ..Input::default()
        };
        assert_eq!(policy.verb(&input), expected, "{method} {path}");
    }
    let silent = Policy::of_permissions("package permissions\nother := 1").unwrap();
    assert_eq!(silent.verb(&Input::default()), Ok(Verb::OfMethod));
    let said = Policy::of_permissions("package proxy\nauth := {}").unwrap_err();
    assert_eq!(said, "its package is \"data.proxy\"; write package permissions");
}
