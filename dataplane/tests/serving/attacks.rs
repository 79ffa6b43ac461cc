//! Spoofing, path confusion and framing, byte for byte, each with its answer. `docs/attacks.md` is written from here.

use std::fmt::Write as _;

use tokio::time::timeout;

use crate::identity::serve;
use crate::kit::{Backend, Client, PATIENCE, a_moment};
use crate::process::Process;

/// One request, and what becomes of it.
struct Attack {
    name: &'static str,
    /// Everything behind the request line, which is `GET /proxy/known/x` unless `line` says otherwise.
    line: &'static str,
    rest: &'static str,
    then: Then,
}

enum Then {
    /// genkan answers with this code, and the backend learns of nothing.
    Refused(u16),
    /// The backend gets it with the first and without the second, in lower case; nobody means that there is none.
    Passes(&'static str, &'static str),
}

use Then::{Passes, Refused};

const KNOWN: &str = "GET /proxy/known/x HTTP/1.1";
const PLAIN: &str = "GET /proxy/x HTTP/1.1";
const API: &str = "GET /kapis/shop.example/v1/carts HTTP/1.1";
const POST: &str = "POST /proxy/x HTTP/1.1";

const fn attack(name: &'static str, line: &'static str, rest: &'static str, then: Then) -> Attack {
    Attack {
        name,
        line,
        rest,
        then,
    }
}

/// Who somebody is, is for genkan to say.
const SPOOFING: &[Attack] = &[
    attack(
        "a user of one's own",
        KNOWN,
        "X-Remote-User: root\r\n",
        Passes("x-remote-user: system:anonymous", "root"),
    ),
    attack(
        "the same to a backend that is told nothing",
        PLAIN,
        "X-Remote-User: root\r\n",
        Passes("get /proxy/x", "x-remote"),
    ),
    attack(
        "the same to an APIService",
        API,
        "X-Remote-User: root\r\n",
        Passes("x-remote-user: system:anonymous", "root"),
    ),
    attack(
        "another case",
        PLAIN,
        "x-rEmOtE-uSeR: root\r\n",
        Passes("get /proxy/x", "root"),
    ),
    attack(
        "an underscore for a hyphen",
        PLAIN,
        "X_Remote_User: root\r\n",
        Passes("get /proxy/x", "root"),
    ),
    attack(
        "both",
        PLAIN,
        "X-Remote_Group: system:masters\r\n",
        Passes("get /proxy/x", "masters"),
    ),
    attack(
        "a group beside one's own",
        KNOWN,
        "Authorization: Bearer tok-jane\r\nX-Remote-Group: system:masters\r\n",
        Passes("x-remote-user: jane", "masters"),
    ),
    attack(
        "an uid",
        PLAIN,
        "X-Remote-Uid: 0\r\n",
        Passes("get /proxy/x", "x-remote"),
    ),
    attack(
        "an extra of any name",
        PLAIN,
        "X-Remote-Extra-Scopes%2fall: 1\r\n",
        Passes("get /proxy/x", "x-remote"),
    ),
    attack(
        "the headers of plug-ins",
        PLAIN,
        "X-Plugin-User: root\r\n",
        Passes("get /proxy/x", "x-plugin"),
    ),
    attack(
        "identity named by Connection, to delete what genkan sets",
        KNOWN,
        "Connection: X-Remote-User\r\n",
        Passes("x-remote-user: system:anonymous", "\0"),
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
        "an identity on an upgrade",
        KNOWN,
        "Connection: Upgrade\r\nUpgrade: websocket\r\nX-Remote-User: root\r\n",
        Passes("x-remote-user: system:anonymous", "root"),
    ),
    attack(
        "an identity in a trailer",
        "POST /proxy/known/x HTTP/1.1",
        "Transfer-Encoding: chunked\r\nTrailer: X-Remote-User\r\n\r\n3\r\nabc\r\n0\r\nX-Remote-User: root\r\n",
        Passes("x-remote-user: system:anonymous", "root"),
    ),
    attack(
        "two tokens",
        PLAIN,
        "Authorization: Bearer tok-jane\r\nAuthorization: Bearer tok-joe\r\n",
        Refused(401),
    ),
    attack(
        "a token nobody gave",
        PLAIN,
        "Authorization: Bearer made-up\r\n",
        Refused(401),
    ),
    attack(
        "another scheme for a token",
        PLAIN,
        "Authorization: Token tok-jane\r\n",
        Refused(401),
    ),
    attack(
        "a good token, to be kept by the backend",
        KNOWN,
        "Authorization: Bearer tok-jane\r\n",
        Passes("x-remote-user: jane", "tok-jane"),
    ),
    attack(
        "the same by the header of KubeSphere",
        KNOWN,
        "X-KubeSphere-Authorization: Bearer tok-jane\r\n",
        Passes("x-remote-user: jane", "tok-jane"),
    ),
    attack(
        "the same beside another",
        KNOWN,
        "Authorization: Bearer tok-joe\r\nX-KubeSphere-Authorization: Bearer tok-jane\r\n",
        Passes("x-remote-user: joe", "tok-"),
    ),
    attack(
        "a loop",
        PLAIN,
        "X-Forwarded-For: 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21\r\n",
        Refused(508),
    ),
];

/// What is judged, matched and forwarded is one path.
const PATHS: &[Attack] = &[
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
    attack("a fragment", "GET /proxy/a#b HTTP/1.1", "", Refused(400)),
    attack(
        "a fragment behind the query",
        "GET /proxy/a?b#c HTTP/1.1",
        "",
        Refused(400),
    ),
    attack("a space", "GET /proxy/a b HTTP/1.1", "", Refused(400)),
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
        Passes("get /proxy/a%2fb", "\0"),
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
];

/// One reading of where a request ends.
const FRAMING: &[Attack] = &[
    attack(
        "a length and a coding",
        POST,
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        Refused(400),
    ),
    attack(
        "another coding",
        POST,
        "Transfer-Encoding: xchunked\r\n",
        Refused(400),
    ),
    attack(
        "a coding behind chunked",
        POST,
        "Transfer-Encoding: chunked, identity\r\n",
        Refused(400),
    ),
    attack(
        "a coding before chunked",
        POST,
        "Transfer-Encoding: gzip, chunked\r\n",
        Refused(501),
    ),
    attack(
        "chunked twice",
        POST,
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        Refused(400),
    ),
    attack(
        "chunked in HTTP/1.0",
        "POST /proxy/x HTTP/1.0",
        "Transfer-Encoding: chunked\r\n",
        Refused(400),
    ),
    attack(
        "two lengths",
        POST,
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        Refused(400),
    ),
    attack(
        "one length twice",
        POST,
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        Refused(400),
    ),
    attack(
        "a list of lengths",
        POST,
        "Content-Length: 3, 3\r\n",
        Refused(400),
    ),
    attack(
        "a length with a sign",
        POST,
        "Content-Length: +3\r\n",
        Refused(400),
    ),
    attack(
        "a length with a zero in front",
        POST,
        "Content-Length: 03\r\n",
        Refused(400),
    ),
    attack(
        "an endless length",
        POST,
        "Content-Length: 18446744073709551616\r\n",
        Refused(400),
    ),
    attack(
        "a space before the colon",
        POST,
        "Content-Length : 3\r\n",
        Refused(400),
    ),
    attack(
        "a folded line",
        PLAIN,
        "X-A: 1\r\n\tX-Remote-User: root\r\n",
        Refused(400),
    ),
    attack(
        "a bare line feed",
        PLAIN,
        "X-A: 1\nX-Remote-User: root\r\n",
        Refused(400),
    ),
    attack(
        "a bare carriage return",
        PLAIN,
        "X-A: 1\rX-Remote-User: root\r\n",
        Refused(400),
    ),
    attack("NUL in a value", PLAIN, "X-A: a\0b\r\n", Refused(400)),
    attack("two hosts", PLAIN, "Host: other.example\r\n", Refused(400)),
    attack(
        "an upgrade with a body",
        "POST /proxy/x HTTP/1.1",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n",
        Refused(400),
    ),
    attack(
        "an upgrade to h2c is none",
        PLAIN,
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        Passes("get /proxy/x", "h2c"),
    ),
    attack("no HTTP", "GET /proxy/x HTTP/3.0", "", Refused(505)),
];

const TABLES: [(&str, &[Attack]); 3] = [
    ("Spoofing", SPOOFING),
    ("Path confusion", PATHS),
    ("Framing", FRAMING),
];

async fn carry_out(attack: &Attack, process: &Process, backend: &Backend) -> String {
    let bytes = format!("{}\r\nHost: gw.example\r\n{}\r\n", attack.line, attack.rest);
    let (before, requests) = (backend.lengths(), backend.requests());
    let mut client = Client::connect(process.address).await;
    client.send(&bytes).await;
    let answer = client
        .answer()
        .await
        .unwrap_or_else(|| panic!("{}: no answer", attack.name));
    if matches!(attack.then, Passes(..)) && attack.rest.contains("chunked") {
        // The backend answers the head; its body must not be taken for what the next attack sends.
        let waiting = async {
            while !backend.received_since(&before).ends_with("\r\n0\r\n\r\n") {
                a_moment().await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("the whole body");
    }
    let received = backend.received_since(&before).to_ascii_lowercase();
    let what = format!("{}: {} and {received}", attack.name, answer.head);
    match attack.then {
        Refused(code) => {
            answer.assert_status(code);
            assert_eq!(backend.requests(), requests, "{what}");
            format!(
                "{code} `{}`",
                answer.header("x-genkan-reason").unwrap_or_default()
            )
        }
        Passes(with, without) => {
            assert!(received.contains(with) && !received.contains(without), "{what}");
            match (with.contains(": "), without) {
                (true, _) => format!("forwarded with `{with}`"),
                (false, "\0") => format!("forwarded as `{with}`"),
                (false, _) => "forwarded without it".to_owned(),
            }
        }
    }
}

#[tokio::test]
async fn every_attack_has_the_answer_that_the_page_says() {
    let (process, backend, _api) = serve(&[]).await;
    let mut page = "# Attacks\n\nWhat genkan answers to requests that want to be somebody else, to be read in two ways, or to end in two places.\nEach is sent by a test, byte for byte, behind `Host: gw.example`; `GENKAN_REWRITE=1` writes this page anew.\n".to_owned();
    for (title, attacks) in TABLES {
        let _ = write!(
            page,
            "\n## {title}\n\n| attack | sent | answer |\n| --- | --- | --- |\n"
        );
        for attack in attacks {
            let answer = carry_out(attack, &process, &backend).await;
            let sent = format!("{}\n{}", attack.line, attack.rest);
            let sent: Vec<String> = sent
                .split(['\n', '\r'])
                .filter(|line| !line.is_empty())
                .map(|line| format!("`{}`", line.escape_debug().to_string().replace('|', "\\|")))
                .collect();
            let _ = writeln!(page, "| {} | {} | {answer} |", attack.name, sent.join(" "));
        }
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/attacks.md");
    if std::env::var_os("GENKAN_REWRITE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/attacks.md has changed; GENKAN_REWRITE=1 rewrites it:\n{page}"
    );
}
