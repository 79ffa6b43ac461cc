//! The PROXY protocol, versions 1 and 2: a load balancer says in front of everything else who connected to it.

use std::net::SocketAddr;

use ipnet::IpNet;
use pingora_core::protocols::GetSocketDigest as _;
use pingora_core::{Error, ErrorType, Result};
use ppp::{HeaderResult, PartialResult, v1, v2};
use tokio::io::AsyncReadExt;

use super::Socket;

/// Whose headers are expected and believed.
#[derive(Debug, Default)]
pub struct ProxyProtocol {
    from: Vec<IpNet>,
}

/// What stands in front of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Prologue {
    Partial,
    /// Its length, and who connected to the load balancer; nobody when that speaks for itself.
    Whole(usize, Option<SocketAddr>),
    Malformed,
}

/// Addresses need 52 bytes at most; the rest of version 2 is said by few, and briefly.
const LONGEST: usize = 4096;

// === impl ProxyProtocol ===

impl ProxyProtocol {
    /// Headers are read on connections from these networks, and on no other.
    pub fn new(from: Vec<IpNet>) -> Self {
        Self { from }
    }

    /// Takes the header off the connection and notes the client's address, if a load balancer is at the other end.
    ///
    /// # Errors
    /// When there is no header: the connection has to be closed. It waits for one as long as its place lets it.
    pub async fn learn(&self, stream: &mut Socket) -> Result<()> {
        let peer = stream
            .get_socket_digest()
            .and_then(|digest| digest.peer_addr()?.as_inet().copied());
        let is_expected = peer.is_some_and(|peer| {
            let ip = peer.ip().to_canonical();
            self.from.iter().any(|net| net.contains(&ip))
        });
        if !is_expected {
            return Ok(());
        }
        let Some(client) = header(stream).await? else {
            return Ok(());
        };
        stream.speaks_for(client);
        Ok(())
    }
}

async fn header(stream: &mut Socket) -> Result<Option<SocketAddr>> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 512];
        let count = stream.read(&mut chunk).await.unwrap_or_default();
        if count == 0 {
            return refuse("the connection was closed within the PROXY protocol header");
        }
        bytes.extend_from_slice(&chunk[..count]);
        match parse(&bytes) {
            Prologue::Whole(length, client) => {
                stream.rewind(&bytes[length..]);
                return Ok(client);
            }
            Prologue::Partial if bytes.len() < LONGEST => {}
            Prologue::Partial | Prologue::Malformed => {
                return refuse("the connection does not begin with a PROXY protocol header");
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Prologue {
    let header = HeaderResult::parse(bytes);
    if header.is_incomplete() {
        return Prologue::Partial;
    }
    match header {
        HeaderResult::V1(Ok(header)) => {
            let client = match header.addresses {
                v1::Addresses::Tcp4(ip) => Some((ip.source_address, ip.source_port).into()),
                v1::Addresses::Tcp6(ip) => Some((ip.source_address, ip.source_port).into()),
                v1::Addresses::Unknown => None,
            };
            Prologue::Whole(header.header.len(), client)
        }
        HeaderResult::V2(Ok(header)) => {
            let client = match (header.command, header.addresses) {
                (v2::Command::Local, _) => None,
                (_, v2::Addresses::IPv4(ip)) => Some((ip.source_address, ip.source_port).into()),
                (_, v2::Addresses::IPv6(ip)) => Some((ip.source_address, ip.source_port).into()),
                (_, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
            };
            Prologue::Whole(header.header.len(), client)
        }
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Prologue::Malformed,
    }
}

fn refuse<T>(what: &'static str) -> Result<T> {
    Error::e_explain(ErrorType::HandshakeError, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2_IPV4: [u8; 28] = [
        0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0, 12, 192, 0, 2,
        7, 10, 0, 0, 1, 0x1f, 0x90, 0, 80,
    ];

    fn whole(length: usize, client: &str) -> Prologue {
        Prologue::Whole(length, Some(client.parse().unwrap()))
    }

    #[test]
    fn both_versions_name_the_client() {
        let v1 = b"PROXY TCP4 192.0.2.7 10.0.0.1 8080 80\r\n\x16\x03\x01\xff";
        assert_eq!(parse(v1), whole(v1.len() - 4, "192.0.2.7:8080"));
        let v6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 8080 80\r\nGET / HTTP/1.1\r\n";
        assert_eq!(parse(v6), whole(v6.len() - 16, "[2001:db8::7]:8080"));
        let mut v2 = V2_IPV4.to_vec();
        v2.extend_from_slice(b"\x16\x03\x01");
        assert_eq!(parse(&v2), whole(28, "192.0.2.7:8080"));
    }

    #[test]
    fn load_balancers_speak_for_themselves_too() {
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), Prologue::Whole(15, None));
        let mut local = V2_IPV4;
        local[12] = 0x20;
        assert_eq!(parse(&local), Prologue::Whole(28, None));
    }

    #[test]
    fn every_piece_of_a_header_is_partial_and_anything_else_is_none() {
        for length in 1..V2_IPV4.len() {
            assert_eq!(parse(&V2_IPV4[..length]), Prologue::Partial, "{length}");
        }
        for bad in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x16\x03\x01\x02\x00",
            b"PROXY TCP4 300.0.2.7 10.0.0.1 8080 80\r\n",
            b"PROXY TCP9 a b c d\r\n",
        ] {
            assert_eq!(parse(bad), Prologue::Malformed, "{}", bad.escape_ascii());
        }
    }
}
