//! Links of answers, moved below the path that an object is published at.

use genkan_proto::v1alpha1::{BodyRule, Directives, RewriteLinks};

use crate::kit::{Answer, Backend, Client, Then};
use crate::objects::{mk_host, mk_proxy, none};
use crate::process::Process;
use crate::reviews::ApiServer;

fn mk_links(prefix: &str, rewrite_links: RewriteLinks) -> Directives {
    Directives {
        strip_path_prefix: prefix.into(),
        rewrite_links: rewrite_links.into(),
        ..none()
    }
}

fn mk_answer(head: &str, body: &str) -> &'static [u8] {
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{head}\r\n{body}");
    Vec::leak(answer.into_bytes())
}

async fn ask(process: &Process, line: &str, headers: &str) -> Answer {
    let mut client = Client::connect(process.address).await;
    client
        .send(format!(
            "{line} HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n{headers}\r\n"
        ))
        .await;
    client.answer().await.unwrap()
}

const HEAD: &str = "Content-Type: text/html\r\nETag: \"a\"\r\nAccept-Ranges: bytes\r\nContent-MD5: x\r\nDigest: x\r\n\
    Repr-Digest: x\r\nContent-Digest: x\r\nLink: </a.css>; rel=preload\r\nRefresh: 5; url=/next\r\n\
    Content-Location: /page\r\nAccess-Control-Allow-Origin: *\r\n";

#[tokio::test]
async fn the_head_fits_a_body_that_is_rewritten() {
    let page = Backend::start(mk_answer(HEAD, "<a href=/x>"), Then::Stay).await;
    let file = mk_answer(
        "Content-Type: text/html\r\nETag: \"a\"\r\nContent-Disposition: attachment\r\n",
        "<a href=/x>",
    );
    let file = Backend::start(file, Then::Stay).await;
    let process = Process::start(&[]).await;
    let resources = vec![
        mk_proxy(
            "ui",
            "/proxy/ui/*",
            mk_host(page.address),
            mk_links("/proxy/ui", RewriteLinks::Markup),
        ),
        mk_proxy(
            "file",
            "/proxy/file/*",
            mk_host(file.address),
            mk_links("/proxy/file", RewriteLinks::Markup),
        ),
        mk_proxy(
            "plain",
            "/proxy/plain/*",
            mk_host(page.address),
            mk_links("/proxy/plain", RewriteLinks::Off),
        ),
    ];
    process.operator.publish(resources).await;

    let answer = ask(
        &process,
        "GET /proxy/ui/",
        "Accept-Encoding: br, gzip, zstd\r\nRange: bytes=0-3\r\nSec-Fetch-Dest: document\r\n",
    )
    .await;
    assert_eq!(answer.text(), "<a href=/proxy/ui/x>");
    for (name, value) in [
        ("etag", Some("W/\"a\"")),
        ("link", Some("</proxy/ui/a.css>; rel=preload")),
        ("refresh", Some("5; url=/proxy/ui/next")),
        ("content-location", Some("/proxy/ui/page")),
        ("accept-ranges", None),
        ("content-md5", None),
        ("digest", None),
        ("repr-digest", None),
        ("content-digest", None),
        ("content-length", None),
        // That is a matter of wrapTransport.
        ("access-control-allow-origin", Some("*")),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let asked = page.received().to_lowercase();
    assert!(
        asked.contains("\r\naccept-encoding: gzip\r\n") && !asked.contains("\r\nrange:"),
        "{asked}"
    );
    // A HEAD says what a GET would.
    let head = ask(&process, "HEAD /proxy/ui/", "").await;
    assert_eq!(
        (head.header("etag"), head.header("content-length")),
        (Some("W/\"a\""), None)
    );

    let answer = ask(&process, "GET /proxy/file/", "").await;
    assert_eq!(
        (answer.text().as_str(), answer.header("etag")),
        ("<a href=/x>", Some("\"a\""))
    );

    let before = page.lengths();
    let answer = ask(
        &process,
        "GET /proxy/plain/",
        "Accept-Encoding: br\r\nRange: bytes=0-3\r\nSec-Fetch-Dest: document\r\n",
    )
    .await;
    assert_eq!(answer.text(), "<a href=/x>");
    assert_eq!(answer.header("link"), Some("</a.css>; rel=preload"));
    let asked = page.received_since(&before).to_lowercase();
    assert!(
        asked.contains("accept-encoding: br\r\n") && asked.contains("range: bytes=0-3\r\n"),
        "{asked}"
    );
}

#[tokio::test]
async fn style_sheets_are_a_matter_of_rewrite_links() {
    let sheet = Backend::start(
        mk_answer("Content-Type: text/css\r\n", "a{b:url(/x)}"),
        Then::Stay,
    )
    .await;
    let process = Process::start(&[]).await;
    let wrapped = Directives {
        wrap_transport: true,
        ..mk_links("/proxy/wrapped", RewriteLinks::Off)
    };
    let rules = Directives {
        rewrite_body: vec![BodyRule {
            content_type: "text/*".into(),
            from: "url(/".into(),
            to: "url(/elsewhere/".into(),
        }],
        ..none()
    };
    process
        .operator
        .publish(vec![
            mk_proxy(
                "ui",
                "/proxy/ui/*",
                mk_host(sheet.address),
                mk_links("/proxy/ui", RewriteLinks::Markup),
            ),
            mk_proxy("wrapped", "/proxy/wrapped/*", mk_host(sheet.address), wrapped),
            mk_proxy("rules", "/proxy/rules/*", mk_host(sheet.address), rules),
        ])
        .await;
    for (path, body) in [
        ("/proxy/ui/", "a{b:url(/proxy/ui/x)}"),
        ("/proxy/wrapped/", "a{b:url(/x)}"),
        ("/proxy/rules/", "a{b:url(/elsewhere/x)}"),
    ] {
        assert_eq!(ask(&process, &format!("GET {path}"), "").await.text(), body);
    }
}

#[tokio::test]
async fn documents_of_full_objects_get_a_script_and_what_escapes_is_sent_back() {
    let head = "Content-Type: text/html\r\nContent-Security-Policy: script-src 'self'\r\n";
    let page = Backend::start(mk_answer(head, "<head><a href=/x>"), Then::Stay).await;
    let process = Process::start(&[]).await;
    let mut directives = mk_links("/proxy/ui", RewriteLinks::Full);
    directives.header_down = vec!["X-Of-Object 1".into()];
    process
        .operator
        .publish(vec![mk_proxy(
            "ui",
            "/proxy/ui/*",
            mk_host(page.address),
            directives,
        )])
        .await;
    let answer = ask(&process, "GET /proxy/ui/", "Sec-Fetch-Dest: document\r\n").await;
    assert!(
        answer.text().starts_with("<head><script>(function")
            && answer.text().ends_with("<a href=/proxy/ui/x>"),
        "{answer:?}"
    );
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("script-src 'self' 'sha256-"), "{policy}");
    let answer = ask(&process, "GET /proxy/ui/", "Sec-Fetch-Dest: empty\r\n").await;
    assert_eq!(answer.text(), "<head><a href=/proxy/ui/x>");
    assert_eq!(
        answer.header("content-security-policy"),
        Some("script-src 'self'")
    );

    let own = "Sec-Fetch-Site: same-origin\r\nReferer: http://gw.example/proxy/ui/a\r\n";
    for line in ["GET /data?a=b", "POST /data?a=b"] {
        let answer = ask(&process, line, &format!("{own}Content-Length: 0\r\n")).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (307, Some("/proxy/ui/data?a=b"))
        );
        for (name, value) in [
            ("cache-control", "no-store"),
            ("vary", "Referer"),
            ("x-genkan-reason", "Escaped"),
        ] {
            assert_eq!(answer.header(name), Some(value));
        }
        assert_eq!(answer.header("x-of-object"), None);
    }
    for (line, headers) in [
        ("GET /data", own.replace("same-origin", "cross-site")),
        ("GET /data", own.replace("/proxy/ui/", "/proxy/other/")),
        ("GET /api/v1", own.to_owned()),
        ("GET /proxy/other", own.to_owned()),
    ] {
        let answer = ask(&process, line, &headers).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (404, None),
            "{line} {headers}"
        );
    }
}

#[tokio::test]
async fn who_may_not_access_a_page_learns_nothing_beside_it() {
    let (api, backend) = (ApiServer::start().await, Backend::ok().await);
    let kubeconfig = api.kubeconfig();
    let flags = ApiServer::flags(&kubeconfig, &["--token-cookie", "token"]);
    let process = Process::start(&flags).await;
    let directives = mk_links("/proxy/ui", RewriteLinks::Full);
    process
        .operator
        .publish(vec![mk_proxy(
            "ui",
            "/proxy/ui/*",
            mk_host(backend.address),
            directives,
        )])
        .await;
    let beside = async |path: &str, cookie: &str| {
        let own = format!(
            "Sec-Fetch-Site: same-origin\r\nReferer: http://gw.example{path}\r\nCookie: token={cookie}\r\n"
        );
        let answer = ask(&process, "GET /data", &own).await;
        (
            answer.status,
            answer.text(),
            answer.header("location").map(ToOwned::to_owned),
        )
    };
    api.allow(&["/proxy/ui/other"]);
    let nowhere = beside("/proxy/none/a", "tok-jane").await;
    assert_eq!(nowhere.0, 404);
    // Neither who is known and may not, nor who shows what is no token.
    for cookie in ["tok-jane", "tok-nobody"] {
        assert_eq!(beside("/proxy/ui/a", cookie).await, nowhere, "{cookie}");
    }
    assert_eq!(backend.received(), "", "nobody was sent there");
}

#[tokio::test]
async fn who_may_is_sent_back_with_a_cookie() {
    let (api, backend) = (ApiServer::start().await, Backend::ok().await);
    let kubeconfig = api.kubeconfig();
    let flags = ApiServer::flags(&kubeconfig, &["--token-cookie", "token"]);
    let process = Process::start(&flags).await;
    let directives = mk_links("/proxy/ui", RewriteLinks::Full);
    process
        .operator
        .publish(vec![mk_proxy(
            "ui",
            "/proxy/ui/*",
            mk_host(backend.address),
            directives,
        )])
        .await;
    api.allow(&["/proxy/ui/*"]);
    let own =
        "Sec-Fetch-Site: same-origin\r\nReferer: http://gw.example/proxy/ui/a\r\nCookie: token=tok-jane\r\n";
    let answer = ask(&process, "GET /data", own).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (307, Some("/proxy/ui/data"))
    );
    assert_eq!(backend.received(), "", "it is the client that goes there");
}
