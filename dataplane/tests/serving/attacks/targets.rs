//! What else stands in a request line.

use super::Section;
use super::requests::Then::{Answered, Passes, Refused};
use super::requests::{Attack, NOTHING, attack, carry_out, raw};
use super::stage::Stage;

pub async fn section(stage: &Stage) -> Section {
    let preface = "One host, one method, one target, and no way out of the request line.";
    Section::new("Targets and methods", preface, carry_out(ATTACKS, stage).await)
}

const PLAIN: &str = "GET /proxy/x HTTP/1.1";

const ATTACKS: &[Attack] = &[
    attack("a fragment", "GET /proxy/a#b HTTP/1.1", "", Refused(400)),
    attack(
        "a fragment behind the query",
        "GET /proxy/a?b#c HTTP/1.1",
        "",
        Refused(400),
    ),
    attack("a space", "GET /proxy/a b HTTP/1.1", "", Refused(400)),
    attack(
        "another host in the target",
        "GET http://evil.example/proxy/x HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "https on the plain port",
        "GET https://gw.example/proxy/x HTTP/1.1",
        "",
        Refused(400),
    ),
    attack("the asterisk", "GET * HTTP/1.1", "", Refused(400)),
    attack("another tunnel", "CONNECT 10.0.0.1:22 HTTP/1.1", "", Refused(405)),
    attack("a mirror", "TRACE /proxy/x HTTP/1.1", "", Refused(405)),
    attack(
        "a space in the query",
        "GET /proxy/a?b c HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "a query that ends the request line",
        PLAIN,
        "X-KubeSphere-Rawquery: a HTTP/1.1\r\n",
        Refused(400),
    ),
    attack(
        "a fragment by the same header",
        PLAIN,
        "X-KubeSphere-Rawquery: a#b\r\n",
        Refused(400),
    ),
    attack("no slash at all", "GET proxy/x HTTP/1.1", "", Refused(400)),
    attack(
        "the same host in the target",
        "GET http://gw.example/proxy/x?a=1 HTTP/1.1",
        "",
        Passes("get /proxy/x?a=1 http/1.1", NOTHING),
    ),
    attack(
        "the same host with another port",
        "GET http://gw.example:8080/proxy/x HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "somebody before the host in the target",
        "GET http://gw.example@evil.example/proxy/x HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "no host in the target",
        "GET http:///proxy/x HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "another scheme",
        "GET ftp://gw.example/proxy/x HTTP/1.1",
        "",
        Refused(400),
    ),
    attack(
        "climbing behind a host",
        "GET http://gw.example/proxy/public/../known/x HTTP/1.1",
        "",
        Refused(400),
    ),
    attack("the server itself", "OPTIONS * HTTP/1.1", "", Answered(200)),
    raw(
        "another host where HTTP/1.0 needs none",
        b"GET http://u@evil.example/proxy/x HTTP/1.0\r\n\r\n",
        Refused(400),
    ),
    attack(
        "a method that nobody knows",
        "PURGE /proxy/x HTTP/1.1",
        "",
        Passes("purge /proxy/x", NOTHING),
    ),
];
