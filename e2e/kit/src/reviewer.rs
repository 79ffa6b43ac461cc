//! An API server that answers reviews alone, as it is told.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::wire::{Reader, values};

/// What it is asked.
#[derive(Debug, Clone)]
pub struct Review {
    pub about: About,
    /// Request line and headers.
    pub head: String,
    pub api_version: Value,
    pub kind: Value,
    pub spec: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A TokenReview.
    Token,
    /// A SubjectAccessReview.
    Access,
}

/// What it does about it.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// 201 with this status.
    Status(Value),
    /// This code and no status.
    Code(u16),
    /// Closes the connection.
    Breaks,
    /// Keeps the connection and says nothing.
    Silent,
}

/// It listens until this is dropped.
#[derive(Debug)]
pub struct Reviewer {
    pub address: SocketAddr,
    _end: oneshot::Sender<()>,
}

type Judge = dyn Fn(Review) -> Verdict + Send + Sync;

// === impl Reviewer ===

impl Reviewer {
    /// Listens on a thread of its own: whoever asks may block.
    pub fn start(judge: impl Fn(Review) -> Verdict + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        let judge: Arc<Judge> = Arc::new(judge);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, judge) => {}
                    _ = ended => {}
                }
            });
        });
        Self { address, _end: end }
    }

    /// A kubeconfig that leads here, with a token of its own.
    pub fn kubeconfig(&self) -> String {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
            "clusters": [{ "name": "c", "cluster": { "server": format!("http://{}", self.address) } }],
            "users": [{ "name": "u", "user": { "token": "own-token" } }],
        })
        .to_string()
    }
}

async fn accept(listener: tokio::net::TcpListener, judge: Arc<Judge>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&judge)));
    }
}

async fn serve(stream: TcpStream, judge: Arc<Judge>) {
    let mut reader = Reader::new(stream);
    // Kept connections are silent for as long as nobody asks anything.
    reader.patience = std::time::Duration::MAX;
    while let Ok(line) = reader.line().await {
        let Ok(headers) = reader.headers().await else {
            return;
        };
        let length = values(&headers, "content-length").next();
        let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        let Ok(body) = reader.exactly(length).await else {
            return;
        };
        let mut body: Value = serde_json::from_slice(&body).unwrap();
        let about = if line.contains("/apis/authentication.k8s.io/v1/tokenreviews ") {
            About::Token
        } else {
            assert!(
                line.contains("/apis/authorization.k8s.io/v1/subjectaccessreviews "),
                "{line}"
            );
            About::Access
        };
        let lines = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let review = Review {
            about,
            head: format!("{line}\r\n{}\r\n", lines.collect::<String>()),
            api_version: body["apiVersion"].take(),
            kind: body["kind"].take(),
            spec: body["spec"].take(),
        };
        let (version, kind) = (review.api_version.clone(), review.kind.clone());
        let (code, answer) = match judge(review) {
            Verdict::Status(status) => (
                201,
                json!({ "apiVersion": version, "kind": kind, "status": status }),
            ),
            Verdict::Code(code) => (code, json!({})),
            Verdict::Breaks => return,
            Verdict::Silent => return std::future::pending().await,
        };
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        if reader
            .stream
            .write_all((head + &answer).as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}
