use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use genkan_routing::dialling::{self, AddressRefused, meant, plain};
use ipnet::IpNet;

/// Judges every address before it is dialled, whatever it came from.
#[derive(Debug, Default)]
pub struct AddressCheck {
    allowed: Vec<IpNet>,
    /// Ports of our own listeners with the address they are bound to.
    own: Vec<SocketAddr>,
    /// The addresses of this machine; `None` while they could not be read.
    local: ArcSwapOption<Vec<IpAddr>>,
    /// Changes when verdicts may change.
    generation: AtomicU64,
}

/// What was decided about one address, kept beside it: a request only reads it.
#[derive(Debug, Default)]
pub struct DialVerdict(AtomicU64);

// === impl AddressCheck ===

impl AddressCheck {
    pub fn new(allowed: Vec<IpNet>, own: Vec<SocketAddr>) -> Self {
        let this = Self {
            allowed,
            own,
            ..Self::default()
        };
        this.refresh();
        this
    }

    /// Reads the addresses of this machine again; true when they are others than before. They matter only for a
    /// listener that is bound to all of them.
    pub fn refresh(&self) -> bool {
        if !self.own.iter().any(|own| plain(own.ip()).is_unspecified()) {
            return false;
        }
        let mut now = match local_addresses() {
            Ok(now) => now,
            Err(error) => {
                tracing::warn!(%error, "the addresses of this machine cannot be read; what was known of them stays");
                return false;
            }
        };
        now.sort_unstable();
        now.dedup();
        if self.local.load().as_deref().is_some_and(|known| *known == now) {
            return false;
        }
        self.local.store(Some(Arc::new(now)));
        self.generation.fetch_add(1, Ordering::Release);
        true
    }

    /// # Errors
    /// When the address must not be dialled.
    pub fn check(&self, address: SocketAddr) -> Result<(), AddressRefused> {
        if meant(address.ip()).any(|ip| self.is_own(ip, address.port())) {
            return Err(AddressRefused::OwnListener);
        }
        dialling::check(address.ip(), &self.allowed)
    }

    fn is_own(&self, ip: IpAddr, port: u16) -> bool {
        self.own.iter().filter(|own| own.port() == port).any(|own| {
            let bound = plain(own.ip());
            bound == ip || ip.is_unspecified() || (bound.is_unspecified() && self.is_local(ip))
        })
    }

    /// As long as nothing is known of this machine, every address could be one of its own.
    fn is_local(&self, ip: IpAddr) -> bool {
        ip.is_loopback()
            || self
                .local
                .load()
                .as_deref()
                .is_none_or(|local| local.contains(&ip))
    }
}

// === impl DialVerdict ===

impl DialVerdict {
    /// Decides only when nothing is decided yet, or the addresses of this machine have changed since.
    pub fn is_dialable(&self, address: SocketAddr, check: &AddressCheck) -> bool {
        // Never 0, which stands for nothing decided.
        let generation = check.generation.load(Ordering::Acquire) + 1;
        let known = self.0.load(Ordering::Relaxed);
        if known >> 1 == generation {
            return known & 1 == 1;
        }
        let is_dialable = check.check(address).is_ok();
        self.0
            .store(generation << 1 | u64::from(is_dialable), Ordering::Relaxed);
        is_dialable
    }
}

fn local_addresses() -> nix::Result<Vec<IpAddr>> {
    let interfaces = nix::ifaddrs::getifaddrs()?;
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| plain(IpAddr::V6(v6.ip()))))
    };
    Ok(interfaces.filter_map(address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(check: &AddressCheck, address: &str) -> Result<(), AddressRefused> {
        check.check(address.parse().unwrap())
    }

    #[test]
    fn dangerous_addresses_are_refused_in_every_spelling() {
        use AddressRefused::*;
        let none = AddressCheck::default();
        for (address, refused) in [
            ("127.0.0.1:80", Loopback),
            ("127.9.9.9:80", Loopback),
            ("[::1]:80", Loopback),
            ("[::ffff:127.0.0.1]:80", Loopback),
            ("[::127.0.0.1]:80", Loopback),
            ("[64:ff9b::7f00:1]:80", Loopback),
            ("[2002:7f00:1::]:80", Loopback),
            ("[64:ff9b:1::7f00:1]:80", Loopback),
            ("[2001:0:7f00:1::f7f7:f7f7]:80", Loopback),
            ("[100::1]:80", Reserved),
            ("0.0.0.0:80", Unspecified),
            ("0.1.2.3:80", Unspecified),
            ("[::]:80", Unspecified),
            ("169.254.1.1:80", LinkLocal),
            ("169.254.169.254:80", LinkLocal),
            ("[fe80::1]:80", LinkLocal),
            ("224.0.0.1:80", Multicast),
            ("255.255.255.255:80", Multicast),
            ("[ff02::1]:80", Multicast),
            ("100.100.100.200:80", Metadata),
            ("168.63.129.16:80", Metadata),
            ("[fd00:ec2::254]:80", Metadata),
            ("[fd00:ec2::23]:80", Metadata),
            ("[fd20:ce::254]:80", Metadata),
        ] {
            assert_eq!(check(&none, address), Err(refused), "{address}");
        }
        for address in [
            "10.0.0.1:80",
            "192.168.1.1:80",
            "8.8.8.8:443",
            "[fd00::1]:80",
            "[2001:db8::1]:80",
        ] {
            assert_eq!(check(&none, address), Ok(()), "{address}");
        }
    }

    #[test]
    fn allowed_networks_are_dialled_but_never_the_own_listeners() {
        let own = vec!["127.0.0.1:8080".parse().unwrap(), "0.0.0.0:8081".parse().unwrap()];
        let some = AddressCheck::new(
            vec!["127.0.0.0/8".parse().unwrap(), "0.0.0.0/8".parse().unwrap()],
            own,
        );
        assert_eq!(check(&some, "127.0.0.1:9000"), Ok(()));
        assert_eq!(check(&some, "127.0.0.2:8080"), Ok(()));
        assert_eq!(check(&some, "169.254.169.254:80"), Err(AddressRefused::LinkLocal));
        for own in [
            "127.0.0.1:8080",
            "0.0.0.0:8080",
            "127.0.0.1:8081",
            "127.0.0.7:8081",
            "[::ffff:127.0.0.1]:8080",
            "[64:ff9b:1::7f00:1]:8080",
            "[2001:0:808:808::80ff:fffe]:8080",
        ] {
            assert_eq!(check(&some, own), Err(AddressRefused::OwnListener), "{own}");
        }
    }

    #[test]
    fn addresses_of_this_machine_are_own_for_a_listener_on_all_of_them() {
        let own = vec!["0.0.0.0:8081".parse().unwrap()];
        let some = AddressCheck::new(vec![], own);
        let local = local_addresses().unwrap();
        assert!(local.contains(&IpAddr::from([127, 0, 0, 1])), "{local:?}");
        for ip in local {
            let refused = some.check(SocketAddr::new(ip, 8081));
            assert_eq!(refused, Err(AddressRefused::OwnListener), "{ip}");
        }
        assert_eq!(check(&some, "192.0.2.7:8081"), Ok(()));
        assert!(!some.refresh(), "nothing has changed");
    }

    #[test]
    fn unknown_machine_fails_closed_and_verdicts_follow_what_becomes_known() {
        let some = AddressCheck {
            own: vec!["0.0.0.0:8081".parse().unwrap()],
            ..AddressCheck::default()
        };
        let (address, verdict) = ("192.0.2.7:8081".parse().unwrap(), DialVerdict::default());
        assert!(!verdict.is_dialable(address, &some));
        assert!(!verdict.is_dialable(address, &some));
        assert!(some.refresh());
        assert!(verdict.is_dialable(address, &some));
        some.local.store(Some(Arc::new(vec![address.ip()])));
        assert!(verdict.is_dialable(address, &some), "as decided before");
        some.generation.fetch_add(1, Ordering::Release);
        assert!(!verdict.is_dialable(address, &some));
    }
}
