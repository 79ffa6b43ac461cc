//! One connection of the stream's port, from its first byte on.

use std::sync::Arc;
use std::time::Duration;

use genkan_accept::{Closed, Place, Places, Shares, share};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;
use tower::ServiceExt as _;
use tracing::debug;

use super::gate::Guarded;

/// From accepting a connection, or the end of its last stream, to a stream that the gate lets in: for TLS, the preface,
/// the token and its review together.
const SUBSCRIBED: Duration = Duration::from_secs(10);
/// Hundredths of the open files: the rest is for the API server and the administration port.
const PROXIES: usize = 80;
/// Connections that have no stream yet, in all and of one address; who has waited longest goes first.
const STRANGERS: usize = 256;
const STRANGERS_OF_ONE: usize = 64;
/// Of one connection: a proxy has one.
const STREAMS: u32 = 16;
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves connections, each in a task of its own.
#[derive(Clone)]
pub(super) struct Server {
    pub tls: Option<TlsAcceptor>,
    pub service: Guarded<Routes>,
    pub stop: watch::Receiver<bool>,
}

/// Whoever has no stream must not keep a proxy out.
pub(super) fn places(closed: &Closed) -> Arc<Places> {
    let most = share(PROXIES);
    let shares = Shares {
        most,
        most_waiting: STRANGERS.min(most),
        most_waiting_of_one: STRANGERS_OF_ONE.min(most),
        first: SUBSCRIBED,
        next: SUBSCRIBED,
    };
    Places::new("stream", shares, closed)
}

// === impl Server ===

impl Server {
    pub(super) async fn converse(self, stream: TcpStream, place: Place) {
        // Small pushes would otherwise wait 40 ms for a delayed acknowledgement of TCP.
        let _ = stream.set_nodelay(true);
        match self.tls.clone() {
            None => self.serve(stream, place).await,
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => self.serve(stream, place).await,
                Err(error) => debug!(peer = %place.peer(), %error, "no TLS with this peer"),
            },
        }
    }

    async fn serve(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, place: Place) {
        let (service, peer) = (self.service, place.peer());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(place.clone());
            service.clone().oneshot(request)
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .max_concurrent_streams(STREAMS);
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = stopped(&mut self.stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(%peer, %error, "connection broken");
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Without a sender the process is ending too.
    let _ = stop.wait_for(|stop| *stop).await;
}
