use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::{LONGEST, Lanes, Lookup, Resolver, SHORTEST};
use crate::endpoints::Endpoints;

/// Keeps one name resolved.
pub(super) struct Refresher {
    pub(super) source: Arc<dyn Resolver>,
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) endpoints: Arc<Endpoints>,
    pub(super) outcome: watch::Sender<Lookup>,
    pub(super) changed: Arc<Notify>,
    pub(super) lanes: Arc<Lanes>,
}

impl Refresher {
    /// Goes on for ever: after a panic it begins anew, and the addresses that it found stay in use.
    pub(super) async fn keep_on(self, restarted: Counter) {
        loop {
            // Nothing that it shares is left half done: all of it is replaced whole.
            let ended = AssertUnwindSafe(self.run()).catch_unwind().await;
            restarted.inc();
            tracing::error!(
                host = self.name,
                panicked = ended.is_err(),
                "the refresher of a name is started again"
            );
            tokio::time::sleep(SHORTEST).await;
        }
    }

    async fn run(&self) {
        let mut failures: u32 = 0;
        let mut lane = &self.lanes.new;
        let mut told = None;
        loop {
            // A lane is never closed.
            let turn = lane.acquire().await;
            let answer = self.source.resolve(&self.name).await;
            drop(turn);
            let pause = match answer {
                Ok((addresses, ttl)) if !addresses.is_empty() => {
                    (failures, lane, told) = (0, &self.lanes.resolved, None);
                    self.endpoints
                        .replace(addresses.into_iter().map(|ip| (ip, self.port).into()));
                    self.note(Lookup::Found);
                    ttl.clamp(SHORTEST, LONGEST)
                }
                answer => {
                    let error = answer
                        .err()
                        .unwrap_or_else(|| "the name has no address".to_owned());
                    failures = failures.saturating_add(1);
                    lane = &self.lanes.failed;
                    // Once for each reason, not at each attempt.
                    if told.as_ref() != Some(&error) {
                        tracing::warn!(host = self.name, error, "a host does not resolve");
                        told = Some(error.clone());
                    }
                    // The last good addresses stay in use; the failure shows only where there are none.
                    if self.endpoints.is_empty() {
                        self.note(Lookup::Failed(error));
                    }
                    SHORTEST * 2u32.saturating_pow(failures.min(5) - 1)
                }
            };
            tokio::time::sleep_until(Instant::now() + pause).await;
        }
    }

    fn note(&self, now: Lookup) {
        let is_news = self.outcome.send_if_modified(|last| {
            let is_news = *last != now;
            *last = now;
            is_news
        });
        if is_news {
            self.changed.notify_one();
        }
    }
}
