use std::sync::Arc;
use std::time::Duration;

use genkan_proto::v1alpha1::health::State;
use pingora_core::connectors::{ConnectorOptions, TransportConnector};
use tokio::sync::Notify;

use crate::health::Board;
use crate::names::Lookup;
use crate::net::AddressCheck;
use crate::proxy::{DOES_NOT_RESOLVE, MAY_BE_DIALLED};
use crate::tables::{Current, Route};
use crate::upstream::{Manner, Target};

/// Looks after what traffic does not tell: names that begin or cease to resolve, and backends that were bad and to
/// which nobody sends requests any more.
pub struct Recovery {
    pub current: Arc<Current>,
    pub board: Arc<Board>,
    pub check: Arc<AddressCheck>,
    pub names_changed: Arc<Notify>,
    /// How the engine connects, so that a probe meets the same roots.
    pub connector: ConnectorOptions,
}

const PERIOD: Duration = Duration::from_secs(5);

// === impl Recovery ===

impl Recovery {
    /// Runs for ever.
    pub async fn run(self) {
        let connector = TransportConnector::new(Some(self.connector.clone()));
        let mut applied = self.current.applied();
        let mut period = tokio::time::interval(PERIOD);
        loop {
            tokio::select! {
                _ = applied.changed() => self.note_hosts(),
                () = self.names_changed.notified() => self.note_hosts(),
                _ = period.tick() => {
                    if self.check.refresh() {
                        self.note_hosts();
                    }
                    self.probe(&connector).await;
                }
            }
        }
    }

    /// The state of every object whose backend is a host of the author's choice.
    fn note_hosts(&self) {
        for route in &self.current.load().routes {
            let Some(upstream) = route.upstream() else {
                continue;
            };
            let (host, lookup) = match &upstream.target {
                Target::Set(_) => continue,
                Target::Address(_) => (upstream.authority.as_str(), Lookup::Found),
                Target::Named(named) => (named.name.as_str(), named.lookup()),
            };
            let error = match lookup {
                Lookup::Pending => continue,
                Lookup::Failed(_) => format!("the host {host} {DOES_NOT_RESOLVE}"),
                Lookup::Found if !upstream.has_other(|_| true) => {
                    format!("no address of the host {host} {MAY_BE_DIALLED}")
                }
                Lookup::Found => {
                    if self
                        .board
                        .state(&route.object)
                        .is_none_or(|state| state == State::Unresolved)
                    {
                        self.board.note(&route.object, State::Reachable, "");
                    }
                    continue;
                }
            };
            self.board.note(&route.object, State::Unresolved, error);
        }
    }

    /// Connects to backends that are under suspicion; one that accepts is acquitted.
    async fn probe(&self, connector: &TransportConnector) {
        let tables = self.current.load();
        let suspects = tables.routes.iter().filter(|route| route.is_suspect());
        futures::future::join_all(suspects.map(|route| self.probe_one(connector, route))).await;
    }

    async fn probe_one(&self, connector: &TransportConnector, route: &Arc<Route>) {
        let Some(upstream) = route.upstream() else { return };
        let Ok(lease) = upstream.choose(|_| true).await else {
            return;
        };
        let manner = Manner {
            http2: upstream.http2,
            is_pinned: upstream.needs_pin(),
            ..Manner::default()
        };
        let peer = upstream.peer(lease.address(), manner);
        if connector.new_stream(&peer).await.is_ok() && route.acquit() {
            lease.succeeded();
            self.board.note(&route.object, State::Reachable, "");
        }
    }
}

impl std::fmt::Debug for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recovery")
    }
}
