//! What is served with values that only memory holds.

use std::net::SocketAddr;

use genkan_proto::v1alpha1::{Resource, SecretValue};
use tokio::time::timeout;

use crate::kit::{Answer, Backend, Client, PATIENCE};
use crate::objects::{mk_host, mk_proxy, mk_secret, none};
use crate::process::Process;

async fn get(address: SocketAddr, path: &str) -> Answer {
    let mut client = Client::connect(address).await;
    client
        .send(format!(
            "GET {path} HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n\r\n"
        ))
        .await;
    client.answer().await.unwrap()
}

/// One route that is served with a Secret, and one that is not.
fn world(backend: SocketAddr, value: &str) -> (Vec<Resource>, SecretValue) {
    let (named, value) = mk_secret("s", value);
    let mut with = mk_proxy("with", "/proxy/with/*", mk_host(backend), none());
    with.requires = vec!["secrets".into()];
    with.secrets = vec![named.key.clone()];
    let without = mk_proxy("without", "/proxy/without/*", mk_host(backend), none());
    (vec![with, without, named], value)
}

#[tokio::test]
async fn a_route_is_served_only_with_the_value_that_is_named() {
    let (process, backend) = (Process::start(&[]).await, Backend::ok().await);
    let (resources, value) = world(backend.address, "old");
    let ack = process.operator.publish(resources).await;
    let verdict = &ack.verdicts[0];
    assert_eq!(verdict.reason, "SecretsUnavailable");
    assert!(verdict.message.contains("Secret n/s has not come"), "{verdict:?}");
    let refused = get(process.address, "/proxy/with/x").await;
    refused.assert_status(503);
    assert_eq!(refused.header("x-genkan-reason"), Some("SecretsUnavailable"));
    assert_eq!(get(process.address, "/proxy/without/x").await.status, 200);

    *process.operator.heard().secrets.lock() = vec![value.clone()];
    let ack = process.operator.publish(world(backend.address, "old").0).await;
    assert!(ack.verdicts.is_empty() && ack.complete, "{ack:?}");
    assert_eq!(get(process.address, "/proxy/with/x").await.status, 200);

    // Another value is named, and it is the old one that comes.
    let ack = process.operator.publish(world(backend.address, "new").0).await;
    assert_eq!(ack.verdicts[0].reason, "SecretsUnavailable");
    get(process.address, "/proxy/with/x").await.assert_status(503);
    assert!(!process.log().contains("old"), "{}", process.log());
}

#[tokio::test]
async fn nothing_of_a_secret_is_kept_over_a_restart_and_it_is_asked_for_again() {
    let backend = Backend::ok().await;
    let process = Process::start(&[]).await;
    let (resources, value) = world(backend.address, "correct-horse-battery");
    *process.operator.heard().secrets.lock() = vec![value];
    process.operator.publish(resources.clone()).await;
    assert_eq!(get(process.address, "/proxy/with/x").await.status, 200);
    let file = process.state().join("configuration");
    let kept = async {
        while !file.exists() {
            crate::kit::a_moment().await;
        }
    };
    timeout(PATIENCE, kept).await.unwrap();
    for entry in std::fs::read_dir(process.state()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(13).any(|window| window == b"correct-horse"));
    }
    process.operator.leave();
    let process = process.restarted(&[]).await;
    let refused = get(process.address, "/proxy/with/x").await;
    refused.assert_status(503);
    assert_eq!(refused.header("x-genkan-reason"), Some("SecretsUnavailable"));
    assert_eq!(get(process.address, "/proxy/without/x").await.status, 200);
    assert_eq!(get(process.admin, "/readyz").await.status, 200);

    process.operator.come_back().await;
    process.operator.publish(resources).await;
    assert_eq!(get(process.address, "/proxy/with/x").await.status, 200);
    let hellos = process.operator.heard().hellos.lock().clone();
    assert!(hellos.last().unwrap().lacks_secrets && !hellos[0].lacks_secrets);
    assert!(!hellos.last().unwrap().have_hash.is_empty());
}
