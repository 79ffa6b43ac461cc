//! What one request, or one author, can make the rules compute has a bound.

use genkan_routing::directives::MOST_STATES;
use genkan_routing::{DirectiveSpec, Directives, Input, RewriteError};

const LONGEST_PATH: usize = 32_000;

fn rewrite(spec: &DirectiveSpec, path: &str, query: Option<&[u8]>) -> Result<String, RewriteError> {
    let directives = Directives::compile(spec).expect("the rules are valid");
    let input = Input {
        method: "GET",
        path,
        query,
        host: "gw.test",
    };
    directives
        .rewrite_request(input)
        .map(|outgoing| outgoing.path.into_owned())
}

fn long(of: &str) -> String {
    format!("/proxy/{}", of.repeat(LONGEST_PATH / of.len()))
}

fn spec(set: impl FnOnce(&mut DirectiveSpec)) -> DirectiveSpec {
    let mut spec = DirectiveSpec::default();
    set(&mut spec);
    spec
}

#[test]
fn globs_on_the_longest_path_are_matched_to_their_end() {
    let rules = (0..64).map(|number| format!("/proxy/*{}b{number} /x", "a".repeat(7_900)));
    let spec = spec(|spec| spec.rewrite = rules.collect());
    let path = long("a");
    assert_eq!(rewrite(&spec, &path, None), Ok(path));
}

#[test]
fn rules_that_compute_too_much_are_named_with_their_number() {
    let mixed = long("aabab");
    let classes = format!("/proxy/*{}c* /x", "[ab]?".repeat(1_500));
    for (spec, path, list, index) in [
        (
            spec(|spec| spec.rewrite = vec!["/none /x".into(), String::new(), classes]),
            &mixed,
            "rewrite",
            2,
        ),
        (
            spec(|spec| spec.path_regexp = (0..64).map(|n| format!("[ab]*a[ab]{{90}}c{n} /x")).collect()),
            &mixed,
            "pathRegexp",
            1,
        ),
        // Each match looks to the end of the path before it is sure of itself.
        (
            spec(|spec| spec.path_regexp = vec!["no yes".into(), "(?:a.*z)|[ab] $0".into()]),
            &mixed,
            "pathRegexp",
            1,
        ),
    ] {
        let error = rewrite(&spec, path, None).unwrap_err();
        let RewriteError::TooCostly { list: of, index: at } = error else {
            panic!("{error}");
        };
        assert_eq!(
            (of, error.code(), error.reason()),
            (list, 503, "RewriteTooCostly")
        );
        assert!(at >= index, "{list}[{at}]");
        assert!(
            error.to_string().contains(&format!("directives.{list}[{at}]")),
            "{error}"
        );
    }
}

#[test]
fn ordinary_rules_are_far_from_the_budget() {
    let rules = vec!["^/proxy/([^/]+)/(.*)$ /proxy/$1/$2".to_owned(); 64];
    let spec = spec(|spec| {
        spec.path_regexp = rules;
        spec.rewrite = vec!["/proxy/*/x?/[a-z]*.html {path}".into(); 64];
        spec.replace = vec!["/nothing /x".into(); 64];
    });
    let path = format!("/proxy/x/{}", "segment/".repeat(200));
    assert_eq!(rewrite(&spec, &path, None), Ok(path));
    // Many short matches of an expression without long ones cost what lies between them.
    let spec = self::spec(|spec| spec.path_regexp = vec!["/{2,3} /".into(), "a b".into()]);
    assert_eq!(
        rewrite(&spec, &long("//"), None).map(|path| path.len() < LONGEST_PATH / 2),
        Ok(true)
    );
    assert_eq!(
        rewrite(&spec, &long("a"), None),
        Ok(long("b").replacen('a', "b", 1))
    );
}

#[test]
fn one_rule_that_repeats_what_was_sent_ends_at_the_limit() {
    let query = "q".repeat(LONGEST_PATH);
    for spec in [
        spec(|spec| spec.rewrite = vec![format!("* /x?a={}", "{query}".repeat(1_100))]),
        spec(|spec| spec.rewrite = vec![format!("* /{}", "{query}".repeat(1_100))]),
        spec(|spec| spec.replace = vec![format!("a {}", "{query}".repeat(1_100))]),
        spec(|spec| spec.path_regexp = vec![format!("a {}", "{query}".repeat(1_100))]),
        spec(|spec| spec.path_regexp = vec![format!("(a+) {}", "$1".repeat(4_000))]),
    ] {
        let outcome = rewrite(&spec, &long("a"), Some(query.as_bytes()));
        assert_eq!(outcome, Err(RewriteError::TooLong), "{spec:?}");
    }
}

#[test]
fn expressions_of_one_object_have_one_budget_and_equal_ones_count_once() {
    let large = |number: usize| format!("a{{1000}}b{number} x");
    let many = spec(|spec| spec.path_regexp = (0..40).map(large).collect());
    let problems = Directives::compile(&many).unwrap_err();
    assert_eq!(
        (problems.len(), problems[0].field.as_str()),
        (1, "directives.pathRegexp")
    );
    assert!(
        problems[0].reason.contains(&MOST_STATES.to_string()),
        "{}",
        problems[0].reason
    );
    let equal = spec(|spec| spec.path_regexp = vec![large(1); 64]);
    let directives = Directives::compile(&equal).unwrap();
    assert_eq!(directives.expressions().len(), 1);
    // Memory grows with the groups, too.
    let groups = spec(|spec| spec.path_regexp = vec![format!("{} x", "(a)".repeat(1_000))]);
    assert!(Directives::compile(&groups).is_err());
}

#[test]
fn suffixes_are_cut_where_they_were() {
    for (path, suffix, expected) in [
        ("/a%20b", " b", "/a"),
        ("/a%20b", "0b", "/a%20b"),
        ("/a%2Fb", "%2Fb", "/a"),
        ("/a%2Fb", "2Fb", "/a%2Fb"),
        ("/a%2Fb", "/b", "/a%2Fb"),
        ("/a%252F", "%2F", "/a"),
        ("/a%25", "%", "/a"),
        ("/a", "x/a", "/a"),
        ("/a", "/a", ""),
    ] {
        let spec = spec(|spec| spec.strip_path_suffix = Some(suffix.into()));
        assert_eq!(
            rewrite(&spec, path, None).as_deref(),
            Ok(expected),
            "{suffix} of {path}"
        );
    }
}

#[test]
fn headers_that_every_request_is_given_have_a_limit_in_all() {
    let items: Vec<String> = (0..9)
        .map(|number| format!("X-{number} {}", "v".repeat(8_000)))
        .collect();
    let up = spec(|spec| spec.header_up = items.clone());
    let down = spec(|spec| spec.header_down = items[..8].to_vec());
    assert_eq!(
        Directives::compile(&up).unwrap_err()[0].field,
        "directives.headerUp"
    );
    assert!(Directives::compile(&down).is_ok());
}

#[test]
fn a_wildcard_in_the_middle_of_long_names_is_looked_for_once() {
    let rules = vec![format!("-*{}b*", "a".repeat(7_900)); 8];
    let rules = genkan_routing::HeaderRules::compile(&rules).unwrap();
    let mut headers = http::HeaderMap::new();
    for length in [60_000, 7_901] {
        let name = http::HeaderName::from_bytes("a".repeat(length).as_bytes()).unwrap();
        headers.insert(name, http::HeaderValue::from_static("1"));
    }
    let name = format!("A{}B", "a".repeat(7_900));
    let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
    headers.insert(name, http::HeaderValue::from_static("1"));
    let begin = std::time::SystemTime::now();
    rules.apply(&mut headers);
    assert_eq!(headers.len(), 2);
    // Comparing at every place takes a minute.
    assert!(begin.elapsed().unwrap().as_secs() < 5);
}
