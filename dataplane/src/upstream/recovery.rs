use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use genkan_routing::dialling::MAY_BE_DIALLED;
use genkan_routing::model::BackendState;
use pingora_core::connectors::{ConnectorOptions, TransportConnector};
use pingora_core::{Error, ErrorType, Result};
use tokio::sync::Notify;
use tokio::time::{Interval, MissedTickBehavior};

use crate::client_certificate::ClientCertificate;
use crate::health::HealthReports;
use crate::names::Lookup;
use crate::net::AddressCheck;
use crate::proxy::DOES_NOT_RESOLVE;
use crate::tables::{Current, Route};
use crate::tasks::aside;
use crate::upstream::{PeerOptions, Target, Upstream};

/// Looks after what traffic does not tell: names that begin or cease to resolve, and backends that were bad and to
/// which nobody sends requests any more.
pub struct Recovery {
    pub current: Arc<Current>,
    pub health: Arc<HealthReports>,
    pub check: Arc<AddressCheck>,
    pub names_changed: Arc<Notify>,
    /// How the engine connects, so that a probe meets the same roots.
    pub connector: ConnectorOptions,
    pub certificate: Arc<ClientCertificate>,
}

const PERIOD: Duration = Duration::from_secs(5);
/// Names that change so close to each other are noted together: each look is one at every route.
const TOGETHER: Duration = Duration::from_millis(20);
/// Probes at the same time, at most.
const PROBES: usize = 32;
/// So many routes are looked at while the other tasks of this worker wait.
const FEW: usize = 64;

// === impl Recovery ===

impl Recovery {
    /// Runs for ever.
    pub async fn run(self) {
        tokio::join!(self.watch(), self.probe_suspects());
    }

    /// Never waits for a backend: what it notes is what makes objects ready.
    async fn watch(&self) {
        let mut applied = self.current.applied();
        let mut period = period();
        loop {
            tokio::select! {
                _ = applied.changed() => {
                    let fresh = self.current.take_fresh();
                    aside(fresh.len() > FEW, || fresh.iter().for_each(|route| self.note(route)));
                }
                () = self.names_changed.notified() => {
                    tokio::time::sleep(TOGETHER).await;
                    tokio::task::block_in_place(|| self.note_hosts());
                }
                _ = period.tick() => {
                    if self.check.refresh() {
                        self.note_hosts();
                    }
                }
            }
        }
    }

    /// Connects to backends that are under suspicion; one that accepts is acquitted.
    async fn probe_suspects(&self) {
        let connector = TransportConnector::new(Some(self.connector.clone()));
        let mut period = period();
        loop {
            period.tick().await;
            let tables = self.current.load();
            let suspects: Vec<_> = (self.health.blamed().iter())
                .filter_map(|object| tables.routes.get(&object.key))
                .filter(|route| route.is_suspect())
                .cloned()
                .collect();
            drop(tables);
            let probes = suspects.into_iter().map(|route| self.probe(&connector, route));
            futures::stream::iter(probes)
                .buffer_unordered(PROBES)
                .collect::<()>()
                .await;
        }
    }

    /// The state of every object whose backend is a host of the author's choice.
    fn note_hosts(&self) {
        self.current
            .load()
            .hosts
            .values()
            .for_each(|route| self.note(route));
    }

    fn note(&self, route: &Route) {
        // What was built anew inherits what its object is blamed for, or nobody would ever take it back.
        let known = self.health.state(&route.object);
        if let Some(state @ (BackendState::Unreachable | BackendState::TlsFailed)) = known
            && !route.is_suspect()
        {
            route.suspect(state);
        }
        let Some(upstream) = route.upstream() else {
            return;
        };
        let (host, lookup) = match &upstream.target {
            Target::Set { .. } => return,
            Target::Address(_) => (upstream.authority.as_str(), Lookup::Found),
            Target::Named(named) => (named.name.as_str(), named.lookup()),
        };
        let error = match lookup {
            Lookup::Pending => return,
            Lookup::Failed(_) => format!("the host {host} {DOES_NOT_RESOLVE}"),
            Lookup::Found if !upstream.has_other(|_| true) => {
                format!("no address of the host {host} {MAY_BE_DIALLED}")
            }
            Lookup::Found => {
                if known.is_none_or(|state| state == BackendState::Unresolved) {
                    self.health.note(&route.object, BackendState::Reachable, "");
                }
                return;
            }
        };
        self.health.note(&route.object, BackendState::Unresolved, error);
    }

    async fn probe(&self, connector: &TransportConnector, route: Arc<Route>) {
        let Some(upstream) = route.upstream() else { return };
        let Ok(lease) = upstream.choose(|_| true).await else {
            return;
        };
        let address = lease.address();
        let is_good = match self
            .connects(connector, upstream, address, upstream.needs_pin())
            .await
        {
            Err(error) if upstream.wants_pin(&error) => {
                self.connects(connector, upstream, address, true).await.is_ok()
            }
            outcome => outcome.is_ok(),
        };
        if is_good && route.acquit() {
            lease.succeeded();
            self.health.note(&route.object, BackendState::Reachable, "");
        }
    }

    /// Whether a request could be sent now.
    async fn connects(
        &self,
        connector: &TransportConnector,
        upstream: &Upstream,
        address: SocketAddr,
        is_pinned: bool,
    ) -> Result<()> {
        let wanted = PeerOptions {
            http2: upstream.http2,
            is_pinned,
            ..PeerOptions::default()
        };
        let stream = connector
            .new_stream(&self.certificate.equip(upstream.peer(address, wanted)))
            .await?;
        if is_pinned {
            let shown = stream.get_ssl_digest();
            let judged = upstream.judge_pin(shown.as_deref());
            judged.map_err(|error| Error::because(ErrorType::InvalidCert, "the pin", error))?;
        }
        Ok(())
    }
}

/// What was missed is not made up for.
fn period() -> Interval {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    period
}

impl std::fmt::Debug for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recovery")
    }
}
