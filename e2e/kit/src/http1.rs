//! A client of HTTP/1 that sends bytes as they stand.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wire::{Broken, Headers, Reader, has_token, values};

/// The client's side of a connection.
pub type Client<S = TcpStream> = Reader<S>;

/// An answer, with its body whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status line; empty where the protocol has none.
    pub line: String,
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
}

/// The answer to a GET on a connection of its own.
///
/// # Panics
/// When there is none.
pub async fn get(address: SocketAddr, target: &str) -> Answer {
    let mut client = Client::connect(address).await;
    let head = format!("GET {target} HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n\r\n");
    client.send(head).await;
    client.answer().await.unwrap()
}

// === impl Answer ===

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        values(&self.headers, name).next()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// # Errors
    /// When the body is no JSON.
    pub fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
    }

    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// Whether the server says that it closes the connection behind it.
    pub fn closes(&self) -> bool {
        has_token(&self.headers, "connection", "close")
    }

    /// Whether only the end of the connection ends its body.
    pub fn ends_with_connection(&self, method: &str) -> bool {
        !self.has_no_body(method)
            && !has_token(&self.headers, "transfer-encoding", "chunked")
            && self.header("content-length").is_none()
    }

    fn has_no_body(&self, method: &str) -> bool {
        method == "HEAD" || matches!(self.status, 100..200 | 204 | 304)
    }

    /// Checks that genkan itself made this answer, as a Status with everything it owes.
    #[track_caller]
    pub fn assert_status(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let body = self.json().unwrap();
        assert_eq!(
            (&body["kind"], &body["code"]),
            (&"Status".into(), &status.into()),
            "{self:?}"
        );
        let is_said = |name: &str| body[name].as_str().is_some_and(|text| !text.is_empty());
        assert!(is_said("reason") && is_said("message"), "{self:?}");
        for name in ["x-genkan-reason", "x-request-id"] {
            assert!(
                self.header(name).is_some_and(|value| !value.is_empty()),
                "{self:?}"
            );
        }
    }
}

// === impl Client ===

impl Client {
    /// # Panics
    /// When the server takes no connection.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::new(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// # Panics
    /// When the other side has closed.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends, and does not mind if the other side has closed.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// The next answer to a request that was no HEAD, interim ones too; `None` if the connection ends before it is whole.
    ///
    /// # Panics
    /// When nothing comes in time, or what comes is no HTTP.
    pub async fn answer(&mut self) -> Option<Answer> {
        match self.read_answer("GET").await {
            Ok(answer) => Some(answer),
            Err(Broken::Ended { .. }) => None,
            Err(broken) => panic!("{broken}"),
        }
    }

    /// The next answer to a request with this method, interim ones too.
    ///
    /// # Errors
    /// When it does not come whole.
    pub async fn read_answer(&mut self, method: &str) -> Result<Answer, Broken> {
        let mut answer = self.read_head().await?;
        self.read_body(method, &mut answer).await?;
        Ok(answer)
    }

    /// Status and headers of the next answer; its body is not read.
    ///
    /// # Errors
    /// When it does not come whole.
    pub async fn read_head(&mut self) -> Result<Answer, Broken> {
        let line = self.line().await?;
        let code = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
        let Some(status) = code.and_then(|code| code.parse().ok()) else {
            return Err(Broken::Malformed(line));
        };
        Ok(Answer {
            line,
            status,
            headers: self.headers().await?,
            ..Answer::default()
        })
    }

    /// What stands behind a head that was read, for a request with this method.
    ///
    /// # Errors
    /// When it does not come whole.
    pub async fn read_body(&mut self, method: &str, answer: &mut Answer) -> Result<(), Broken> {
        if answer.has_no_body(method) {
            return Ok(());
        }
        if has_token(&answer.headers, "transfer-encoding", "chunked") {
            (answer.body, answer.trailers) = self.chunked().await?;
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().map_err(|_| Broken::Malformed(length.to_owned()))?;
            answer.body = self.exactly(length).await?.into();
        } else {
            answer.body = self.rest().await?.into();
        }
        Ok(())
    }

    /// Everything until the other side closes, as text.
    ///
    /// # Panics
    /// When it does not close in time.
    pub async fn rest_of_it(&mut self) -> String {
        String::from_utf8_lossy(&self.rest().await.unwrap()).into_owned()
    }

    /// Whether the other side closes without another byte.
    ///
    /// # Panics
    /// When it does neither in time.
    pub async fn closes(&mut self) -> bool {
        self.rest().await.unwrap().is_empty()
    }

    /// Reads until what arrived contains `text`; false if the connection ends first.
    ///
    /// # Panics
    /// When nothing comes in time.
    pub async fn until(&mut self, text: &str) -> bool {
        let is_there = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        while !is_there(&self.buffered) {
            if !self.fill().await.unwrap() {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn answered(raw: &'static [u8]) -> Result<Answer, Broken> {
        let (client, mut server) = tokio::io::duplex(1024);
        server.write_all(raw).await.unwrap();
        server.shutdown().await.unwrap();
        let mut client = Client::new(client);
        let mut answer = client.read_answer("GET").await?;
        while answer.is_interim() {
            answer = client.read_answer("GET").await?;
        }
        assert_eq!(client.stream.read_u8().await.ok(), None);
        Ok(answer)
    }

    #[tokio::test]
    async fn each_framing_is_read() {
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
        for raw in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
        ] {
            assert_eq!(answered(raw).await, Err(Broken::Ended { read: 5 }));
        }
        assert!(matches!(
            answered(b"HTTP/2 200\r\n\r\n").await,
            Err(Broken::Malformed(_))
        ));
    }
}
