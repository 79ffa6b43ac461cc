//! The DNS of the node: the addresses of Services, and nothing else.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Service;
use kube::Client;
use kube::api::Api;
use tokio::net::UdpSocket;

const HEAD: usize = 12;
const A: u16 = 1;
const SECONDS: u32 = 5;

/// Answers until the process ends.
pub async fn serve(client: Client, address: Ipv4Addr) -> Result<()> {
    let socket = UdpSocket::bind(SocketAddr::from((address, 53)))
        .await
        .context("listen for DNS")?;
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            let question = &packet[..length];
            if let Some((name, kind, end)) = asked(question) {
                let found = if kind == A {
                    address_of(&client, &name).await
                } else {
                    None
                };
                let exists = kind != A || found.is_some();
                let _ = socket
                    .send_to(&answer(&question[..end], found, exists), from)
                    .await;
            }
        }
    });
    Ok(())
}

/// Name and kind of the first question, and where it ends.
fn asked(packet: &[u8]) -> Option<(String, u16, usize)> {
    let mut at = HEAD;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*packet.get(at)?);
        let label = packet.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
    }
    let kind = u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?);
    packet.get(at + 4 - 1)?;
    Some((labels.join("."), kind, at + 4))
}

fn answer(question: &[u8], found: Option<Ipv4Addr>, exists: bool) -> Vec<u8> {
    let mut packet = question[..2].to_vec();
    // A response, with recursion; no error, or no such name.
    packet.extend([0x81, if exists { 0x80 } else { 0x83 }]);
    packet.extend([0, 1, 0, u8::from(found.is_some()), 0, 0, 0, 0]);
    packet.extend(&question[HEAD..]);
    if let Some(address) = found {
        packet.extend([0xc0, HEAD as u8, 0, A as u8, 0, 1]);
        packet.extend(SECONDS.to_be_bytes());
        packet.extend([0, 4]);
        packet.extend(address.octets());
    }
    packet
}

/// `name.namespace.svc`, with or without the domain of the cluster.
async fn address_of(client: &Client, name: &str) -> Option<Ipv4Addr> {
    let name = name.strip_suffix(".cluster.local").unwrap_or(name);
    let [name, namespace, "svc"] = name.split('.').collect::<Vec<_>>()[..] else {
        return None;
    };
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let found = services.get_opt(name).await.ok()??;
    found.spec?.cluster_ip?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_and_answered() {
        let mut packet = vec![7, 8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        packet.extend(b"\x01A\x02ns\x03svc\x00\x00\x01\x00\x01rest");
        let (name, kind, end) = asked(&packet).unwrap();
        assert_eq!((name.as_str(), kind), ("a.ns.svc", A));
        assert_eq!(&packet[end..], b"rest");
        let found = answer(&packet[..end], Some(Ipv4Addr::new(1, 2, 3, 4)), true);
        assert_eq!(&found[..4], [7, 8, 0x81, 0x80]);
        assert!(found.ends_with(&[0, 4, 1, 2, 3, 4]));
        assert_eq!(answer(&packet[..end], None, false)[3], 0x83);
        assert_eq!(asked(&packet[..end - 1]), None);
        assert_eq!(asked(&packet[..14]), None);
    }
}
