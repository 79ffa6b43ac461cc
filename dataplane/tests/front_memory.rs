//! What a connection costs that waits, measured on the program.

#![allow(clippy::unwrap_used)]

#[path = "wire/kit.rs"]
mod kit;
#[path = "wire/process.rs"]
mod process;

use kit::{Backend, Client};
use process::Process;

/// As many as fit below the usual limit of open files of the test itself.
const CONNECTIONS: usize = 800;
/// Of a connection that has served a request and waits. The goal of the release build is 20 KiB; this build is not
/// optimised, and its futures are larger.
const MOST: usize = 32 * 1024;

#[tokio::test]
async fn an_idle_connection_holds_little_memory() {
    let backend = Backend::ok().await;
    let process = Process::serving(backend.address, &[]).await;
    let mut warm = Vec::new();
    for _ in 0..50 {
        warm.push(used(&process).await);
    }
    let before = process.most_memory();
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        idle.push(used(&process).await);
    }
    let each = process.most_memory().saturating_sub(before) / CONNECTIONS;
    assert!(each < MOST, "{each} bytes a connection");
    for client in &mut idle {
        client
            .send("GET /proxy/again HTTP/1.1\r\nHost: gw.example\r\n\r\n")
            .await;
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
}

/// A connection that has served a request.
async fn used(process: &Process) -> Client {
    let mut client = Client::connect(process.address).await;
    client
        .send("GET /proxy/x HTTP/1.1\r\nHost: gw.example\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    client
}
