//! The configuration stream, as `proto/config.proto` describes it.

pub mod args;
mod connection;
pub mod gate;
pub mod review;
mod session;
pub mod tls;
mod token;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::Stream;
use genkan_accept::Place;
use genkan_proto::v1alpha1::config_stream_server::{ConfigStream, ConfigStreamServer};
use genkan_proto::v1alpha1::{OperatorMessage, ProxyMessage};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};
use tower::Layer as _;

use crate::duties::Told;
use crate::input::Input;
use crate::metrics::Metrics;
use crate::pki::keep::Serving;
use crate::rollouts;
use crate::snapshot::Feed;

use connection::Server;
use gate::{Caller, Gate, GateLayer};
use session::Session;

/// Proxies send little: acknowledgements and health.
const MAX_RECEIVED: usize = 8 << 20;

/// Hands snapshots to proxies.
#[derive(Debug)]
pub struct Service {
    engine: mpsc::Sender<Input>,
    feed: Arc<Feed>,
    stop: watch::Receiver<bool>,
    sessions: AtomicU64,
    metrics: Arc<Metrics>,
    plaintext_secrets: bool,
    duties: Option<watch::Receiver<Told>>,
    rollouts: Option<watch::Receiver<rollouts::Told>>,
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
            plaintext_secrets: false,
            duties: None,
            rollouts: None,
        }
    }

    /// Gives duties to those who can do them.
    #[must_use]
    pub fn with_duties(mut self, duties: watch::Receiver<Told>) -> Self {
        self.duties = Some(duties);
        self
    }

    /// Tells data planes what to do for roll-outs.
    #[must_use]
    pub fn with_rollouts(mut self, rollouts: watch::Receiver<rollouts::Told>) -> Self {
        self.rollouts = Some(rollouts);
        self
    }

    /// Sends secrets to whoever reaches the listener in plain text, too.
    #[must_use]
    pub fn with_plaintext_secrets(mut self, is_wanted: bool) -> Self {
        self.plaintext_secrets = is_wanted;
        self
    }

    /// Serves in plain text, to whoever reaches the listener, until `stop` says true.
    pub async fn serve_plaintext(self, listener: TcpListener) {
        self.serve(listener, None, None).await;
    }

    /// Serves those whom the gate lets in, until `stop` says true.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub async fn serve_tls(
        self,
        listener: TcpListener,
        serving: Arc<Serving>,
        gate: Arc<Gate>,
    ) -> Result<(), rustls::Error> {
        let acceptor = tls::acceptor(serving)?;
        self.serve(listener, Some(acceptor), Some(gate)).await;
        Ok(())
    }

    async fn serve(self, listener: TcpListener, tls: Option<TlsAcceptor>, gate: Option<Arc<Gate>>) {
        let mut stop = self.stop.clone();
        let places = connection::places(&self.metrics.connections_closed);
        let service = ConfigStreamServer::new(self).max_decoding_message_size(MAX_RECEIVED);
        let server = Server {
            tls,
            service: GateLayer { gate }.layer(Routes::new(service).prepare()),
            stop: stop.clone(),
        };
        let serve = move |stream, place| server.clone().converse(stream, place);
        tokio::select! {
            never = genkan_accept::accept(listener, places, serve) => match never {},
            _ = stop.wait_for(|stop| *stop) => {}
        }
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
        let place = request.extensions().get::<Place>();
        let Some(call) = place.and_then(Place::begin) else {
            return Err(Status::unavailable("the connection is being closed"));
        };
        let caller = request.extensions().get::<Caller>().cloned();
        let id = self.sessions.fetch_add(1, Ordering::Relaxed);
        let (out, receiver) = mpsc::channel(4);
        let session = Session {
            id,
            engine: self.engine.clone(),
            feed: Arc::clone(&self.feed),
            stop: self.stop.clone(),
            duties: self.duties.clone(),
            rollouts: self.rollouts.clone(),
            out,
            metrics: Arc::clone(&self.metrics),
            may_have_secrets: caller.is_some() || self.plaintext_secrets,
            caller,
            _call: call,
        };
        tokio::spawn(session.run(request.into_inner()));
        Ok(Response::new(Box::pin(
            tokio_stream::wrappers::ReceiverStream::new(receiver),
        )))
    }
}

#[cfg(test)]
mod tests;
