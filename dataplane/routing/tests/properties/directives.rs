use std::borrow::Cow;

use genkan_routing::{DirectiveSpec, Directives, Input};

#[test]
fn a_request_that_no_rule_changes_is_borrowed() {
    let directives = Directives::compile(&DirectiveSpec {
        strip_path_prefix: Some("/proxy/x".into()),
        rewrite: vec!["/nothing/* /x".into()],
        replace: vec!["zzz b".into()],
        path_regexp: vec!["^/nothing b".into()],
        ..DirectiveSpec::default()
    })
    .unwrap();
    let input = Input {
        method: "GET",
        path: "/proxy/x/a%20b",
        query: Some(b"q=%2f"),
        host: "gw.test",
    };
    let outgoing = directives.rewrite_request(input).unwrap();
    assert!(matches!(outgoing.path, Cow::Borrowed("/a%20b")));
    assert!(matches!(outgoing.query, Some(Cow::Borrowed(b"q=%2f"))));
    assert!(matches!(outgoing.method, Cow::Borrowed("GET")));
    assert_eq!(outgoing.stripped_prefix, Some("/proxy/x"));
}

#[test]
fn rules_cannot_multiply_a_request_without_end() {
    let long = "b".repeat(8_000);
    let directives = Directives::compile(&DirectiveSpec {
        replace: vec![format!("a {long}"); 64],
        ..DirectiveSpec::default()
    })
    .unwrap();
    let path = format!("/proxy/{}", "a".repeat(30_000));
    let input = Input {
        method: "GET",
        path: &path,
        query: None,
        host: "gw.test",
    };
    assert_eq!(directives.rewrite_request(input).unwrap_err().code(), 414);
}
