//! etcd, kube-apiserver and kube-controller-manager as plain processes.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use parking_lot::Mutex;

use crate::binaries::Binaries;
use crate::kubeconfig::{self, Credential};
use crate::kubectl::Kubectl;
use crate::pki::{self, Authority};
use crate::process::{Launch, Process};
use crate::wait;

mod launch;

/// Ports of one control plane.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub etcd: u16,
    pub etcd_peer: u16,
    pub api: u16,
}

/// How a control plane is started.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub ports: Ports,
    /// Without it there are no `default` ServiceAccounts, no slices from selectors and no namespace deletion.
    pub controller_manager: bool,
    /// The address at which Pods of a real node reach it.
    pub node: Option<Ipv4Addr>,
}

/// A running control plane.
pub struct ControlPlane {
    folder: PathBuf,
    authority: Authority,
    server: String,
    admin: PathBuf,
    client: kube::Client,
    kubectl: Kubectl,
    api_server: Launch,
    // Fields drop in this order: what depends on another goes first.
    controller_manager: Mutex<Option<Process>>,
    api: Mutex<Option<Process>>,
    etcd: Mutex<Process>,
}

const START: Duration = Duration::from_secs(90);

/// Addresses of Services.
pub const SERVICES: &str = "10.98.0.0/16";
const OWN_SERVICE: &str = "10.98.0.1";

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            ports: Ports {
                etcd: 2379,
                etcd_peer: 2380,
                api: 6443,
            },
            controller_manager: true,
            node: None,
        }
    }
}

// === impl ControlPlane ===

impl ControlPlane {
    /// Starts one in a folder of its own and waits until it takes objects.
    pub async fn start(folder: &Path, binaries: &Binaries, options: Options) -> Result<Self> {
        let pki_folder = folder.join("pki");
        std::fs::create_dir_all(&pki_folder)?;
        let authority = Authority::new(&pki_folder, "ca")?;
        let front = Authority::new(&pki_folder, "front-proxy-ca")?;
        let admin = authority.client("admin", "admin", Some("system:masters"))?;
        let server = format!("https://127.0.0.1:{}", options.ports.api);
        let admin = kubeconfig::write(
            &folder.join("admin.kubeconfig"),
            &server,
            &authority.certificate,
            Credential::Certificate {
                certificate: &admin.certificate,
                key: &admin.key,
            },
        )?;
        let node = options.node.map(|address| address.to_string());
        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc", OWN_SERVICE];
        let names: Vec<&str> = names.into_iter().chain(node.as_deref()).collect();
        let keys = launch::Keys {
            ca: authority.certificate.clone(),
            serving: authority.server("kube-apiserver", &names)?,
            front_ca: front.certificate.clone(),
            front: front.client("front-proxy", "front-proxy", None)?,
            service_account: pki::service_account(&pki_folder)?,
            kubelet_client: authority.client("kubelet-client", "kubelet-client", Some("system:masters"))?,
        };

        let mut etcd = launch::etcd(binaries, folder, options.ports).start(folder)?;
        let api_server = launch::api_server(binaries, folder, &options, &keys);
        let mut api = api_server.start(folder)?;
        let client = client(&admin).await?;
        ready(&client, &mut [&mut etcd, &mut api]).await?;

        let mut controller_manager = None;
        if options.controller_manager {
            let identity = authority.client("controller-manager", "system:kube-controller-manager", None)?;
            let own = kubeconfig::write(
                &folder.join("controller-manager.kubeconfig"),
                &server,
                &authority.certificate,
                Credential::Certificate {
                    certificate: &identity.certificate,
                    key: &identity.key,
                },
            )?;
            let mut process = launch::controller_manager(binaries, folder, &own, &keys).start(folder)?;
            default_account(&client, &mut process).await?;
            controller_manager = Some(process);
        }
        let kubectl = Kubectl::new(&binaries.kubectl, &admin, folder);
        Ok(Self {
            folder: folder.to_owned(),
            authority,
            server,
            admin,
            client,
            kubectl,
            api_server,
            controller_manager: Mutex::new(controller_manager),
            api: Mutex::new(Some(api)),
            etcd: Mutex::new(etcd),
        })
    }

    /// A client with all rights.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// `kubectl` with all rights.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    pub fn admin_kubeconfig(&self) -> &Path {
        &self.admin
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The address of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The certificate that the API server, and every client, is checked against.
    pub fn ca(&self) -> &Path {
        &self.authority.certificate
    }

    /// A kubeconfig with a certificate for this user.
    pub fn identity(&self, user: &str, group: Option<&str>) -> Result<PathBuf> {
        let file = user.replace(':', "-");
        let pair = self.authority.client(&file, user, group)?;
        kubeconfig::write(
            &self.folder.join(format!("{file}.kubeconfig")),
            &self.server,
            self.ca(),
            Credential::Certificate {
                certificate: &pair.certificate,
                key: &pair.key,
            },
        )
    }

    /// A kubeconfig with a token of a ServiceAccount, which has to exist.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(24 * 3600),
                ..Default::default()
            }),
            ..Default::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("a token for ServiceAccount {namespace}/{name}"))?;
        let token = answer
            .status
            .and_then(|status| status.token)
            .ok_or_else(|| anyhow!("the TokenRequest was answered without a token"))?;
        kubeconfig::write(
            &self.folder.join(format!("{namespace}.{name}.kubeconfig")),
            &self.server,
            self.ca(),
            Credential::Token(&token),
        )
    }

    /// Ends the API server, as a crash would.
    pub fn kill_api_server(&self) {
        // Dropping the process kills it.
        drop(self.api.lock().take());
    }

    /// Starts the API server again on its old port and waits until it is ready.
    pub async fn start_api_server(&self) -> Result<()> {
        let mut process = self.api_server.start(&self.folder)?;
        ready(&self.client, &mut [&mut process]).await?;
        *self.api.lock() = Some(process);
        Ok(())
    }

    /// An error if a process of the control plane has ended by itself.
    pub fn expect_running(&self) -> Result<()> {
        self.etcd.lock().expect_running()?;
        if let Some(process) = self.api.lock().as_mut() {
            process.expect_running()?;
        }
        if let Some(process) = self.controller_manager.lock().as_mut() {
            process.expect_running()?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlPlane")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// A client made from a kubeconfig file.
pub async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    // Every crate of the workspace uses ring; a second call finds it installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = kube::Config::from_custom_kubeconfig(
        Kubeconfig::read_from(kubeconfig)?,
        &KubeConfigOptions::default(),
    )
    .await?;
    Ok(kube::Client::try_from(config)?)
}

async fn ready(client: &kube::Client, processes: &mut [&mut Process]) -> Result<()> {
    wait::until_true("kube-apiserver is ready", START, || {
        let running = processes
            .iter_mut()
            .try_for_each(|process| process.expect_running());
        async move {
            running?;
            let request = http::Request::get("/readyz").body(Vec::new())?;
            client.request_text(request).await?;
            let namespaces: Api<Namespace> = Api::all(client.clone());
            Ok(namespaces.get_opt("default").await?.is_some())
        }
    })
    .await
}

async fn default_account(client: &kube::Client, process: &mut Process) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    wait::until_true("the default ServiceAccount exists", START, || {
        let (running, accounts) = (process.expect_running(), accounts.clone());
        async move {
            running?;
            Ok(accounts.get_opt("default").await?.is_some())
        }
    })
    .await
}
