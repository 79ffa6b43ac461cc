//! An answer that comes before anybody has asked.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::super::{Row, shown};
use crate::kit::{Client, PATIENCE};
use crate::process::Process;

pub const PATH: &str = "/proxy/idle";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const EVIL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

pub struct Backend {
    pub address: SocketAddr,
    listener: TcpListener,
}

// === impl Backend ===

impl Backend {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, listener }
    }

    pub async fn carry_out(&self, process: &Process) -> Row {
        let mut kept = self.serve(process).await;
        kept.write_all(EVIL).await.unwrap();
        // It is dropped, so that the answer cannot be taken for that to the next request.
        let end = timeout(PATIENCE, kept.read(&mut [0])).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        self.serve(process).await;
        Row {
            name: "an answer before the next request",
            sent: format!("{} and, on the idle connection, {}", shown(OK), shown(EVIL)),
            answer: "200, which ends with `ok`, both times; the connection is dropped".to_owned(),
        }
    }

    /// Answers a client well, on a new connection, which it gives back.
    async fn serve(&self, process: &Process) -> TcpStream {
        let mut client = Client::connect(process.address).await;
        client
            .send(format!("GET {PATH} HTTP/1.1\r\nHost: gw.example\r\n\r\n"))
            .await;
        let (mut stream, _) = timeout(PATIENCE, self.listener.accept()).await.unwrap().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut head).await.unwrap();
        }
        stream.write_all(OK).await.unwrap();
        assert_eq!(client.answer().await.unwrap().text(), "ok");
        stream
    }
}
