//! `genkan operator`: the wiring of its parts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args as ClapArgs;
use genkan_compile::index::{Change, Index};
use genkan_compile::object::{FLAGS_NAME, Key};
use genkan_extensions::Limits;
use genkan_proto::MAX_SNAPSHOT;
use genkan_routing::door::AppsDomain;
use genkan_routing::public::{self, Front};
use genkan_routing::quantity;
use genkan_tools::cluster::client;
use genkan_tools::source::{Origin, Source};
use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::budgets::Budgets;
use crate::engine::{Engine, View};
use crate::input::Input;
use crate::metrics::Metrics;
use crate::pki::Purpose;
use crate::pki::keep::{Keeper, ManagedCertificate, Publication, Serving};
use crate::serve::gate::Gate;
use crate::serve::review::Kubernetes;
use crate::snapshot::Feed;
use crate::source::{directory, kubernetes};
use crate::status::{KubernetesWriter, Printer, Queue};
use crate::{admin, definitions, fetching, lease, revisions, serve};

/// The common name by which backends know a proxy.
const PROXY_CLIENT: &str = "genkan-dataplane";
const IN_CLUSTER_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    pub origin: Origin,
    /// Namespace of the operator's Lease [default: the Pod's own, else genkan-system]
    #[arg(long, env = "GENKAN_NAMESPACE", value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Service whose Pods are the data plane [default: genkan-dataplane in --namespace]
    #[arg(long, env = "GENKAN_DATAPLANE_SERVICE", value_name = "NAMESPACE/NAME")]
    pub dataplane_service: Option<String>,
    #[command(flatten)]
    pub stream: serve::args::Args,
    /// What all objects together may count in a snapshot, before compression, such as 64Mi; at most 128Mi
    #[arg(
        long,
        env = "GENKAN_SNAPSHOT_BUDGET",
        default_value = "64Mi",
        value_parser = bytes,
        value_name = "BYTES"
    )]
    pub snapshot_budget: usize,
    /// Namespace whose Secrets keep revisions of GatewayExtensions [default: none; they are kept in memory alone]
    #[arg(long, env = "GENKAN_REVISION_NAMESPACE", value_name = "NAMESPACE")]
    pub revision_namespace: Option<String>,
    /// Fetch archives and files of GatewayExtensions from web servers, which are dialled for nothing else
    #[arg(long, env = "GENKAN_URL_SOURCES")]
    pub url_sources: bool,
    /// Bytes that an archive of a GatewayExtension may have, such as 16Mi; at most 64Mi
    #[arg(
        long,
        env = "GENKAN_ARCHIVE_LIMIT",
        default_value = "16Mi",
        value_parser = archive_limit,
        value_name = "BYTES"
    )]
    pub archive_limit: u64,
    /// Bytes that all files of such an archive may have, zips inside included; at most 256Mi
    #[arg(
        long,
        env = "GENKAN_UNPACKED_LIMIT",
        default_value = "64Mi",
        value_parser = unpacked_limit,
        value_name = "BYTES"
    )]
    pub unpacked_limit: u64,
    /// ConfigMap with the switches of Connectors [default: connectors-config in --namespace]
    #[arg(long, env = "GENKAN_CONNECTORS_CONFIG", value_name = "NAMESPACE/NAME")]
    pub connectors_config: Option<String>,
    /// Domain of the cluster, for names of Services
    #[arg(
        long,
        env = "GENKAN_CLUSTER_DOMAIN",
        default_value = "cluster.local",
        value_name = "NAME"
    )]
    pub cluster_domain: String,
    /// URL under which people reach the data plane, for status.urls; repeatable [default: none]
    #[arg(long, env = "GENKAN_PUBLIC_URL", value_name = "URL", value_delimiter = ',')]
    pub public_url: Vec<public::Origin>,
    /// Domain below which each web UI has a name, where people log in by themselves [default: none]
    #[arg(long, env = "GENKAN_APPS_DOMAIN", value_name = "DOMAIN")]
    pub apps_domain: Option<AppsDomain>,
    /// Address of /config, /healthz, /readyz and /metrics
    #[arg(
        long,
        env = "GENKAN_ADMIN_LISTEN",
        default_value = "127.0.0.1:9301",
        value_name = "ADDRESS"
    )]
    pub admin_listen: SocketAddr,
    /// With dir:PATH: folder for a status file an object, instead of lines on standard output
    #[arg(long, env = "GENKAN_STATUS_DIR", value_name = "DIRECTORY")]
    pub status_dir: Option<PathBuf>,
}

/// Runs until a signal, or until a part that must not end has ended.
///
/// # Errors
/// When it cannot start, or a part failed.
pub async fn run(args: Args) -> Result<()> {
    args.stream.check(&args.origin.source).map_err(|e| anyhow!(e))?;
    let front = Front {
        origins: args.public_url.clone(),
        apps: args.apps_domain.clone(),
        ..Front::default()
    };
    front.check()?;
    let namespace = args.namespace.clone().unwrap_or_else(own_namespace);
    let service = named(
        args.dataplane_service.as_deref(),
        "--dataplane-service",
        &namespace,
        "genkan-dataplane",
    )?;
    let switches = named(
        args.connectors_config.as_deref(),
        "--connectors-config",
        &namespace,
        FLAGS_NAME,
    )?;
    let account = args.stream.account(&namespace).map_err(|e| anyhow!(e))?;
    if let Some(folder) = args.status_dir.as_ref().filter(|f| !f.is_dir()) {
        bail!(
            "--status-dir {} is not a folder; create it first",
            folder.display()
        );
    }
    if let (Source::Directory(source), Some(folder)) = (&args.origin.source, &args.status_dir) {
        let inside = source.canonicalize().ok().zip(folder.canonicalize().ok());
        if inside.is_some_and(|(source, folder)| folder.starts_with(source)) {
            bail!(
                "--status-dir {} lies in the folder that is watched; choose another",
                folder.display()
            );
        }
    }
    let client = match &args.origin.source {
        Source::Kubernetes => Some(client(args.origin.kubeconfig.as_deref()).await?),
        Source::Directory(_) => None,
    };
    genkan_accept::raise_limit();
    let grpc = bind(args.stream.grpc_listen, "--grpc-listen").await?;
    let admin_listener = bind(args.admin_listen, "--admin-listen").await?;
    info!(grpc = %grpc.local_addr()?, admin = %admin_listener.local_addr()?, source = ?args.origin.source, "operator starts");

    let (inputs, engine_inputs) = mpsc::channel(1024);
    let feed = Arc::<Feed>::default();
    let (stop, stopped) = watch::channel(false);
    let view = Arc::new(RwLock::new(View {
        missing: Index::default().missing(),
        ..View::default()
    }));
    let queue = Arc::new(Queue::default());
    let metrics = Arc::new(Metrics::new());
    let limits = Limits {
        packed: args.archive_limit,
        unpacked: args.unpacked_limit,
        ..Limits::default()
    };
    let mut engine = Engine::new(
        service.clone(),
        Arc::clone(&feed),
        Arc::clone(&view),
        Arc::clone(&queue),
        Arc::clone(&metrics),
    )
    .with_budget(args.snapshot_budget)
    .with_domain(&args.cluster_domain)
    .with_limits(limits)
    .with_front(front)
    .with_components(&switches.0);

    let (pods, wanted, wanted_maps) = (engine.pods(), engine.wanted(), engine.wanted_maps());
    let (keeping, shown) = (engine.keeping(), engine.shown());
    let wishes = args.url_sources.then(|| engine.fetches());
    let (duties, rollouts) = (engine.duties(), engine.rollouts());

    // The end of any of these is the end of the process: none may die unseen.
    let mut parts: JoinSet<(&'static str, Result<()>)> = JoinSet::new();
    parts.spawn(async move {
        engine.run(engine_inputs).await;
        ("engine", Ok(()))
    });
    let served = serve::Service::new(inputs.clone(), feed, stopped.clone(), Arc::clone(&metrics))
        .with_plaintext_secrets(args.stream.grpc_plaintext_secrets)
        .with_duties(duties)
        .with_rollouts(rollouts);
    let mut serving = None;
    match client.as_ref().filter(|_| !args.stream.grpc_plaintext) {
        None => {
            warn!("THE CONFIGURATION STREAM IS PLAIN TEXT: WHOEVER REACHES ITS PORT IS A PROXY");
            if args.stream.grpc_plaintext_secrets {
                warn!(
                    "SECRETS ARE SENT IN PLAIN TEXT TO WHOEVER REACHES THE PORT OF THE CONFIGURATION STREAM"
                );
            }
            parts.spawn(async move {
                served.serve_plaintext(grpc).await;
                ("configuration stream", Ok(()))
            });
        }
        Some(client) => {
            let certificate = Arc::<Serving>::default();
            serving = Some(Arc::clone(&certificate));
            let reviewer = Kubernetes(client.clone());
            let gate = Gate::new(reviewer, account, pods, Arc::clone(&metrics));
            let keeper = Keeper::new(
                client.clone(),
                &namespace,
                kept(&args.stream, &namespace, &certificate),
                args.stream.ca_overlap,
            )
            .with_hash_key(args.stream.hash_key_secret.clone(), inputs.clone());
            let stopped = stopped.clone();
            parts.spawn(async move {
                keeper.run(stopped).await;
                ("care of certificates", Ok(()))
            });
            parts.spawn(async move {
                let ended = served.serve_tls(grpc, certificate, gate).await;
                ("configuration stream", ended.context("TLS cannot be set up"))
            });
        }
    }
    if let Some(wishes) = wishes {
        let engine = inputs.clone();
        parts.spawn(async move {
            fetching::run(wishes, engine).await;
            ("fetching for extensions", Ok(()))
        });
    }
    let administration = admin::serve(admin_listener, view, Arc::clone(&metrics), serving);
    parts.spawn(async move { match administration.await {} });
    let mut election = None;
    match (client, args.origin.source) {
        (Some(client), _) => {
            let writer = KubernetesWriter::new(client.clone(), queue, inputs.clone(), metrics);
            parts.spawn(async move {
                writer.run().await;
                ("status writer", Ok(()))
            });
            let identity = format!("{}_{}", hostname(), uuid::Uuid::new_v4());
            election = Some(tokio::spawn(lease::run(
                client.clone(),
                namespace,
                identity,
                inputs.clone(),
                stopped,
            )));
            let (watching, engine, components) = (client.clone(), inputs.clone(), switches.0.clone());
            parts.spawn(async move {
                kubernetes::authorities::run(watching, components, engine).await;
                ("watch of authorities", Ok(()))
            });
            let (watching, engine) = (client.clone(), inputs.clone());
            parts.spawn(async move {
                kubernetes::flags::run(watching, switches, engine).await;
                ("watch of switches", Ok(()))
            });
            let (watching, engine) = (client.clone(), inputs.clone());
            parts.spawn(async move {
                kubernetes::secrets::run(watching, wanted, engine).await;
                ("watches of Secrets", Ok(()))
            });
            let showing = client.clone();
            parts.spawn(async move {
                definitions::run(showing, shown).await;
                ("PolicyDefinitions of extensions", Ok(()))
            });
            match args.revision_namespace {
                Some(namespace) => {
                    let (keeper, engine) = (client.clone(), inputs.clone());
                    parts.spawn(async move {
                        revisions::run(keeper, namespace, keeping, engine).await;
                        ("keeping of revisions", Ok(()))
                    });
                }
                None => {
                    let nothing = Change::Remembered(BTreeMap::new());
                    inputs.send(Input::Changes(vec![nothing])).await?;
                }
            }
            // Nothing is taken before they are known.
            inputs.send(Input::Budgets(Budgets::Unknown)).await?;
            let (watching, pods_in, engine) = (client.clone(), service.0.clone(), inputs.clone());
            parts.spawn(async move {
                kubernetes::budgets::run(watching, pods_in, engine).await;
                ("watch of PodDisruptionBudgets", Ok(()))
            });
            let (watching, engine) = (client.clone(), inputs.clone());
            parts.spawn(async move {
                kubernetes::maps::run(watching, wanted_maps, engine).await;
                ("watches of ConfigMaps", Ok(()))
            });
            let engine = inputs.clone();
            parts.spawn(async move {
                kubernetes::run(client, service.0, engine).await;
                ("watches", Ok(()))
            });
        }
        (None, Source::Directory(path)) => {
            inputs.send(Input::Leading(true)).await?;
            let printer = Printer {
                queue,
                engine: inputs.clone(),
                folder: args.status_dir,
            };
            parts.spawn(async move {
                printer.run().await;
                ("status printer", Ok(()))
            });
            let engine = inputs.clone();
            parts.spawn(async move {
                (
                    "directory",
                    directory::run(path, engine).await.map_err(Into::into),
                )
            });
        }
        (None, Source::Kubernetes) => bail!("no client for the API server"),
    }

    let ended = wait(&mut parts, election.as_mut()).await;
    stop.send_replace(true);
    if let Some(election) = election.filter(|e| !e.is_finished()) {
        // Giving the Lease back lets the next replica write at once; it is not worth more than this.
        let _ = tokio::time::timeout(Duration::from_secs(3), election).await;
    }
    ended
}

/// Returns at a signal, or when a part has ended.
async fn wait(
    parts: &mut JoinSet<(&'static str, Result<()>)>,
    election: Option<&mut tokio::task::JoinHandle<()>>,
) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let election = async {
        match election {
            Some(task) => task.await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM: the operator ends; proxies keep serving"),
        _ = interrupt.recv() => info!("SIGINT: the operator ends; proxies keep serving"),
        ended = election => return Err(anyhow!("the leader election ended: {ended:?}")),
        Some(ended) = parts.join_next() => {
            let (name, result) = ended.context("a part of the operator panicked")?;
            result.with_context(|| format!("the {name} failed"))?;
            bail!("the {name} ended");
        }
    }
    Ok(())
}

/// A number of bytes, as Kubernetes writes it: `1048576`, `1024Ki`, `1Mi`.
fn bytes(text: &str) -> Result<usize, String> {
    let bytes = quantity::bytes(text).ok_or("is no number of bytes; write 67108864, 65536Ki or 64Mi")?;
    usize::try_from(bytes)
        .ok()
        .filter(|bytes| (1 << 10..=MAX_SNAPSHOT).contains(bytes))
        .ok_or_else(|| "must be from 1Ki to 128Mi, which is what proxies take".into())
}

fn archive_limit(text: &str) -> Result<u64, String> {
    limit(text, Limits::CEILING.packed)
}

fn unpacked_limit(text: &str) -> Result<u64, String> {
    limit(text, Limits::CEILING.unpacked)
}

fn limit(text: &str, most: u64) -> Result<u64, String> {
    let bytes = quantity::bytes(text).ok_or("is no number of bytes; write 16777216, 16384Ki or 16Mi")?;
    (Some(bytes).filter(|bytes| (1 << 10..=most).contains(bytes)))
        .ok_or_else(|| format!("must be from 1Ki to {}Mi", most >> 20))
}

async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{flag} {address} cannot be listened on"))
}

/// The object that a flag names, or the default of that name.
fn named(given: Option<&str>, flag: &str, namespace: &str, default: &str) -> Result<Key> {
    let Some(text) = given else {
        return Ok((namespace.to_owned(), default.to_owned()));
    };
    match text.split_once('/') {
        Some((ns, name)) if !ns.is_empty() && !name.is_empty() => Ok((ns.into(), name.into())),
        _ => bail!("{flag} {text:?} is not NAMESPACE/NAME"),
    }
}

/// The stream's own pair, and the one with which proxies are known to backends.
fn kept(args: &serve::args::Args, namespace: &str, serving: &Arc<Serving>) -> Vec<ManagedCertificate> {
    let client = PROXY_CLIENT.to_owned();
    vec![
        ManagedCertificate {
            secret: args.grpc_secret.clone(),
            config_map: args.grpc_ca_configmap.clone(),
            purpose: Purpose::service(&args.grpc_service, namespace),
            publication: Publication::Authority,
            serving: Some(Arc::clone(serving)),
        },
        ManagedCertificate {
            secret: args.proxy_client_secret.clone(),
            config_map: args.requestheader_configmap.clone(),
            purpose: Purpose::Client(client.clone()),
            publication: Publication::RequestHeader { client },
            serving: None,
        },
    ]
}

fn own_namespace() -> String {
    let inside = std::fs::read_to_string(IN_CLUSTER_NAMESPACE).ok();
    inside
        .map(|n| n.trim().to_string())
        .filter(|n| !n.is_empty())
        .unwrap_or_else(|| "genkan-system".into())
}

fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "genkan".into()
    } else {
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_numbers_of_bytes_that_proxies_take() {
        assert_eq!(bytes("64Mi"), Ok(64 << 20));
        assert_eq!(bytes("2048Ki"), Ok(2 << 20));
        assert_eq!(bytes("4096"), Ok(4096));
        for wrong in [
            "",
            "Mi",
            "64M",
            "-1",
            "1.5Mi",
            "0",
            "1000",
            "129Mi",
            "99999999999999999999",
        ] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
