//! A server that takes no connection.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// It listens, and those that wait to be taken fill its queue.
#[derive(Debug)]
pub struct Deaf {
    pub address: SocketAddr,
    _listener: Socket,
    _waiting: Vec<TcpStream>,
}

// === impl Deaf ===

impl Deaf {
    /// # Panics
    /// When there is no port.
    pub fn start() -> Self {
        let (listener, address) = listen(0);
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
            waiting.push(stream);
        }
        Self {
            address,
            _listener: listener,
            _waiting: waiting,
        }
    }
}

/// A listener of which nobody takes connections, and so many wait.
///
/// # Panics
/// When there is no port.
pub fn listen(backlog: i32) -> (Socket, SocketAddr) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    listener.bind(&any.into()).unwrap();
    listener.listen(backlog).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    (listener, address)
}
