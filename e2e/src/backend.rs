//! A backend that says what reached it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::{Buf, BytesMut};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// An HTTP/1.1 server that answers with JSON: its name, and the method, target, headers and body of the request.
///
/// It closes connections as a well-behaved server does: the answer before says `Connection: close`.
#[derive(Debug)]
pub struct Backend {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    requests: AtomicU64,
    connections: AtomicU64,
    draining: AtomicBool,
    faulty: AtomicBool,
    listening: CancellationToken,
    end: CancellationToken,
}

/// How long a kept connection may stay after SIGTERM without a request.
const IDLE: Duration = Duration::from_secs(2);

// === impl Backend ===

impl Backend {
    pub async fn start(name: &str, address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("listen on {address}"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            faulty: AtomicBool::new(false),
            listening: CancellationToken::new(),
            end: CancellationToken::new(),
        });
        tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared })
    }

    /// How many requests it has answered.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// From now on every answer says `Connection: close`; new connections are still taken.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::SeqCst);
    }

    /// What a well-behaved server does on SIGTERM: no new connections, a last answer on those that are open.
    pub fn terminate(&self) {
        self.drain();
        self.shared.listening.cancel();
    }

    /// From now on one answer in ten is a 500: the fault that a hammer has to catch.
    pub fn make_faulty(&self) {
        self.shared.faulty.store(true, Ordering::SeqCst);
    }

    /// Stops listening and cuts what is open.
    pub fn stop(&self) {
        self.shared.end.cancel();
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let accepting = async {
        while let Ok((stream, _)) = listener.accept().await {
            let shared = shared.clone();
            tokio::spawn(async move {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                // A client that goes away is none of the backend's business.
                let _ = shared.end.run_until_cancelled(serve(stream, &shared)).await;
                shared.connections.fetch_sub(1, Ordering::SeqCst);
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shared.listening.cancelled() => {}
        () = shared.end.cancelled() => {}
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut read = BytesMut::with_capacity(4096);
    while let Some(request) = next_or_leave(&mut stream, &mut read, shared).await? {
        let count = shared.requests.fetch_add(1, Ordering::SeqCst);
        let fault = shared.faulty.load(Ordering::SeqCst) && count.is_multiple_of(10);
        let body = json!({
            "backend": shared.name,
            "method": request.method,
            "target": request.target,
            "headers": request.headers,
            "body": String::from_utf8_lossy(&request.body),
        })
        .to_string();
        let close = shared.draining.load(Ordering::SeqCst);
        let status = if fault {
            "500 Internal Server Error"
        } else {
            "200 OK"
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Backend: {}\r\nContent-Length: {}\r\n{}\r\n",
            shared.name,
            body.len(),
            if close { "Connection: close\r\n" } else { "" }
        );
        stream.write_all(head.as_bytes()).await?;
        if request.method != "HEAD" {
            stream.write_all(body.as_bytes()).await?;
        }
        if close {
            stream.shutdown().await?;
            linger(&mut stream).await;
            return Ok(());
        }
    }
    Ok(())
}

/// The next request; none if the connection ended, or has been idle for a while after SIGTERM.
async fn next_or_leave(stream: &mut TcpStream, read: &mut BytesMut, shared: &Shared) -> Result<Option<Seen>> {
    let leave = async {
        shared.listening.cancelled().await;
        tokio::time::sleep(IDLE).await;
    };
    tokio::select! {
        // What has begun to arrive is answered.
        biased;
        request = next(stream, read) => request,
        () = leave => Ok(None),
    }
}

/// Lets the other side see the end before the socket goes: a reset could overtake the answer.
async fn linger(stream: &mut TcpStream) {
    let mut rest = [0; 512];
    let reading = async { while matches!(stream.read(&mut rest).await, Ok(n) if n > 0) {} };
    let _ = tokio::time::timeout(Duration::from_secs(2), reading).await;
}

struct Seen {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

async fn next(stream: &mut TcpStream, read: &mut BytesMut) -> Result<Option<Seen>> {
    let mut seen = loop {
        let mut headers = [httparse::EMPTY_HEADER; 200];
        let mut parsed = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(length) = parsed.parse(read)? {
            let seen = Seen {
                method: parsed.method.unwrap_or_default().to_owned(),
                target: parsed.path.unwrap_or_default().to_owned(),
                headers: parsed
                    .headers
                    .iter()
                    .map(|h| (h.name.to_owned(), String::from_utf8_lossy(h.value).into_owned()))
                    .collect(),
                body: Vec::new(),
            };
            read.advance(length);
            break seen;
        }
        if stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    };
    seen.body = body(stream, read, &seen).await?;
    Ok(Some(seen))
}

async fn body(stream: &mut TcpStream, read: &mut BytesMut, seen: &Seen) -> Result<Vec<u8>> {
    let header = |name: &str| seen.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    if header("transfer-encoding").is_some() {
        return chunks(stream, read).await;
    }
    let length = header("content-length").map_or(Ok(0), |(_, value)| value.parse())?;
    exactly(stream, read, length).await
}

async fn exactly(stream: &mut TcpStream, read: &mut BytesMut, length: usize) -> Result<Vec<u8>> {
    while read.len() < length {
        if stream.read_buf(read).await? == 0 {
            bail!("the request ended too early");
        }
    }
    Ok(read.split_to(length).to_vec())
}

async fn chunks(stream: &mut TcpStream, read: &mut BytesMut) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = read.windows(2).position(|pair| pair == b"\r\n") {
                break end;
            }
            if stream.read_buf(read).await? == 0 {
                bail!("the request ended too early");
            }
        };
        let line = String::from_utf8(read.split_to(end).to_vec())?;
        read.advance(2);
        let size = usize::from_str_radix(line.trim(), 16)?;
        whole.extend(exactly(stream, read, size).await?);
        exactly(stream, read, 2).await?;
        if size == 0 {
            return Ok(whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{Connection, Request};

    #[tokio::test]
    async fn says_what_reached_it_and_closes_politely() {
        let backend = Backend::start("one", "127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let mut connection = Connection::open(backend.address).await.unwrap();
        let answer = connection.send(Request::post("/a?b=c", b"hello")).await.unwrap();
        let said = answer.json().unwrap();
        assert_eq!(
            (said["target"].as_str(), said["body"].as_str()),
            (Some("/a?b=c"), Some("hello"))
        );
        assert!(connection.is_reusable());

        backend.drain();
        let answer = connection.send(Request::get("/")).await.unwrap();
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(!connection.is_reusable());
    }
}
