//! A small HTTP/1.1 client that hides nothing: what was sent is what was written, and every failure is seen.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer, with its body whole.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A connection that may be used again.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    read: BytesMut,
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

const LIMIT: Duration = Duration::from_secs(20);

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

// === impl Answer ===

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }
}

// === impl Connection ===

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = timeout(LIMIT, TcpStream::connect(address))
            .await
            .context("no connection in time")?
            .with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: BytesMut::with_capacity(4096),
            reusable: true,
        })
    }

    /// Whether the server left the connection open for another request.
    pub fn is_reusable(&self) -> bool {
        self.reusable
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&mut self, request: Request<'_>) -> Result<Answer> {
        let address = self.stream.peer_addr()?;
        timeout(LIMIT, self.exchange(request, address))
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
        self.stream.write_all(&message).await.context("write")?;
        let mut answer = self.head().await?;
        while (100..200).contains(&answer.status) && answer.status != 101 {
            answer = self.head().await?;
        }
        answer.body = self.body(request.method, &answer).await?;
        if answer
            .header("connection")
            .is_some_and(|value| value.to_ascii_lowercase().contains("close"))
        {
            self.reusable = false;
        }
        Ok(answer)
    }

    async fn head(&mut self) -> Result<Answer> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 100];
            let mut parsed = httparse::Response::new(&mut headers);
            if let httparse::Status::Complete(length) = parsed.parse(&self.read)? {
                let answer = Answer {
                    status: parsed.code.context("status code")?,
                    headers: parsed
                        .headers
                        .iter()
                        .map(|h| (h.name.to_owned(), String::from_utf8_lossy(h.value).into_owned()))
                        .collect(),
                    body: Vec::new(),
                };
                self.read.advance(length);
                return Ok(answer);
            }
            self.more("the head of the answer").await?;
        }
    }

    async fn body(&mut self, method: &str, answer: &Answer) -> Result<Vec<u8>> {
        if method == "HEAD" || matches!(answer.status, 101 | 204 | 304) {
            return Ok(Vec::new());
        }
        if answer
            .header("transfer-encoding")
            .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
        {
            return self.chunks().await;
        }
        if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().context("Content-Length")?;
            return self.exactly(length).await;
        }
        self.reusable = false;
        while self.stream.read_buf(&mut self.read).await? > 0 {}
        Ok(self.read.split().to_vec())
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.read.len() < length {
            self.more("the body").await?;
        }
        Ok(self.read.split_to(length).to_vec())
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).with_context(|| format!("chunk size {line:?}"))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(size).await?);
            self.exactly(2).await?;
        }
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.read.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.read.split_to(end);
                self.read.advance(2);
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.more("a line of the body").await?;
        }
    }

    async fn more(&mut self, what: &str) -> Result<()> {
        if self
            .stream
            .read_buf(&mut self.read)
            .await
            .with_context(|| format!("read {what}"))?
            == 0
        {
            bail!(
                "the connection ended before {what} was whole ({} bytes were)",
                self.read.len()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn answered(raw: &'static [u8]) -> Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await?;
            stream.write_all(raw).await
        });
        let answer = get(address, "/x").await;
        server.await??;
        answer
    }

    #[tokio::test]
    async fn reads_each_framing() {
        for raw in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello",
        ] {
            let answer = answered(raw).await.unwrap();
            assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        }
    }

    #[tokio::test]
    async fn a_body_that_is_cut_off_is_an_error() {
        let error = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
            .await
            .unwrap_err();
        assert!(
            format!("{error:#}").contains("ended before the body was whole"),
            "{error:#}"
        );
    }
}
