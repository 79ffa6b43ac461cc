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

/// Connects for requests that ask for an upgrade.
///
/// The engine (pingora-proxy 0.9.1) passes the end of a request without a body on as a message between its two halves.
/// Where a 101 has arrived before that message was looked at, it takes the message for the end of the tunnel and
/// closes it, so that every second tunnel fails with a backend that is quick enough. One turn of patience before
/// the answer is read gives the message precedence.
#[derive(Debug)]
pub struct Patience;

#[derive(Debug)]
struct Patient {
    stream: TcpStream,
    has_written: bool,
}

// === impl Patience ===

#[async_trait]
impl Connect for Patience {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let socket = Patient {
            stream: dial(address).await?,
            has_written: false,
        };
        Ok(VirtualSocketStream::new(Box::new(socket)).into())
    }
}

/// The way to connect that [`HttpPeer`](pingora_core::upstreams::peer::HttpPeer) takes.
pub fn patience() -> Arc<dyn Connect + Send + Sync> {
    Arc::new(Patience)
}

// === impl Patient ===

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.has_written) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.has_written = true;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl VirtualSocket for Patient {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        set_option(&self.stream, option)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn answer_waits_for_one_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        server.write_all(b"ab").await.unwrap();
        client.readable().await.unwrap();
        let mut patient = Patient {
            stream: client,
            has_written: false,
        };
        patient.write_all(b"x").await.unwrap();
        let polls = poll_fn(|context| {
            let mut bytes = [0; 2];
            let mut read = || {
                let mut buffer = ReadBuf::new(&mut bytes);
                Pin::new(&mut patient).poll_read(context, &mut buffer).is_ready()
            };
            Poll::Ready([read(), read()])
        });
        assert_eq!(polls.await, [false, true]);
    }
}
