//! Configuration and command lines of what makes a machine a node.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use super::{ADDRESS, NAME, PODS};
use crate::binaries::NodeBinaries;
use crate::process::Launch;

pub(super) const PAUSE: &str = "localhost/pause:1";

pub(super) fn scheduler(binaries: &NodeBinaries, kubeconfig: &Path) -> Launch {
    Launch::new("kube-scheduler", &binaries.kube_scheduler).args([
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--authentication-kubeconfig={}", kubeconfig.display()),
        format!("--authorization-kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".into(),
        "--bind-address=127.0.0.1".into(),
    ])
}

pub(super) fn containerd(folder: &Path, plugins: &Path) -> Result<Launch> {
    let network = folder.join("cni");
    std::fs::create_dir_all(&network)?;
    write(
        &network.join("10-pods.conflist"),
        &json!({"cniVersion": "0.4.0", "name": "pods", "plugins": [{
            "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
            "ipam": {
                "type": "host-local", "dataDir": folder.join("addresses"),
                "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}],
            },
        }]}),
    )?;
    let config = folder.join("containerd.toml");
    // Without CAP_SYS_RESOURCE runc may not lower oom_score_adj.
    let text = format!(
        r#"version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{plugins}"
  conf_dir = "{network}"
"#,
        folder = folder.display(),
        socket = socket(folder).display(),
        plugins = plugins.display(),
        network = network.display(),
    );
    std::fs::write(&config, text)?;
    Ok(Launch::new("containerd", "containerd").args([
        "--config".to_owned(),
        config.display().to_string(),
        "--log-level=warn".to_owned(),
    ]))
}

pub(super) fn socket(folder: &Path) -> PathBuf {
    folder.join("containerd.sock")
}

pub(super) fn kubelet(
    binaries: &NodeBinaries,
    folder: &Path,
    kubeconfig: &Path,
    ca: &Path,
    cgroup: &str,
) -> Result<Launch> {
    let config = folder.join("kubelet.json");
    write(
        &config,
        &json!({
            "kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "failCgroupV1": false, "cgroupDriver": "cgroupfs", "cgroupRoot": format!("/{cgroup}"),
            "containerRuntimeEndpoint": format!("unix://{}", socket(folder).display()),
            "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": true}, "x509": {"clientCAFile": ca}},
            "authorization": {"mode": "Webhook"},
            "clusterDomain": "cluster.local", "clusterDNS": [ADDRESS],
            // A changed Secret or ConfigMap reaches its Pod after this long.
            "syncFrequency": "5s",
            "failSwapOn": false, "imageMinimumGCAge": "24h", "resolvConf": "/dev/null",
            "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "100Mi"},
            "podLogsDir": folder.join("pods"),
        }),
    )?;
    Ok(Launch::new("kubelet", &binaries.kubelet).args([
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--config={}", config.display()),
        format!("--root-dir={}", folder.join("kubelet").display()),
        format!("--cert-dir={}", folder.join("kubelet-pki").display()),
        format!("--hostname-override={NAME}"),
        format!("--node-ip={ADDRESS}"),
    ]))
}

pub(super) fn kube_proxy(binaries: &NodeBinaries, folder: &Path, kubeconfig: &Path) -> Result<Launch> {
    let config = folder.join("kube-proxy.json");
    write(
        &config,
        &json!({
            "kind": "KubeProxyConfiguration", "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "mode": "nftables", "clusterCIDR": PODS, "hostnameOverride": NAME,
            "clientConnection": {"kubeconfig": kubeconfig}, "conntrack": {"maxPerCore": 0},
        }),
    )?;
    Ok(Launch::new("kube-proxy", &binaries.kube_proxy).arg(format!("--config={}", config.display())))
}

fn write(path: &Path, value: &Value) -> Result<()> {
    Ok(std::fs::write(path, serde_json::to_vec_pretty(value)?)?)
}
