//! An operator whose stream is closed, as the chart would run it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use genkan_e2e::product::{Operator, Proxy, Source};
use genkan_e2e::rogue;
use genkan_e2e::tokens;
use genkan_e2e::wait;
use genkan_e2e::world::{self, RBAC, World};
use genkan_proto::AUDIENCE;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{Api, DeleteParams};
use tonic::transport::Channel;

pub const NAMESPACE: &str = "genkan-system";
pub const ACCOUNT: (&str, &str) = (NAMESPACE, "genkan-dataplane");

const SECRETS: [&str; 5] = [
    "genkan-hash-key",
    "genkan-stream",
    "genkan-stream-ca",
    "genkan-proxy-client",
    "genkan-proxy-client-ca",
];
const CONFIG_MAPS: [&str; 2] = ["genkan-stream-ca", "genkan-requestheader"];

/// An operator, and what belongs to it.
pub struct Secured {
    pub world: Arc<World>,
    pub operator: Operator,
    pub folder: PathBuf,
}

// === impl Secured ===

impl Secured {
    /// Its rights are there, and nothing of an earlier one; it does not run yet.
    pub async fn prepare(world: &Arc<World>) -> Result<Self> {
        let kubectl = world.kubectl();
        world::install(kubectl, world.programs()).await?;
        kubectl.apply(RBAC).await?;
        let kubeconfig = world
            .control_plane
            .service_account_kubeconfig(NAMESPACE, "genkan-operator")
            .await?;
        let folder = world.folder("secured")?;
        let source = Source::Kubernetes(kubeconfig);
        let arguments = ["--namespace", NAMESPACE, "--ca-overlap", "3s"];
        let operator = Operator::with(world.programs(), &folder, &source, (9300, 9301), &arguments);
        let secured = Self {
            world: Arc::clone(world),
            operator,
            folder,
        };
        for name in SECRETS {
            gone(&secured.secrets(), name).await?;
        }
        for name in CONFIG_MAPS {
            gone(&secured.config_maps(), name).await?;
        }
        Ok(secured)
    }

    pub async fn start(world: &Arc<World>) -> Result<Self> {
        let secured = Self::prepare(world).await?;
        secured.operator.start().await?;
        Ok(secured)
    }

    pub fn client(&self) -> kube::Client {
        self.world.control_plane.client()
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client(), NAMESPACE)
    }

    pub fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client(), NAMESPACE)
    }

    /// A key of a ConfigMap.
    pub async fn published(&self, name: &str, key: &str) -> Result<String> {
        let map = self.config_maps().get(name).await?;
        let value = map.data.and_then(|mut data| data.remove(key));
        value.with_context(|| format!("{name} has no key {key}"))
    }

    pub async fn authority(&self) -> Result<String> {
        self.published("genkan-stream-ca", "ca.crt").await
    }

    /// A new connection, which trusts what is published.
    pub async fn channel(&self) -> Result<Channel> {
        rogue::connect(self.operator.grpc, &self.authority().await?).await
    }

    /// A Pod of the data plane, and a token as the kubelet would mount it.
    pub async fn pod(&self, stem: &str) -> Result<(Pod, String)> {
        let name = self.world.name(stem);
        let pod = tokens::pod(&self.client(), NAMESPACE, &name, ACCOUNT.1).await?;
        let token = tokens::issued(&self.client(), ACCOUNT, Some(AUDIENCE), Some(&pod)).await?;
        Ok((pod, token))
    }

    /// A data plane that reads its files from this folder.
    pub fn proxy(&self, files: &Path) -> Proxy {
        let (ca, token) = (files.join("ca.crt"), files.join("token"));
        let arguments = [
            "--operator-ca-file",
            &ca.display().to_string(),
            "--operator-token-file",
            &token.display().to_string(),
        ];
        let operator = format!("https://localhost:{}", self.operator.grpc.port());
        Proxy::with(
            self.world.programs(),
            &self.folder,
            1,
            &operator,
            (8001, 9401),
            &arguments,
        )
    }

    /// The key with which the API server signs tokens.
    pub fn token_key(&self) -> PathBuf {
        self.world.control_plane.folder().join("pki/service-account.key")
    }

    pub async fn says(&self, words: &[&str]) -> Result<()> {
        wait::until_true(
            &format!("the operator says {words:?}"),
            Duration::from_secs(30),
            || async {
                let output = self.operator.output();
                let said = output
                    .lines()
                    .any(|line| words.iter().all(|word| line.contains(word)));
                Ok(said)
            },
        )
        .await
        .with_context(|| self.operator.tail(20))
    }
}

/// Waits until the object is gone.
pub async fn gone<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    wait::until_true(&format!("{name} is gone"), Duration::from_secs(10), || async {
        Ok(api.get_opt(name).await?.is_none())
    })
    .await
}
