//! `pathRegexp` reads Go's syntax; what cannot mean the same is refused in a sentence.

use genkan_routing::{DirectiveSpec, Directives, Input};

fn apply(rule: &str, path: &str) -> Result<String, String> {
    let spec = DirectiveSpec {
        path_regexp: vec![rule.into()],
        ..DirectiveSpec::default()
    };
    let directives = Directives::compile(&spec).map_err(|problems| problems[0].reason.clone())?;
    let input = Input {
        method: "GET",
        path,
        query: None,
        host: "gw.test",
    };
    directives
        .rewrite_request(input)
        .map(|outgoing| outgoing.path.into_owned())
        .map_err(|error| error.to_string())
}

#[test]
fn what_go_accepts_means_the_same() {
    let cases = [
        (r"\Qa.b\E+ X", "/a.bbb/axb", "/X/axb"),
        (r"\Qa.b X", "/a.b", "/X"),
        (r"{x}|c Y", "/c", "/Y"),
        (r"a{,2}|c Y", "/aa/c", "/aa/Y"),
        (r"[a&&b]+ Y", "/a&&b/c", "/Y/c"),
        (r"[[x]+ Y", "/xx", "/Y"),
        (r"[a~~z-]+ Y", "/a~z-/q", "/Y/q"),
        (r"\_\- Y", "/_-", "/Y"),
        (r"\<a\>|c Y", "/a/c", "/a/Y"),
        (r"[[:digit:]]+ N", "/12/x", "/N/x"),
        (r"(?i:AB)c N", "/abc/abC", "/N/abC"),
        (r"(?U)a+ N", "/aaa", "/NNN"),
        (r"(?P<n>b)(?<m>c) $m$n", "/bc", "/cb"),
        (r"\x61\x{62} N", "/ab", "/N"),
        (r"[\d-]+ N", "/1-2/", "/N/"),
        (r"a*? N", "/b", "N/NbN"),
        (r".* Z", "/proxy/a", "Z"),
        (r"a+?b N", "/aab", "/N"),
    ];
    for (rule, path, expected) in cases {
        assert_eq!(apply(rule, path).as_deref(), Ok(expected), "{rule}");
    }
}

#[test]
fn a_rule_without_an_expression_or_a_replacement_changes_nothing() {
    for rule in ["", " ", " X", "a", "  X"] {
        assert_eq!(apply(rule, "/a/b").as_deref(), Ok("/a/b"), "{rule:?}");
    }
    assert_eq!(apply("a ", "/a/b").as_deref(), Ok("//b"));
}

#[test]
fn what_cannot_mean_the_same_is_refused() {
    let cases = [
        ("( b", "group"),
        ("a) b", "group"),
        ("[ b", "not closed"),
        ("[z-a] b", "range"),
        ("(?!x)a b", "look-around"),
        ("(?<=x)a b", "look-around"),
        (r"(a)\1 b", "back-references"),
        ("a{1001} b", "1000"),
        ("a{2,1001} b", "1000"),
        ("a** b", "follows another"),
        ("a+{2} b", "follows another"),
        ("* b", "repetition"),
        ("(?x)a b", "flag x"),
        (r"\pL b", "ASCII"),
        (r"\u0061 b", "does not exist"),
        (r"\Z b", "does not exist"),
        ("a\\ b", "regular expression"),
        ("((a{1000}){1000}){1000} b", "too large"),
        ("a {nope}", "placeholder"),
    ];
    for (rule, word) in cases {
        let refused = apply(rule, "/a").unwrap_err();
        assert!(refused.contains(word), "{rule}: {refused}");
    }
}
