use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::exchange::{Request, Source, Stage, State};

fn mk_request() -> Request<'static> {
    Request {
        id: "1-2",
        method: "POST",
        scheme: "https",
        host: "gw.test",
        path: "/proxy/shop/items",
        query: "a=1&b=%2F&a=2",
        route: "shop",
        source: Source::default(),
        caller: crate::Caller {
            user: "ann",
            ..crate::Caller::default()
        },
    }
}

fn truth(text: &str) -> Result<bool, String> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("plan", HeaderValue::from_static("gold"));
    let mut state = State::default();
    state.vars.insert("my.amount".into(), json!(7));
    state.vars.insert("my.list".into(), json!([1, 2, 3]));
    state.vars.insert("message.body.a".into(), json!("forged"));
    state.vars.insert("api.operation.id".into(), json!("list"));
    state.vars.insert("request.parameters.id".into(), json!("4711"));
    let mut exchange = Exchange::new(mk_request(), Stage::Request(&mut headers), &mut state);
    exchange.body = Some(r#"{"a":{"b":2.0},"l":[{"x":1},{"x":2}],"t":"é"}"#.into());
    exchange.params = Some(Arc::new(json!({"zone": "z"}).as_object().unwrap().clone()));
    Jsonata::compile(text)?.truth(&exchange)
}

#[test]
fn the_context_is_that_of_an_api() {
    for text in [
        r#"$header("Plan") = "gold""#,
        r#"$header("plan")="gold" and $httpVerb() = "POST""#,
        r#"request.headers.Plan = "gold" and message.headers."Content-Type" = "application/json""#,
        r#"$operationPath() = "/proxy/shop/items" and $operationID() = "list""#,
        r#"$queryParameter("b") = "/" and $queryParameter('a') = "1""#,
        r#"$urlParameter("id") = "4711""#,
        r#"$storageType() = "json" and $storageType("message.body") = "json""#,
        "$not($exists($statusCode()))",
        r#"$apiCtx().request.verb = "POST" and $apiCtx().session.globalTransactionID = "1-2""#,
        "message.body.a.b = 2 and $count(message.body.l) = 2",
        "$sum(request.body.l.x) = 3",
        "message.body.l[x > 1].x = 2",
        "$map(message.body.l, function($l) { $l.x * 2 }) = [2, 4]",
        "my.amount > 5 and 2 in my.list and vars.\"my.amount\" = 7",
        r#"params.zone = "z" and local.parameter.zone = "z""#,
        r#"auth.user = "ann" and route.name = "shop""#,
        r#"[1, [2, 3]] = [1, [2, 3]] and {"a": 1}.a = 1"#,
        r#"$distinct([1, 2, 1]) = [1, 2] and ([1, 2, 1] ~> $distinct) = [1, 2]"#,
        r#"$join(["a", "b"], "-") = "a-b" and $pad("a", -3, "0") = "00a" and $replace("aXb", /[A-Z]/, "-") = "a-b""#,
        r#"("a" ~> $uppercase) & "b" = "Ab""#,
        "(**.x)[0] = 1",
        r#"$string(message.body.a) = "{\"b\":2}""#,
        "message.body.l",
    ] {
        assert_eq!(truth(text), Ok(true), "{text}");
    }
    for text in [
        "message.body.none",
        "0",
        r#""""#,
        "[0, []]",
        "null",
        "$statusCode() != 200",
        "{}",
        "my.none = 1",
    ] {
        assert_eq!(truth(text), Ok(false), "{text}");
    }
}

#[test]
fn bodies_are_read_only_if_they_are_mentioned() {
    for (text, expected) in [
        (r#"$header("plan") = "gold""#, [false, false]),
        ("request.headers.*", [false, false]),
        ("$string($$)", [false, false]),
        ("request.body.x", [true, false]),
        ("message.body.x", [false, true]),
        ("$exists(body)", [false, true]),
        ("message.*", [false, true]),
        ("$lookup(message, 'body')", [false, true]),
        ("message[$contains(body.a, 'x')]", [false, true]),
        ("$storageType() = 'xml'", [false, true]),
        ("$.**.card", [false, true]),
    ] {
        let read = Jsonata::compile(text).unwrap();
        let reads = ["request", "message"].map(|root| read.reads_body(root));
        assert_eq!(reads, expected, "{text}");
    }
    // What is not mentioned is not there, however it is looked for.
    assert_eq!(truth(r#"$exists($lookup(message, "bo" & "dy"))"#), Ok(false));
}

#[test]
fn what_cannot_be_used_is_refused_with_a_sentence() {
    for (text, expected) in [
        ("$header(", "S0"),
        (
            "$xpath(message.body, '/a')",
            "$xpath is not offered; bodies are not read as XML",
        ),
        (
            "$map(['1'], $eval)",
            "$eval is not offered; what is evaluated has to be written out",
        ),
        ("$heder('plan') = 'gold'", "there is no function $heder"),
        ("$plan = 'gold'", "there is no variable $plan"),
        ("header('plan')", "header is no function; write $header"),
        (
            "$map(l, $pad)",
            "$pad has to be called by its name, and cannot be handed on",
        ),
        (
            "($p := $pad(?, ?); $p('x', 5))",
            "$pad has to be called by its name, and cannot be handed on",
        ),
        (
            "my.amount.$formatInteger('I')",
            "$formatInteger needs both of its arguments here",
        ),
        ("/(/", "/(/ is no pattern that can be used"),
    ] {
        let refused = Jsonata::compile(text).err().unwrap_or_default();
        assert!(refused.contains(expected), "{text}: {refused}");
    }
    let long = format!("\"{}\"", "x".repeat(LONGEST));
    assert_eq!(
        Jsonata::compile(&long).unwrap_err(),
        "it has 16386 bytes, and 16384 are the most"
    );
    for deep in [
        "(".repeat(8000),
        format!("{}1{}", "[".repeat(4000), "]".repeat(4000)),
        format!("1{}", "+1".repeat(8000)),
        format!("1{}", "&1".repeat(150) + &"?1".repeat(300)),
        "-".repeat(16_000),
        format!("a{}", ".a[1]".repeat(3000)),
        format!("a{}", "{'a':1}".repeat(2000)),
    ] {
        // It may be refused, and it must end.
        let _ = Jsonata::compile(&deep);
    }
}

/// Whatever an expression does, it ends, and takes no thread with it.
#[test]
fn hostile_expressions_end_as_errors() {
    const DOUBLED: &str = "$d := function($x, $n) { $n = 0 ? $x : $d(";
    for (text, expected) in [
        (
            "($f := function($n) { 1 + $f($n) }; $f(1))".to_owned(),
            "1,000 levels",
        ),
        ("($f := function() { $f() }; $f())".to_owned(), "50 ms"),
        ("$count([1..10000000])".to_owned(), "100,000 items"),
        ("$count([1..100000].([1..100000]))".to_owned(), ""),
        ("$sum([1..100000].($sum([1..100000])))".to_owned(), "50 ms"),
        (
            format!("({DOUBLED}$x & $x, $n - 1) }}; $length($d('xxxxxxxx', 60)))"),
            "256 KiB",
        ),
        (
            format!("({DOUBLED}[$x, $x], $n - 1) }}; $length($string($d(1, 60))))"),
            "100,000 values",
        ),
        (
            format!("({DOUBLED}{{'a': $x, 'b': $x}}, $n - 1) }}; $d(1, 60) = $d(1, 60))"),
            "",
        ),
        (
            format!("({DOUBLED}$append($x, $x), $n - 1) }}; $count($d([1], 60)))"),
            "100,000",
        ),
        ("$length($pad('x', 1000000000))".to_owned(), "10,000"),
        (
            "($f := $string; $length('x' ~> $pad(1000000000)))".to_owned(),
            "10,000",
        ),
        (
            format!("$length($join([1..100000].'', '{}'))", "x".repeat(10_000)),
            "256 bytes",
        ),
        (
            format!("$length([1..100000].'' ~> $join('{}'))", "x".repeat(10_000)),
            "256 bytes",
        ),
        ("$count($distinct([1..100000]))".to_owned(), "1,000 items"),
        ("$count([1..100000] ~> $distinct)".to_owned(), "1,000 items"),
        ("$length($formatInteger(1e14, 'I'))".to_owned(), "1,000,000"),
        ("(1e14 ~> $formatInteger('I'))".to_owned(), "1,000,000"),
        (
            "$reduce([1..100000], function($a, $b) { [$a, [$a, $b]] })".to_owned(),
            "",
        ),
        ("$count([1..100000][$count([1..1000]) > 1])".to_owned(), "50 ms"),
        (
            "$sort([1..100000], function($a, $b) { $count([1..1000]) > 1 })".to_owned(),
            "50 ms",
        ),
        ("$match($pad('', 10000, 'a'), /(a*)*b/)".to_owned(), ""),
    ] {
        let begun = Instant::now();
        let result = truth(&text);
        let took = begun.elapsed();
        let short = &text[..text.len().min(80)];
        assert!(took < Duration::from_secs(5), "{short}: {took:?} {result:?}");
        if !expected.is_empty() {
            let error = result.expect_err(short);
            assert!(error.contains(expected), "{short}: {error}");
        }
    }
    // Where there is little room already.
    let small = std::thread::Builder::new().stack_size(256 << 10);
    let ends = small.spawn(|| truth("($f := function($n) { 1 + $f($n) }; $f(1))").is_err());
    assert!(ends.unwrap().join().unwrap());
}

#[test]
fn values_of_a_message_are_in_no_sentence() {
    let error = truth(r#"message.body.t * 2"#).unwrap_err();
    assert_eq!(error, "the expression does not fit the values that it finds");
    let error = truth(r#"$error(message.headers.plan)"#).unwrap_err();
    assert_eq!(error, "the expression does not fit the values that it finds");
}

#[test]
fn paths_are_made_of_names() {
    use crate::builtins::Part;
    let member = |name: &str| Part::Member(name.to_owned());
    for (text, parts) in [
        ("$.**.card", vec![Part::Below, member("card")]),
        ("$$.a.*", vec![member("a"), Part::Each]),
        (
            "message.body.secret",
            vec![member("message"), member("body"), member("secret")],
        ),
        ("card", vec![member("card")]),
    ] {
        assert_eq!(path(text).unwrap(), parts, "{text}");
    }
    for text in ["$.**", "**", "a[0]", "a.$string(b)", "1", "a.b &", "$"] {
        assert!(path(text).is_err(), "{text}");
    }
}

/// What is measured has the same value.
#[test]
fn a_measure_changes_no_value() {
    let data = json!({
        "l": [{"x": 1, "t": "a"}, {"x": 2, "t": "b"}, {"x": 2, "t": "c"}],
        "o": {"a": {"b": [1, [2, 3]]}, "n": null}, "one": [5], "s": "aXbX", "e": [],
    });
    let data = values::of_json(&data);
    for text in [
        "l.x",
        "l[x = 2].t",
        "l[1]",
        "l[-1].x",
        "one",
        "one[]",
        "[one]",
        "[one[]]",
        "[l.x, l.t]",
        "[[1], [2]]",
        "[$append([1], [2]), 3]",
        "[1..3]",
        "[[1..2], 5]",
        "l.[x, t]",
        "l.{'k': x}",
        "l{t: x}",
        "l{t: $sum(x)}",
        "l^(>x).t",
        "l^(t, <x)[0]",
        "l#$i.{'i': $i, 'x': x}",
        "l@$a.{'a': $a.x}",
        "l.(%.s & t)",
        "o.**.b",
        "o.*",
        "$keys(o)",
        "$merge([o, {'z': 1}])",
        "$each(o, function($v, $k) { $k })",
        "$sift(o, function($v) { $v = null })",
        "$map(l, function($v, $i) { $i & $v.t })",
        "$filter(l.x, function($v) { $v > 1 })",
        "$reduce(l.x, function($a, $b) { $a + $b })",
        "$single(l, function($v) { $v.x = 1 })",
        "$sort(l.t, function($a, $b) { $a < $b })",
        "$zip(l.x, l.t)",
        "$spread(l)",
        "$split(s, 'X')",
        "$replace(s, 'X', '-')",
        "$replace(s, /X/, function($m) { $lowercase($m.match) })",
        "$match(s, /X/)",
        "$pad(s, 8, '#')",
        "$join(l.t, '+')",
        "l.t ~> $join('+')",
        "l.x ~> $sum",
        "l.x ~> $map(function($v) { $v * 2 }) ~> $sum()",
        "($first := $substring(?, 0, 1); $first(s))",
        "($f := $uppercase ~> $trim; $f(' a '))",
        "$distinct(l.x)",
        "l.x ~> $distinct()",
        "none",
        "[none]",
        "{'a': none, 'b': 1}",
        "$exists(none)",
        "none & 's'",
        "none = none",
        "s in ['aXbX']",
        "$string(o)",
        "$ ~> |o.a|{'c': 1}, 'b'|",
        "$lookup(l, 't')",
        "$count(e)",
        "e",
        "[e]",
        "l.$string(x)",
        "s.$uppercase()",
        "s.$pad(6)",
        "($fac := function($n) { $n <= 1 ? 1 : $n * $fac($n - 1) }; $fac(5))",
        "(function($a, $b) { [$a, $b] })(l.x, 1)",
        "l ? 'y' : 'n'",
        "o.n ?? 'd'",
        "none ?: 'd'",
        "-l[0].x",
        "l.x[$ > 1]",
        "$type(o.a.b)",
        "$boolean([0, [0]])",
        "{'a': [1]}.a",
        "{'a': [1]}.a = 1",
        "l.x = [1, 2, 2]",
        "[l.x][0]",
        "$formatNumber(1234.5, '#,##0.00')",
        "$formatInteger(7, 'I')",
        "7 ~> $formatInteger('w')",
        "$base64encode(s)",
        "$append(one, l.x)",
        "$reverse(l.x)",
        "$average(l.x) > 1 and s != 'a'",
        "l.(t & x)",
        "$not(l)",
        "$lowercase(s) = 'axbx' or $error('no')",
    ] {
        let original = parser::parse(text).unwrap();
        let mut changed = parser::parse(text).unwrap();
        bound::bounded(&mut changed).unwrap();
        let value = |tree: &AstNode| {
            let mut evaluator = Evaluator::new();
            measure::add(&mut evaluator).unwrap();
            let value = evaluator.evaluate(tree, &data);
            value.map(|value| (value.is_undefined(), value.to_json_string().unwrap()))
        };
        let (original, changed) = (value(&original), value(&changed));
        assert_eq!(format!("{changed:?}"), format!("{original:?}"), "{text}");
    }
}
