//! What a backend gets of a request.

use genkan_proto::v1alpha1::Directives;

use crate::kit::{Backend, Client};
use crate::objects::{mk_api, mk_host, mk_proxy, mk_stub, none};
use crate::process::Process;
use genkan_kit::http2::{Outcome, RawHttp2};

async fn serve(directives: Directives) -> (Process, Backend) {
    let (process, backend) = (Process::start(&[]).await, Backend::ok().await);
    let resources = vec![
        mk_proxy("p", "/proxy/*", mk_host(backend.address), directives),
        mk_api("shop.example", "v1", mk_host(backend.address)),
        mk_stub(
            "broken",
            "/proxy/broken/*",
            "BackendNotFound",
            "Service default/x does not exist",
        ),
    ];
    process.operator.publish(resources).await;
    (process, backend)
}

async fn send(process: &Process, head: &str) -> crate::kit::Answer {
    let mut client = Client::connect(process.address).await;
    client.send(format!("{head}\r\n\r\n")).await;
    client.answer().await.unwrap()
}

#[tokio::test]
async fn identity_of_the_client_never_passes() {
    let (process, backend) = serve(none()).await;
    let spoofed = [
        "X-Remote-User: root",
        "x-remote-user: root",
        "X_Remote_User: root",
        "X-Remote-Group: g",
        "x-remote_GROUP: g",
        "X-Remote-Extra-Scopes: s",
        "X-Remote-Uid: 0",
        "X-Plugin-A: b",
        "X-PLUGIN_a: b",
    ];
    for target in ["/proxy/x", "/kapis/shop.example/v1/carts"] {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: gw.example\r\nX-Keep: 1\r\n{}",
            spoofed.join("\r\n")
        );
        assert_eq!(send(&process, &head).await.status, 200);
    }
    let received = backend.received().to_lowercase().replace('_', "-");
    assert_eq!(received.matches("x-keep: 1").count(), 2);
    // An APIService is always told who calls, and here that is nobody.
    let told = [
        "x-remote-user: system:anonymous\r\n",
        "x-remote-group: system:unauthenticated\r\n",
    ];
    let received = told
        .iter()
        .fold(received, |rest, told| rest.replacen(told, "", 1));
    assert!(
        !received.contains("x-remote") && !received.contains("x-plugin"),
        "{received}"
    );
}

#[tokio::test]
async fn nominated_fields_go_before_the_directives_come() {
    let directives = Directives {
        header_up: vec!["X-Set mine".into()],
        ..none()
    };
    let (process, backend) = serve(directives).await;
    let head = "GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\nConnection: X-Set, X-Secret, close\r\nX-Secret: 1\r\nX-Set: theirs";
    assert_eq!(send(&process, head).await.status, 200);
    let received = backend.received();
    assert!(received.contains("X-Set: mine\r\n"), "{received}");
    assert!(
        !received.contains("X-Secret") && !received.contains("theirs"),
        "{received}"
    );
}

#[tokio::test]
async fn refusals_are_statuses_and_reach_nobody() {
    let (process, backend) = serve(none()).await;
    let hops = vec!["10.0.0.1"; 21].join(", ");
    for (head, code, reason) in [
        (
            "GET /proxy/../x HTTP/1.1\r\nHost: a".to_owned(),
            400,
            "PathRefused",
        ),
        (
            "GET /proxy/x HTTP/1.1\r\nHost: a\r\nImpersonate-User: root".to_owned(),
            403,
            "ImpersonationNotSupported",
        ),
        (
            "GET /proxy/x HTTP/1.1\r\nHost: a\r\nimpersonate_group: g".to_owned(),
            403,
            "ImpersonationNotSupported",
        ),
        (
            format!("GET /proxy/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {hops}"),
            508,
            "LoopDetected",
        ),
        (
            "GET /nothing HTTP/1.1\r\nHost: a".to_owned(),
            404,
            "NoRouteMatched",
        ),
        (
            "GET /kapis/shop.example/v2/carts HTTP/1.1\r\nHost: a".to_owned(),
            404,
            "NoRouteMatched",
        ),
        (
            "GET /clusters/m1/proxy/x HTTP/1.1\r\nHost: a".to_owned(),
            400,
            "ClusterNotFound",
        ),
        (
            "GET /proxy/broken/x HTTP/1.1\r\nHost: a".to_owned(),
            503,
            "BackendNotFound",
        ),
        (
            "GET /proxy/x HTTP/1.1\r\nHost: a\r\nX-KubeSphere-Rawquery: a b".to_owned(),
            400,
            "QueryRefused",
        ),
    ] {
        let answer = send(&process, &head).await;
        answer.assert_status(code);
        assert_eq!(answer.header("x-genkan-reason"), Some(reason), "{head}");
    }
    assert_eq!(backend.received(), "");
}

#[tokio::test]
async fn request_ids_and_trace_context_pass() {
    let (process, backend) = serve(none()).await;
    let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let head = format!("GET /nothing HTTP/1.1\r\nHost: a\r\nx-request-id: mine-1\r\n{trace}");
    assert_eq!(send(&process, &head).await.header("x-request-id"), Some("mine-1"));
    process.logs_once("mine-1").await;
    assert!(process.log().contains("4bf92f3577b34da6a3ce929d0e0e4736"));
    let head = format!(
        "GET /nothing HTTP/1.1\r\nHost: a\r\nx-request-id: {}",
        "a".repeat(65)
    );
    assert_eq!(
        send(&process, &head).await.header("x-request-id").unwrap().len(),
        36
    );
    assert_eq!(
        send(&process, &format!("GET /proxy/x HTTP/1.1\r\nHost: a\r\n{trace}"))
            .await
            .status,
        200
    );
    assert!(backend.received().contains(trace), "{}", backend.received());
}

#[tokio::test]
async fn forwarded_for_is_one_line_and_expect_passes() {
    let (process, mut backend) = serve(none()).await;
    let mut client = Client::connect(process.address).await;
    client
        .send(
            "POST /proxy/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\nx-forwarded-for: 10.0.0.2\r\n\
             Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        )
        .await;
    backend.wait_for("\r\n\r\n").await;
    let received = backend.received();
    assert!(
        received.contains(": 10.0.0.1, 10.0.0.2, 127.0.0.1\r\n"),
        "{received}"
    );
    assert!(
        received.to_lowercase().contains("expect: 100-continue"),
        "{received}"
    );
    assert_eq!(received.to_lowercase().matches("x-forwarded-for").count(), 1);
}

/// A way back that is no listener of the data plane, as a load balancer is; counts who comes along.
async fn lead_back() -> (std::net::SocketAddr, impl Fn(std::net::SocketAddr) -> usize) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (goal, back) = tokio::sync::watch::channel(None);
    let rounds = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&rounds);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let mut back = back.clone();
            tokio::spawn(async move {
                let address = back.wait_for(Option::is_some).await.unwrap().unwrap();
                let mut onward = tokio::net::TcpStream::connect(address).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
            });
        }
    });
    let lead_to = move |address| {
        goal.send_replace(Some(address));
        rounds.load(std::sync::atomic::Ordering::Relaxed)
    };
    (address, lead_to)
}

#[tokio::test]
async fn a_loop_ends_whatever_its_objects_do() {
    for rules in [
        &[][..],
        &["-X-Forwarded-For"],
        &["X-Forwarded-For 192.0.2.1"],
        &["-*-Loop", "-CDN-Loop", "CDN-Loop a", "-*Forwarded*"],
    ] {
        let (address, lead_to) = lead_back().await;
        let process = Process::start(&[]).await;
        lead_to(process.address);
        let directives = Directives {
            header_up: rules.iter().map(|rule| (*rule).to_owned()).collect(),
            ..none()
        };
        let round = mk_proxy("round", "/proxy/*", mk_host(address), directives);
        process.operator.publish(vec![round]).await;
        let answer = send(&process, "GET /proxy/x HTTP/1.1\r\nHost: a").await;
        answer.assert_status(508);
        assert_eq!(answer.header("x-genkan-reason"), Some("LoopDetected"));
        assert!((20..=22).contains(&lead_to(process.address)), "{rules:?}");
    }
}

#[tokio::test]
async fn own_listeners_are_never_dialled() {
    let process = Process::start(&[]).await;
    let resources = vec![
        mk_proxy("loop", "/proxy/loop", mk_host(process.address), none()),
        mk_proxy("admin", "/proxy/admin", mk_host(process.admin), none()),
    ];
    process.operator.publish(resources).await;
    for path in ["/proxy/loop", "/proxy/admin"] {
        let answer = send(&process, &format!("GET {path} HTTP/1.1\r\nHost: a")).await;
        answer.assert_status(502);
        assert_eq!(answer.header("x-genkan-reason"), Some("AddressRefused"));
    }
}

#[tokio::test]
async fn cookies_of_http2_come_on_one_line() {
    let (process, backend) = serve(none()).await;
    let mut raw = RawHttp2::connect(process.address).await;
    let fields = [
        (":method", &b"GET"[..]),
        (":scheme", b"http"),
        (":authority", b"gw.example"),
        (":path", b"/proxy/x"),
        ("cookie", b"theme=dark"),
        ("cookie", b"session=s1"),
        ("cookie", b"csrf=t1"),
    ];
    let stream = raw.request(&fields).await;
    assert_eq!(raw.outcome(stream).await, Outcome::Status(200));
    let received = backend.received().to_lowercase();
    assert!(
        received.contains("cookie: theme=dark; session=s1; csrf=t1\r\n"),
        "{received}"
    );
    assert_eq!(received.matches("cookie:").count(), 1);
}

/// gRPC needs HTTP/2, and gRPC-Web, whose name begins alike, does not.
#[tokio::test]
async fn grpc_web_is_an_ordinary_request() {
    let (process, backend) = serve(none()).await;
    for kind in [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
    ] {
        let head = format!("POST /proxy/x HTTP/1.1\r\nHost: gw.example\r\nContent-Type: {kind}");
        let answer = send(&process, &head).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{kind}");
        let broken = send(&process, &head.replace("/proxy/x", "/proxy/broken/x")).await;
        broken.assert_status(503);
    }
    assert_eq!(backend.requests(), 3);
}
