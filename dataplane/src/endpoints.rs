use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rand::Rng;
use tokio::time::Instant;

/// The addresses of one backend, replaced as a whole while requests go on.
#[derive(Debug)]
pub struct Endpoints {
    list: ArcSwap<Vec<Arc<Endpoint>>>,
}

/// One address, with what is known of it.
#[derive(Debug)]
pub struct Endpoint {
    pub address: SocketAddr,
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

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            list: ArcSwap::from_pointee(Vec::new()),
        }
    }
}

impl Endpoints {
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let endpoints = Self::default();
        endpoints.replace(addresses);
        endpoints
    }

    /// Endpoints that stay keep what is known of them.
    pub fn replace(&self, addresses: impl IntoIterator<Item = SocketAddr>) {
        let old = self.list.load();
        let known = |address: SocketAddr| old.iter().find(|endpoint| endpoint.address == address).cloned();
        let new = addresses
            .into_iter()
            .map(|address| known(address).unwrap_or_else(|| Arc::new(Endpoint::new(address))));
        self.list.store(Arc::new(new.collect()));
    }

    pub fn is_empty(&self) -> bool {
        self.list.load().is_empty()
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.list.load().iter().map(|endpoint| endpoint.address).collect()
    }

    /// The less loaded of two random endpoints, among those that this request has not tried
    /// and that did not fail a moment ago. When only the latter are left, one of them.
    pub fn choose(&self, may_be_tried: impl Fn(SocketAddr) -> bool) -> Option<Lease> {
        let list = self.list.load();
        let now = Instant::now();
        let fit = |endpoint: &&Arc<Endpoint>| may_be_tried(endpoint.address);
        let healthy = pick(&list, |endpoint| fit(endpoint) && !endpoint.is_shunned(now));
        healthy
            .or_else(|| pick(&list, fit))
            .map(|endpoint| Lease::new(Arc::clone(endpoint)))
    }
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
            in_flight: AtomicU32::new(0),
            failed_at: AtomicU64::new(0),
            birth: Instant::now(),
        }
    }

    fn load(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn is_shunned(&self, now: Instant) -> bool {
        match self.failed_at.load(Ordering::Relaxed) {
            0 => false,
            at => now.duration_since(self.birth) < Duration::from_millis(at) + SHUNNED,
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

    #[tokio::test(start_paused = true)]
    async fn endpoint_that_failed_is_passed_over_for_a_while() {
        let endpoints = Endpoints::new([mk_address(1), mk_address(2)]);
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
        let endpoints = Endpoints::new([mk_address(1), mk_address(2)]);
        let _busy: Vec<_> = (0..5)
            .map(|_| endpoints.choose(|address| address == mk_address(1)))
            .collect();
        for _ in 0..50 {
            assert_eq!(endpoints.choose(|_| true).unwrap().address(), mk_address(2));
        }
    }

    #[tokio::test]
    async fn replacement_keeps_what_is_known_and_never_offers_what_left() {
        let endpoints = Endpoints::new([mk_address(1), mk_address(2)]);
        let lease = endpoints.choose(|address| address == mk_address(2)).unwrap();
        endpoints.replace([mk_address(2), mk_address(3)]);
        assert_eq!(lease.0.load(), 1);
        assert!(endpoints.choose(|address| address == mk_address(1)).is_none());
        let same = endpoints.choose(|address| address == mk_address(2)).unwrap();
        assert_eq!(same.0.load(), 2);
        drop((lease, same));
        assert_eq!(endpoints.list.load()[0].load(), 0);
        assert!(Endpoints::default().choose(|_| true).is_none());
    }
}
