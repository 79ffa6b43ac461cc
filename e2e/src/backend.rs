//! A backend that says what reached it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use genkan_kit::wire::{Broken, Headers, Reader, values};
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

async fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = Reader::new(stream);
    // Between requests nothing comes for as long as the client likes.
    reader.patience = Duration::MAX;
    while let Some(request) = next_or_leave(&mut reader, shared).await? {
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
        reader.stream.write_all(head.as_bytes()).await?;
        if request.method != "HEAD" {
            reader.stream.write_all(body.as_bytes()).await?;
        }
        if close {
            reader.stream.shutdown().await?;
            linger(&mut reader.stream).await;
            return Ok(());
        }
    }
    Ok(())
}

/// The next request; none if the connection ended, or has been idle for a while after SIGTERM.
async fn next_or_leave(reader: &mut Reader<TcpStream>, shared: &Shared) -> Result<Option<Seen>> {
    let leave = async {
        shared.listening.cancelled().await;
        tokio::time::sleep(IDLE).await;
    };
    tokio::select! {
        // What has begun to arrive is answered.
        biased;
        request = next(reader) => Ok(request?),
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
    headers: Headers,
    body: Vec<u8>,
}

async fn next(reader: &mut Reader<TcpStream>) -> Result<Option<Seen>, Broken> {
    let line = match reader.line().await {
        Err(Broken::Ended { read: 0 }) => return Ok(None),
        line => line?,
    };
    let headers = reader.headers().await?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let body = if values(&headers, "transfer-encoding").next().is_some() {
        reader.chunked().await?.0
    } else {
        let length = values(&headers, "content-length").next().unwrap_or("0");
        let length = length.parse().map_err(|_| Broken::Malformed(length.to_owned()))?;
        reader.exactly(length).await?.into()
    };
    Ok(Some(Seen {
        method,
        target,
        headers,
        body,
    }))
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
