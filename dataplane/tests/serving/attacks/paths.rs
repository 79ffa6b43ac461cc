//! What is judged, matched and forwarded is one path.

use super::Section;
use super::requests::Then::{Passes, Refused};
use super::requests::{Attack, NOTHING, attack, carry_out, raw};
use super::stage::Stage;

pub async fn section(stage: &Stage) -> Section {
    let preface = "What is judged, matched, logged and forwarded is one path.";
    Section::new("Path confusion", preface, carry_out(ATTACKS, stage).await)
}

const ATTACKS: &[Attack] = &[
    attack(
        "climbing",
        "GET /proxy/public/../known/x HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "climbing, encoded",
        "GET /proxy/public/%2e%2e/known/x HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "climbing, half encoded",
        "GET /proxy/public/.%2E/known/x HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "climbing behind an encoded slash",
        "GET /proxy/public%2f..%2fknown HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "climbing at the end",
        "GET /proxy/known/.. HTTP/1.1",
        "",
        Refused(400),
    ),
    attack("a single dot", "GET /proxy/./known HTTP/1.1", "", Refused(400)),
    attack(
        "a backslash",
        "GET /proxy/public\\..\\known HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "a backslash, encoded",
        "GET /proxy/a%5c..%5cb HTTP/1.1",
        "",
        Refused(400),
    ),
    attack("NUL", "GET /proxy/a%00b HTTP/1.1", "", Refused(400)),
    attack(
        "a control character",
        "GET /proxy/a%0d%0aX-Evil:1 HTTP/1.1",
        "",
        Refused(400),
    ),
    attack("half an escape", "GET /proxy/a%2 HTTP/1.1", "", Refused(400)),
    attack("no escape", "GET /proxy/a%zz HTTP/1.1", "", Refused(400)),
    attack(
        "an encoded slash separates nothing",
        "GET /proxy%2fknown HTTP/1.1",
        "",
        Refused(404),
    ),
    attack(
        "an encoded slash stays one",
        "GET /proxy/a%2fb HTTP/1.1",
        "",
        Passes("get /proxy/a%2fb", NOTHING),
    ),
    attack(
        "an encoded letter is that letter",
        "GET /proxy/%6bnown/x HTTP/1.1",
        "X-Remote-User: root\r\n",
        Passes("get /proxy/known/x", "root"),
    ),
    attack(
        "two slashes are no authority",
        "GET //proxy/known HTTP/1.1",
        "",
        Refused(404),
    ),
    attack(
        "climbing, encoded twice, is a name",
        "GET /proxy/%252e%252e/x HTTP/1.1",
        "",
        Passes("get /proxy/%252e%252e/x", NOTHING),
    ),
    attack(
        "climbing in overlong UTF-8 is a name",
        "GET /proxy/%c0%ae%c0%ae/x HTTP/1.1",
        "",
        Passes("get /proxy/%c0%ae%c0%ae/x", NOTHING),
    ),
    attack(
        "climbing with a parameter",
        "GET /proxy/public/..;/known/x HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "the same, encoded",
        "GET /proxy/public/%2e%2e%3bv=1/known/x HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "dots before a parameter that is that of a name",
        "GET /proxy/a..;/x HTTP/1.1",
        "",
        Passes("get /proxy/a..;/x", NOTHING),
    ),
    attack(
        "a single dot, encoded",
        "GET /proxy/%2e/known HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "climbing before an encoded slash",
        "GET /proxy/..%2fknown HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "climbing in the query stays there",
        "GET /proxy/x?a=/../known HTTP/1.1",
        "",
        Passes("get /proxy/x?a=/../known", NOTHING),
    ),
    attack(
        "climbing with a backslash in upper case",
        "GET /proxy/a%5C..%5Cb HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "climbing made by stripPathPrefix",
        "GET /proxy/strip../x HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "the same, encoded",
        "GET /proxy/strip%2e%2e/x HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "an authority made by stripPathPrefix is a path",
        "GET /proxy/strip//evil.example/x HTTP/1.1",
        "",
        Passes("get //evil.example/x http/1.1", NOTHING),
    ),
    attack(
        "two slashes do not lead around a route",
        "GET /proxy//known/x HTTP/1.1",
        "X-Remote-User: root\r\n",
        Passes("get /proxy//known/x", "x-remote"),
    ),
    attack(
        "a parameter does not either",
        "GET /proxy/known;v=1/x HTTP/1.1",
        "X-Remote-User: root\r\n",
        Passes("get /proxy/known;v=1/x", "x-remote"),
    ),
    attack(
        "another case is another path",
        "GET /PROXY/known/x HTTP/1.1",
        "",
        Refused(404),
    ),
    attack(
        "another case is another group",
        "GET /kapis/SHOP.example/v1/carts HTTP/1.1",
        "",
        Refused(404),
    ),
    attack(
        "an encoded letter of a group",
        "GET /kapis/%73hop.example/v1/carts HTTP/1.1",
        "X-Remote-User: root\r\n",
        Passes("get /kapis/shop.example/v1/carts", "root"),
    ),
    attack(
        "an encoded slash behind a group",
        "GET /kapis/shop.example%2fv1/carts/x HTTP/1.1",
        "",
        Refused(404),
    ),
    attack(
        "a subresource that is not allowed",
        "GET /kapis/shop.example/v1/namespaces/n/carts/x/exec HTTP/1.1",
        "",
        Refused(403),
    ),
    attack(
        "the same behind an encoded slash, which other servers decode",
        "GET /kapis/shop.example/v1/namespaces/n/carts/x%2fexec HTTP/1.1",
        "",
        Refused(403),
    ),
    attack(
        "the same, encoded twice",
        "GET /kapis/shop.example/v1/namespaces/n/carts/x%252fexec HTTP/1.1",
        "",
        Refused(403),
    ),
    attack(
        "the same behind two slashes, which other servers merge",
        "GET /kapis/shop.example/v1/namespaces/n/carts/x//exec HTTP/1.1",
        "",
        Refused(403),
    ),
    attack(
        "a name with a space, in every reading",
        "GET /kapis/shop.example/v1/namespaces/n/carts/x%20y HTTP/1.1",
        "",
        Passes("get /kapis/shop.example/v1/namespaces/n/carts/x%20y", NOTHING),
    ),
    attack(
        "a line end, encoded",
        "GET /proxy/a%0ab HTTP/1.1",
        "",
        Refused(400),
    ),
    attack("DEL, encoded", "GET /proxy/a%7fb HTTP/1.1", "", Refused(400)),
    attack("a tab", "GET /proxy/a\tb HTTP/1.1", "", Refused(400)),
    attack("NUL, raw", "GET /proxy/a\0b HTTP/1.1", "", Refused(400)),
    attack(
        "a raw letter beyond ASCII",
        "GET /proxy/caf\u{e9} HTTP/1.1",
        "",
        Passes("get /proxy/caf%c3%a9", NOTHING),
    ),
    raw(
        "bytes that are no text",
        b"GET /proxy/\xff\xfe HTTP/1.1\r\nHost: gw.example\r\n\r\n",
        Passes("get /proxy/%ff%fe", NOTHING),
    ),
    attack(
        "marks that a parser may trip over",
        "GET /proxy/a\"<b>`{|}^ HTTP/1.1",
        "",
        Passes("get /proxy/a%22%3cb%3e%60%7b%7c%7d%5e", NOTHING),
    ),
    attack(
        "an encoded question mark",
        "GET /proxy/a%3fb HTTP/1.1",
        "",
        Passes("get /proxy/a%3fb", NOTHING),
    ),
    attack(
        "an encoded fragment",
        "GET /proxy/a%23b HTTP/1.1",
        "",
        Passes("get /proxy/a%23b", NOTHING),
    ),
    attack(
        "a path that stripPathPrefix leaves empty",
        "GET /proxy/strip HTTP/1.1",
        "",
        Passes("get / http/1.1", NOTHING),
    ),
    attack(
        "a path without a slash behind stripPathPrefix",
        "GET /proxy/stripx HTTP/1.1",
        "",
        Passes("get /x http/1.1", NOTHING),
    ),
    attack(
        "a longer word is not below its beginning",
        "GET /proxyknown/x HTTP/1.1",
        "",
        Refused(404),
    ),
    attack(
        "another host behind two slashes is no redirect",
        "GET //evil.example/proxy/.known HTTP/1.1",
        "",
        Refused(404),
    ),
    attack(
        "a cluster that does not exist",
        "GET /clusters/other/proxy/known/x HTTP/1.1",
        "",
        Refused(400),
    ),
];
