//! What is asked about a request, and what is said when the answer is no.

#![allow(clippy::unwrap_used)]

use genkan_routing::RequestInfo;
use genkan_routing::access::{Attributes, Mode, Questions, Refusal, RouteKind};

fn non_resource(path: &str, verb: &str) -> String {
    format!("{verb} {path}")
}

/// The questions, each as `verb path` or as its values.
fn asked(kind: RouteKind<'_>, method: &str, path: &str, mode: Mode) -> Vec<String> {
    let info = RequestInfo::parse(method, path, None).unwrap();
    let questions = Questions::of(kind, method, &info, None, mode);
    std::iter::once(&questions.first)
        .chain(&questions.then)
        .chain(&questions.others)
        .map(|attributes| match attributes {
            Attributes::NonResource { path, verb } => non_resource(path, verb),
            Attributes::Resource { .. } => attributes.values()[1..].join("|"),
        })
        .collect()
}

fn refused(kind: RouteKind<'_>, method: &str, path: &str, mode: Mode) -> String {
    let info = RequestInfo::parse(method, path, None).unwrap();
    let questions = Questions::of(kind, method, &info, None, mode);
    // The last one: whoever asks so far has been allowed the others.
    let reading = questions.readings().last().unwrap();
    Refusal {
        user: "jane",
        reading,
    }
    .to_string()
}

const GRAFANA: RouteKind<'_> = RouteKind::ReverseProxy {
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
    let kind = RouteKind::ReverseProxy { path: "/proxy/one" };
    assert_eq!(
        asked(kind, "HEAD", "/proxy/one", Mode::Pattern),
        ["head /proxy/one"]
    );
    assert_eq!(
        asked(kind, "HEAD", "/clusters/host/proxy/one", Mode::Pattern),
        ["head /proxy/one"],
        "the name of the cluster is no part of it"
    );
}

#[test]
fn resources_are_asked_about_as_such() {
    let of = |method, path| asked(RouteKind::ApiService, method, path, Mode::Pattern);
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
    let questions = Questions::of(RouteKind::ApiService, "GET", &info, Some(query), Mode::Pattern);
    assert_eq!(questions.first.values()[7], "");
}

#[test]
fn kinds_of_questions_never_look_alike() {
    let path = Attributes::NonResource {
        path: "/a".into(),
        verb: "get".into(),
    };
    let resource = Attributes::Resource {
        verb: "get".into(),
        group: "/a".into(),
        version: "".into(),
        resource: "".into(),
        subresource: "".into(),
        namespace: "".into(),
        name: "".into(),
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
            RouteKind::ApiService,
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
            RouteKind::ApiService,
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
    let questions = Questions::of(GRAFANA, "GET", &info, None, Mode::Pattern);
    let user = "j\u{1b}[31m\nane";
    let reading = questions.readings().next().unwrap();
    let said = Refusal { user, reading }.to_string();
    assert!(!said.chars().any(char::is_control), "{said}");
}

const CARTS: &str = "/kapis/g.io/v1/namespaces/n/carts";

#[test]
fn path_that_servers_read_differently_is_asked_about_in_every_reading() {
    let of = |method, rest: &str| {
        asked(
            RouteKind::ApiService,
            method,
            &format!("{CARTS}{rest}"),
            Mode::Pattern,
        )
    };
    let get = |resource, subresource, name| format!("get|g.io|v1|{resource}|{subresource}|n|{name}");
    for (rest, expected) in [
        ("/x", vec![get("carts", "", "x")]),
        ("/x/", vec![get("carts", "", "x")]),
        (
            "/x%2Fexec",
            vec![get("carts", "", "x%2Fexec"), get("carts", "exec", "x")],
        ),
        (
            "/x%2Flog/exec",
            vec![get("carts", "exec", "x%2Flog"), get("carts", "log", "x")],
        ),
        ("/x/log/a%2Fb", vec![get("carts", "log", "x")]),
        ("/x%3Ay", vec![get("carts", "", "x%3Ay"), get("carts", "", "x:y")]),
        (
            "/x%252Fexec",
            vec![
                get("carts", "", "x%252Fexec"),
                get("carts", "", "x%2Fexec"),
                get("carts", "exec", "x"),
            ],
        ),
        ("/x//exec", vec![get("carts", "", "x"), get("carts", "exec", "x")]),
        (
            "/x%2F%2Fexec",
            vec![
                get("carts", "", "x%2F%2Fexec"),
                get("carts", "", "x"),
                get("carts", "exec", "x"),
            ],
        ),
        ("/x;v=1", vec![get("carts", "", "x;v=1"), get("carts", "", "x")]),
        (
            "/;v=1",
            vec![get("carts", "", ";v=1"), "list|g.io|v1|carts||n|".into()],
        ),
        (
            "/x/%3Bv/exec",
            vec![
                get("carts", "%3Bv", "x"),
                get("carts", ";v", "x"),
                get("carts", "", "x"),
                get("carts", "exec", "x"),
            ],
        ),
        (
            "%2Fx",
            vec!["list|g.io|v1|carts%2Fx||n|".into(), get("carts", "", "x")],
        ),
    ] {
        assert_eq!(of("GET", rest), expected, "{rest}");
    }
    assert_eq!(
        of("POST", "/x%2Fexec"),
        [
            "create|g.io|v1|carts||n|x%2Fexec",
            "create|g.io|v1|carts|exec|n|x"
        ]
    );
    let watch = RequestInfo::parse("GET", "/kapis/g.io/v1/carts%2F", Some(b"watch=1")).unwrap();
    let watch = Questions::of(
        RouteKind::ApiService,
        "GET",
        &watch,
        Some(b"watch=1"),
        Mode::Pattern,
    );
    assert_eq!(watch.others[0].values()[1..5], ["watch", "g.io", "v1", "carts"]);
}

#[test]
fn reading_that_leads_elsewhere_is_asked_about_as_a_path() {
    let of = |rest: &str| {
        asked(
            RouteKind::ApiService,
            "GET",
            &format!("{CARTS}/x/log/{rest}"),
            Mode::Pattern,
        )
    };
    assert_eq!(
        of("%252E%252E/exec")[1..],
        [non_resource(&format!("{CARTS}/x/log/../exec"), "get")]
    );
    let info = RequestInfo::parse("GET", "/kapis/g.io/v1/watch%2F", None).unwrap();
    let questions = Questions::of(RouteKind::ApiService, "GET", &info, None, Mode::Pattern);
    assert_eq!(
        questions.others[0].values()[..3],
        ["path", "get", "/kapis/g.io/v1/watch/"]
    );
}

#[test]
fn proxies_are_asked_about_in_one_reading() {
    let path = "/proxy/grafana/x%2Fy//z";
    assert_eq!(
        asked(GRAFANA, "GET", path, Mode::Pattern),
        [non_resource("/proxy/grafana/*", "get"), non_resource(path, "get")]
    );
}

#[test]
fn refusal_of_another_reading_prints_its_rule_or_another_way() {
    let of = |rest: &str| {
        refused(
            RouteKind::ApiService,
            "GET",
            &format!("{CARTS}/{rest}"),
            Mode::Pattern,
        )
    };
    let proxy = "An API whose names hold slashes is better published by a ReverseProxy, whose paths are judged as they stand";
    assert_eq!(
        of("x%2Fexec"),
        format!(
            "user \"jane\" cannot get resource \"carts/exec\" \"x\" of API group \"g.io\" in namespace \"n\", which is what other \
             servers read in this path. To allow it, add this rule to a Role in \
             namespace \"n\" (or a ClusterRole) that is bound to the user or to a group of theirs: {{apiGroups: [\"g.io\"], \
             resources: [\"carts/exec\"], verbs: [\"get\"]}}. {proxy}"
        )
    );
    for rest in ["group%2FMy_Project", "x%2F2024", "x/log/%252E%252E/exec"] {
        let said = of(rest);
        assert!(!said.contains("add this rule") && said.ends_with(proxy), "{said}");
    }
    let path = format!("{CARTS}/x/%2Fexec");
    let info = RequestInfo::parse("GET", &path, None).unwrap();
    let questions = Questions::of(RouteKind::ApiService, "GET", &info, None, Mode::Pattern);
    let reading = questions.readings().next().unwrap();
    let said = Refusal {
        user: "jane",
        reading,
    }
    .to_string();
    assert!(!said.contains("add this rule") && said.ends_with(proxy), "{said}");
}
