//! What a kubelet does with a Pod, without a container runtime: the program gets the arguments, the environment, the files
//! and the tokens that its Pod asks for, in a folder that is its root, and the Pod gets the status that its probes earn.
//!
//! A Pod has an address of its own on the loopback device; `0.0.0.0` in an argument becomes that address.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, KeyToPath, Pod, Probe, Secret, ServiceAccount, ServiceAccountTokenProjection,
    Volume,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use parking_lot::Mutex;
use serde_json::json;

use crate::http1;
use crate::process::{Launch, Process};
use crate::wait;

/// Where Pods run.
#[derive(Clone)]
pub struct Machine {
    client: Client,
    server: SocketAddr,
    folder: PathBuf,
    /// Names for `/etc/hosts`, instead of a cluster's DNS.
    pub names: Vec<(String, Ipv4Addr)>,
}

/// A Pod whose program runs.
#[derive(Debug)]
pub struct Running {
    pub name: String,
    pub address: Ipv4Addr,
    process: Mutex<Process>,
}

type Files = Vec<(String, Vec<u8>)>;

const START: Duration = Duration::from_secs(60);

// === impl Machine ===

impl Machine {
    pub fn new(client: Client, server: &str, folder: &Path) -> Result<Self> {
        Ok(Self {
            client,
            server: server.trim_start_matches("https://").parse()?,
            folder: folder.to_owned(),
            names: Vec::new(),
        })
    }

    /// The Pods of a Deployment that nothing runs yet; they exist as soon as the controller-manager has seen it.
    pub async fn pods(&self, namespace: &str, selector: &str, count: usize) -> Result<Vec<Pod>> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let params = kube::api::ListParams::default().labels(selector);
        wait::until(&format!("{count} Pods with {selector} exist"), START, || async {
            let pods = api.list(&params).await?.items;
            let alive: Vec<Pod> = pods
                .into_iter()
                .filter(|pod| pod.metadata.deletion_timestamp.is_none())
                .collect();
            Ok((alive.len() == count).then_some(alive))
        })
        .await
    }

    /// Runs a Pod's only container with this program as its image's, and waits until it is ready.
    pub async fn run(&self, pod: &Pod, program: &Path, address: Ipv4Addr) -> Result<Running> {
        let name = pod.name_any();
        let spec = pod.spec.as_ref().context("a Pod without spec")?;
        let container = spec.containers.first().context("a Pod without container")?;
        let root = self.folder.join(&name);
        image(&root, program)?;
        let hosts: String = self
            .names
            .iter()
            .map(|(name, address)| format!("{address} {name}\n"))
            .collect();
        put(&root, "/etc/hosts", hosts.as_bytes())?;
        put(&root, "/etc/resolv.conf", b"nameserver 127.0.0.1\n")?;
        for volume in spec.volumes.iter().flatten() {
            let mounts = container.volume_mounts.iter().flatten();
            for mount in mounts.filter(|mount| mount.name == volume.name) {
                let files = self
                    .volume(pod, volume)
                    .await
                    .with_context(|| format!("volume {} of Pod {name}", volume.name))?;
                std::fs::create_dir_all(root.join(mount.mount_path.trim_start_matches('/')))?;
                for (file, content) in files {
                    put(&root, &format!("{}/{file}", mount.mount_path), &content)?;
                }
            }
        }
        let process = self.launch(pod, container, &root, address)?.start(&self.folder)?;
        let running = Running {
            name,
            address,
            process: Mutex::new(process),
        };
        running
            .probed(container, container.startup_probe.as_ref())
            .await?;
        running
            .probed(container, container.readiness_probe.as_ref())
            .await?;
        self.report(pod, address).await?;
        Ok(running)
    }

    fn launch(&self, pod: &Pod, container: &Container, root: &Path, address: Ipv4Addr) -> Result<Launch> {
        let mut launch = Launch::new(pod.name_any(), "chroot")
            .arg(root.display().to_string())
            .arg("/program")
            .env("KUBERNETES_SERVICE_HOST", self.server.ip().to_string())
            .env("KUBERNETES_SERVICE_PORT", self.server.port().to_string());
        for arg in container.args.iter().flatten() {
            launch = launch.arg(arg.replace("0.0.0.0", &address.to_string()));
        }
        for env in container.env.iter().flatten() {
            let field = env
                .value_from
                .as_ref()
                .and_then(|from| from.field_ref.as_ref())
                .map(|field| field.field_path.as_str());
            let value = match (&env.value, field) {
                (Some(value), _) => value.clone(),
                (None, Some("metadata.name")) => pod.name_any(),
                (None, other) => bail!("the environment of the Pod has {other:?}, which nothing here knows"),
            };
            launch = launch.env(&env.name, value);
        }
        Ok(launch)
    }

    /// What is in a volume. As a kubelet does, it waits for what is not there yet.
    async fn volume(&self, pod: &Pod, volume: &Volume) -> Result<Files> {
        let namespace = pod.namespace().unwrap_or_default();
        if let Some(map) = &volume.config_map {
            return self.config_map(&namespace, &map.name, map.items.as_deref()).await;
        }
        if let Some(secret) = &volume.secret {
            let name = secret.secret_name.clone().unwrap_or_default();
            return self
                .secret(&namespace, &name, secret.optional == Some(true))
                .await;
        }
        if volume.empty_dir.is_some() {
            return Ok(Files::new());
        }
        let projected = volume
            .projected
            .as_ref()
            .ok_or_else(|| anyhow!("a volume of a kind that nothing here knows"))?;
        let mut files = Files::new();
        for source in projected.sources.iter().flatten() {
            if let Some(token) = &source.service_account_token {
                files.push((token.path.clone(), self.token(pod, token).await?.into_bytes()));
            } else if let Some(map) = &source.config_map {
                files.extend(
                    self.config_map(&namespace, &map.name, map.items.as_deref())
                        .await?,
                );
            } else if let Some(downward) = &source.downward_api {
                for item in downward.items.iter().flatten() {
                    files.push((item.path.clone(), namespace.clone().into_bytes()));
                }
            }
        }
        Ok(files)
    }

    async fn config_map(&self, namespace: &str, name: &str, items: Option<&[KeyToPath]>) -> Result<Files> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let found = wait::until(&format!("ConfigMap {namespace}/{name} exists"), START, || async {
            Ok(api.get_opt(name).await?)
        })
        .await?;
        let data = found.data.unwrap_or_default();
        let paths: BTreeMap<&str, &str> = match items {
            Some(items) => items
                .iter()
                .map(|item| (item.key.as_str(), item.path.as_str()))
                .collect(),
            None => data.keys().map(|key| (key.as_str(), key.as_str())).collect(),
        };
        paths
            .into_iter()
            .map(|(key, path)| {
                let value = data
                    .get(key)
                    .with_context(|| format!("ConfigMap {namespace}/{name} has no key {key}"))?;
                Ok((path.to_owned(), value.clone().into_bytes()))
            })
            .collect()
    }

    async fn secret(&self, namespace: &str, name: &str, optional: bool) -> Result<Files> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let found = match api.get_opt(name).await? {
            None if optional => return Ok(Files::new()),
            None => {
                wait::until(&format!("Secret {namespace}/{name} exists"), START, || async {
                    Ok(api.get_opt(name).await?)
                })
                .await?
            }
            Some(found) => found,
        };
        let data = found.data.unwrap_or_default();
        Ok(data.into_iter().map(|(key, value)| (key, value.0)).collect())
    }

    /// A token that ends with the Pod.
    async fn token(&self, pod: &Pod, wanted: &ServiceAccountTokenProjection) -> Result<String> {
        let spec = pod.spec.as_ref().context("a Pod without spec")?;
        let account = spec.service_account_name.clone().unwrap_or_default();
        let api: Api<ServiceAccount> =
            Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: wanted.audience.clone().map(|audience| vec![audience]),
                expiration_seconds: wanted.expiration_seconds,
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".into()),
                    kind: Some("Pod".into()),
                    name: Some(pod.name_any()),
                    uid: pod.uid(),
                }),
            }),
            ..TokenRequest::default()
        };
        let answer = api
            .create_token_request(&account, &PostParams::default(), &request)
            .await
            .with_context(|| format!("a token for ServiceAccount {account}"))?;
        answer
            .status
            .map(|status| status.token.unwrap_or_default())
            .filter(|token| !token.is_empty())
            .context("the TokenRequest was answered without a token")
    }

    async fn report(&self, pod: &Pod, address: Ipv4Addr) -> Result<()> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
        let status = json!({"status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "ContainersReady", "status": "True"},
            ],
        }});
        api.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(&status))
            .await
            .context("the Pod's status")?;
        Ok(())
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

// === impl Running ===

impl Running {
    /// Its address on the port of this name or number.
    pub fn at(&self, port: u16) -> SocketAddr {
        (self.address, port).into()
    }

    pub fn output(&self) -> String {
        self.process.lock().output()
    }

    pub fn expect_running(&self) -> Result<()> {
        self.process.lock().expect_running()
    }

    pub async fn stop(self) -> Result<()> {
        let mut process = self.process.into_inner();
        process.stop(START).await?;
        Ok(())
    }

    async fn probed(&self, container: &Container, probe: Option<&Probe>) -> Result<()> {
        let Some(get) = probe.and_then(|probe| probe.http_get.as_ref()) else {
            bail!("container {} has no such probe", container.name);
        };
        let port = match &get.port {
            IntOrString::Int(port) => *port,
            IntOrString::String(name) => container
                .ports
                .iter()
                .flatten()
                .find(|port| port.name.as_ref() == Some(name))
                .map(|port| port.container_port)
                .with_context(|| format!("no port {name}"))?,
        };
        let (address, path) = (
            self.at(u16::try_from(port)?),
            get.path.clone().unwrap_or_default(),
        );
        wait::until_true(&format!("{} answers {path}", self.name), START, || {
            let running = self.expect_running();
            let path = path.clone();
            async move {
                running?;
                Ok(http1::get(address, &path).await?.status == 200)
            }
        })
        .await
    }
}

/// The program at `/program`, with the libraries that it needs where it is not static.
fn image(root: &Path, program: &Path) -> Result<()> {
    put(root, "/program", &std::fs::read(program)?)?;
    let listed = Command::new("ldd")
        .arg(program)
        .output()
        .context("the command ldd")?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    for library in text.split_whitespace().filter(|word| word.starts_with('/')) {
        let content = std::fs::read(library).with_context(|| format!("read {library}"))?;
        put(root, library, &content)?;
    }
    Ok(())
}

fn put(root: &Path, path: &str, content: &[u8]) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let path = root.join(path.trim_start_matches('/'));
    let parent = path.parent().context("a path without folder")?;
    std::fs::create_dir_all(parent)?;
    std::fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
