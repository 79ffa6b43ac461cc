//! How configurations come into force.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use genkan_kit::http1::get;
use genkan_proto::Hash;
use genkan_proto::v1alpha1::{Directives, Resource, ReverseProxy, Verdict, reverse_proxy, verdict::Severity};

use tokio::time::timeout;

use crate::kit::{Backend, Client, PATIENCE, Then};
use crate::objects::{
    bare_proxy, mk_host, mk_named, mk_proxy, mk_ref, mk_service, mk_stub, mk_tls, none, wrap_proxy,
};
use crate::process::Process;

#[tokio::test]
async fn readiness_and_hash_follow_what_is_served() {
    let process = Process::start(&[]).await;
    let backend = Backend::ok().await;
    process.operator.publish(vec![]).await;
    assert_eq!(get(process.admin, "/readyz").await.status, 200);
    assert_eq!(get(process.admin, "/healthz").await.status, 200);
    let config = async || {
        serde_json::from_str::<serde_json::Value>(&get(process.admin, "/config").await.text()).unwrap()
    };
    let first = config().await;
    assert_eq!(first["hash"], Hash::empty().to_string());
    let ack = process
        .operator
        .publish(vec![mk_proxy("p", "/proxy/*", mk_host(backend.address), none())])
        .await;
    let second = config().await;
    assert_ne!(first["hash"], second["hash"]);
    assert!(second["sequence"].as_u64() > first["sequence"].as_u64());
    assert!(ack.verdicts.is_empty() && ack.error.is_empty());
    // The acknowledgement is the promise: the very next request is served.
    assert_eq!(get(process.address, "/proxy/x").await.status, 200);
    // The client has its answer a moment before it is counted.
    let counted = async {
        loop {
            let metrics = get(process.admin, "/metrics").await.text();
            if metrics.contains("name=\"p\",code=\"2xx\"} 1") {
                return metrics;
            }
        }
    };
    let metrics = timeout(PATIENCE, counted).await.unwrap();
    assert!(metrics.contains("genkan_dataplane_objects 1"), "{metrics}");
}

/// Clients and caches believe a 404, and controllers an empty list.
#[tokio::test]
async fn before_the_first_configuration_nothing_is_said_not_to_exist() {
    let process = Process::start_alone(&[]).await;
    let asked = [
        "/proxy/p/x",
        "/proxy/p",
        "/kapis",
        "/kapis/shop.example",
        "/kapis/shop.example/v1/carts",
        "/",
        "/api/v1/pods",
        "/clusters/member/proxy/p/x",
    ];
    for path in asked {
        let answer = get(process.address, path).await;
        answer.assert_status(503);
        assert_eq!(answer.header("x-genkan-reason"), Some("NotConfigured"), "{path}");
        assert_eq!(answer.header("retry-after"), Some("5"), "{path}");
        assert!(answer.text().contains("operator"), "{answer:?}");
    }
    get(process.address, "/proxy/../x").await.assert_status(400);
    process.operator.come_back().await;
    process.operator.publish(vec![]).await;
    get(process.address, "/proxy/p/x").await.assert_status(404);
    assert_eq!(get(process.address, "/kapis").await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_built_is_a_stub_and_a_verdict() {
    let process = Process::start(&[]).await;
    let backend = Backend::ok().await;
    let bad = Directives {
        path_regexp: vec!["( /x".into()],
        ..none()
    };
    let nothing = ReverseProxy {
        action: None,
        ..bare_proxy("/proxy/nothing/*")
    };
    let both = ReverseProxy {
        action: Some(reverse_proxy::Action::Upstream(mk_named("", 0))),
        ..bare_proxy("/proxy/port/*")
    };
    let ack = process
        .operator
        .publish(vec![
            mk_proxy("good", "/proxy/*", mk_host(backend.address), none()),
            mk_proxy("bad", "/proxy/bad/*", mk_host(backend.address), bad),
            mk_proxy(
                "ca",
                "/proxy/ca/*",
                mk_tls(backend.address, "b.example", "no certificate"),
                none(),
            ),
            wrap_proxy("nothing", nothing),
            wrap_proxy("port", both),
            mk_stub(
                "stub",
                "/proxy/stub/*",
                "BackendNotFound",
                "Service default/x does not exist",
            ),
        ])
        .await;
    let mut broken: Vec<_> = ack
        .verdicts
        .iter()
        .inspect(|verdict| assert_eq!(verdict.severity(), Severity::Error))
        .map(|verdict| {
            (
                verdict.resource.as_ref().unwrap().name.as_str(),
                verdict.reason.as_str(),
            )
        })
        .collect();
    broken.sort_unstable();
    assert_eq!(
        broken,
        [
            ("bad", "Invalid"),
            ("ca", "InvalidCABundle"),
            ("nothing", "Invalid"),
            ("port", "Invalid")
        ]
    );
    for path in [
        "/proxy/bad/x",
        "/proxy/ca/x",
        "/proxy/nothing/x",
        "/proxy/port/x",
        "/proxy/stub/x",
    ] {
        get(process.address, path).await.assert_status(503);
    }
    let stub = get(process.address, "/proxy/stub/x").await;
    assert_eq!(stub.header("x-genkan-reason"), Some("BackendNotFound"));
    assert!(
        stub.text().contains("Service default/x does not exist"),
        "{stub:?}"
    );
    assert_eq!(get(process.address, "/proxy/x").await.status, 200);
}

/// An operator of a later version sends what this one does not know.
#[tokio::test]
async fn what_is_not_known_closes_its_own_object_and_no_other() {
    let process = Process::start(&[]).await;
    let backend = Backend::ok().await;
    let proxy = |name: &str| {
        mk_proxy(
            name,
            &format!("/proxy/{name}/*"),
            mk_host(backend.address),
            none(),
        )
    };
    let mut later = proxy("later");
    later.requires = vec!["teleport".into()];
    let unknown = Resource {
        key: "Teapot/tools/short".into(),
        object: Some(mk_ref("Teapot", "short", 3)),
        ..Resource::default()
    };
    let ack = process
        .operator
        .publish(vec![proxy("good"), later, unknown])
        .await;
    let told = |verdict: &Verdict| {
        let object = verdict.resource.clone().unwrap();
        (
            object.kind,
            object.name,
            object.generation,
            verdict.reason.clone(),
        )
    };
    let unsupported = |kind: &str, name: &str, generation| {
        (
            kind.to_owned(),
            name.to_owned(),
            generation,
            "Unsupported".to_owned(),
        )
    };
    assert_eq!(ack.error, "");
    let mut verdicts: Vec<_> = ack.verdicts.iter().map(told).collect();
    verdicts.sort();
    assert_eq!(
        verdicts,
        [
            unsupported("ReverseProxy", "later", 1),
            unsupported("Teapot", "short", 3)
        ]
    );
    assert_eq!(get(process.address, "/proxy/good/x").await.status, 200);
    let closed = get(process.address, "/proxy/later/x").await;
    assert_eq!(
        (closed.status, closed.header("x-genkan-reason")),
        (503, Some("Unsupported"))
    );
    assert!(
        closed
            .text()
            .contains("run data planes of the operator's version"),
        "{closed:?}"
    );
}

#[tokio::test]
async fn changes_under_load_fail_no_request() {
    let old = Backend::start(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold", Then::Stay).await;
    let new = Backend::start(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew", Then::Stay).await;
    let process = Process::start(&[]).await;
    let world = |name: &str, backend: &Backend| {
        let (upstream, endpoints) = mk_service(name, &[backend.address]);
        vec![mk_proxy("p", "/proxy/*", upstream, none()), endpoints]
    };
    process.operator.publish(world("a", &old)).await;
    let (stop, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let hammer = |method: &'static str| {
        let (stop, served, address) = (Arc::clone(&stop), Arc::clone(&served), process.address);
        tokio::spawn(async move {
            let mut client = Client::connect(address).await;
            while !stop.load(Ordering::Relaxed) {
                client
                    .send(format!(
                        "{method} /proxy/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
                    ))
                    .await;
                let answer = client.answer().await.unwrap();
                assert_eq!(answer.status, 200, "{answer:?}");
                served.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let hammers = [hammer("GET"), hammer("POST"), hammer("GET"), hammer("POST")];
    let are_running = || !hammers.iter().any(tokio::task::JoinHandle::is_finished);
    for round in 0..60 {
        // Another Service with other endpoints, the same Service with others, and back.
        let (name, backend) = [("a", &new), ("b", &old), ("b", &new), ("a", &old)][round % 4];
        process.operator.publish(world(name, backend)).await;
        while are_running() && served.load(Ordering::Relaxed) < 10 * (round + 1) {
            crate::kit::a_moment().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for hammer in hammers {
        hammer.await.unwrap();
    }
    assert!(old.requests() > 0 && new.requests() > 0);
}

#[tokio::test]
async fn what_is_removed_is_gone_and_can_come_back() {
    let process = Process::start(&[]).await;
    let backend = Backend::ok().await;
    let one = || mk_proxy("p", "/proxy/x/*", mk_host(backend.address), none());
    let other = || mk_proxy("q", "/proxy/x/*", mk_host(backend.address), none());
    for resources in [vec![one()], vec![other()], vec![one()]] {
        process.operator.publish(resources).await;
        assert_eq!(get(process.address, "/proxy/x/a").await.status, 200);
    }
    process.operator.publish(vec![]).await;
    get(process.address, "/proxy/x/a").await.assert_status(404);
    assert!(!get(process.admin, "/metrics").await.text().contains("name=\"p\""));
}
