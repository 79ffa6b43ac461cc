//! The configuration stream, as `proto/config.proto` describes it.

mod session;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::Stream;
use genkan_proto::v1alpha1::config_stream_server::{ConfigStream, ConfigStreamServer};
use genkan_proto::v1alpha1::{OperatorMessage, ProxyMessage};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::engine::Input;
use crate::metrics::Metrics;
use crate::snapshot::Push;

use session::Session;

/// Proxies send little: acknowledgements and health.
const MAX_RECEIVED: usize = 8 << 20;
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Hands snapshots to proxies.
#[derive(Debug)]
pub struct Service {
    engine: mpsc::Sender<Input>,
    pushes: watch::Receiver<Option<Arc<Push>>>,
    stop: watch::Receiver<bool>,
    sessions: AtomicU64,
    metrics: Arc<Metrics>,
}

/// Why the stream may not be served at an address.
///
/// # Errors
/// When the stream would be in plain text without that being said, or beyond this machine.
pub fn permitted(address: SocketAddr, plaintext: bool) -> Result<(), String> {
    if !plaintext {
        return Err(
            "this version serves the configuration stream only in plain text between loopback addresses; \
                    say so with --grpc-plaintext"
                .into(),
        );
    }
    if !address.ip().is_loopback() {
        return Err(format!(
            "--grpc-plaintext is only for loopback addresses, and --grpc-listen is {address}; \
             listen on 127.0.0.1 or [::1]"
        ));
    }
    Ok(())
}

// === impl Service ===

impl Service {
    pub fn new(
        engine: mpsc::Sender<Input>,
        pushes: watch::Receiver<Option<Arc<Push>>>,
        stop: watch::Receiver<bool>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            engine,
            pushes,
            stop,
            sessions: AtomicU64::new(1),
            metrics,
        }
    }

    /// Serves until `stop` says true.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, listener: TcpListener) -> Result<(), tonic::transport::Error> {
        let mut stop = self.stop.clone();
        // Small pushes would otherwise wait 40 ms for a delayed acknowledgement of TCP.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(ConfigStreamServer::new(self).max_decoding_message_size(MAX_RECEIVED))
            .serve_with_incoming_shutdown(incoming, async move {
                let _ = stop.wait_for(|stop| *stop).await;
            })
            .await
    }
}

#[tonic::async_trait]
impl ConfigStream for Service {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<OperatorMessage, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<ProxyMessage>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        if self.pushes.borrow().is_none() {
            return Err(Status::unavailable(
                "the operator has not seen every kind of object yet; try again",
            ));
        }
        let id = self.sessions.fetch_add(1, Ordering::Relaxed);
        let (out, receiver) = mpsc::channel(4);
        let session = Session {
            id,
            engine: self.engine.clone(),
            pushes: self.pushes.clone(),
            stop: self.stop.clone(),
            out,
            metrics: Arc::clone(&self.metrics),
        };
        tokio::spawn(session.run(request.into_inner()));
        Ok(Response::new(Box::pin(
            tokio_stream::wrappers::ReceiverStream::new(receiver),
        )))
    }
}

#[cfg(test)]
mod tests;
