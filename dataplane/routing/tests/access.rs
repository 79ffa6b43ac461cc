//! What is asked about a request, and what is said when the answer is no.

#![allow(clippy::unwrap_used)]

use genkan_routing::RequestInfo;
use genkan_routing::access::{Attributes, Door, Mode, Questions, Refusal};

fn non_resource(path: &str, verb: &str) -> String {
    format!("{verb} {path}")
}

/// The questions, each as `verb path` or as its values.
fn asked(door: Door<'_>, method: &str, path: &str, mode: Mode) -> Vec<String> {
    let info = RequestInfo::parse(method, path, None).unwrap();
    let questions = Questions::of(door, method, &info, mode);
    std::iter::once(&questions.first)
        .chain(&questions.then)
        .map(|attributes| match attributes {
            Attributes::NonResource { path, verb } => non_resource(path, verb),
            Attributes::Resource { .. } => attributes.values()[1..].join("|"),
        })
        .collect()
}

fn refused(door: Door<'_>, method: &str, path: &str, mode: Mode) -> String {
    let info = RequestInfo::parse(method, path, None).unwrap();
    let questions = Questions::of(door, method, &info, mode);
    let user = "jane";
    Refusal {
        user,
        questions: &questions,
    }
    .to_string()
}

const GRAFANA: Door<'_> = Door::ReverseProxy {
    path: "/proxy/grafana/*",
};

#[test]
fn pattern_is_asked_before_the_path() {
    let path = "/proxy/grafana/d/1";
    assert_eq!(
        asked(GRAFANA, "GET", path, Mode::Pattern),
        [non_resource("/proxy/grafana/*", "get"), non_resource(path, "get")]
    );
    assert_eq!(
        asked(GRAFANA, "PROPFIND", path, Mode::Exact),
        [non_resource(path, "propfind")]
    );
}

#[test]
fn one_path_is_asked_about_once() {
    let door = Door::ReverseProxy { path: "/proxy/one" };
    assert_eq!(
        asked(door, "HEAD", "/proxy/one", Mode::Pattern),
        ["head /proxy/one"]
    );
    assert_eq!(
        asked(door, "HEAD", "/clusters/host/proxy/one", Mode::Pattern),
        ["head /proxy/one"],
        "the name of the cluster is no part of it"
    );
}

#[test]
fn resources_are_asked_about_as_such() {
    let of = |method, path| asked(Door::ApiService, method, path, Mode::Pattern);
    assert_eq!(of("GET", "/kapis/g.io/v1/things"), ["list|g.io|v1|things|||"]);
    assert_eq!(
        of("POST", "/kapis/g.io/v1/namespaces/n/things/t/log/deeper"),
        ["create|g.io|v1|things|log|n|t"]
    );
    assert_eq!(of("OPTIONS", "/kapi/v1/things/t"), ["||v1|things|||t"]);
    assert_eq!(of("GET", "/kapis/g.io/v1"), ["get /kapis/g.io/v1"]);
    assert_eq!(of("GET", "/kapis/g.io/v1/"), ["get /kapis/g.io/v1/"]);
}

#[test]
fn list_names_nothing_whatever_its_selector_says() {
    let query = b"fieldSelector=metadata.name=alpha";
    let info = RequestInfo::parse("GET", "/kapis/g.io/v1/things", Some(query)).unwrap();
    let questions = Questions::of(Door::ApiService, "GET", &info, Mode::Pattern);
    assert_eq!(questions.first.values()[7], "");
}

#[test]
fn kinds_of_questions_never_look_alike() {
    let path = Attributes::NonResource {
        path: "/a",
        verb: "get".into(),
    };
    let resource = Attributes::Resource {
        verb: "get",
        group: "/a",
        version: "",
        resource: "",
        subresource: "",
        namespace: "",
        name: "",
    };
    assert_ne!(path.values(), resource.values());
}

#[test]
fn refusal_prints_the_rule_that_helps() {
    assert_eq!(
        refused(GRAFANA, "GET", "/proxy/grafana/d/1", Mode::Pattern),
        "user \"jane\" cannot get path \"/proxy/grafana/d/1\". To allow it, add this rule to a ClusterRole that is bound \
         to the user or to a group of theirs: {nonResourceURLs: [\"/proxy/grafana/*\"], verbs: [\"get\"]}"
    );
    assert!(
        refused(GRAFANA, "PUT", "/proxy/grafana/d", Mode::Exact)
            .ends_with("{nonResourceURLs: [\"/proxy/grafana/d\"], verbs: [\"put\"]}")
    );
    assert_eq!(
        refused(
            Door::ApiService,
            "GET",
            "/kapis/fruit.io/v1/namespaces/n/apples/a/log",
            Mode::Pattern
        ),
        "user \"jane\" cannot get resource \"apples/log\" \"a\" of API group \"fruit.io\" in namespace \"n\". To allow it, \
         add this rule to a Role in namespace \"n\" (or a ClusterRole) that is bound to the user or to a group of theirs: \
         {apiGroups: [\"fruit.io\"], resources: [\"apples/log\"], verbs: [\"get\"]}"
    );
    assert!(
        refused(
            Door::ApiService,
            "OPTIONS",
            "/kapis/g.io/v1/things",
            Mode::Pattern
        )
        .ends_with("{apiGroups: [\"g.io\"], resources: [\"things\"], verbs: [\"*\"]}"),
        "RBAC has no other word for a method without a verb"
    );
}

#[test]
fn refusal_is_of_bounded_length_and_harmless_to_a_terminal() {
    let path = format!("/proxy/grafana/{}", "a".repeat(60_000));
    assert!(refused(GRAFANA, "GET", &path, Mode::Pattern).len() < 1024);
    let info = RequestInfo::parse("GET", "/proxy/grafana/d", None).unwrap();
    let questions = Questions::of(GRAFANA, "GET", &info, Mode::Pattern);
    let user = "j\u{1b}[31m\nane";
    let said = Refusal {
        user,
        questions: &questions,
    }
    .to_string();
    assert!(!said.chars().any(char::is_control), "{said}");
}
