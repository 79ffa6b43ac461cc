mod caller_certificates;
mod certificates;
mod proxy_protocol;
mod tls;

pub use caller_certificates::{AuthorityError, CallerAuthorities, CallerCertificate};
pub use certificates::{CertificateError, Certificates};
pub use proxy_protocol::ProxyProtocol;
pub use tls::{Tls, TlsError};

use std::io;
use std::net::SocketAddr;
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pingora_core::apps::ServerApp;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::listeners::{ListenerConfig, TcpSocketOptions};
use pingora_core::protocols::TcpKeepalive;
use pingora_core::protocols::l4::stream::L4BufferSettings;
use pingora_core::server::{Fds, ShutdownWatch};
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use socket2::{Domain, Socket, Type};

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

const BACKLOG: i32 = 65_535;
/// An eighth of what the engine gives each connection; it costs nothing that was measured.
const READ_BUFFER: usize = 8 * 1024;
const WRITE_BUFFER: usize = 1_460;

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

    pub fn into_std(self) -> std::net::TcpListener {
        self.listener
    }
}

/// Serves with `app` until `stop` becomes true; on `secure` with TLS.
pub async fn serve<A: ServerApp + Send + Sync + 'static>(
    plain: Bound,
    secure: Option<(Bound, TlsSettings)>,
    proxy_protocol: Arc<ProxyProtocol>,
    app: A,
    stop: ShutdownWatch,
) {
    let mut fds = Fds::new();
    let mut service = Service::new("requests".to_owned(), app);
    let mut config = |bound: Bound| {
        let name = bound.address.to_string();
        fds.add(name.clone(), bound.listener.into_raw_fd());
        let mut options = TcpSocketOptions::default();
        options.tcp_keepalive = Some(keepalive());
        ListenerConfig::tcp(name)
            .tcp_socket_options(options)
            .l4_buffer(L4BufferSettings::new(READ_BUFFER, WRITE_BUFFER))
    };
    service.add_listener(config(plain));
    if let Some((bound, settings)) = secure {
        service.add_listener(config(bound).tls(settings));
    }
    service.endpoints().set_pre_tls_callback(proxy_protocol);
    service
        .start_service(Some(Arc::new(Mutex::new(fds))), stop, 1)
        .await;
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
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
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
