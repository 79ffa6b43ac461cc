use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rand::Rng;
use tokio::time::Instant;

use crate::net::{AddressCheck, DialVerdict};

/// The addresses of one backend, replaced as a whole while requests go on.
#[derive(Debug)]
pub struct Endpoints {
    list: ArcSwap<Vec<Arc<Endpoint>>>,
    check: Arc<AddressCheck>,
}

/// One address, with what is known of it.
#[derive(Debug)]
pub struct Endpoint {
    pub address: SocketAddr,
    verdict: DialVerdict,
    in_flight: AtomicU32,
    /// Milliseconds after [`Endpoint::birth`], 0 for never.
    failed_at: AtomicU64,
    birth: Instant,
}

/// A request on its way to an endpoint.
#[derive(Debug)]
pub struct Lease(Arc<Endpoint>);

/// An endpoint that refused a connection is passed over for so long, as long as there is another.
const SHUNNED: Duration = Duration::from_secs(2);

// === impl Endpoints ===

impl Endpoints {
    /// None at first.
    pub fn new(check: Arc<AddressCheck>) -> Self {
        Self {
            list: ArcSwap::from_pointee(Vec::new()),
            check,
        }
    }

    pub fn of(check: Arc<AddressCheck>, address: SocketAddr) -> Self {
        let endpoints = Self::new(check);
        endpoints.replace([address]);
        endpoints
    }

    /// Endpoints that stay keep what is known of them.
    pub fn replace(&self, addresses: impl IntoIterator<Item = SocketAddr>) {
        let old = self.list.load();
        let by_address: HashMap<SocketAddr, &Arc<Endpoint>> =
            old.iter().map(|endpoint| (endpoint.address, endpoint)).collect();
        let known = |address: SocketAddr| by_address.get(&address).map(|endpoint| Arc::clone(endpoint));
        let new = addresses
            .into_iter()
            .map(|address| known(address).unwrap_or_else(|| Arc::new(Endpoint::new(address))))
            .inspect(|endpoint| {
                endpoint.is_dialable(&self.check);
            });
        self.list.store(Arc::new(new.collect()));
    }

    pub fn is_empty(&self) -> bool {
        self.list.load().is_empty()
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.list.load().iter().map(|endpoint| endpoint.address).collect()
    }

    /// The less loaded of two random endpoints, among those that may be dialled, that this request has not tried
    /// and that did not fail a moment ago. When only the latter are left, one of them.
    pub fn choose(&self, may_be_tried: impl Fn(SocketAddr) -> bool) -> Option<Lease> {
        let list = self.list.load();
        let fit =
            |endpoint: &&Arc<Endpoint>| endpoint.is_dialable(&self.check) && may_be_tried(endpoint.address);
        let healthy = |endpoint: &&Arc<Endpoint>| !endpoint.is_shunned() && fit(endpoint);
        draw(&list, healthy)
            .or_else(|| pick(&list, healthy))
            .or_else(|| pick(&list, fit))
            .map(|endpoint| Lease::new(Arc::clone(endpoint)))
    }

    /// Whether there is one that may be dialled and `may_be_tried`.
    pub fn has_any(&self, may_be_tried: impl Fn(SocketAddr) -> bool) -> bool {
        let list = self.list.load();
        list.iter()
            .any(|endpoint| endpoint.is_dialable(&self.check) && may_be_tried(endpoint.address))
    }
}

/// Two at random without a look at the others, which is enough as long as all is well.
fn draw(list: &[Arc<Endpoint>], fit: impl Fn(&&Arc<Endpoint>) -> bool) -> Option<&Arc<Endpoint>> {
    if list.len() < 2 {
        return list.first().filter(fit);
    }
    let mut rng = rand::rng();
    let first = rng.random_range(0..list.len());
    let second = (first + rng.random_range(1..list.len())) % list.len();
    let (a, b) = (&list[first], &list[second]);
    (fit(&a) && fit(&b)).then(|| if b.load() < a.load() { b } else { a })
}

/// Two passes instead of a list of candidates: nothing is allocated for a request.
fn pick(list: &[Arc<Endpoint>], fit: impl Fn(&&Arc<Endpoint>) -> bool) -> Option<&Arc<Endpoint>> {
    let count = list.iter().filter(&fit).count();
    let nth = |n: usize| list.iter().filter(&fit).nth(n);
    match count {
        0 => None,
        1 => nth(0),
        _ => {
            let mut rng = rand::rng();
            let first = rng.random_range(0..count);
            let second = (first + rng.random_range(1..count)) % count;
            let (a, b) = (nth(first)?, nth(second)?);
            Some(if b.load() < a.load() { b } else { a })
        }
    }
}

// === impl Endpoint ===

impl Endpoint {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            verdict: DialVerdict::default(),
            in_flight: AtomicU32::new(0),
            failed_at: AtomicU64::new(0),
            birth: Instant::now(),
        }
    }

    fn is_dialable(&self, check: &AddressCheck) -> bool {
        self.verdict.is_dialable(self.address, check)
    }

    fn load(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn is_shunned(&self) -> bool {
        match self.failed_at.load(Ordering::Relaxed) {
            0 => false,
            at => self.birth.elapsed() < Duration::from_millis(at) + SHUNNED,
        }
    }
}

// === impl Lease ===

impl Lease {
    fn new(endpoint: Arc<Endpoint>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(endpoint)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The connection could not be made.
    pub fn failed(&self) {
        let at = Instant::now().duration_since(self.0.birth).as_millis().max(1);
        self.0
            .failed_at
            .store(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub fn succeeded(&self) {
        self.0.failed_at.store(0, Ordering::Relaxed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_address(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 80))
    }

    fn mk_endpoints(addresses: impl IntoIterator<Item = SocketAddr>) -> Endpoints {
        let endpoints = Endpoints::new(Arc::default());
        endpoints.replace(addresses);
        endpoints
    }

    #[tokio::test]
    async fn addresses_that_may_not_be_dialled_are_never_chosen() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 80));
        let endpoints = mk_endpoints([loopback, mk_address(1), loopback]);
        for _ in 0..50 {
            assert_eq!(endpoints.choose(|_| true).unwrap().address(), mk_address(1));
        }
        let none = mk_endpoints([loopback]);
        assert!(none.choose(|_| true).is_none() && !none.has_any(|_| true) && !none.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn endpoint_that_failed_is_passed_over_for_a_while() {
        let endpoints = mk_endpoints([mk_address(1), mk_address(2)]);
        endpoints
            .choose(|address| address == mk_address(1))
            .unwrap()
            .failed();
        for _ in 0..50 {
            assert_eq!(endpoints.choose(|_| true).unwrap().address(), mk_address(2));
        }
        assert_eq!(
            endpoints
                .choose(|address| address != mk_address(2))
                .unwrap()
                .address(),
            mk_address(1)
        );
        tokio::time::advance(SHUNNED + Duration::from_millis(1)).await;
        assert!((0..200).any(|_| endpoints.choose(|_| true).unwrap().address() == mk_address(1)));
    }

    #[tokio::test]
    async fn busy_endpoint_gets_less() {
        let endpoints = mk_endpoints([mk_address(1), mk_address(2)]);
        let _busy: Vec<_> = (0..5)
            .map(|_| endpoints.choose(|address| address == mk_address(1)))
            .collect();
        for _ in 0..50 {
            assert_eq!(endpoints.choose(|_| true).unwrap().address(), mk_address(2));
        }
    }

    #[tokio::test]
    async fn replacement_keeps_what_is_known_and_never_offers_what_left() {
        let endpoints = mk_endpoints([mk_address(1), mk_address(2)]);
        let lease = endpoints.choose(|address| address == mk_address(2)).unwrap();
        endpoints.replace([mk_address(2), mk_address(3)]);
        assert_eq!(lease.0.load(), 1);
        assert!(endpoints.choose(|address| address == mk_address(1)).is_none());
        let same = endpoints.choose(|address| address == mk_address(2)).unwrap();
        assert_eq!(same.0.load(), 2);
        drop((lease, same));
        assert_eq!(endpoints.list.load()[0].load(), 0);
        assert!(mk_endpoints([]).choose(|_| true).is_none());
    }
}
