//! What every scenario stands on.

use std::time::Duration;

use anyhow::Result;
use genkan_e2e::backend::Backend;
use genkan_e2e::http1::{self, Answer, Request};
use genkan_e2e::product::{Operator, Proxy, Source};
use genkan_e2e::service::Service;
use genkan_e2e::wait;
use genkan_e2e::world::{self, World};

/// Programs of a scenario, and a backend.
pub struct Stand {
    pub operator: Operator,
    pub proxies: Vec<Proxy>,
    pub backend: Backend,
}

/// Namespace of archives, Secrets and backends.
pub const NAMESPACE: &str = "edge";
/// In which everything happens.
pub const SOON: Duration = Duration::from_secs(120);

const RIGHTS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: edge}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: genkan-sources, namespace: edge}
rules:
- {apiGroups: [""], resources: [configmaps, secrets], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: genkan-sources, namespace: edge}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: genkan-sources}
subjects: [{kind: ServiceAccount, name: genkan-operator, namespace: genkan-system}]
"#;

// === impl Stand ===

impl Stand {
    /// `proxies`: how many data planes.
    pub async fn set(world: &World, proxies: u16) -> Result<Self> {
        world::install(world.kubectl(), world.programs()).await?;
        world.kubectl().apply(RIGHTS).await?;
        world
            .kubectl()
            .run(&[
                "wait",
                "--for=condition=Established",
                "--timeout=30s",
                "crd/gatewayextensions.gateway.genkan.io",
                "crd/policydefinitions.gateway.genkan.io",
            ])
            .await?;
        let folder = world.folder("stand")?;
        let kubeconfig = world
            .control_plane
            .service_account_kubeconfig("genkan-system", "genkan-operator")
            .await?;
        let operator = Operator::with(
            world.programs(),
            &folder,
            &Source::Kubernetes(kubeconfig),
            (9300, 9301),
            &[
                "--grpc-plaintext",
                "--grpc-plaintext-secrets",
                "--revision-namespace=genkan-extensions",
            ],
        );
        let proxies: Vec<Proxy> = (1..=proxies)
            .map(|n| {
                Proxy::new(
                    world.programs(),
                    &folder,
                    n,
                    operator.grpc,
                    (8000 + n, 9400 + n),
                    &[],
                )
            })
            .collect();
        // Of the scenario before; an extension that is used is not let go.
        for kind in ["reverseproxies", "gatewayextensions", "policydefinitions"] {
            let delete = ["delete", kind, "--all", "--wait=true", "--timeout=30s"];
            world.kubectl().run(&delete).await?;
        }
        operator.start().await?;
        for proxy in &proxies {
            proxy.start().await?;
        }
        let backend = world.backend("echo", 8080).await?;
        let service = Service::new(NAMESPACE, "echo", 80, &[backend.address]);
        world.kubectl().apply(&service.manifest()).await?;
        Ok(Self {
            operator,
            proxies,
            backend,
        })
    }

    /// The same request through every data plane.
    pub async fn through_all(&self, request: Request<'_>) -> Result<Vec<Answer>> {
        let mut answers = Vec::new();
        for proxy in &self.proxies {
            answers.push(http1::send(proxy.listen, request).await?);
        }
        Ok(answers)
    }

    /// Waits until every data plane answers like this.
    pub async fn all_answer(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        status: u16,
        reason: Option<&str>,
    ) -> Result<()> {
        let what = format!("{path} is {status} {reason:?} everywhere");
        wait::until_true(&what, SOON, || async {
            let request = Request {
                headers,
                ..Request::get(path)
            };
            let answers = self.through_all(request).await?;
            Ok(answers
                .iter()
                .all(|answer| answer.status == status && answer.header("x-genkan-reason") == reason))
        })
        .await
    }

    pub async fn stop(self) -> Result<()> {
        for proxy in &self.proxies {
            proxy.stop().await?;
        }
        self.operator.stop().await
    }
}

/// A ReverseProxy in front of the backend; `more` is further YAML of its specification.
pub fn proxy(name: &str, labels: &str, more: &str) -> String {
    format!(
        "apiVersion: extensions.kubesphere.io/v1alpha1\nkind: ReverseProxy\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n\
         spec:\n  matcher: {{path: /proxy/{name}/*, method: \"*\"}}\n  upstream: {{url: \"http://echo.edge.svc\"}}\n{more}"
    )
}
