//! Accepts TLS connections with whatever certificate is in use at that moment.

use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tracing::{debug, warn};

use crate::pki::keep::Serving;

/// For a handshake, and at a time; who does not finish one must not keep others out.
const HANDSHAKE: Duration = Duration::from_secs(10);
const HANDSHAKES: usize = 256;
/// After accepting failed, as it does without free file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The configuration of the stream's server: both ends are of one release, so there is no older version to speak.
///
/// # Errors
/// When the library lacks what was built into it.
pub fn config(serving: Arc<Serving>) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(serving);
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// Connections whose handshake is over, until `stop` says true.
pub fn incoming(
    listener: TcpListener,
    config: ServerConfig,
    stop: watch::Receiver<bool>,
) -> impl Stream<Item = std::io::Result<TlsStream<TcpStream>>> {
    let (out, accepted) = mpsc::channel(16);
    tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), out, stop));
    ReceiverStream::new(accepted)
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    out: mpsc::Sender<std::io::Result<TlsStream<TcpStream>>>,
    mut stop: watch::Receiver<bool>,
) {
    let turns = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
            () = out.closed() => return,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "no connection can be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (acceptor, out) = (acceptor.clone(), out.clone());
        tokio::spawn(async move {
            let _turn = turn;
            // Small pushes would otherwise wait 40 ms for a delayed acknowledgement of TCP.
            let _ = socket.set_nodelay(true);
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
                Ok(Ok(stream)) => {
                    // The server may be ending.
                    let _ = out.send(Ok(stream)).await;
                }
                Ok(Err(error)) => debug!(%peer, %error, "no TLS with this peer"),
                Err(_) => debug!(%peer, "a TLS handshake was not finished"),
            }
        });
    }
}
