//! What scenarios run in: a control plane, and the programs of genkan as a cluster would run them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::time::{Instant, timeout};

use crate::backend::Backend;
use crate::control_plane::{ControlPlane, Options};
use crate::helm::Helm;
use crate::http1::{self, Answer, Request};
use crate::kubectl::Kubectl;
use crate::namespace::BACKENDS;
use crate::node::{self, Node};
use crate::product::{Operator, Proxy, Source};
use crate::programs::{Prepared, Programs};
use crate::wait;

/// Roles and accounts of both programs, as the chart renders them, and their namespace.
pub const RBAC: &str = concat!(
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: genkan-system}\n",
    include_str!("../golden/charts/rights.yaml")
);

/// What a suite needs beside the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// etcd, kube-apiserver and kubectl alone.
    ApiServer,
    /// The same, and the programs of genkan built; scenarios start them as they like.
    Programs,
    /// All of the control plane, the programs of genkan built, and helm; scenarios install the charts.
    Charts,
    /// The same, and a whole node with the images of genkan. Skipped where the machine cannot.
    Node,
    /// All of it: controller-manager, CRDs, operator and two data planes.
    Product,
    /// The same, with data planes that tell backends of the front what KubeSphere tells them.
    KubeSphere,
}

/// The control plane, and on stage `Product` the programs.
#[derive(Debug)]
pub struct World {
    pub control_plane: ControlPlane,
    product: Option<Product>,
    programs: Option<Programs>,
    helm: Option<Helm>,
    node: Option<Node>,
    folder: PathBuf,
    next_address: AtomicU8,
    next_name: AtomicU32,
}

/// The programs of genkan.
#[derive(Debug)]
pub struct Product {
    pub operator: Operator,
    pub proxies: Vec<Proxy>,
}

// === impl World ===

impl World {
    pub async fn start(stage: Stage, prepared: &Prepared, folder: &Path) -> Result<Self> {
        let options = Options {
            controller_manager: !matches!(stage, Stage::ApiServer | Stage::Programs),
            node: prepared.node.is_some().then_some(node::ADDRESS),
            ..Options::default()
        };
        let control_plane = ControlPlane::start(folder, &prepared.kubernetes, options).await?;
        let product = match (stage, &prepared.programs) {
            (Stage::Product | Stage::KubeSphere, Some(programs)) => {
                let arguments: &[&str] = match stage {
                    Stage::KubeSphere => &["--front-headers", "kubesphere"],
                    _ => &[],
                };
                let addresses = Addresses::default();
                Some(Product::start(&control_plane, programs, folder, addresses, arguments).await?)
            }
            (Stage::Product | Stage::KubeSphere, None) => bail!("the programs of genkan were not built"),
            (Stage::ApiServer | Stage::Programs | Stage::Charts | Stage::Node, _) => None,
        };
        let helm = prepared
            .helm
            .as_ref()
            .map(|program| Helm::new(program, control_plane.admin_kubeconfig(), folder));
        let node = match &prepared.node {
            Some(prepared) => Some(Node::start(&control_plane, prepared).await?),
            None => None,
        };
        Ok(Self {
            control_plane,
            product,
            programs: prepared.programs.clone(),
            helm,
            node,
            folder: folder.to_owned(),
            next_address: AtomicU8::new(1),
            next_name: AtomicU32::new(1),
        })
    }

    pub fn kubectl(&self) -> &Kubectl {
        self.control_plane.kubectl()
    }

    /// The programs of genkan; only on stage `Product`.
    pub fn product(&self) -> &Product {
        self.product.as_ref().expect("this suite runs on stage Product")
    }

    /// Paths of the programs; not on stage `ApiServer`.
    pub fn programs(&self) -> &Programs {
        self.programs
            .as_ref()
            .expect("this suite runs on a stage with programs")
    }

    /// `helm` with all rights; only on stages `Charts` and `Node`.
    pub fn helm(&self) -> &Helm {
        self.helm
            .as_ref()
            .expect("this suite runs on stage Charts or Node")
    }

    /// A new folder, for a scenario that starts programs of its own.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(self.name(name));
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A name that no other scenario uses.
    pub fn name(&self, stem: &str) -> String {
        format!("{stem}-{}", self.next_name.fetch_add(1, Ordering::Relaxed))
    }

    /// A backend on an address of its own.
    pub async fn backend(&self, name: &str, port: u16) -> Result<Backend> {
        let n = self.next_address.fetch_add(1, Ordering::Relaxed);
        if n > BACKENDS {
            bail!("the private network has only {BACKENDS} addresses for backends");
        }
        Backend::start(name, format!("10.99.0.{n}:{port}").parse()?).await
    }

    /// Waits until the condition is true with `kubectl wait`, as a script would.
    pub async fn wait_for(&self, object: &str, condition: &str) -> Result<()> {
        let condition = format!("--for=condition={condition}");
        self.kubectl()
            .run(&["wait", &condition, object, "--timeout=30s"])
            .await?;
        Ok(())
    }

    /// A value of an object, by JSONPath.
    pub async fn value(&self, object: &str, path: &str) -> Result<String> {
        self.kubectl()
            .run(&["get", object, "-o", &format!("jsonpath={path}")])
            .await
    }

    /// `status reason message` of a condition.
    pub async fn condition(&self, object: &str, kind: &str) -> Result<Condition> {
        let path = format!("{{.status.conditions[?(@.type==\"{kind}\")]}}");
        let text = self.value(object, &path).await?;
        if text.is_empty() {
            bail!("{object} has no condition {kind}");
        }
        serde_json::from_str(&text).with_context(|| text)
    }

    /// Waits until a condition has this status and reason.
    pub async fn wait_condition(
        &self,
        object: &str,
        kind: &str,
        status: &str,
        reason: &str,
    ) -> Result<Condition> {
        let what = format!("{object}: {kind}={status} {reason}");
        let mut last = None;
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            let seen = timeout(Duration::from_secs(5), self.condition(object, kind)).await?;
            match seen {
                Ok(seen) if seen.status == status && seen.reason == reason => return Ok(seen),
                Ok(seen) => last = Some(format!("{seen:?}")),
                Err(error) => last = Some(format!("{error:#}")),
            }
        }
        Err(anyhow!(
            "{what} did not come; last seen: {}",
            last.unwrap_or_default()
        ))
    }

    /// The same request through every proxy.
    pub async fn through_all(&self, request: Request<'_>) -> Result<Vec<Answer>> {
        let mut answers = Vec::new();
        for proxy in &self.product().proxies {
            answers.push(http1::send(proxy.listen, request).await?);
        }
        Ok(answers)
    }

    /// An error if a process of the world has ended by itself.
    pub fn expect_running(&self) -> Result<()> {
        self.control_plane.expect_running()?;
        if let Some(node) = &self.node {
            node.expect_running()?;
        }
        if let Some(product) = &self.product {
            product.expect_running()?;
        }
        Ok(())
    }
}

/// A condition as the API server shows it.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    pub status: String,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub observed_generation: i64,
}

/// Ports of the programs; the admin ports of the proxies follow each other.
#[derive(Debug, Clone)]
pub struct Addresses {
    pub operator_grpc: u16,
    pub operator_admin: u16,
    /// Listener and admin listener of each proxy.
    pub proxies: Vec<(u16, u16)>,
}

// === impl Addresses ===

impl Default for Addresses {
    fn default() -> Self {
        Self {
            operator_grpc: 9300,
            operator_admin: 9301,
            proxies: vec![(8001, 9401), (8002, 9402)],
        }
    }
}

// === impl Product ===

impl Product {
    /// Installs CRDs and RBAC, and starts the operator as its ServiceAccount and the proxies.
    pub async fn start(
        control_plane: &ControlPlane,
        programs: &Programs,
        folder: &Path,
        addresses: Addresses,
        arguments: &[&str],
    ) -> Result<Self> {
        let source = Self::installed(control_plane, programs).await?;
        Self::launch(programs, folder, &source, addresses, arguments).await
    }

    /// The same with proxies that ask the API server about their callers, as their ServiceAccount may.
    pub async fn start_judging(
        control_plane: &ControlPlane,
        programs: &Programs,
        folder: &Path,
        addresses: Addresses,
    ) -> Result<Self> {
        let source = Self::installed(control_plane, programs).await?;
        let kubeconfig = control_plane
            .service_account_kubeconfig("genkan-system", "genkan-dataplane")
            .await?;
        let kubeconfig = kubeconfig.display().to_string();
        let arguments = ["--authentication", "kubernetes", "--kubeconfig", &kubeconfig];
        Self::launch(programs, folder, &source, addresses, &arguments).await
    }

    async fn installed(control_plane: &ControlPlane, programs: &Programs) -> Result<Source> {
        install(control_plane.kubectl(), programs).await?;
        let kubeconfig = control_plane
            .service_account_kubeconfig("genkan-system", "genkan-operator")
            .await?;
        Ok(Source::Kubernetes(kubeconfig))
    }

    /// Starts the programs on a source; the proxies with these further arguments.
    pub async fn launch(
        programs: &Programs,
        folder: &Path,
        source: &Source,
        addresses: Addresses,
        arguments: &[&str],
    ) -> Result<Self> {
        let operator = Operator::new(
            programs,
            folder,
            source,
            addresses.operator_grpc,
            addresses.operator_admin,
        );
        let proxies: Vec<_> = (1..)
            .zip(&addresses.proxies)
            .map(|(n, ports)| Proxy::new(programs, folder, n, operator.grpc, *ports, arguments))
            .collect();
        operator.start().await?;
        for proxy in &proxies {
            proxy.start().await?;
        }
        Ok(Self { operator, proxies })
    }

    /// An error if a program has ended by itself.
    pub fn expect_running(&self) -> Result<()> {
        self.operator.expect_running()?;
        self.proxies.iter().try_for_each(Proxy::expect_running)
    }

    /// Waits until every proxy is connected and serves what the operator compiled.
    pub async fn in_step(&self) -> Result<()> {
        wait::until_true(
            "every proxy serves what the operator compiled",
            Duration::from_secs(30),
            || async {
                if self.operator.connected().await? < self.proxies.len() {
                    return Ok(false);
                }
                let wanted = self.operator.config().await?.hash;
                for proxy in &self.proxies {
                    if proxy.config().await?.hash != wanted {
                        return Ok(false);
                    }
                }
                Ok(true)
            },
        )
        .await
    }
}

/// CRDs as `genkan crds` prints them, without a warning, and the operator's rights.
pub async fn install(kubectl: &Kubectl, programs: &Programs) -> Result<()> {
    let out = tokio::process::Command::new(&programs.genkan)
        .arg("crds")
        .output()
        .await?;
    if !out.status.success() {
        bail!("genkan crds: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    kubectl
        .apply(&String::from_utf8(out.stdout)?)
        .await
        .context("the CRDs")?;
    kubectl
        .run(&[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "crd/reverseproxies.extensions.kubesphere.io",
            "crd/apiservices.extensions.kubesphere.io",
        ])
        .await?;
    kubectl.apply(RBAC).await.context("the rights of the programs")?;
    Ok(())
}
