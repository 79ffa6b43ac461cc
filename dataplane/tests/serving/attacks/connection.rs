//! What belongs to one connection stays there, and nobody acts as somebody else.

use super::Section;
use super::requests::Then::{Passes, Refused};
use super::requests::{Attack, NOTHING, attack, carry_out};
use super::stage::Stage;

const KNOWN: &str = "GET /proxy/known/x HTTP/1.1";
const PLAIN: &str = "GET /proxy/x HTTP/1.1";
const API: &str = "GET /kapis/shop.example/v1/carts HTTP/1.1";

pub async fn section(stage: &Stage) -> Section {
    let preface = "Nobody acts as somebody else, and `Connection` deletes nothing that others rely on.";
    Section::new(
        "Impersonation and hop-by-hop headers",
        preface,
        carry_out(ATTACKS, stage).await,
    )
}

const ATTACKS: &[Attack] = &[
    attack("impersonation", PLAIN, "Impersonate-User: root\r\n", Refused(403)),
    attack(
        "impersonation of a group, spelt otherwise",
        PLAIN,
        "impersonate_group: system:masters\r\n",
        Refused(403),
    ),
    attack(
        "impersonation with an extra",
        API,
        "Impersonate-Extra-Scopes: all\r\n",
        Refused(403),
    ),
    attack(
        "impersonation of an uid",
        KNOWN,
        "Impersonate-Uid: 0\r\n",
        Refused(403),
    ),
    attack(
        "impersonation where nothing is served",
        "GET /nothing HTTP/1.1",
        "Impersonate-User: root\r\n",
        Refused(403),
    ),
    attack(
        "impersonation in a member cluster",
        "GET /clusters/host/api/v1/pods HTTP/1.1",
        "Impersonate-User: root\r\n",
        Refused(403),
    ),
    attack(
        "impersonation on an upgrade",
        PLAIN,
        "Connection: Upgrade\r\nUpgrade: websocket\r\nImpersonate-User: root\r\n",
        Refused(403),
    ),
    attack(
        "impersonation before Kubernetes itself, which is not served here",
        "GET /api/v1/pods HTTP/1.1",
        "Impersonate-User: root\r\n",
        Refused(404),
    ),
    attack(
        "the same at its documents",
        "GET /openapi/v2 HTTP/1.1",
        "Impersonate-User: root\r\n",
        Refused(404),
    ),
    attack(
        "the same at a path that only begins like one of them",
        "GET /versions HTTP/1.1",
        "Impersonate-User: root\r\n",
        Refused(403),
    ),
    attack(
        "impersonation with dots",
        PLAIN,
        "Impersonate.User: root\r\n",
        Refused(403),
    ),
    attack(
        "identity named by Connection, to delete what genkan sets",
        KNOWN,
        "Connection: X-Remote-User\r\n",
        Passes("x-remote-user: system:anonymous", NOTHING),
    ),
    attack(
        "the mark of a loop named by Connection",
        PLAIN,
        "Connection: CDN-Loop\r\nCDN-Loop: genkan\r\n",
        Refused(400),
    ),
    attack(
        "the mark of a loop under directives that would take it off",
        "GET /proxy/erasing/x HTTP/1.1",
        "CDN-Loop: a.example; v=\"1\"\r\nCDN-Loop: genkan\r\n",
        Passes("cdn-loop: a.example; v=\"1\", genkan, genkan\r\n", "other"),
    ),
    attack(
        "a loop that took X-Forwarded-For off",
        "GET /proxy/erasing/x HTTP/1.1",
        "CDN-Loop: genkan, genkan, genkan, genkan, genkan, genkan, genkan, genkan, genkan, genkan, genkan, genkan\r\n\
         CDN-Loop: Genkan; a=1, genkan, genkan, genkan, genkan, genkan, genkan, genkan, genkan\r\n",
        Refused(508),
    ),
    attack(
        "a long way through others is no loop",
        PLAIN,
        "CDN-Loop: a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, genkan.example\r\n",
        Passes(
            "cdn-loop: a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, genkan.example, genkan\r\n",
            NOTHING,
        ),
    ),
    attack(
        "X-Forwarded-For named by Connection",
        PLAIN,
        "Connection: X-Forwarded-For\r\n",
        Refused(400),
    ),
    attack(
        "Authorization named by Connection",
        PLAIN,
        "Connection: close, authorization\r\n",
        Refused(400),
    ),
    attack(
        "Host named by Connection",
        PLAIN,
        "Connection: host\r\n",
        Refused(400),
    ),
    attack(
        "Impersonate-User named by Connection",
        PLAIN,
        "Connection: Impersonate-User\r\n",
        Refused(400),
    ),
    attack(
        "a loop",
        PLAIN,
        "X-Forwarded-For: 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21\r\n",
        Refused(508),
    ),
    attack(
        "X-Forwarded-Host named by Connection, with an underscore",
        PLAIN,
        "Connection: X_Forwarded_Host\r\n",
        Refused(400),
    ),
    attack(
        "Content-Length named by Connection",
        "POST /proxy/x HTTP/1.1",
        "Connection: Content-Length\r\nContent-Length: 0\r\n",
        Refused(400),
    ),
    attack(
        "Transfer-Encoding named by Connection",
        "POST /proxy/x HTTP/1.1",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        Refused(400),
    ),
    attack(
        "a header of one's own named by Connection",
        PLAIN,
        "Connection: X-Secret\r\nX-Secret: 1\r\n",
        Passes("get /proxy/x", "x-secret"),
    ),
    attack(
        "a credential for a proxy",
        PLAIN,
        "Proxy-Authorization: Basic cm9vdDpy\r\n",
        Passes("get /proxy/x", "proxy-authorization"),
    ),
    attack(
        "how long to keep a connection",
        PLAIN,
        "Proxy-Connection: keep-alive\r\nKeep-Alive: timeout=9\r\n",
        Passes("get /proxy/x", "keep-alive"),
    ),
    attack(
        "a coding that a backend might use for its answer",
        PLAIN,
        "TE: gzip, trailers\r\n",
        Passes("te: trailers", "gzip"),
    ),
    attack(
        "another address of one's own",
        PLAIN,
        "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\n",
        Passes("x-forwarded-for: 10.0.0.1, 10.0.0.2, 127.0.0.1\r\n", NOTHING),
    ),
    attack(
        "another host of one's own, which no proxy in front says",
        PLAIN,
        "X-Forwarded-Host: other.example\r\n",
        Passes("x-forwarded-host: gw.example\r\n", "other.example"),
    ),
    attack(
        "another scheme, port and prefix of one's own",
        PLAIN,
        "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /evil\r\n",
        Passes("x-forwarded-proto: http\r\nx-forwarded-port: 80\r\n", "evil"),
    ),
    attack(
        "all of them in one header",
        PLAIN,
        "Forwarded: for=192.0.2.1;host=evil.example;proto=https\r\n",
        Passes("forwarded: for=127.0.0.1;host=gw.example;proto=http\r\n", "evil"),
    ),
    attack(
        "a name that was made to lead here, with its own Origin",
        "POST /proxy/x HTTP/1.1",
        "Origin: http://gw.example\r\nReferer: http://gw.example/proxy/x\r\nContent-Length: 0\r\n",
        Passes("origin: http://gw.example\r\n", "referer: http://127"),
    ),
    attack(
        "a service worker for an object without a directory of its own",
        "GET /proxy/strip/sw.js HTTP/1.1",
        "Service-Worker: script\r\n",
        Refused(403),
    ),
    attack(
        "a page of another site that asks beside a UI as if it were its page",
        "POST /data HTTP/1.1",
        "Sec-Fetch-Site: cross-site\r\nReferer: http://gw.example/proxy/full/\r\nContent-Length: 0\r\n",
        Refused(404),
    ),
    attack(
        "the same without a word of where it comes from",
        "GET /data HTTP/1.1",
        "Referer: http://gw.example/proxy/full/\r\n",
        Refused(404),
    ),
    attack(
        "a page of a UI that asks for what is Kubernetes'",
        "GET /api/v1/secrets HTTP/1.1",
        "Sec-Fetch-Site: same-origin\r\nReferer: http://gw.example/proxy/full/\r\n",
        Refused(404),
    ),
    attack(
        "a page of a UI with two Referers",
        "GET /data HTTP/1.1",
        "Sec-Fetch-Site: same-origin\r\nReferer: http://gw.example/proxy/full/\r\nReferer: http://gw.example/\r\n",
        Refused(404),
    ),
];
