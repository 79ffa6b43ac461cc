mod certificates;
mod proxy_protocol;
mod socket;
mod tls;

pub use certificates::{CertificateError, Certificates};
pub use proxy_protocol::ProxyProtocol;
pub use socket::Socket;
pub use tls::{Tls, TlsError, certificate_of, server_name_of};

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use genkan_accept::{Place, Places, Shares, share};
use pingora_core::apps::HttpServerApp;
use pingora_core::listeners::tls::{Acceptor, TlsSettings};
use pingora_core::protocols::{Stream, TcpKeepalive};
use pingora_core::server::ShutdownWatch;
use socket2::{Domain, Type};
use tokio::net::TcpStream;

use crate::front::Front;

/// A bound address that nobody serves yet.
#[derive(Debug)]
pub struct Bound {
    pub address: SocketAddr,
    listener: std::net::TcpListener,
}

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("{address} is in use by another process; choose another address for {flag}")]
    InUse { flag: &'static str, address: SocketAddr },
    #[error("{flag} {address} cannot be listened on: {source}")]
    Other {
        flag: &'static str,
        address: SocketAddr,
        source: io::Error,
    },
}

/// From accepting a connection until its first request is whole. HTTP/1 has a shorter deadline within it, and answers.
const FIRST_REQUEST: Duration = Duration::from_secs(15);
/// Hundredths of the open files. As many are for requests on their way to backends, a quarter of it for connections that
/// are kept for later, and the rest for everything else: a process without a free file could neither accept nor connect
/// nor read its own files.
const CLIENTS: usize = 40;
const BACKLOG: i32 = 65_535;

// === impl Bound ===

impl Bound {
    /// Binds here and not in the engine, which would try for half a minute and panic then.
    ///
    /// # Errors
    /// One sentence that names the flag.
    pub fn bind(flag: &'static str, address: SocketAddr) -> Result<Self, BindError> {
        let listener = listen(address).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { flag, address },
            _ => BindError::Other {
                flag,
                address,
                source,
            },
        })?;
        let address = listener.local_addr().unwrap_or(address);
        Ok(Self { address, listener })
    }

    /// # Errors
    /// When the runtime cannot watch it.
    pub fn into_tokio(self) -> io::Result<tokio::net::TcpListener> {
        tokio::net::TcpListener::from_std(self.listener)
    }
}

/// What clients may take together: who is between two requests keeps its place, as the front ends that by itself.
pub fn shares() -> Shares {
    let most = share(CLIENTS);
    Shares {
        most,
        most_waiting: most,
        // Behind a load balancer all are of one address.
        most_waiting_of_one: most,
        first: FIRST_REQUEST,
        next: FIRST_REQUEST,
    }
}

/// Serves with `front` until `stop` becomes true; on `secure` with TLS.
///
/// # Errors
/// When a listener cannot be used.
pub async fn serve<A: HttpServerApp + Send + Sync + 'static>(
    plain: Bound,
    secure: Option<(Bound, TlsSettings)>,
    proxy_protocol: Arc<ProxyProtocol>,
    front: Front<A>,
    places: Arc<Places>,
    mut stop: ShutdownWatch,
) -> io::Result<()> {
    let front = Arc::new(front);
    let plain = {
        let (front, stop) = (Arc::clone(&front), stop.clone());
        let serve = move |stream: TcpStream, place: Place| {
            let (front, stop) = (Arc::clone(&front), stop.clone());
            async move {
                front
                    .serve_connection(Box::new(Socket::new(stream, place.peer())), &place, &stop)
                    .await
            }
        };
        genkan_accept::accept(plain.into_tokio()?, Arc::clone(&places), serve)
    };
    let (bound, settings) = secure.unzip();
    let acceptor = settings.map(|settings| Arc::new(settings.build()));
    let secure = bound.zip(acceptor).map(|(bound, acceptor)| -> io::Result<_> {
        let stop = stop.clone();
        let serve = move |stream: TcpStream, place: Place| {
            let (front, stop) = (Arc::clone(&front), stop.clone());
            let (proxy_protocol, acceptor) = (Arc::clone(&proxy_protocol), Arc::clone(&acceptor));
            async move {
                match shake_hands(Socket::new(stream, place.peer()), &proxy_protocol, &acceptor).await {
                    Ok(stream) => front.serve_connection(stream, &place, &stop).await,
                    Err(error) => tracing::debug!(peer = %place.peer(), %error, "no TLS with this peer"),
                }
            }
        };
        Ok(genkan_accept::accept(
            bound.into_tokio()?,
            Arc::clone(&places),
            serve,
        ))
    });
    let secure = match secure.transpose()? {
        Some(accepting) => accepting.left_future(),
        None => std::future::pending().right_future(),
    };
    tokio::select! {
        never = plain => match never {},
        never = secure => match never {},
        _ = stop.wait_for(|stop| *stop) => {}
    }
    // Draining must not wait for those who say nothing.
    tokio::spawn(async move { places.keep().await });
    Ok(())
}

async fn shake_hands(
    mut stream: Socket,
    proxy_protocol: &ProxyProtocol,
    acceptor: &Acceptor,
) -> pingora_core::Result<Stream> {
    proxy_protocol.learn(&mut stream).await?;
    Ok(Box::new(acceptor.tls_handshake(stream).await?))
}

/// Finds out, within a minute, that whoever is at the other end of a silent connection is gone.
pub fn keepalive() -> TcpKeepalive {
    TcpKeepalive {
        idle: Duration::from_secs(30),
        interval: Duration::from_secs(10),
        count: 3,
        #[cfg(target_os = "linux")]
        user_timeout: Duration::ZERO,
    }
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_in_use_is_one_sentence() {
        let first = Bound::bind("--listen", "127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(first.address.port(), 0);
        let error = Bound::bind("--listen", first.address).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{} is in use by another process; choose another address for --listen",
                first.address
            )
        );
    }
}
