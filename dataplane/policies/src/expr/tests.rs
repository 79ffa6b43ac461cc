use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use serde_json::json;

use super::*;
use crate::exchange::{Request, Source, Stage, State};

fn mk_request() -> Request<'static> {
    Request {
        id: "1-2",
        method: "POST",
        scheme: "https",
        host: "gw.test",
        path: "/proxy/shop/items",
        query: "a=1&b=%2F",
        route: "shop",
        source: Source::default(),
        caller: crate::Caller {
            user: "ann",
            ..crate::Caller::default()
        },
    }
}

#[track_caller]
fn value(text: &str) -> Result<serde_json::Value, String> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("cookie", HeaderValue::from_static("a=b; c=d"));
    let mut state = State::default();
    state.vars.insert("list".into(), json!([1, 2, 3]));
    state
        .vars
        .insert("long".into(), (0..1001).collect::<Vec<_>>().into());
    let mut exchange = Exchange::new(mk_request(), Stage::Request(&mut headers), &mut state);
    exchange.body = Some(r#"{"a":{"b":2.0},"l":[{"x":1}]}"#.into());
    Expr::compile(text)?.json(&exchange, Duration::from_secs(7))
}

#[test]
fn members_are_found() {
    for text in [
        r#"request.method == "POST" && request["path"] == "/proxy/shop/items""#,
        r#"request.query.b == "/" && request.query_string == "a=1&b=%2F""#,
        r#"request.uri == "/proxy/shop/items?a=1&b=%2F""#,
        r#"request.headers["content-type"].startsWith("application/")"#,
        r#"request.header_lists["content-type"][0] == message.headers["content-type"]"#,
        r#"request.cookies.c == "d""#,
        r#"request.body.a.b == 2 && request.body.l[0].x == 1"#,
        r#"auth.user == "ann" && !("x" in auth.groups)"#,
        r#"vars.list.exists(x, x == 3) && route.name == "shop" && now == 7"#,
        r#"!has(request.headers.nothing) && request.headers[?"nothing"].orValue("z") == "z""#,
        r#"!has(auth.claims.tier) && source.certificate == null"#,
        r#"vars.list.all(x, vars.list.exists(y, x == y))"#,
        r#"request.headers.?host.orValue("-") == "-""#,
    ] {
        assert_eq!(value(text), Ok(json!(true)), "{text}");
    }
    assert_eq!(value("{'a': vars.list}"), Ok(json!({"a": [1, 2, 3]})));
}

#[test]
fn what_cannot_be_is_said_at_once() {
    let deep = "vars.list.all(x, vars.list.all(y, vars.list.all(z, x == z)))";
    let long = format!("\"{}\"", "a".repeat(LONGEST));
    for text in [
        deep,
        &long,
        "auth.user ==",
        "(",
        "",
        "foo.bar == 1",
        "requst.path",
    ] {
        assert!(value(text).is_err(), "{text}");
        assert!(Expr::compile(text).is_err(), "{text}");
    }
}

#[test]
fn errors_name_no_values() {
    for (text, said) in [
        (
            "request.body.secret",
            "a member that the expression names is not there",
        ),
        ("vars.long.all(x, x > -1)", bound::TOO_MANY),
        ("(vars.long + vars.long).map(x, x)", bound::TOO_MANY),
        (
            "auth.user + 1",
            "the expression does not fit the values that it finds",
        ),
    ] {
        assert_eq!(value(text), Err(said.to_owned()), "{text}");
    }
}

#[test]
fn bodies_are_read_only_where_they_are_mentioned() {
    for (text, reads) in [
        ("request.body.a == 1", true),
        ("has(request.body)", true),
        ("size(request) > 1", true),
        ("request['body'] == 1", true),
        ("request.method == 'body'", false),
        ("[1].all(request, request.body == 1)", false),
    ] {
        assert_eq!(
            Expr::compile(text).unwrap().reads_body("request"),
            reads,
            "{text}"
        );
    }
}

/// Odd texts are refused, and never more than that.
#[test]
fn no_text_panics() {
    let alphabet = [
        "a", ".", "(", ")", "[", "]", "{", "}", "\"", "'", "?", ":", "1", " ", "\\", "é", "&&", "-",
    ];
    let mut seed = 7_u64;
    for _ in 0..400 {
        let mut text = String::new();
        for _ in 0..12 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text += alphabet[usize::try_from(seed >> 33).unwrap() % alphabet.len()];
        }
        let _ = Expr::compile(&text);
    }
}

/// What is deep is refused, and by a thread with the stack that threads of the data plane have.
#[test]
fn depth_has_a_limit() {
    let run = || {
        for (one, many) in [
            ("1", "+1"),
            ("-", "-"),
            ("!", "!"),
            ("[", "["),
            ("a", ".a"),
            ("1", "?1:1"),
            ("true", "&&true"),
            ("(", "("),
            ("{1:", "{1:"),
            ("request", "[0]"),
            ("f(", "f("),
        ] {
            for length in [200, LONGEST] {
                let mut text = one.to_owned();
                while text.len() + many.len() <= length {
                    text += many;
                }
                if let Ok(expr) = Expr::compile(&text) {
                    let mut headers = HeaderMap::new();
                    let mut state = State::default();
                    let exchange = Exchange::new(mk_request(), Stage::Request(&mut headers), &mut state);
                    let _ = expr.json(&exchange, Duration::ZERO);
                }
            }
        }
    };
    std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
    let long = "1".to_owned() + &"+1".repeat(1000);
    assert!(Expr::compile(&long).is_err());
}
