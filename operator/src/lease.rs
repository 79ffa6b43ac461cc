//! Which replica writes status: the holder of a Lease.
//!
//! A holder that cannot renew stops being one before anybody else may take over, so two never write at once.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::input::Input;

const NAME: &str = "genkan-operator";
/// Others may take over this long after the last renewal that they saw.
const DURATION: Duration = Duration::from_secs(15);
/// The holder gives up this long after it asked for its own last renewal. With one more attempt and pause on top it has
/// given up before anybody else may take over.
const DEADLINE: Duration = Duration::from_secs(7);
const RETRY: Duration = Duration::from_secs(2);
/// For a whole attempt.
const TIMEOUT: Duration = Duration::from_secs(4);

/// What was last seen of another holder, and when: clocks of other machines are not compared with ours.
#[derive(Debug)]
struct Seen {
    resource_version: String,
    at: Instant,
}

#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error("{0}")]
    Api(#[from] kube::Error),
    #[error("the API server did not answer within {TIMEOUT:?}")]
    Timeout(#[from] tokio::time::error::Elapsed),
}

/// Takes part in the election until `stop` says true, then gives the Lease back.
pub async fn run(
    client: Client,
    namespace: String,
    identity: String,
    engine: mpsc::Sender<Input>,
    mut stop: watch::Receiver<bool>,
) {
    let api = Api::<Lease>::namespaced(client, &namespace);
    let mut seen = None;
    let mut renewed: Option<Instant> = None;
    let mut told = String::new();
    while !*stop.borrow() {
        let asked = Instant::now();
        let attempted = tokio::time::timeout(TIMEOUT, attempt(&api, &identity, &mut seen)).await;
        match attempted.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            Ok(true) => {
                if renewed.replace(asked).is_none() {
                    info!(lease = NAME, %namespace, "this replica writes status");
                    lead(&engine, true).await;
                }
                told.clear();
            }
            Ok(false) => {
                if renewed.take().is_some() {
                    warn!(lease = NAME, %namespace, "another replica writes status");
                    lead(&engine, false).await;
                }
            }
            Err(e) => {
                let text = e.to_string();
                if text != told {
                    warn!(lease = NAME, %namespace, error = %text, "Lease not renewed; no status is written without it");
                    told = text;
                }
                if renewed.is_some_and(|at| at.elapsed() >= DEADLINE) {
                    renewed = None;
                    lead(&engine, false).await;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            _ = stop.changed() => {}
        }
    }
    if renewed.is_some() {
        lead(&engine, false).await;
        if let Err(e) = release(&api, &identity).await {
            warn!(lease = NAME, error = %e, "Lease not given back; it expires by itself");
        }
    }
}

async fn lead(engine: &mpsc::Sender<Input>, leading: bool) {
    // The engine ends only with the process.
    let _ = engine.send(Input::Leading(leading)).await;
}

/// Takes or renews the Lease. Returns whether it is ours.
async fn attempt(api: &Api<Lease>, identity: &str, seen: &mut Option<Seen>) -> Result<bool, LeaseError> {
    let params = PostParams::default();
    let Some(mut lease) = api.get_opt(NAME).await? else {
        let metadata = ObjectMeta {
            name: Some(NAME.into()),
            ..Default::default()
        };
        let lease = Lease {
            metadata,
            spec: Some(held(identity, None)),
        };
        return match api.create(&params, &lease).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(e)) if e.code == 409 => Ok(false),
            Err(e) => Err(e.into()),
        };
    };
    let holder = lease
        .spec
        .as_ref()
        .and_then(|s| s.holder_identity.as_deref())
        .unwrap_or_default();
    if !holder.is_empty() && holder != identity {
        let version = lease.resource_version().unwrap_or_default();
        let since = match seen {
            Some(s) if s.resource_version == version => s.at,
            _ => {
                seen.insert(Seen {
                    resource_version: version,
                    at: Instant::now(),
                })
                .at
            }
        };
        if since.elapsed() < DURATION {
            return Ok(false);
        }
    }
    lease.spec = Some(held(identity, lease.spec.take()));
    lease.metadata.managed_fields = None;
    match api.replace(NAME, &params, &lease).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(e)) if e.code == 409 => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn held(identity: &str, before: Option<LeaseSpec>) -> LeaseSpec {
    let now = MicroTime(jiff::Timestamp::now());
    let before = before.unwrap_or_default();
    let ours = before.holder_identity.as_deref() == Some(identity);
    LeaseSpec {
        holder_identity: Some(identity.into()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        acquire_time: before.acquire_time.filter(|_| ours).or_else(|| Some(now.clone())),
        renew_time: Some(now),
        lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!ours)),
        ..before
    }
}

async fn release(api: &Api<Lease>, identity: &str) -> Result<(), LeaseError> {
    let Some(mut lease) = api.get_opt(NAME).await? else {
        return Ok(());
    };
    if let Some(spec) = lease
        .spec
        .as_mut()
        .filter(|s| s.holder_identity.as_deref() == Some(identity))
    {
        spec.holder_identity = None;
        lease.metadata.managed_fields = None;
        tokio::time::timeout(TIMEOUT, api.replace(NAME, &PostParams::default(), &lease)).await??;
    }
    Ok(())
}
