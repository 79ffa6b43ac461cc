//! The manifests of the documentation, to the byte.

use std::sync::Arc;

use anyhow::Result;
use genkan_e2e::http1::Request;
use genkan_e2e::seeds;
use genkan_e2e::service::Service;
use genkan_e2e::world::World;

const WEAVE: &str = "reverseproxy/weave-scope";

pub async fn seed_manifests_are_served_verbatim(world: Arc<World>) -> Result<()> {
    let kubectl = world.kubectl();
    let backend = world.backend("seeds", 8080).await?;
    let at = [backend.address];
    for namespace in ["weave", "example"] {
        kubectl
            .apply(&format!(
                "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n"
            ))
            .await?;
    }
    for (namespace, name, port) in [
        ("default", "employee-api", 8080),
        ("weave", "weave-scope-app", 80),
        ("weave", "app", 80),
        ("example", "apiserver", 80),
    ] {
        kubectl
            .apply(&Service::new(namespace, name, port, &at).manifest())
            .await?;
    }

    kubectl.apply(seeds::EMPLOYEE).await?;
    served(&world, "xapi/v1alpha1.employee.kubesphere.io").await?;
    let path = "/kapis/employee.kubesphere.io/v1alpha1/employees?page=1";
    // An APIService hands the path on as it is.
    reaches(&world, path, path).await?;

    kubectl.apply(seeds::EXAMPLE).await?;
    served(&world, "xapi/v1alpha1.example.kubesphere.io").await?;
    let path = "/kapis/example.kubesphere.io/v1alpha1/things";
    reaches(&world, path, path).await?;

    kubectl.apply(seeds::WEAVE_SCOPE).await?;
    served(&world, WEAVE).await?;
    reaches(&world, "/proxy/weave.worKubeSphere/api/topology", "/api/topology").await?;

    // The other page of the documentation has the same name: an edit of the same object.
    kubectl.apply(seeds::WEAVE_WORKS).await?;
    served(&world, WEAVE).await?;
    reaches(&world, "/proxy/weave.works/api/topology", "/api/topology").await?;
    for answer in world
        .through_all(Request::get("/proxy/weave.worKubeSphere/api"))
        .await?
    {
        assert_eq!(answer.status, 404, "{}", answer.text());
    }
    for manifest in [seeds::WEAVE_WORKS, seeds::EXAMPLE, seeds::EMPLOYEE] {
        kubectl.delete(manifest).await?;
    }
    Ok(())
}

async fn served(world: &World, object: &str) -> Result<()> {
    world.wait_for(object, "Programmed").await?;
    world.wait_for(object, "Ready").await
}

async fn reaches(world: &World, path: &str, wanted: &str) -> Result<()> {
    let headers = [("Authorization", "Basic c2NyaXB0OnBhc3M=")];
    let request = Request {
        headers: &headers,
        ..Request::get(path)
    };
    for answer in world.through_all(request).await? {
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let said = answer.json()?;
        assert_eq!(said["target"], wanted, "{path}");
        let authorization = said["headers"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|h| h[0] == "authorization" || h[0] == "Authorization");
        assert_eq!(
            authorization,
            path.starts_with("/kapis"),
            "-Authorization holds for weave-scope alone"
        );
    }
    Ok(())
}
