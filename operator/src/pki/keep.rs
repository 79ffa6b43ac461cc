//! Pairs in the cluster: each in a Secret, what its clients need to know of it in a ConfigMap.
//!
//! Another authority comes with overlap: clients are told of it beside the one in use, a certificate of it is used when
//! all of them can have read that, and they are told of the old one for a while longer.
//!
//! A Secret that bears the operator's mark is the operator's to renew; one without it was given, and is never written.
//! Every replica looks at all of them every few seconds: where two write at once, the API server lets one win, and the
//! other reads again.

mod form;
mod hash_key;
mod store;
mod told;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use kube::Client;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::{Authority, Examined, Pair, PkiError, Purpose};
use crate::input::Input;
use hash_key::ManagedHashKey;
use store::{Store, StoreError};
use told::Told;

/// How long an edit or a deletion by hand lasts.
const INTERVAL: Duration = Duration::from_secs(10);

/// The certificate that new connections get.
#[derive(Debug, Default)]
pub struct Serving(ArcSwapOption<CertifiedKey>);

/// What other programs read of a pair, as a ConfigMap.
#[derive(Clone, Debug)]
pub enum Publication {
    /// The authority alone, as `ca.crt`.
    Authority,
    /// What kube-apiserver publishes of its own front proxy.
    RequestHeader { client: String },
}

/// A pair to keep, and where.
#[derive(Debug)]
pub struct ManagedCertificate {
    pub secret: String,
    pub config_map: String,
    pub purpose: Purpose,
    pub publication: Publication,
    /// Gets the pair; `None` if it is others who use it.
    pub serving: Option<Arc<Serving>>,
}

/// Looks after pairs until it is told to stop.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
    pairs: Vec<Managed>,
    overlap: Duration,
    hash_key: Option<ManagedHashKey>,
}

/// A pair and what is remembered of it.
#[derive(Debug)]
struct Managed {
    kept: ManagedCertificate,
    /// The operator's own authority, to be put back if it is deleted.
    authority: Option<Authority>,
    used: Option<Pair>,
    told: String,
}

/// What there is to use.
#[derive(Debug)]
struct Offer {
    pair: Pair,
    seen: Examined,
    /// The authority that is to sign the next one.
    next: Option<String>,
}

/// When a new authority may sign what is used.
#[derive(Clone, Copy, Debug)]
struct Terms {
    now: SystemTime,
    overlap: Duration,
}

#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error(
        "Secret {name} was given to the operator and cannot be used: {flaw}; mend it, or delete it and the operator makes one"
    )]
    Given { name: String, flaw: super::Flaw },
    #[error("{0} is written by others again and again; is there one operator in its namespace?")]
    Contended(String),
}

// === impl Serving ===

impl Serving {
    pub fn is_ready(&self) -> bool {
        self.0.load().is_some()
    }

    pub fn set(&self, key: Arc<CertifiedKey>) {
        self.0.store(Some(key));
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

// === impl Keeper ===

impl Keeper {
    /// `overlap`: how long clients take to read that there is another authority.
    pub fn new(client: Client, namespace: &str, pairs: Vec<ManagedCertificate>, overlap: Duration) -> Self {
        let care = |kept| Managed {
            kept,
            authority: None,
            used: None,
            told: String::new(),
        };
        Self {
            store: Store::new(client, namespace),
            pairs: pairs.into_iter().map(care).collect(),
            overlap,
            hash_key: None,
        }
    }

    /// Looks after the key of hashes, too, and tells the engine.
    #[must_use]
    pub fn with_hash_key(mut self, secret: String, engine: mpsc::Sender<Input>) -> Self {
        self.hash_key = Some(ManagedHashKey::new(secret, engine));
        self
    }

    /// Failures are told and tried again; they end nothing.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Some(hash_key) = &mut self.hash_key {
                hash_key.look(&self.store).await;
            }
            for care in &mut self.pairs {
                let terms = Terms {
                    now: SystemTime::now(),
                    overlap: self.overlap,
                };
                let looked = care.look(&self.store, terms).await;
                care.tell(looked);
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                _ = stop.changed() => {}
            }
        }
    }
}

// === impl Managed ===

impl Managed {
    /// Once around: the pair is found or made, published, and put to use.
    async fn look(&mut self, store: &Store, terms: Terms) -> Result<Option<String>, KeepError> {
        let name = self.kept.config_map.clone();
        for _ in 0..5 {
            let map = store.config_map(&name).await?;
            let told = self.kept.publication.told(map.as_ref());
            let offer = self.offer(store, &told, terms).await?;
            let held = self.hold_back(&offer, &told, terms);
            let (pair, examined) = held.unwrap_or_else(|| (offer.pair.clone(), offer.seen.clone()));
            let mut needed = vec![pair.ca.as_str(), offer.pair.ca.as_str()];
            needed.extend(offer.next.as_deref());
            let tells = told.keep(&needed, terms.now);
            // Before it is used: clients need to know the authority first.
            let data = self.kept.publication.data(&pair, &tells);
            if !store.publish(&name, map, &data, &tells.note()).await? {
                continue;
            }
            if tells != told {
                info!(config_map = %store.name(&name), overlap = ?terms.overlap, "what is told of authorities has changed");
            }
            if self.used.as_ref() != Some(&pair) {
                info!(secret = %store.name(&self.kept.secret), until = %until(&examined), "certificate in use");
                if let Some(serving) = &self.kept.serving {
                    serving.set(Arc::clone(&examined.key));
                }
                self.used = Some(pair);
            }
            return Ok(examined.misses);
        }
        Err(KeepError::Contended(format!("ConfigMap {}", store.name(&name))))
    }

    /// The pair that stays in use for now, because not everybody can know yet who signed the one that is there.
    fn hold_back(&self, offer: &Offer, told: &Told, terms: Terms) -> Option<(Pair, Examined)> {
        self.kept.serving.as_ref()?;
        let used = self.used.as_ref().filter(|used| **used != offer.pair)?;
        let (purpose, now) = (&self.kept.purpose, terms.now);
        let known = Pair {
            ca: told.known(now, terms.overlap),
            ..offer.pair.clone()
        };
        if known.examine(purpose, now).is_ok() {
            return None;
        }
        // Once it has expired nobody takes it, and some may know the other.
        let seen = used.examine(purpose, now).ok()?;
        Some((used.clone(), seen))
    }

    async fn offer(&mut self, store: &Store, told: &Told, terms: Terms) -> Result<Offer, KeepError> {
        let (name, purpose) = (self.kept.secret.clone(), self.kept.purpose.clone());
        let Terms { now, overlap } = terms;
        for _ in 0..5 {
            let stored = store.secret(&name).await?;
            if let Some(stored) = stored.as_ref().filter(|stored| !stored.is_ours) {
                let pair = stored.pair();
                let flawed = |flaw| KeepError::Given {
                    name: store.name(&name),
                    flaw,
                };
                let seen = pair.examine(&purpose, now).map_err(flawed)?;
                return Ok(Offer {
                    pair,
                    seen,
                    next: None,
                });
            }
            let authority = self.authority(store, now).await?;
            if let Some(stored) = &stored
                && let pair = stored.pair()
                && let Ok(seen) = pair.examine(&purpose, now)
                && seen.misses.is_none()
            {
                let is_signed = pair.ca == authority.certificate;
                let is_known = told.knows(&authority.certificate, now, overlap);
                let may_wait = !is_signed && !is_known && seen.until > now + overlap;
                if may_wait || is_signed && !seen.is_due(now) {
                    let next = (!is_signed).then_some(authority.certificate);
                    return Ok(Offer { pair, seen, next });
                }
            }
            let made = authority.sign(&purpose, now)?;
            // A conflict means that another replica was faster: its pair is read in the next round.
            store
                .put(&name, form::TLS, form::of_pair(&made), stored.as_ref())
                .await?;
        }
        Err(KeepError::Contended(format!("Secret {}", store.name(&name))))
    }

    /// What signs, from a Secret of its own: who mounts the pair must not get the key of its authority.
    async fn authority(&mut self, store: &Store, now: SystemTime) -> Result<Authority, KeepError> {
        let name = format!("{}-ca", self.kept.secret);
        for _ in 0..5 {
            let stored = store.secret(&name).await?;
            if let Some(stored) = &stored {
                let found = stored.authority();
                match found.examine(now) {
                    Ok(()) => {
                        self.authority = Some(found.clone());
                        return Ok(found);
                    }
                    Err(flaw) if !stored.is_ours => {
                        return Err(KeepError::Given {
                            name: store.name(&name),
                            flaw,
                        });
                    }
                    Err(flaw) => warn!(secret = %store.name(&name), %flaw, "authority is replaced"),
                }
            }
            let held = self.authority.take().filter(|held| held.examine(now).is_ok());
            let made = match held {
                Some(held) => held,
                None => Authority::make(&name, now)?,
            };
            store
                .put(&name, form::TLS, form::of_authority(&made), stored.as_ref())
                .await?;
        }
        Err(KeepError::Contended(format!("Secret {}", store.name(&name))))
    }

    /// One line when something changes, not one every few seconds.
    fn tell(&mut self, looked: Result<Option<String>, KeepError>) {
        let secret = &self.kept.secret;
        let text = match looked {
            Ok(None) => String::new(),
            Ok(Some(name)) => format!(
                "the certificate of Secret {secret} is not for {name}: proxies must be told a name that it is for"
            ),
            Err(error) if self.used.is_some() => format!("{error}; what is in use stays in use"),
            Err(error) => error.to_string(),
        };
        if text != self.told {
            match text.as_str() {
                "" => info!(%secret, "the certificate is as it should be again"),
                text => warn!(%secret, "{text}"),
            }
            self.told = text;
        }
    }
}

fn until(examined: &Examined) -> String {
    jiff::Timestamp::try_from(examined.until).map_or_else(|_| "?".into(), |at| at.to_string())
}

#[cfg(test)]
mod tests;
