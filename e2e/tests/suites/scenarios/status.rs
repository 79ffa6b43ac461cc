//! A condition is never true before it is so, and not longer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use genkan_crds::ReverseProxy;
use genkan_e2e::http1::{self, Request};
use genkan_e2e::publish::{self, is_programmed, manifest, reverse_proxy};
use genkan_e2e::service::Service;
use genkan_e2e::wait;
use genkan_e2e::world::World;
use kube::api::{Api, DeleteParams};
use serde_json::json;
use tokio::time::{Instant, timeout};

pub async fn programmed_means_that_the_very_next_request_works(world: Arc<World>) -> Result<()> {
    let backend = world.backend("status", 8080).await?;
    let service = Service::new("default", "status", 80, &[backend.address]);
    world.kubectl().apply(&service.manifest()).await?;
    let client = world.control_plane.client();
    for n in 0..30 {
        let (name, prefix) = (format!("next-{n}"), format!("/proxy/next-{n}"));
        let object = reverse_proxy(&name, &prefix, "status.default.svc", json!({}));
        // The first few as a script would, the others as fast as the API server can.
        if n < 5 {
            world.kubectl().apply(&manifest(&[object])).await?;
            world
                .wait_for(&format!("reverseproxy/{name}"), "Programmed")
                .await?;
        } else {
            publish::apply(&client, &object).await?;
        }
        for answer in world.through_all(Request::get(&format!("{prefix}/x"))).await? {
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        }
    }
    Ok(())
}

/// One proxy is stopped in the middle of a change: it has not acknowledged, and cannot.
pub async fn delete_and_recreate_never_shows_an_old_condition(world: Arc<World>) -> Result<()> {
    let backend = world.backend("recreate", 8080).await?;
    world
        .kubectl()
        .apply(&Service::new("default", "recreate", 80, &[backend.address]).manifest())
        .await?;
    let client = world.control_plane.client();
    let api: Api<ReverseProxy> = Api::all(client.clone());
    let slow = &world.product().proxies[1];
    for round in 0..3 {
        let object = |version: &str| {
            let directives = json!({"headerUp": [format!("X-Round {version}")]});
            reverse_proxy(
                "recreated",
                "/proxy/recreated",
                "recreate.default.svc",
                directives,
            )
        };
        let old = publish::apply(&client, &object(&format!("{round}-old"))).await?;
        slow.pause()?;
        api.delete("recreated", &DeleteParams::default()).await?;
        let new = publish::apply_only(&client, &object(&format!("{round}-new"))).await?;
        assert_ne!(old.metadata.uid, new.metadata.uid);
        // The status of the new object is first written now; it may say anything but that all proxies serve it.
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            let seen = timeout(Duration::from_secs(5), api.get("recreated")).await??;
            assert!(
                !is_programmed(&seen),
                "one proxy cannot have it: {:?}",
                seen.status
            );
        }
        slow.resume()?;
        publish::programmed(&client, &new).await?;
        for proxy in &world.product().proxies {
            let said = http1::get(proxy.listen, "/proxy/recreated/").await?.text();
            assert!(said.contains(&format!("{round}-new")), "{said}");
        }
    }
    api.delete("recreated", &DeleteParams::default()).await?;
    Ok(())
}

pub async fn a_proxy_that_is_down_shows_in_status(world: Arc<World>) -> Result<()> {
    let backend = world.backend("down", 8080).await?;
    world
        .kubectl()
        .apply(&Service::new("default", "down", 80, &[backend.address]).manifest())
        .await?;
    let object = reverse_proxy("down", "/proxy/down", "down.default.svc", json!({}));
    publish::apply(&world.control_plane.client(), &object).await?;
    let name = "reverseproxy/down";
    assert_eq!(world.value(name, "{.status.proxies}").await?, "2/2");

    let other = &world.product().proxies[1];
    let begin = Instant::now();
    other.kill();
    let seen = world
        .wait_condition(name, "Programmed", "False", "WaitingForProxies")
        .await?;
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(8), "told after {took:?}");
    assert!(seen.message.contains("1 of 2"), "{}", seen.message);
    assert_eq!(world.value(name, "{.status.proxies}").await?, "1/2");

    // Without a Pod it is forgotten, and those that are left decide.
    wait::until_true("Programmed is true again", Duration::from_secs(40), || async {
        Ok(world.condition(name, "Programmed").await?.status == "True")
    })
    .await?;
    let took = begin.elapsed();
    assert!(
        took > Duration::from_secs(25) && took < Duration::from_secs(40),
        "forgotten after {took:?}"
    );
    assert_eq!(world.value(name, "{.status.proxies}").await?, "1/1");

    other.start().await.context("start the proxy again")?;
    wait::until_true("both count again", Duration::from_secs(15), || async {
        Ok(world.value(name, "{.status.proxies}").await? == "2/2")
    })
    .await
    .with_context(|| world.product().operator.tail(3))?;
    assert_eq!(http1::get(other.listen, "/proxy/down/").await?.status, 200);
    Ok(())
}
