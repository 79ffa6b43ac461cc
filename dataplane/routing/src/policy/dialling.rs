//! Which addresses are dialled, whatever they came from.

pub mod registry;

use crate::answer::reason;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::answer::Refused;
use registry::{ROWS, Row, Treatment};

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
    #[error("the address is reserved for something that is no backend")]
    Reserved,
    #[error("the address is a listener of this proxy")]
    OwnListener,
}

/// Why no address is used, and what can be done.
pub const MAY_BE_DIALLED: &str = "may be dialled; loopback, link-local and metadata addresses are refused unless \
     --allow-upstream-cidr of the proxy names them, and the proxy's own listeners always";

/// `allowed` are exceptions.
///
/// # Errors
/// When the address must not be dialled.
pub fn check(ip: IpAddr, allowed: &[IpNet]) -> Result<(), AddressRefused> {
    meant(ip).try_for_each(|ip| match class(ip) {
        Some(refused) if !allowed.iter().any(|net| net.contains(&ip)) => Err(refused),
        _ => Ok(()),
    })
}

/// The answer for an object whose backend has addresses, of which none is dialled.
pub fn none_may_be_dialled(title: &str) -> Refused {
    let message = format!("{title}: no address of its backend {MAY_BE_DIALLED}");
    Refused::new(502, reason::ADDRESS_REFUSED, message)
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

/// The address that is really meant: IPv4 wrapped into IPv6 in one of the forms that leave no doubt is IPv4.
pub fn plain(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => ip,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            cut(v6, [12, 13, 14, 15])
        }
        [0x2002, ..] => cut(v6, [2, 3, 4, 5]),
        // ISATAP, below any prefix.
        [.., 0 | 0x200, 0x5efe, _, _] => cut(v6, [12, 13, 14, 15]),
        _ => ip,
    }
}

/// Every address to which a connection to this one may lead; each has to be one that is dialled.
pub fn meant(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    let all = match ip {
        IpAddr::V6(v6) if v6.segments()[..2] == [0x2001, 0] => teredo(v6),
        IpAddr::V6(v6) if v6.segments()[..3] == [0x64, 0xff9b, 1] => local_nat64(v6),
        _ => [Some(plain(ip)), None, None, None],
    };
    all.into_iter().flatten()
}

/// The server, and the client behind it, which is written with every bit turned.
fn teredo(v6: Ipv6Addr) -> [Option<IpAddr>; 4] {
    let client = match cut(v6, [12, 13, 14, 15]) {
        IpAddr::V4(turned) => IpAddr::V4(Ipv4Addr::from(!u32::from(turned))),
        v6 => v6,
    };
    [Some(cut(v6, [4, 5, 6, 7])), Some(client), None, None]
}

/// Its network decides how long the prefix is, from 48 to 96 bits, so that it may be one of four (RFC 6052 2.2). Octet 8
/// and what is behind the IPv4 address are zero, and no network begins with 0; of what that leaves each is judged, and if it
/// leaves none the address itself, which is then no such address at all.
fn local_nat64(v6: Ipv6Addr) -> [Option<IpAddr>; 4] {
    let octets = v6.octets();
    let form = |at: [usize; 4]| {
        let is_well_formed =
            octets[8] == 0 && octets[at[0]] != 0 && octets[at[3] + 1..].iter().all(|octet| *octet == 0);
        is_well_formed.then(|| cut(v6, at))
    };
    let all = [
        form([6, 7, 9, 10]),
        form([7, 9, 10, 11]),
        form([9, 10, 11, 12]),
        form([12, 13, 14, 15]),
    ];
    if all.iter().any(Option::is_some) {
        all
    } else {
        [Some(IpAddr::V6(v6)), None, None, None]
    }
}

fn cut(v6: Ipv6Addr, at: [usize; 4]) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(at.map(|at| v6.octets()[at])))
}

/// The row that decides about an address, if it is special at all.
pub fn row(ip: IpAddr) -> Option<&'static Row> {
    let rows = ROWS.iter().filter(|row| row.net.contains(&ip));
    rows.max_by_key(|row| row.net.prefix_len())
}

fn class(ip: IpAddr) -> Option<AddressRefused> {
    match row(ip)?.treatment {
        Treatment::Refused(refused) => Some(refused),
        Treatment::Dialled => None,
        // What could be taken out of it has been; what is left holds nothing.
        Treatment::Embedding => Some(AddressRefused::Reserved),
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
