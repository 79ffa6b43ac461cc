use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora_core::Result;
use pingora_core::connectors::l4::Connect;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::dial::{dial, set_option};
use crate::front::Vigil;

/// Connects for requests of clients that speak HTTP/2: the backend is waited for here, since the reads of such a client are
/// those of all its requests. The engine's own limit is fixed before the backend has said whether it may be silent.
#[derive(Debug)]
pub struct Attention;

/// Reads fail once the backend has been silent for too long, while a request waits for it.
#[derive(Debug)]
struct Attentive {
    stream: TcpStream,
    vigil: Vigil,
}

// === impl Attention ===

#[async_trait]
impl Connect for Attention {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let socket = Attentive {
            stream: dial(address).await?,
            vigil: Vigil::default(),
        };
        Ok(VirtualSocketStream::new(Box::new(socket)).into())
    }
}

/// The way to connect that [`HttpPeer`](pingora_core::upstreams::peer::HttpPeer) takes.
pub fn attention() -> Arc<dyn Connect + Send + Sync> {
    Arc::new(Attention)
}

// === impl Attentive ===

impl AsyncRead for Attentive {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            return Poll::Ready(read);
        }
        self.vigil.poll(context).map(Err)
    }
}

impl AsyncWrite for Attentive {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl VirtualSocket for Attentive {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        set_option(&self.stream, option)
    }
}
