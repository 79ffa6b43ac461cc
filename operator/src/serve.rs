//! The configuration stream, as `proto/config.proto` describes it.

pub mod args;
pub mod gate;
pub mod review;
mod session;
pub mod tls;
mod token;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::Stream;
use genkan_proto::v1alpha1::config_stream_server::{ConfigStream, ConfigStreamServer};
use genkan_proto::v1alpha1::{OperatorMessage, ProxyMessage};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tonic::transport::server::{Connected, TcpIncoming};
use tonic::{Request, Response, Status, Streaming};

use crate::engine::Input;
use crate::metrics::Metrics;
use crate::pki::keep::Serving;
use crate::snapshot::Feed;

use gate::{Caller, Gate, GateLayer};
use session::Session;

/// Proxies send little: acknowledgements and health.
const MAX_RECEIVED: usize = 8 << 20;
/// Of one connection: a proxy has one.
const STREAMS: u32 = 16;
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Hands snapshots to proxies.
#[derive(Debug)]
pub struct Service {
    engine: mpsc::Sender<Input>,
    feed: Arc<Feed>,
    stop: watch::Receiver<bool>,
    sessions: AtomicU64,
    metrics: Arc<Metrics>,
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Transport(#[from] tonic::transport::Error),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

// === impl Service ===

impl Service {
    pub fn new(
        engine: mpsc::Sender<Input>,
        feed: Arc<Feed>,
        stop: watch::Receiver<bool>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            engine,
            feed,
            stop,
            sessions: AtomicU64::new(1),
            metrics,
        }
    }

    /// Serves in plain text, to whoever reaches the listener, until `stop` says true.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve_plaintext(self, listener: TcpListener) -> Result<(), ServeError> {
        // Small pushes would otherwise wait 40 ms for a delayed acknowledgement of TCP.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        self.serve(incoming, None).await
    }

    /// Serves those whom the gate lets in, until `stop` says true.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve_tls(
        self,
        listener: TcpListener,
        serving: Arc<Serving>,
        gate: Arc<Gate>,
    ) -> Result<(), ServeError> {
        let incoming = tls::incoming(listener, tls::config(serving)?, self.stop.clone());
        self.serve(incoming, Some(gate)).await
    }

    async fn serve<S, IO>(self, incoming: S, gate: Option<Arc<Gate>>) -> Result<(), ServeError>
    where
        S: Stream<Item = std::io::Result<IO>>,
        IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let mut stop = self.stop.clone();
        let served = tonic::transport::Server::builder()
            .layer(GateLayer { gate })
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .max_concurrent_streams(Some(STREAMS))
            .add_service(ConfigStreamServer::new(self).max_decoding_message_size(MAX_RECEIVED))
            .serve_with_incoming_shutdown(incoming, async move {
                let _ = stop.wait_for(|stop| *stop).await;
            });
        Ok(served.await?)
    }
}

#[tonic::async_trait]
impl ConfigStream for Service {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<OperatorMessage, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<ProxyMessage>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        if !self.feed.has_begun() {
            return Err(Status::unavailable(
                "the operator has not seen every kind of object yet; try again",
            ));
        }
        let id = self.sessions.fetch_add(1, Ordering::Relaxed);
        let (out, receiver) = mpsc::channel(4);
        let session = Session {
            id,
            engine: self.engine.clone(),
            feed: Arc::clone(&self.feed),
            stop: self.stop.clone(),
            out,
            metrics: Arc::clone(&self.metrics),
            caller: request.extensions().get::<Caller>().cloned(),
        };
        tokio::spawn(session.run(request.into_inner()));
        Ok(Response::new(Box::pin(
            tokio_stream::wrappers::ReceiverStream::new(receiver),
        )))
    }
}

#[cfg(test)]
mod tests;
