use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Buf as _, Bytes};
use futures::FutureExt as _;
use pingora_core::protocols::l4::ext::set_tcp_keepalive;
use pingora_core::protocols::l4::socket::SocketAddr as EngineAddr;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, BufWriter, ReadBuf};
use tokio::net::TcpStream;

use super::keepalive;
use crate::front::Vigil;

/// An eighth of what the engine gives each connection; it costs nothing that was measured.
const READ_BUFFER: usize = 8 * 1024;
const WRITE_BUFFER: usize = 1_460;

/// A connection of a client, below TLS. The engine's own kind can be buffered by the engine's listeners only, and those
/// count nobody before the end of a handshake.
#[derive(Debug)]
pub struct Socket {
    stream: BufReader<BufWriter<TcpStream>>,
    /// Read already, and to be read again.
    rewound: Bytes,
    digest: Arc<SocketDigest>,
    established: SystemTime,
    vigil: Vigil,
}

// === impl Socket ===

impl Socket {
    /// Of a connection that `peer` has opened.
    pub fn new(stream: TcpStream, peer: SocketAddr) -> Self {
        // Where a connection is broken already, reading will tell.
        let _ = stream.set_nodelay(true);
        let _ = set_tcp_keepalive(&stream, &keepalive());
        let digest = digest(&stream, peer);
        let stream = BufWriter::with_capacity(WRITE_BUFFER, stream);
        Self {
            stream: BufReader::with_capacity(READ_BUFFER, stream),
            rewound: Bytes::new(),
            digest,
            established: SystemTime::now(),
            vigil: Vigil::default(),
        }
    }

    /// Puts bytes back, in front of what is to be read.
    pub fn rewind(&mut self, bytes: &[u8]) {
        self.rewound = [bytes, &self.rewound].concat().into();
    }

    /// Whoever is at the other end speaks for this one.
    pub fn speaks_for(&mut self, client: SocketAddr) {
        self.digest = digest(self.stream.get_ref().get_ref(), client);
    }
}

fn digest(stream: &TcpStream, peer: SocketAddr) -> Arc<SocketDigest> {
    let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
    // The cell is new, so this cannot fail.
    let _ = digest.peer_addr.set(Some(EngineAddr::Inet(peer)));
    Arc::new(digest)
}

impl Drop for Socket {
    /// What was written and not sent is sent if that is possible at once.
    fn drop(&mut self) {
        let _ = self.stream.flush().now_or_never();
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rewound.is_empty() {
            if let read @ Poll::Ready(_) = Pin::new(&mut self.stream).poll_read(context, buffer) {
                return read;
            }
            return self.vigil.poll(context).map(Err);
        }
        let count = self.rewound.len().min(buffer.remaining());
        buffer.put_slice(&self.rewound[..count]);
        self.rewound.advance(count);
        if self.rewound.is_empty() {
            self.rewound = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Socket {
    async fn shutdown(&mut self) {
        // It may be closed already.
        let _ = self.stream.shutdown().await;
    }
}

impl UniqueID for Socket {
    fn id(&self) -> UniqueIDType {
        self.stream.get_ref().get_ref().as_raw_fd()
    }
}

impl Ssl for Socket {}

impl Peek for Socket {}

impl GetTimingDigest for Socket {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        vec![Some(TimingDigest {
            established_ts: self.established,
            ..TimingDigest::default()
        })]
    }
}

impl GetProxyDigest for Socket {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Socket {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.digest))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_was_put_back_is_read_first_and_what_was_written_is_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let mut socket = Socket::new(stream, peer);
        client.write_all(b"third").await.unwrap();
        socket.rewind(b"second ");
        socket.rewind(b"first ");
        let mut read = [0; 18];
        socket.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"first second third");
        socket.write_all(b"answer").await.unwrap();
        drop(socket);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
    }

    #[tokio::test]
    async fn a_load_balancer_speaks_for_somebody() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let mut socket = Socket::new(stream, peer);
        let seen = |socket: &Socket| {
            socket
                .get_socket_digest()
                .and_then(|digest| digest.peer_addr()?.as_inet().copied())
        };
        assert_eq!(seen(&socket), Some(peer));
        let client = "192.0.2.7:8080".parse().unwrap();
        socket.speaks_for(client);
        assert_eq!(seen(&socket), Some(client));
    }
}
