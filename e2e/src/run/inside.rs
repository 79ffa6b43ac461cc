//! The inner half of a run: control plane, programs, sample.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use tokio::time::Instant;

use super::{Authentication, Plan, asked_to_end, block_on, sample, while_running};
use crate::backend::Backend;
use crate::callers;
use crate::control_plane::{self, ControlPlane, Options};
use crate::namespace;
use crate::product::Proxy;
use crate::relay;
use crate::seeds;
use crate::world::{Addresses, Product};

pub(super) fn run(plan: Plan) -> Result<()> {
    namespace::settle(|| ())?;
    block_on(stage(plan))
}

async fn stage(plan: Plan) -> Result<()> {
    let Plan {
        prepared,
        folder,
        sockets,
        ports,
        authentication,
    } = plan;
    relay::lead_out(&sockets, &ports.all())?;
    let begin = Instant::now();
    println!("Starting etcd, kube-apiserver and kube-controller-manager ...");
    let mut options = Options {
        controller_manager: true,
        ..Options::default()
    };
    options.ports = control_plane::Ports {
        api: ports.api,
        ..options.ports
    };
    let control_plane = ControlPlane::start(&folder, &prepared.kubernetes, options).await?;
    println!("  ready after {:.1} s", begin.elapsed().as_secs_f64());
    println!("Starting the operator and two data planes ...");
    let programs = prepared.programs.context("the programs were not built")?;
    let addresses = Addresses {
        operator_admin: ports.operator_admin,
        proxies: ports.proxies.to_vec(),
        ..Addresses::default()
    };
    let product = match authentication {
        Authentication::Disabled => {
            Product::start(&control_plane, &programs, &folder, addresses, &[]).await?
        }
        Authentication::Kubernetes => {
            Product::start_judging(&control_plane, &programs, &folder, addresses).await?
        }
    };
    println!("  ready after {:.1} s", begin.elapsed().as_secs_f64());

    let backend = Backend::start("sample", "10.99.0.1:8080".parse()?).await?;
    let kubectl = control_plane.kubectl();
    kubectl
        .apply(&sample::services(backend.address))
        .await
        .context("the sample's Services")?;
    let proxies: Vec<SocketAddr> = product.proxies.iter().map(|proxy| proxy.listen).collect();
    let begin = Instant::now();
    kubectl
        .apply(&[seeds::EMPLOYEE, seeds::WEAVE_SCOPE].join("\n---\n"))
        .await
        .context("the sample")?;
    let applied = begin.elapsed();
    let expected = match authentication {
        Authentication::Disabled => 200,
        // Nobody has a right yet.
        Authentication::Kubernetes => 403,
    };
    sample::answered(&proxies, expected).await?;
    println!(
        "`kubectl apply` of the sample to the first {expected} through both proxies: {} ms, {} ms of them in kubectl",
        begin.elapsed().as_millis(),
        applied.as_millis()
    );
    link(&folder, "kubectl", kubectl.program())?;
    link(&folder, "genkan", &programs.genkan)?;
    let callers = match authentication {
        Authentication::Disabled => "are not asked who they are: --authentication=disabled".to_owned(),
        Authentication::Kubernetes => {
            let client = control_plane::client(control_plane.admin_kubeconfig()).await?;
            let file = folder.join("visitor.token");
            let token = callers::token(&client, "visitor").await?;
            std::fs::write(&file, token).with_context(|| format!("write {}", file.display()))?;
            format!(
                "are known; ServiceAccount default/visitor has no right yet, and its token is in {}",
                file.display()
            )
        }
    };
    println!(
        "\n{}",
        summary(&folder, &control_plane, &product.proxies, &callers)
    );
    let running = || {
        control_plane
            .expect_running()
            .and_then(|()| product.expect_running())
    };
    tokio::select! {
        outcome = while_running(running) => outcome,
        () = asked_to_end()? => Ok(()),
    }
}

/// So that the commands of the README work without being installed.
fn link(folder: &Path, name: &str, program: &Path) -> Result<()> {
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin)?;
    std::os::unix::fs::symlink(program, bin.join(name)).with_context(|| format!("link {name}"))
}

fn summary(folder: &Path, control_plane: &ControlPlane, proxies: &[Proxy], callers: &str) -> String {
    let mut lines = vec![
        "genkan is running; Ctrl-C ends everything. In another shell:".to_owned(),
        String::new(),
    ];
    lines.push(format!(
        "  export KUBECONFIG={}",
        control_plane.admin_kubeconfig().display()
    ));
    lines.push(format!("  export PATH={}/bin:$PATH", folder.display()));
    lines.push("  kubectl get genkan".to_owned());
    for proxy in proxies {
        lines.push(format!("  curl http://{}{}", proxy.listen, sample::EMPLOYEES));
    }
    lines.push(String::new());
    lines.push(format!("  API server  {}", control_plane.server()));
    for proxy in proxies {
        lines.push(format!(
            "  data plane  http://{}   http://{}/config",
            proxy.listen, proxy.admin
        ));
    }
    lines.push(format!("  logs        {}/*.log", folder.display()));
    lines.push(format!("  callers     {callers}"));
    lines.join("\n")
}
