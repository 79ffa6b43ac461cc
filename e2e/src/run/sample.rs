//! What a first look needs: a backend, and manifests that lead to it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use crate::http1;
use crate::service::Service;
use crate::wait;

/// Answered by the backend through the APIService of the seeds.
pub(super) const EMPLOYEES: &str = "/kapis/employee.kubesphere.io/v1alpha1/employees";
/// Answered by the backend through the ReverseProxy of the seeds.
pub(super) const WEAVE: &str = "/proxy/weave.worKubeSphere/api";

/// The Services that the seeds name.
pub(super) fn services(backend: SocketAddr) -> String {
    [
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: weave}\n".to_owned(),
        Service::new("default", "employee-api", 8080, &[backend]).manifest(),
        Service::new("weave", "weave-scope-app", 80, &[backend]).manifest(),
    ]
    .join("---\n")
}

/// Waits until every proxy answers a caller who does not say who they are in this way, through both.
pub(super) async fn answered(proxies: &[SocketAddr], status: u16) -> Result<()> {
    for proxy in proxies {
        for target in [EMPLOYEES, WEAVE] {
            wait::until_true(
                &format!("{status} from http://{proxy}{target}"),
                Duration::from_secs(30),
                || async move { Ok(http1::get(*proxy, target).await?.status == status) },
            )
            .await?;
        }
    }
    Ok(())
}
