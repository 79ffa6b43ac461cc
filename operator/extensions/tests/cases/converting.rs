use std::collections::BTreeMap;

use genkan_extensions::policy::{self, PolicyFile, Reading};
use genkan_extensions::{Designated, Options, Refused};
use genkan_routing::model::policy::{Hook, PolicyDefinition};
use serde_json::{Value, json};

use crate::zip::zip;

fn reading() -> Reading {
    Reading {
        known: ["mine".to_owned()].into(),
        secret_map: BTreeMap::from([("ldap".to_owned(), "users".to_owned())]),
        host_map: BTreeMap::from([
            ("group".to_owned(), "shop/orders:8080".to_owned()),
            ("old.example".to_owned(), "https://new.example/base/".to_owned()),
        ]),
        ..Reading::default()
    }
}

fn read(assembly: Value) -> Result<PolicyDefinition, Refused> {
    let yaml = json!({"policy": "1.0.0", "info": {"name": "a", "version": "1"}, "assembly": assembly});
    match policy::read("a.yaml", yaml.to_string().as_bytes(), &reading())? {
        PolicyFile::Policy(policy) => Ok(*policy),
        PolicyFile::Hooks { .. } => panic!("it is a policy"),
    }
}

fn steps(policy: Value) -> Value {
    let read = read(json!({"execute": [policy]})).unwrap();
    serde_json::to_value(read.steps).unwrap()
}

fn why(policy: Value) -> String {
    let message = read(json!({"execute": [policy]})).unwrap_err().message;
    let place = "a.yaml: assembly.execute[0]: ";
    message.strip_prefix(place).unwrap_or(&message).to_owned()
}

fn hooks(mut document: Value, designated: Designated) -> Result<Vec<Hook>, Refused> {
    document["global-policy"] = json!("1.0.0");
    document["info"] = json!({"name": "g", "version": "1.0.0"});
    let reading = Reading {
        designated: Some(designated),
        ..reading()
    };
    match policy::read("g.yaml", document.to_string().as_bytes(), &reading)? {
        PolicyFile::Hooks { hooks, .. } => Ok(hooks),
        PolicyFile::Policy(_) => panic!("it is a global policy"),
    }
}

#[test]
fn a_policy_of_another_extension_gets_what_is_not_its_version_or_title() {
    let used = json!({"mine": {"version": "2.1", "title": "T", "a": "$(x.y)", "b": [1, "$(z)"]}});
    assert_eq!(
        steps(used),
        json!([{"use": "mine@2.1.0", "name": "T", "with": {"a": "{{ vars[\"x.y\"] }}", "b": [1, "{{ vars[\"z\"] }}"]}}])
    );
}

#[test]
fn hosts_and_groups_are_those_that_are_mapped() {
    let url = |target: &str| {
        let steps = steps(json!({"proxy": {"target-url": target, "verb": "keep"}}));
        assert_eq!(steps[0]["with"]["method"], "{{ request.method }}");
        steps[0]["with"]["url"].as_str().unwrap().to_owned()
    };
    assert_eq!(url("https://group/a?b=c"), "https://orders.shop.svc:8080/a?b=c");
    assert_eq!(url("http://old.example:81/a"), "https://new.example/base/a");
    assert_eq!(url("http://other/$(a)"), "http://other/{{ vars[\"a\"] }}");
}

#[test]
fn braces_of_a_text_stay_braces() {
    let set = json!({"set-variable": {"actions": [{"set": "message.body", "value": "{{ a }} $(b"}]}});
    assert_eq!(steps(set)[0]["with"]["body"], "{{ \"{{\" }} a }} $(b");
}

#[test]
fn what_is_read_only_is_not_written() {
    for name in [
        "request.path",
        "api.name",
        "client.app.id",
        "plan.id",
        "session.x",
        "message.status.reason",
    ] {
        let set = json!({"set-variable": {"actions": [{"set": name, "value": "x"}]}});
        assert_eq!(
            why(set),
            format!("set-variable writes {name}, which is read-only")
        );
    }
    let nothing = json!({"set-variable": {"actions": [{"value": "x"}]}});
    assert_eq!(why(nothing), "set-variable without set, add or clear");
}

#[test]
fn secrets_of_a_call_are_in_no_sentence() {
    let invoke = json!({"invoke": {"target-url": "https://a", "username": "u", "password": "geheim"}});
    assert_eq!(why(invoke), "invoke with username and password is not converted");
    let invoke = json!({"invoke": {"target-url": "https://a", "cache-response": "time-to-live"}});
    assert_eq!(
        why(invoke),
        "invoke with cache-response: time-to-live is not converted"
    );
}

#[test]
fn registries_become_secrets_where_they_are_mapped() {
    let mapped = json!({"user-security": {"user-registry": "ldap"}});
    assert_eq!(
        steps(mapped),
        json!([{"use": "basic", "with": {"users": {"secret": "users"}}}])
    );
    assert_eq!(
        steps(json!({"user-security": {"user-auth-method": "disabled"}})),
        json!([])
    );
    assert!(why(json!({"user-security": {"user-registry": "x"}})).ends_with("mapped to a Secret"));
}

#[test]
fn operations_become_conditions() {
    let switch = json!({"operation-switch": {"case": [
        {"operations": [{"verb": "get", "path": "/a/{id}"}, {"operationId": "list"}], "execute": []}]}});
    let when = "(request.method == \"GET\" && request.path.matches(\"/a/[^/]+$\")) || \
                vars[\"api.operation.id\"] == \"list\"";
    assert_eq!(steps(switch)[0]["with"]["cases"][0]["when"], when);
}

#[test]
fn errors_have_other_names_here() {
    let policy = read(json!({"execute": [], "catch": [
        {"errors": ["ConnectionError", "OperationError", "Mine"], "execute": [{"log": {}}]},
        {"default": []}]}))
    .unwrap();
    assert_eq!(policy.catch[0].errors, ["CallFailed", "Mine"]);
    assert_eq!(policy.catch[1].errors, ["*"]);
}

#[test]
fn an_error_hook_is_made_of_what_is_caught() {
    let caught = json!({"assembly": {"execute": [], "catch": [
        {"errors": ["ForbiddenError"], "execute": [{"log": {}}]}, {"default": [{"log": {}}]}]}});
    let hooks = hooks(caught.clone(), Designated::Error).unwrap();
    let errors: Vec<_> = hooks.iter().map(|hook| hook.errors.join(",")).collect();
    assert_eq!(errors, ["Forbidden", "*"]);
    assert!(self::hooks(caught, Designated::Prehook).is_err());
}

#[test]
fn a_key_that_stands_twice_is_refused_with_its_line() {
    let text = b"policy: 1.0.0\ninfo: {name: a}\npolicy: 2.0.0\n";
    let error = policy::read("a.yaml", text, &reading()).unwrap_err();
    assert_eq!(error.message, "a.yaml:3: not YAML");
    let deep = "[".repeat(100);
    let error = policy::read("a.yaml", deep.as_bytes(), &reading()).unwrap_err();
    assert_eq!(error.message, "a.yaml:1: YAML nested deeper than 64");
    let error = policy::read("a.yaml", b"a: 1\nb: !x 2\n", &reading()).unwrap_err();
    assert_eq!(error.message, "a.yaml:2: YAML tags are not allowed");
    let error = policy::read("a.yaml", b"a: 1\nb: *x\n", &reading()).unwrap_err();
    assert_eq!(
        error.message,
        "a.yaml:2: YAML anchors and aliases are not allowed"
    );
}

#[test]
fn conditions_stay_in_jsonata_and_run() {
    use genkan_extensions::later;

    let policy = read(json!({"execute": [
        {"if": {"condition": "$header(\"plan\") = \"gold\"", "execute": [{"log": {}}]}},
        {"switch": {"case": [
            {"condition": "$exists(message.body.a)", "execute": [{"throw": {"name": "A"}}]},
            {"otherwise": [{"log": {}}]}]}},
        {"redact": {"redactions": [{"from": "logs", "path": "$.**.card"}]}}]}))
    .unwrap();
    assert_eq!(later::of_definition(&policy), None);
    let steps = serde_json::to_value(&policy.steps).unwrap();
    assert_eq!(
        steps[0]["with"]["cases"][0]["jsonata"],
        "$header(\"plan\") = \"gold\""
    );
    assert_eq!(steps[1]["with"]["cases"][0]["jsonata"], "$exists(message.body.a)");
    assert_eq!(steps[2]["with"]["rules"][0]["in"], json!(["log"]));

    let policy = read(json!({"execute": [{"redact": {"redactions": [{"path": "a"}]}}]})).unwrap();
    assert_eq!(
        later::of_definition(&policy).as_deref(),
        Some("steps[0].with.rules[0]: redact of bodies is run by a later version")
    );
}

#[test]
fn a_catalog_that_refers_to_a_policy_limits_it_to_itself() {
    let policy = |name: &str, rest: &str| {
        format!(
            "policy: 1.0.0\ninfo: {{name: {name}, version: 1.0.0}}\ngateways: [datapower-gateway]\n{rest}"
        )
    };
    let steps = "assembly: {execute: [{set-variable: {actions: [{set: message.headers.X-A, value: a}]}}]}";
    let of = |text: String| zip(&[("p.yaml".to_owned(), text.into_bytes())]);
    let manifest = r#"{"extension": {"files": [
        {"filename": "own.zip", "type": "policy-v5", "catalog": "a"},
        {"filename": "by-b.zip", "type": "policy-v5", "catalog": ["a", "b"]},
        {"filename": "lost.zip", "type": "policy-v5", "catalog": "b"}]}}"#;
    let bytes = zip(&[
        ("manifest.json".to_owned(), manifest.as_bytes().to_vec()),
        ("own.zip".to_owned(), of(policy("stamp", steps))),
        ("by-b.zip".to_owned(), of(policy("stamp", ""))),
        ("lost.zip".to_owned(), of(policy("nobodys", ""))),
    ]);
    let package = genkan_extensions::read(&bytes, &Options::default()).unwrap();
    let [own, by_b, lost] = package.entries.as_slice() else {
        panic!("{package:?}")
    };
    assert_eq!(own.outcome.as_ref().unwrap().content.provides(), ["stamp@1.0.0"]);
    assert_eq!(own.catalogs, ["a", "b"]);
    assert!(by_b.outcome.as_ref().unwrap().content.provides().is_empty());
    let refused = lost.outcome.as_ref().unwrap_err();
    assert_eq!(
        refused.message,
        "lost.zip!p.yaml: no assembly and no implementation"
    );
}
