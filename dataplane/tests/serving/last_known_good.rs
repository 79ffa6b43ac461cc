//! A data plane that starts while its operator is away.

use std::net::SocketAddr;
use std::path::PathBuf;

use genkan_kit::http1::get;
use genkan_proto::v1alpha1::Resource;
use tokio::time::timeout;

use crate::kit::{Backend, PATIENCE};
use crate::objects::{mk_host, mk_proxy, none};
use crate::process::{Process, hash_of};

fn world(backend: SocketAddr, names: &[&str]) -> Vec<Resource> {
    let proxy = |name: &&str| mk_proxy(name, &format!("/proxy/{name}/*"), mk_host(backend), none());
    names.iter().map(proxy).collect()
}

fn file(process: &Process) -> PathBuf {
    process.state().join("configuration")
}

/// The log, once these words are in it.
async fn logged(process: &Process, words: &str) -> String {
    let told = async {
        while !process.log().contains(words) {
            crate::kit::a_moment().await;
        }
        process.log()
    };
    let log = timeout(PATIENCE, told).await;
    log.unwrap_or_else(|_| panic!("{words} in {}", process.log()))
}

/// Serves what is published, and returns once that is kept.
async fn keeping(backend: SocketAddr, names: &[&str]) -> Process {
    let process = Process::start(&[]).await;
    process.operator.publish(world(backend, names)).await;
    let kept = async {
        while !file(&process).exists() {
            crate::kit::a_moment().await;
        }
    };
    timeout(PATIENCE, kept).await.unwrap();
    process
}

#[tokio::test]
async fn what_was_served_is_served_again_while_the_operator_is_away() {
    let backend = Backend::ok().await;
    let process = keeping(backend.address, &["a", "b"]).await;
    let known = process.operator.heard().acks.lock().len();
    process.operator.leave();
    let process = process.restarted(&[]).await;
    for path in ["/proxy/a/x", "/proxy/b/x"] {
        assert_eq!(get(process.address, path).await.status, 200);
    }
    get(process.address, "/proxy/c/x").await.assert_status(404);
    let ready = get(process.admin, "/readyz").await;
    assert_eq!(ready.status, 200);
    assert!(
        ready.text().contains("the operator has said nothing yet"),
        "{ready:?}"
    );
    let metrics = get(process.admin, "/metrics").await.text();
    assert!(metrics.contains("genkan_dataplane_config_kept 1"), "{metrics}");
    logged(&process, "until the operator says something").await;

    process.operator.come_back().await;
    let back = process
        .operator
        .publish(world(backend.address, &["b", "c"]))
        .await;
    assert!(back.error.is_empty() && process.operator.heard().acks.lock().len() > known);
    // It said what it had, so that only what had changed need be sent.
    let hellos: Vec<_> = process.operator.heard().hellos.lock().clone();
    let served = hash_of(&world(backend.address, &["a", "b"]));
    assert_eq!(hellos.last().unwrap().have_hash, served.0);
    assert_eq!(get(process.admin, "/readyz").await.text(), "ok\n");
    get(process.address, "/proxy/a/x").await.assert_status(404);
    assert_eq!(get(process.address, "/proxy/c/x").await.status, 200);
    let metrics = get(process.admin, "/metrics").await.text();
    assert!(metrics.contains("genkan_dataplane_config_kept 0"), "{metrics}");
}

async fn is_ignored(process: Process, flags: &[&str], why: &str) {
    process.operator.leave();
    let process = process.restarted(flags).await;
    let answer = get(process.address, "/proxy/a/x").await;
    answer.assert_status(503);
    assert_eq!(answer.header("x-genkan-reason"), Some("NotConfigured"));
    assert_eq!(get(process.admin, "/readyz").await.status, 503);
    let log = logged(&process, "is ignored").await;
    let told: Vec<_> = log.lines().filter(|line| line.contains("is ignored")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains(why), "{told:?}");
}

#[tokio::test]
async fn a_file_that_is_broken_is_ignored() {
    let backend = Backend::ok().await;
    let process = keeping(backend.address, &["a"]).await;
    let mut bytes = std::fs::read(file(&process)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file(&process), bytes).unwrap();
    is_ignored(process, &[], "it is broken").await;
}

#[tokio::test]
async fn a_file_that_is_cut_off_is_ignored() {
    let backend = Backend::ok().await;
    let process = keeping(backend.address, &["a"]).await;
    let bytes = std::fs::read(file(&process)).unwrap();
    std::fs::write(file(&process), &bytes[..bytes.len() / 2]).unwrap();
    is_ignored(process, &[], "it is broken").await;
}

#[tokio::test]
async fn a_file_of_another_format_is_ignored() {
    let backend = Backend::ok().await;
    let process = keeping(backend.address, &["a"]).await;
    std::fs::write(file(&process), "genkan configuration, format 99\n").unwrap();
    is_ignored(process, &[], "another format").await;
}

#[tokio::test]
async fn a_file_that_is_too_old_is_ignored() {
    let backend = Backend::ok().await;
    let process = keeping(backend.address, &["a"]).await;
    // Less than a second is no age that a file can have.
    is_ignored(process, &["--state-max-age", "1ms"], "--state-max-age").await;
}
