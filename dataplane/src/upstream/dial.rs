use std::io;

use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::virt::VirtualSockOpt;
use pingora_core::{Error, ErrorType, OrErr, Result};
use socket2::SockRef;
use tokio::net::TcpStream;

use super::CONNECT;

/// Connects as the engine does, for sockets of our own.
pub async fn dial(address: &SocketAddr) -> Result<TcpStream> {
    let address = address
        .as_inet()
        .ok_or_else(|| Error::explain(ErrorType::InternalError, "a backend without an IP address"))?;
    tokio::time::timeout(CONNECT, TcpStream::connect(address))
        .await
        .or_err(ErrorType::ConnectTimedout, "connecting")?
        .map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                    ErrorType::ConnectNoRoute
                }
                _ => ErrorType::ConnectError,
            };
            Error::because(kind, "connecting", error)
        })
}

pub fn set_option(stream: &TcpStream, option: VirtualSockOpt) -> io::Result<()> {
    match option {
        VirtualSockOpt::NoDelay => stream.set_nodelay(true),
        VirtualSockOpt::KeepAlive(wanted) => {
            let keepalive = socket2::TcpKeepalive::new()
                .with_time(wanted.idle)
                .with_interval(wanted.interval)
                .with_retries(u32::try_from(wanted.count).unwrap_or(3));
            SockRef::from(stream).set_tcp_keepalive(&keepalive)
        }
        _ => Ok(()),
    }
}
