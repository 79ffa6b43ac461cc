use std::borrow::Cow;

use genkan_routing::{DirectiveSpec, Directives, Input, canonicalize};

use super::random::Random;

const PATH: &[&str] = &[
    "/", "a", "B", "b", "%2F", "%20", "proxy", "..a", "é", "//", "{", "%25",
];
const RULE: &[&str] = &[
    "/", "a", "b", "*", "%*", "%2f", "%", "[", "]", "^", "a-z", "\\", "?", "{path}", "{query}", "{", "}",
    "$1", "${1}", "(", ")", "+", ".", "..", " ", " ", "&", "=", "#", "é", "{2}", "\\Q", "\\E", "(?i)",
];

fn mk_spec(random: &mut Random) -> DirectiveSpec {
    let mut rules =
        |most: usize| -> Vec<String> { (0..random.below(2)).map(|_| random.join(RULE, most)).collect() };
    DirectiveSpec {
        rewrite: rules(9),
        replace: rules(6),
        path_regexp: rules(9),
        header_up: rules(4),
        strip_path_prefix: Some(random.join(PATH, 3)),
        strip_path_suffix: Some(random.join(PATH, 3)),
        ..DirectiveSpec::default()
    }
}

#[test]
fn whatever_is_compiled_makes_canonical_paths_or_refuses() {
    let mut random = Random::new(11);
    let (mut compiled, mut sent) = (0, 0);
    for _ in 0..30_000 {
        let Ok(directives) = Directives::compile(&mk_spec(&mut random)) else {
            continue;
        };
        compiled += 1;
        let raw = format!("/proxy{}", random.join(PATH, 6));
        let Ok(path) = canonicalize(raw.as_bytes()) else {
            continue;
        };
        let query = random.bytes(8);
        let query = (random.below(2) == 0).then_some(&*query);
        let input = Input {
            method: "GET",
            path: &path,
            query,
            host: "h{}%\\\u{7f}",
        };
        let Ok(outgoing) = directives.rewrite_request(input) else {
            continue;
        };
        sent += 1;
        assert!(
            matches!(canonicalize(outgoing.path.as_bytes()), Ok(Cow::Borrowed(_))),
            "{}",
            outgoing.path
        );
        let target = outgoing.target("/base");
        assert!(target.starts_with(b"/base/"));
        if query.is_none() {
            assert!(target.is_ascii() && !target.iter().any(|byte| byte.is_ascii_control() || *byte == b' '));
        }
    }
    assert!(compiled > 3_000 && sent > 1_000, "{compiled} {sent}");
}

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
