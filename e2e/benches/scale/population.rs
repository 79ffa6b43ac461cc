use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result};
use genkan_crds::ReverseProxy;
use genkan_e2e::backend::Backend;
use genkan_e2e::http1;
use genkan_e2e::publish::is_programmed;
use genkan_e2e::world::{Product, World};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

const SERVICES: usize = 2_500;
const AT_ONCE: usize = 16;
const NAMESPACE: &str = "bench";

/// ReverseProxies that lead to some thousands of Services in turn.
pub struct Population<'w> {
    world: &'w World,
    pub client: kube::Client,
    /// Answers for as long as this lives.
    _backend: Backend,
    count: usize,
}

/// Resident memory in KiB.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    pub proxy: u64,
    pub operator: u64,
}

// === impl Population ===

impl<'w> Population<'w> {
    /// The Services; no route yet.
    pub async fn start(world: &'w World) -> Result<Self> {
        let client = world.control_plane.client();
        let backend = world.backend("bench", 8080).await?;
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        let namespaces: Api<Namespace> = Api::all(client.clone());
        create(&namespaces, vec![namespace]).await?;
        let services = (0..SERVICES).map(|n| {
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": service(n)},
                "spec": {"clusterIP": "None", "ports": [{"port": 80, "targetPort": 8080}]},
            })
        });
        create(
            &Api::<Service>::namespaced(client.clone(), NAMESPACE),
            services.collect(),
        )
        .await?;
        let slices = (0..SERVICES).map(|n| {
            json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": service(n), "labels": {"kubernetes.io/service-name": service(n)}},
                "ports": [{"port": 8080, "protocol": "TCP", "name": ""}],
                "endpoints": [{"addresses": [backend.address.ip().to_string()], "conditions": {"ready": true}}],
            })
        });
        create(
            &Api::<EndpointSlice>::namespaced(client.clone(), NAMESPACE),
            slices.collect(),
        )
        .await?;
        Ok(Self {
            world,
            client,
            _backend: backend,
            count: 0,
        })
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn product(&self) -> &Product {
        self.world.product()
    }

    pub fn api(&self) -> Api<ReverseProxy> {
        Api::all(self.client.clone())
    }

    /// Creates objects until there are `size`. Returns the time from the last one to all of them being Programmed.
    pub async fn grow(&mut self, size: usize) -> Result<Duration> {
        let new: Range<usize> = self.count..size;
        let objects = new.clone().map(|n| route(&format!("other-{n}"), n));
        create(&self.api(), objects.collect()).await?;
        self.count = size.max(self.count);
        let began = Instant::now();
        // Reading all of them is work for the API server: it is asked now and then, for the last ones first.
        let last: Vec<String> = new.rev().step_by(97).map(|n| format!("other-{n}")).collect();
        for name in last {
            while !is_programmed(&self.api().get(&name).await?) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let took = began.elapsed();
        loop {
            let all = self.api().list(&ListParams::default()).await?;
            if all.items.iter().all(is_programmed) {
                return Ok(took);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Waits until the programs have nothing more to do.
    pub async fn quiet(&self) -> Result<()> {
        self.product().in_step().await?;
        let mut calm = 0;
        while calm < 3 {
            let before = self.product().operator.cpu().context("the operator has gone")?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let after = self.product().operator.cpu().context("the operator has gone")?;
            calm = if after - before < Duration::from_millis(20) {
                calm + 1
            } else {
                0
            };
        }
        Ok(())
    }

    /// How many statuses the operator has written.
    pub async fn status_writes(&self) -> Result<u64> {
        let metrics = http1::get(self.product().operator.admin, "/metrics")
            .await?
            .text();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("genkan_operator_status_writes_total "));
        Ok(line.context("the metric status_writes")?.parse()?)
    }

    pub fn resident(&self) -> Result<Resident> {
        let product = self.product();
        let proxy = product.proxies[0].resident();
        Ok(Resident {
            proxy: proxy.context("the data plane has gone")?,
            operator: product.operator.resident().context("the operator has gone")?,
        })
    }
}

/// A route of everything below its name to one of the Services.
pub fn route(name: &str, n: usize) -> Value {
    json!({
        "apiVersion": "extensions.kubesphere.io/v1alpha1",
        "kind": "ReverseProxy",
        "metadata": {"name": name},
        "spec": {
            "matcher": {"path": format!("/proxy/{name}/*"), "method": "*"},
            "upstream": {"url": format!("http://{}.{NAMESPACE}.svc:80", service(n % SERVICES))},
        },
    })
}

fn service(n: usize) -> String {
    format!("svc-{n}")
}

async fn create<K>(api: &Api<K>, objects: Vec<Value>) -> Result<()>
where
    K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let objects = objects
        .into_iter()
        .map(serde_json::from_value)
        .collect::<Result<Vec<K>, _>>()?;
    let params = PostParams::default();
    for some in objects.chunks(AT_ONCE) {
        futures::future::try_join_all(some.iter().map(|object| api.create(&params, object))).await?;
    }
    Ok(())
}
