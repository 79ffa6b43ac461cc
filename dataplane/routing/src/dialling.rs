//! Which addresses are dialled, whatever they came from.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::refused::Refused;

/// Why an address is not dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefused {
    #[error("the address is a loopback address")]
    Loopback,
    #[error("the address is link-local")]
    LinkLocal,
    #[error("the address is unspecified")]
    Unspecified,
    #[error("the address is a multicast or broadcast address")]
    Multicast,
    #[error("the address belongs to a metadata service")]
    Metadata,
    #[error("the address is a listener of this proxy")]
    OwnListener,
}

/// Metadata services of clouds that are not link-local: of Alibaba and of Azure.
const METADATA: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
/// Those of AWS, where the agent that hands out credentials has an address as well, and of Google.
const METADATA_V6: [(u16, u16); 2] = [(0xfd00, 0xec2), (0xfd20, 0xce)];

/// Why no address is used, and what can be done.
pub const MAY_BE_DIALLED: &str = "may be dialled; loopback, link-local and metadata addresses are refused unless \
     --allow-upstream-cidr of the proxy names them, and the proxy's own listeners always";

/// `allowed` are exceptions.
///
/// # Errors
/// When the address must not be dialled.
pub fn check(ip: IpAddr, allowed: &[IpNet]) -> Result<(), AddressRefused> {
    let ip = plain(ip);
    match class(ip) {
        Some(refused) if !allowed.iter().any(|net| net.contains(&ip)) => Err(refused),
        _ => Ok(()),
    }
}

/// The answer for an object whose backend has addresses, of which none is dialled.
pub fn none_may_be_dialled(title: &str) -> Refused {
    let message = format!("{title}: no address of its backend {MAY_BE_DIALLED}");
    Refused::new(502, "AddressRefused", message)
}

/// Is this the name that every cluster gives its API server? It would take a certificate of ours for a user of its own.
pub fn names_api_server(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let Some(rest) = host.strip_prefix("kubernetes") else {
        return false;
    };
    let is_below_svc = |rest: &str| rest.is_empty() || rest.starts_with('.');
    matches!(rest, "" | ".default") || rest.strip_prefix(".default.svc").is_some_and(is_below_svc)
}

/// The address that is really meant: IPv4 wrapped into IPv6 in one of its forms is IPv4.
pub fn plain(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = Ipv4Addr::from((u32::from(g) << 16) | u32::from(h));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0) if u32::from(v4) > 1 => IpAddr::V4(v4),
        (0, 0, 0, 0, 0, 0xffff) | (0, 0, 0, 0, 0xffff, 0) | (0x64, 0xff9b, 0, 0, 0, 0) => IpAddr::V4(v4),
        (0x2002, ..) => IpAddr::V4(Ipv4Addr::from((u32::from(b) << 16) | u32::from(c))),
        _ => ip,
    }
}

fn class(ip: IpAddr) -> Option<AddressRefused> {
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let is_nowhere = match ip {
        // All of 0.0.0.0/8 leads to this machine on Linux.
        IpAddr::V4(v4) => v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unspecified(),
    };
    let is_metadata = match ip {
        IpAddr::V4(v4) => METADATA.contains(&v4),
        IpAddr::V6(v6) => METADATA_V6.contains(&(v6.segments()[0], v6.segments()[1])),
    };
    let is_broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    match () {
        () if ip.is_loopback() => Some(AddressRefused::Loopback),
        () if is_nowhere => Some(AddressRefused::Unspecified),
        () if ip.is_multicast() || is_broadcast => Some(AddressRefused::Multicast),
        () if is_metadata => Some(AddressRefused::Metadata),
        () if link_local => Some(AddressRefused::LinkLocal),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_server_is_known_by_each_of_its_names() {
        for host in [
            "kubernetes",
            "kubernetes.default",
            "Kubernetes.Default.svc",
            "kubernetes.default.svc.",
            "kubernetes.default.svc.cluster.local",
        ] {
            assert!(names_api_server(host), "{host}");
        }
        for host in [
            "",
            "kubernetes.shop.svc",
            "kubernetes-dashboard.default.svc",
            "kubernetes.default.example",
            "my.kubernetes.default.svc",
            "kubernetes.default.svcx",
        ] {
            assert!(!names_api_server(host), "{host}");
        }
    }
}
