//! Requests to programs under test, and their whole answers: every failure is an error with its request in it.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use genkan_kit::http1::Client;
use genkan_kit::wire::PATIENCE;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use genkan_kit::http1::Answer;

/// A connection that may be used again.
#[derive(Debug)]
pub struct Connection {
    client: Client,
    reusable: bool,
}

/// A request; `Host` and the framing are added.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

/// GET on a connection of its own.
pub async fn get(address: SocketAddr, target: &str) -> Result<Answer> {
    send(address, Request::get(target)).await
}

/// A request on a connection of its own.
pub async fn send(address: SocketAddr, request: Request<'_>) -> Result<Answer> {
    Connection::open(address).await?.send(request).await
}

// === impl Request ===

impl<'a> Request<'a> {
    pub fn get(target: &'a str) -> Self {
        Self {
            method: "GET",
            target,
            headers: &[],
            body: &[],
        }
    }

    pub fn post(target: &'a str, body: &'a [u8]) -> Self {
        Self {
            method: "POST",
            target,
            headers: &[],
            body,
        }
    }
}

// === impl Connection ===

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(address))
            .await
            .context("no connection in time")?
            .with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            client: Client::new(stream),
            reusable: true,
        })
    }

    /// Whether the server left the connection open for another request.
    pub fn is_reusable(&self) -> bool {
        self.reusable
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&mut self, request: Request<'_>) -> Result<Answer> {
        let address = self.client.stream.peer_addr()?;
        timeout(PATIENCE, self.exchange(request, address))
            .await
            .with_context(|| format!("{} {}: no answer in time", request.method, request.target))?
            .with_context(|| format!("{} {}", request.method, request.target))
    }

    async fn exchange(&mut self, request: Request<'_>, address: SocketAddr) -> Result<Answer> {
        let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
        if !request
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            head.push_str(&format!("Host: {address}\r\n"));
        }
        for (name, value) in request.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !request.body.is_empty() || matches!(request.method, "POST" | "PUT" | "PATCH") {
            head.push_str(&format!("Content-Length: {}\r\n", request.body.len()));
        }
        head.push_str("\r\n");
        let mut message = head.into_bytes();
        message.extend_from_slice(request.body);
        self.client.stream.write_all(&message).await.context("write")?;
        let mut answer = self.client.read_answer(request.method).await?;
        while answer.is_interim() {
            answer = self.client.read_answer(request.method).await?;
        }
        self.reusable = !answer.closes() && !answer.ends_with_connection(request.method);
        Ok(answer)
    }
}
