use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use genkan_routing::strict::{ChunkScan, Refused};
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::answer::LINGER;

/// A connection on which a chunked body is judged before the engine reads it: the engine passes over much that other
/// programs would read in another way.
///
/// What breaks the rules is never given to the engine, so that its backend never sees the end of the request. The first
/// read that would is an error, which holds the [`Refused`]; whoever reads on has answered, and finds the end of the
/// connection when the client has left it or had its time.
#[derive(Debug)]
pub(super) struct Judged {
    stream: Stream,
    /// Of the request that is being served.
    body: Body,
    /// Behind a refusal: until when what the client still sends is read and forgotten.
    linger: Option<Pin<Box<Sleep>>>,
}

/// What is known of the body of one request.
#[derive(Debug)]
pub(super) struct Body {
    /// If it is chunked; other bodies need no judge.
    scan: Option<ChunkScan>,
    /// Bytes have arrived behind it.
    is_exceeded: bool,
}

/// Why a read failed, if it is for what the client sent.
pub fn refusal<'e>(error: &'e (dyn std::error::Error + Send + Sync + 'static)) -> Option<&'e Refused> {
    error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}

// === impl Body ===

impl Body {
    /// `arrived` is what came with the head.
    ///
    /// # Errors
    /// The answer to a body that breaks the rules from the start.
    pub(super) fn begin(is_chunked: bool, arrived: &[u8]) -> Result<Self, Refused> {
        let scan = is_chunked.then(ChunkScan::default);
        let mut body = Self {
            scan,
            is_exceeded: false,
        };
        body.advance(arrived).map(|()| body)
    }

    fn advance(&mut self, arrived: &[u8]) -> Result<(), Refused> {
        if let Some(scan) = &mut self.scan {
            self.is_exceeded |= scan.advance(arrived)? < arrived.len();
        }
        Ok(())
    }

    fn is_broken(&self) -> bool {
        self.scan.as_ref().is_some_and(ChunkScan::is_broken)
    }

    fn is_at_end(&self) -> bool {
        self.scan
            .as_ref()
            .is_none_or(|scan| scan.is_over() && !self.is_exceeded)
    }
}

// === impl Judged ===

impl Judged {
    /// Has the body judged as it is read from this connection. What was allocated for the first chunked body of a
    /// connection serves all of them. `None` never comes back, but the types do not say so.
    pub(super) fn over(stream: Stream, body: Body) -> Option<Stream> {
        if !(*stream).as_any().is::<Self>() {
            return Some(if body.scan.is_some() {
                Box::new(Self {
                    stream,
                    body,
                    linger: None,
                })
            } else {
                stream
            });
        }
        let mut judged = stream.into_any().downcast::<Self>().ok()?;
        judged.body = body;
        Some(judged)
    }

    /// Whether the last request ended where its body did, so that another head may follow.
    pub(super) fn is_at_end(stream: &Stream) -> bool {
        let judged = (**stream).as_any().downcast_ref::<Self>();
        judged.is_none_or(|judged| judged.body.is_at_end())
    }

    /// The client learns at once that nothing more will come; a reset must not overtake the answer.
    fn poll_rest(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let before = buffer.filled().len();
        while Pin::new(&mut self.stream).poll_read(context, buffer)?.is_ready() {
            if buffer.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            buffer.set_filled(before);
        }
        linger.as_mut().poll(context).map(Ok)
    }
}

impl AsyncRead for Judged {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let judged = self.get_mut();
        if judged.body.is_broken() {
            return judged.poll_rest(context, buffer);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut judged.stream).poll_read(context, buffer))?;
        Poll::Ready(
            judged
                .body
                .advance(&buffer.filled()[before..])
                .map_err(|refused| {
                    buffer.set_filled(before);
                    io::Error::new(io::ErrorKind::InvalidData, refused)
                }),
        )
    }
}

impl AsyncWrite for Judged {
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
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
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

#[async_trait]
impl Shutdown for Judged {
    async fn shutdown(&mut self) {
        Shutdown::shutdown(&mut *self.stream).await;
    }
}

impl UniqueID for Judged {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl Ssl for Judged {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.selected_alpn_proto()
    }
}

/// The protocol of a connection is known before a body is judged.
impl Peek for Judged {}

impl GetTimingDigest for Judged {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.stream.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.stream.get_write_pending_time()
    }
}

impl GetProxyDigest for Judged {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }

    fn set_proxy_digest(&mut self, digest: ProxyDigest) {
        self.stream.set_proxy_digest(digest);
    }
}

impl GetSocketDigest for Judged {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.stream.set_socket_digest(digest);
    }
}
