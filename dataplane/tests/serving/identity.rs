//! Who calls, and what backends learn of it.

use genkan_proto::v1alpha1::Directives;
use serde_json::json;

use crate::kit::{Answer, Backend, Client, Then};
use crate::objects::{bare_proxy, mk_api, mk_host, mk_proxy, none, wrap_proxy};
use crate::process::Process;
use crate::reviews::{ApiServer, Verdict, mk_user};

/// A data plane that asks an API server, with routes that tell their backend who calls and one that does not.
pub async fn serve(flags: &[&str]) -> (Process, Backend, ApiServer) {
    let (api, backend) = (ApiServer::start().await, Backend::ok().await);
    let process = start(&api, &backend, flags).await;
    (process, backend, api)
}

async fn start(api: &ApiServer, backend: &Backend, flags: &[&str]) -> Process {
    let process = Process::start(&ApiServer::flags(&api.kubeconfig(), flags)).await;
    let introduced = Directives {
        auth_proxy: true,
        header_up: vec!["X-Remote-User root".into(), "X-Remote-Extra-Evil 1".into()],
        ..none()
    };
    let mut trusted = bare_proxy("/proxy/trusted/*");
    trusted.forward_authorization = true;
    trusted.action = Some(genkan_proto::v1alpha1::reverse_proxy::Action::Upstream(mk_host(
        backend.address,
    )));
    let resources = vec![
        mk_proxy("known", "/proxy/known/*", mk_host(backend.address), introduced),
        mk_proxy("plain", "/proxy/*", mk_host(backend.address), none()),
        wrap_proxy("trusted", trusted),
        mk_api("shop.example", "v1", mk_host(backend.address)),
    ];
    process.operator.publish(resources).await;
    process
}

pub async fn send(process: &Process, line: &str, headers: &[&str]) -> Answer {
    let mut client = Client::connect(process.address).await;
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    client
        .send(format!("{line} HTTP/1.1\r\nHost: gw.example\r\n{headers}\r\n"))
        .await;
    client.answer().await.unwrap()
}

const JANE: &str = "Authorization: Bearer tok-jane";

#[tokio::test]
async fn token_becomes_an_identity_that_nobody_else_can_write() {
    let (process, backend, api) = serve(&[]).await;
    let spoofed = [
        "X-Remote-User: root",
        "x_remote_group: system:masters",
        "X-Remote-Extra-Scopes: all",
    ];
    for line in ["GET /proxy/known/x", "GET /kapis/shop.example/v1/carts"] {
        assert_eq!(
            send(&process, line, &[&[JANE], &spoofed[..]].concat())
                .await
                .status,
            200
        );
    }
    let received = backend.received();
    for told in [
        "X-Remote-User: jane\r\n",
        "X-Remote-Uid: uid-jane\r\n",
        "X-Remote-Group: staff\r\n",
    ] {
        assert_eq!(received.matches(told).count(), 2, "{told} in {received}");
    }
    assert!(
        !received.to_lowercase().contains("root") && !received.contains("masters"),
        "{received}"
    );
    assert!(!received.to_lowercase().contains("x-remote-extra"), "{received}");
    assert!(
        api.heads().contains("user-agent: genkan-dataplane/"),
        "{}",
        api.heads()
    );
    assert!(api.heads().contains("Bearer own-token"));
    let named = [JANE, "X-Request-Id: of-jane"];
    assert_eq!(send(&process, "GET /proxy/x", &named).await.status, 200);
    process.logs_once("of-jane").await;
    assert!(process.log().contains("\"user\":\"jane\""), "{}", process.log());
    assert!(!process.log().contains("tok-jane"), "{}", process.log());
}

#[tokio::test]
async fn nobody_is_nobody_and_a_bad_token_is_not_nobody() {
    let (process, backend, api) = serve(&[]).await;
    for header in ["X-A: 1", "Authorization:", "Authorization: Basic dTpw"] {
        assert_eq!(
            send(&process, "GET /proxy/known/x", &[header]).await.status,
            200,
            "{header}"
        );
    }
    let received = backend.received();
    assert_eq!(
        received.matches("X-Remote-User: system:anonymous\r\n").count(),
        3,
        "{received}"
    );
    assert!(
        received.contains("Authorization: Basic dTpw"),
        "meant for the backend"
    );
    assert!(api.tokens().is_empty());
    let before = backend.requests();
    for header in [
        "Authorization: Bearer stolen",
        "Authorization: Bearer",
        "Authorization: Digest x",
        "Authorization: Basic x\r\nAuthorization: Bearer tok-jane",
        "X-KubeSphere-Authorization: Bearer stolen",
    ] {
        let answer = send(&process, "GET /proxy/known/x", &[header]).await;
        process.logs_once(answer.header("x-request-id").unwrap()).await;
        answer.assert_status(401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{answer:?}");
    }
    assert_eq!(backend.requests(), before);
    assert!(!process.log().contains("stolen"), "{}", process.log());
}

#[tokio::test]
async fn credential_stays_here_unless_the_object_asks_for_it() {
    let (process, backend, _api) = serve(&["--token-cookie", "token"]).await;
    let all = [
        JANE,
        "X-KubeSphere-Authorization: Bearer tok-jane",
        "Cookie: theme=dark; token=tok-jane; lang=de",
        "Sec-WebSocket-Protocol: chat, base64url.bearer.authorization.k8s.io.dG9rLWphbmU",
    ];
    assert_eq!(send(&process, "GET /proxy/x", &all).await.status, 200);
    let received = backend.received();
    assert!(
        !received.contains("tok-jane") && !received.contains("dG9rLWphbmU"),
        "{received}"
    );
    assert!(
        received.contains("theme=dark; lang=de") && received.contains("chat"),
        "{received}"
    );
    assert_eq!(send(&process, "GET /proxy/trusted/x", &all).await.status, 200);
    assert!(backend.received().contains("Bearer tok-jane"));
}

#[tokio::test]
async fn credential_reaches_everybody_where_the_operator_of_the_proxy_says_so() {
    let (process, backend, _api) = serve(&["--forward-authorization", "always"]).await;
    assert_eq!(send(&process, "GET /proxy/x", &[JANE]).await.status, 200);
    assert!(backend.received().contains("Authorization: Bearer tok-jane"));
}

#[tokio::test]
async fn cookie_counts_as_token_where_no_other_site_can_abuse_it() {
    let (process, backend, _api) = serve(&["--token-cookie", "token"]).await;
    let cookie = "Cookie: token=tok-jane";
    assert_eq!(send(&process, "GET /proxy/known/x", &[cookie]).await.status, 200);
    assert!(backend.received().contains("X-Remote-User: jane"));
    let refused = send(
        &process,
        "POST /proxy/known/x",
        &[cookie, "Origin: https://evil.example"],
    )
    .await;
    refused.assert_status(403);
    assert_eq!(refused.header("x-genkan-reason"), Some("OriginRefused"));
    let upgrade = [cookie, "Connection: Upgrade", "Upgrade: websocket"];
    assert_eq!(send(&process, "GET /proxy/known/x", &upgrade).await.status, 403);
    let origin = [cookie, "Origin: https://gw.example", "Content-Length: 0"];
    assert_eq!(send(&process, "POST /proxy/known/x", &origin).await.status, 200);
    assert_eq!(
        send(&process, "POST /proxy/known/x", &["Content-Length: 0"])
            .await
            .status,
        200,
        "nobody may"
    );
}

#[tokio::test]
async fn browser_shows_its_token_as_a_subprotocol() {
    const SWITCH: &[u8] =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let (api, backend) = (ApiServer::start().await, Backend::start(SWITCH, Then::Echo).await);
    let process = start(&api, &backend, &[]).await;
    let headers = |protocols| ["Connection: Upgrade", "Upgrade: websocket", protocols];
    let protocols = "Sec-WebSocket-Protocol: chat, base64url.bearer.authorization.k8s.io.dG9rLWphbmU";
    assert_eq!(
        send(&process, "GET /proxy/known/x", &headers(protocols))
            .await
            .status,
        101
    );
    let received = backend.received();
    assert!(
        received.contains("X-Remote-User: jane") && received.contains("chat\r\n"),
        "{received}"
    );
    assert!(!received.contains("base64url"), "{received}");
    let alone = "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.dG9rLWphbmU";
    send(&process, "GET /proxy/known/x", &headers(alone))
        .await
        .assert_status(401);
}

#[tokio::test]
async fn many_at_once_cost_one_question() {
    let (process, _backend, api) = serve(&[]).await;
    let requests = (0..50).map(|_| send(&process, "GET /proxy/x", &[JANE]));
    let answers = futures::future::join_all(requests).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(
        (api.tokens().len(), api.paths().len()),
        (1, 1),
        "{:?}",
        api.paths()
    );
}

#[tokio::test]
async fn token_has_to_be_for_our_audience() {
    let (api, backend) = (ApiServer::start().await, Backend::ok().await);
    let process = start(&api, &backend, &["--audience", "genkan", "--audience", "other"]).await;
    assert_eq!(
        send(&process, "GET /proxy/x", &[JANE]).await.status,
        401,
        "the answer names none"
    );
    assert_eq!(api.tokens()[0]["audiences"], json!(["genkan", "other"]));
    api.answer_for(&["https://kubernetes.default.svc"]);
    api.know("tok-jim", mk_user("jim"));
    assert_eq!(
        send(&process, "GET /proxy/x", &["Authorization: Bearer tok-jim"])
            .await
            .status,
        401
    );
    api.answer_for(&["x", "other"]);
    assert_eq!(
        send(&process, "GET /proxy/x", &["Authorization: Bearer tok-joe"])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn without_an_answer_nobody_is_refused_for_good() {
    let (process, _backend, api) = serve(&[]).await;
    assert_eq!(
        send(&process, "GET /proxy/x", &["Authorization: Bearer tok-joe"])
            .await
            .status,
        200
    );
    let faults = [
        Verdict::Breaks,
        Verdict::Code(500),
        Verdict::Code(403),
        Verdict::Status(json!([])),
        Verdict::Status(json!({ "authenticated": true })),
    ];
    for fault in faults {
        api.fail(fault);
        let answer = send(&process, "GET /proxy/x", &[JANE]).await;
        answer.assert_status(503);
        assert_eq!(answer.header("x-genkan-reason"), Some("IdentityUnavailable"));
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(
            send(&process, "GET /proxy/x", &["Authorization: Bearer tok-joe"])
                .await
                .status,
            200,
            "known"
        );
    }
    api.fail(None);
    assert_eq!(send(&process, "GET /proxy/x", &[JANE]).await.status, 200);
}

#[tokio::test]
async fn flood_of_bad_tokens_is_cut_and_known_callers_do_not_notice() {
    let (process, _backend, api) = serve(&[]).await;
    assert_eq!(send(&process, "GET /proxy/x", &[JANE]).await.status, 200);
    let mut refused = 0;
    for number in 0..300 {
        let bad = format!("Authorization: Bearer bad-{number}");
        let answer = send(&process, "GET /proxy/x", &[&bad]).await;
        match answer.status {
            401 => {}
            429 => {
                assert!(answer.header("retry-after").is_some());
                refused += 1;
            }
            code => panic!("{code}"),
        }
    }
    assert!(refused > 100, "{refused}");
    assert!(api.tokens().len() < 200, "{}", api.tokens().len());
    assert_eq!(send(&process, "GET /proxy/x", &[JANE]).await.status, 200);
}

#[tokio::test]
async fn identity_that_no_header_can_carry_is_refused_where_it_would_be_told() {
    let (process, backend, api) = serve(&[]).await;
    api.know(
        "tok-odd",
        json!({ "username": "odd\r\nX-Remote-Group: system:masters", "groups": [] }),
    );
    let odd = ["Authorization: Bearer tok-odd"];
    let answer = send(&process, "GET /proxy/known/x", &odd).await;
    answer.assert_status(403);
    assert_eq!(answer.header("x-genkan-reason"), Some("IdentityNotSendable"));
    assert_eq!(
        send(&process, "GET /proxy/x", &odd).await.status,
        200,
        "here nobody is told"
    );
    assert!(!backend.received().contains("masters"));
}

#[tokio::test]
async fn http2_and_its_trailers_bring_no_identity_either() {
    let (process, backend, _api) = serve(&[]).await;
    let stream = tokio::net::TcpStream::connect(process.address).await.unwrap();
    let mut client = genkan_kit::http2::client(stream).await;
    let request = http::Request::post("http://gw.example/proxy/known/x")
        .header("authorization", "Bearer tok-jane")
        .header("x-remote-user", "root")
        .header("x_remote_group", "system:masters")
        .body(())
        .unwrap();
    let (answer, mut body) = client.send_request(request, false).unwrap();
    body.send_data("body".into(), false).unwrap();
    let trailers = [("x-remote-user", "root"), ("x-remote-uid", "0")];
    let trailers = trailers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    body.send_trailers(http::HeaderMap::from_iter(trailers)).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    // Names that came in lower case go on so.
    let received = backend.received().to_lowercase();
    assert!(received.contains("x-remote-user: jane\r\n"), "{received}");
    assert!(
        !received.contains("root") && !received.contains("masters"),
        "{received}"
    );
    assert_eq!(received.matches("x-remote-uid").count(), 1, "{received}");
}

#[tokio::test]
async fn api_server_that_is_silent_holds_up_only_who_is_not_known() {
    let (process, _backend, api) = serve(&[]).await;
    assert_eq!(
        send(&process, "GET /proxy/x", &["Authorization: Bearer tok-joe"])
            .await
            .status,
        200
    );
    api.fail(Verdict::Silent);
    let unknown = send(&process, "GET /proxy/x", &[JANE]);
    let known = async {
        for _ in 0..20 {
            assert_eq!(
                send(&process, "GET /proxy/x", &["Authorization: Bearer tok-joe"])
                    .await
                    .status,
                200
            );
        }
        tokio::time::Instant::now()
    };
    let (unknown, known) = tokio::join!(async { (unknown.await, tokio::time::Instant::now()) }, known);
    unknown.0.assert_status(503);
    assert!(known < unknown.1, "who is known does not wait");
}
