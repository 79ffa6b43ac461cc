//! Command lines of the control plane.

use std::path::{Path, PathBuf};

use super::{Options, Ports, SERVICES};
use crate::binaries::Binaries;
use crate::pki::Pair;
use crate::process::Launch;

/// Files that the command lines name.
#[derive(Debug)]
pub(super) struct Keys {
    pub ca: PathBuf,
    pub serving: Pair,
    pub front_ca: PathBuf,
    pub front: Pair,
    pub service_account: Pair,
    /// What the API server shows to kubelets.
    pub kubelet_client: Pair,
}

pub(super) fn etcd(binaries: &Binaries, folder: &Path, ports: Ports) -> Launch {
    let clients = format!("http://127.0.0.1:{}", ports.etcd);
    let peers = format!("http://127.0.0.1:{}", ports.etcd_peer);
    Launch::new("etcd", &binaries.etcd).args([
        format!("--data-dir={}", folder.join("etcd").display()),
        // The data lives as long as the run.
        "--unsafe-no-fsync".into(),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=default={peers}"),
        "--log-level=warn".into(),
    ])
}

pub(super) fn api_server(binaries: &Binaries, folder: &Path, options: &Options, keys: &Keys) -> Launch {
    let file = |path: &PathBuf| path.display().to_string();
    let ports = options.ports;
    let place = match options.node {
        Some(address) => vec![
            "--bind-address=0.0.0.0".into(),
            format!("--advertise-address={address}"),
            // For logs and forwarded ports; by name it would ask DNS, which leads nowhere here.
            "--kubelet-preferred-address-types=InternalIP".into(),
            format!(
                "--kubelet-client-certificate={}",
                file(&keys.kubelet_client.certificate)
            ),
            format!("--kubelet-client-key={}", file(&keys.kubelet_client.key)),
        ],
        None => vec![
            "--bind-address=127.0.0.1".into(),
            "--advertise-address=127.0.0.1".into(),
            // It would publish 127.0.0.1 as the endpoint of its own Service, which is refused.
            "--endpoint-reconciler-type=none".into(),
        ],
    };
    Launch::new("kube-apiserver", &binaries.kube_apiserver)
        .args([
            format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
            format!("--secure-port={}", ports.api),
            format!("--service-cluster-ip-range={SERVICES}"),
            "--authorization-mode=Node,RBAC".into(),
            format!("--client-ca-file={}", file(&keys.ca)),
            format!("--tls-cert-file={}", file(&keys.serving.certificate)),
            format!("--tls-private-key-file={}", file(&keys.serving.key)),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            "--api-audiences=https://kubernetes.default.svc".into(),
            format!(
                "--service-account-key-file={}",
                file(&keys.service_account.certificate)
            ),
            format!(
                "--service-account-signing-key-file={}",
                file(&keys.service_account.key)
            ),
            format!("--requestheader-client-ca-file={}", file(&keys.front_ca)),
            "--requestheader-allowed-names=front-proxy".into(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
            "--requestheader-group-headers=X-Remote-Group".into(),
            "--requestheader-username-headers=X-Remote-User".into(),
            format!("--proxy-client-cert-file={}", file(&keys.front.certificate)),
            format!("--proxy-client-key-file={}", file(&keys.front.key)),
            "--enable-aggregator-routing=true".into(),
            format!("--cert-dir={}", folder.join("pki").display()),
            "--profiling=false".into(),
        ])
        .args(place)
}

pub(super) fn controller_manager(
    binaries: &Binaries,
    folder: &Path,
    kubeconfig: &Path,
    keys: &Keys,
) -> Launch {
    let file = |path: &Path| path.display().to_string();
    Launch::new("kube-controller-manager", &binaries.kube_controller_manager).args([
        format!("--kubeconfig={}", file(kubeconfig)),
        format!("--authentication-kubeconfig={}", file(kubeconfig)),
        format!("--authorization-kubeconfig={}", file(kubeconfig)),
        format!(
            "--service-account-private-key-file={}",
            file(&keys.service_account.key)
        ),
        format!("--root-ca-file={}", file(&keys.ca)),
        format!("--cert-dir={}", folder.join("pki").display()),
        "--use-service-account-credentials=true".into(),
        "--bind-address=127.0.0.1".into(),
        "--leader-elect=false".into(),
    ])
}
