//! What an object names may be absent, wrong or forbidden; the status says which, and what to do.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use genkan_e2e::http1::{self, Request};
use genkan_e2e::publish::{manifest, reverse_proxy};
use genkan_e2e::service::Service;
use genkan_e2e::wait;
use genkan_e2e::world::World;
use serde_json::json;

pub async fn a_service_that_is_missing_answers_503_until_it_exists(world: Arc<World>) -> Result<()> {
    let object = reverse_proxy("missing", "/proxy/missing", "missing.default.svc", json!({}));
    world.kubectl().apply(&manifest(&[object])).await?;
    let name = "reverseproxy/missing";
    let seen = world
        .wait_condition(name, "ResolvedRefs", "False", "BackendNotFound")
        .await?;
    assert!(seen.message.contains("default/missing"), "{}", seen.message);
    // Broken, but served as such: its paths do not fall to a wider object.
    world.wait_for(name, "Programmed").await?;
    for answer in world.through_all(Request::get("/proxy/missing/x")).await? {
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.header("x-genkan-reason"), Some("BackendNotFound"));
        let said = answer.json()?["message"].to_string();
        assert!(said.contains(&seen.message), "{said}");
    }

    let backend = world.backend("missing", 8080).await?;
    world
        .kubectl()
        .apply(&Service::new("default", "missing", 80, &[backend.address]).manifest())
        .await?;
    world.wait_for(name, "Ready").await?;
    for answer in world.through_all(Request::get("/proxy/missing/x")).await? {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    backend.stop();
    world
        .kubectl()
        .apply(&Service::new("default", "missing", 80, &[]).manifest())
        .await?;
    world
        .kubectl()
        .run(&["delete", "endpointslice", "missing-8080", "--wait=true"])
        .await?;
    world
        .wait_condition(name, "Ready", "False", "NoReadyEndpoints")
        .await?;
    for proxy in &world.product().proxies {
        wait::until_true("503 without endpoints", Duration::from_secs(5), || async {
            let answer = http1::get(proxy.listen, "/proxy/missing/x").await?;
            Ok(answer.status == 503 && answer.header("x-genkan-reason") == Some("NoReadyEndpoints"))
        })
        .await?;
    }
    Ok(())
}

pub async fn a_port_that_is_missing_is_named(world: Arc<World>) -> Result<()> {
    world
        .kubectl()
        .apply(&Service::new("default", "ports", 8080, &[]).manifest())
        .await?;
    let object = reverse_proxy("ports", "/proxy/ports", "ports.default.svc:9090", json!({}));
    world.kubectl().apply(&manifest(&[object])).await?;
    let seen = world
        .wait_condition("reverseproxy/ports", "ResolvedRefs", "False", "BackendNotFound")
        .await?;
    assert!(
        seen.message.contains("9090") && seen.message.contains("8080"),
        "{}",
        seen.message
    );
    Ok(())
}

pub async fn an_external_name_is_never_followed(world: Arc<World>) -> Result<()> {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "elsewhere", "namespace": "default"},
        "spec": {"type": "ExternalName", "externalName": "elsewhere.example"},
    });
    let object = reverse_proxy(
        "elsewhere",
        "/proxy/elsewhere",
        "elsewhere.default.svc",
        json!({}),
    );
    world.kubectl().apply(&manifest(&[service, object])).await?;
    let seen = world
        .wait_condition(
            "reverseproxy/elsewhere",
            "ResolvedRefs",
            "False",
            "RefNotPermitted",
        )
        .await?;
    assert!(seen.message.contains("url"), "{}", seen.message);
    for answer in world.through_all(Request::get("/proxy/elsewhere/")).await? {
        assert_eq!(answer.status, 503, "{}", answer.text());
    }
    Ok(())
}
