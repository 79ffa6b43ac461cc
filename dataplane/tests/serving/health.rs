//! What the operator hears of backends.

use genkan_kit::http1::get;
use genkan_proto::v1alpha1::Health;
use genkan_proto::v1alpha1::health::State;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::kit::PATIENCE;
use crate::objects::{mk_host, mk_named, mk_proxy, mk_service, mk_tls, none};
use crate::process::{Process, free_address};

pub async fn told(process: &Process, name: &str, state: State) -> Health {
    let fits = |health: &&Health| health.resource.as_ref().unwrap().name == name && health.state() == state;
    let waiting = async {
        loop {
            let found = process.operator.heard().health.lock().iter().find(fits).cloned();
            match found {
                Some(health) => return health,
                None => crate::kit::a_moment().await,
            }
        }
    };
    let health = timeout(2 * PATIENCE, waiting).await;
    health.unwrap_or_else(|_| panic!("{:?}", process.operator.heard().health.lock()))
}

#[tokio::test]
async fn hosts_are_judged_without_traffic() {
    let process = Process::start(&[]).await;
    let resources = vec![
        mk_proxy("address", "/proxy/a", mk_host(free_address()), none()),
        mk_proxy(
            "localhost",
            "/proxy/l",
            mk_named("localhost", free_address().port()),
            none(),
        ),
        mk_proxy("unknown", "/proxy/u", mk_named("no-such-host.test", 80), none()),
        mk_proxy(
            "metadata",
            "/proxy/m",
            mk_host("169.254.169.254:80".parse().unwrap()),
            none(),
        ),
    ];
    process.operator.publish(resources).await;
    told(&process, "address", State::Reachable).await;
    told(&process, "localhost", State::Reachable).await;
    let unknown = told(&process, "unknown", State::Unresolved).await;
    assert!(
        unknown
            .error
            .starts_with("the host no-such-host.test does not resolve; see"),
        "{unknown:?}"
    );
    let resource = unknown.resource.unwrap();
    assert_eq!((resource.uid.as_str(), resource.generation), ("uid-unknown", 1));
    let metadata = told(&process, "metadata", State::Unresolved).await;
    assert!(metadata.error.contains("--allow-upstream-cidr"), "{metadata:?}");

    let answer = get(process.address, "/proxy/u").await;
    answer.assert_status(502);
    assert_eq!(answer.header("x-genkan-reason"), Some("BackendUnresolved"));
    assert!(!answer.text().contains("no-such-host"), "{answer:?}");
    let answer = get(process.address, "/proxy/m").await;
    answer.assert_status(502);
    assert_eq!(answer.header("x-genkan-reason"), Some("AddressRefused"));
    assert!(!answer.text().contains("169.254"), "{answer:?}");

    let answer = get(process.address, "/proxy/a").await;
    answer.assert_status(502);
    assert!(
        answer
            .text()
            .contains("ReverseProxy address: its backend refused")
            && !answer.text().contains("127.0.0.1"),
        "{answer:?}"
    );
    let waiting = async {
        while !process.log().contains("\"detail\":\"http://127.0.0.1:") {
            crate::kit::a_moment().await;
        }
    };
    let found = timeout(PATIENCE, waiting).await;
    assert!(found.is_ok(), "the log knows where: {}", process.log());
}

#[tokio::test]
async fn backend_that_comes_back_is_noticed_without_traffic() {
    let process = Process::start(&[]).await;
    let address = free_address();
    let (upstream, endpoints) = mk_service("shop", &[address]);
    process
        .operator
        .publish(vec![mk_proxy("p", "/proxy/*", upstream, none()), endpoints])
        .await;
    get(process.address, "/proxy/x").await.assert_status(502);
    let health = told(&process, "p", State::Unreachable).await;
    assert!(
        health.error.contains("refused the connection") && !health.error.contains("127.0.0.1"),
        "{health:?}"
    );
    let _listener = TcpListener::bind(address).await.unwrap();
    told(&process, "p", State::Reachable).await;
}

#[tokio::test]
async fn what_a_version_is_blamed_for_is_taken_back_from_its_successor() {
    let process = Process::start(&[]).await;
    let address = free_address();
    let publish = async |other: &str| {
        let (upstream, endpoints) = mk_service(other, &[address]);
        process
            .operator
            .publish(vec![mk_proxy("p", "/proxy/*", upstream, none()), endpoints])
            .await
    };
    publish("one").await;
    get(process.address, "/proxy/x").await.assert_status(502);
    told(&process, "p", State::Unreachable).await;
    // The object is the same, but what it leads to was built anew.
    publish("two").await;
    let _listener = TcpListener::bind(address).await.unwrap();
    told(&process, "p", State::Reachable).await;
}

#[tokio::test]
async fn backend_that_says_nothing_does_not_delay_what_is_said_of_others() {
    let process = Process::start(&[]).await;
    // Accepts and never greets: every probe takes as long as it may.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_address = silent.local_addr().unwrap();
    let resource = mk_proxy(
        "silent",
        "/proxy/s",
        mk_tls(silent_address, "b.example", ""),
        none(),
    );
    process.operator.publish(vec![resource.clone()]).await;
    let (answer, request) = tokio::join!(get(process.address, "/proxy/s"), silent.accept());
    answer.assert_status(502);
    told(&process, "silent", State::Unreachable).await;
    drop(request);
    let _probe = timeout(PATIENCE, silent.accept()).await.unwrap().unwrap();
    let start = tokio::time::Instant::now();
    let other = mk_proxy("other", "/proxy/o", mk_host(free_address()), none());
    process.operator.publish(vec![other, resource]).await;
    told(&process, "other", State::Reachable).await;
    assert!(start.elapsed().as_secs() < 3, "{:?}", start.elapsed());
}
