//! An API server that knows everybody: every token is that of one user, who may do everything.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bytes::{Buf, BytesMut};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::product::local;

/// Answers reviews as long as the runtime lives that started it.
#[derive(Debug)]
pub struct Reviews {
    address: SocketAddr,
}

// === impl Reviews ===

impl Reviews {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(local(0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        Ok(Self { address })
    }

    /// Writes a kubeconfig that leads here into the folder.
    pub fn kubeconfig(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join("kubeconfig");
        let kubeconfig = json!({
            "current-context": "c",
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
            "clusters": [{ "name": "c", "cluster": { "server": format!("http://{}", self.address) } }],
            "users": [{ "name": "u", "user": { "token": "of-the-proxy" } }],
        });
        std::fs::write(&path, kubeconfig.to_string()).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

/// A client that goes away, or says what nobody expects, is not served any longer.
async fn serve(mut stream: TcpStream) -> Option<()> {
    let mut read = BytesMut::with_capacity(4_096);
    loop {
        let (is_token, length) = loop {
            let mut headers = [httparse::EMPTY_HEADER; 50];
            let mut request = httparse::Request::new(&mut headers);
            if let httparse::Status::Complete(head) = request.parse(&read).ok()? {
                let length = request
                    .headers
                    .iter()
                    .find(|h| h.name.eq_ignore_ascii_case("content-length"))?;
                let length: usize = std::str::from_utf8(length.value).ok()?.parse().ok()?;
                break (request.path?.ends_with("/tokenreviews"), head + length);
            }
            read_more(&mut stream, &mut read).await?;
        };
        while read.len() < length {
            read_more(&mut stream, &mut read).await?;
        }
        read.advance(length);
        let status = if is_token {
            json!({ "authenticated": true, "user": {
                "username": "jane", "uid": "5d0c8f2e-0c55-4d9e-9f5d-2f6f1b8d1e11",
                "groups": ["staff", "system:authenticated"],
            }})
        } else {
            json!({ "allowed": true })
        };
        let body = json!({ "status": status }).to_string();
        let head = format!(
            "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.ok()?;
    }
}

async fn read_more(stream: &mut TcpStream, read: &mut BytesMut) -> Option<()> {
    (stream.read_buf(read).await.ok()? > 0).then_some(())
}
