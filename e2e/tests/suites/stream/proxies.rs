//! Who is let in, under which name, and for how long.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use genkan_e2e::publish::{self, is_programmed, reverse_proxy};
use genkan_e2e::rogue::{Named, Rogue};
use genkan_e2e::tokens;
use genkan_e2e::wait;
use genkan_e2e::world::World;
use kube::ResourceExt;
use serde_json::json;
use tonic::Code;

use super::secured::{NAMESPACE, Secured};

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {namespace: genkan-system, name: genkan-dataplane}\n\
                       spec: {selector: {app: genkan-dataplane}, ports: [{port: 80}]}\n";
const SOON: Duration = Duration::from_secs(30);

pub async fn a_data_plane_is_counted_as_its_pod(world: Arc<World>) -> Result<()> {
    let secured = Secured::start(&world).await?;
    world.kubectl().apply(SERVICE).await?;
    let (pod, token) = secured.pod("edge").await?;
    let files = world.folder("mounted")?;
    let proxy = secured.proxy(&files);
    // The kubelet may mount either file late.
    proxy.start_only()?;
    let says = |words: &'static str| {
        let proxy = &proxy;
        async move {
            wait::until_true(words, SOON, || async {
                proxy.expect_running()?;
                Ok(proxy.output().contains(words))
            })
            .await
            .with_context(|| proxy.output())
        }
    };
    says("--operator-token-file").await?;
    assert!(!proxy.is_ready().await?);
    std::fs::write(files.join("token"), &token)?;
    says("--operator-ca-file").await?;
    assert!(!proxy.is_ready().await?);
    std::fs::write(files.join("ca.crt"), secured.authority().await?)?;
    proxy.ready().await?;

    let object = reverse_proxy("counted", "/proxy/counted", "nowhere.default.svc", json!({}));
    let applied = publish::apply(&secured.client(), &object).await?;
    assert_eq!(applied.status.unwrap_or_default().proxies.as_deref(), Some("1/1"));
    secured.says(&["proxy connected", &pod.name_any()]).await?;
    assert!(
        !secured.operator.output().contains("dataplane-1"),
        "it calls itself so, and nobody cares"
    );

    // With the Pod goes the stream, at once, and for good; what is served stays.
    let hash = proxy.config().await?.hash;
    tokens::delete_pod(&secured.client(), &pod).await?;
    wait::until_true("nobody is connected", Duration::from_secs(5), || async {
        Ok(secured.operator.connected().await? == 0)
    })
    .await?;
    says("does not let this process in").await?;
    assert_eq!(secured.operator.refused("PodGone").await?.min(1), 1);
    assert_eq!(secured.operator.connected().await?, 0);
    assert!(proxy.is_ready().await?);
    assert_eq!(proxy.config().await?.hash, hash);
    for program in [secured.operator.output(), proxy.output()] {
        assert!(!program.contains(&token), "a token stands in a log");
    }
    proxy.stop().await?;
    secured.operator.stop().await
}

pub async fn a_forged_acknowledgement_changes_nothing(world: Arc<World>) -> Result<()> {
    let secured = Secured::start(&world).await?;
    world.kubectl().apply(SERVICE).await?;
    let (victim, token) = secured.pod("victim").await?;
    let files = world.folder("mounted")?;
    std::fs::write(files.join("token"), &token)?;
    std::fs::write(files.join("ca.crt"), secured.authority().await?)?;
    let proxy = secured.proxy(&files);
    proxy.start().await?;
    let object = reverse_proxy("forged", "/proxy/forged", "nowhere.default.svc", json!({}));
    publish::apply(&secured.client(), &object).await?;

    // It belongs to the data plane, and claims to be another Pod of it.
    let (forger, token) = secured.pod("forger").await?;
    let (name, instance) = (
        victim.name_any(),
        format!("{}/x", victim.uid().unwrap_or_default()),
    );
    let named = Named {
        name: &name,
        instance: &instance,
    };
    let channel = secured.channel().await?;
    let mut stranger = Rogue::open(&channel, Some(&token), named).await?;
    stranger.acknowledge_all(Duration::from_millis(500)).await?;
    proxy.pause()?;
    let changed = reverse_proxy("forged", "/proxy/forged", "elsewhere.default.svc", json!({}));
    let changed = publish::apply_only(&secured.client(), &changed).await?;
    let taken = stranger.acknowledge_all(Duration::from_secs(3)).await?;
    assert!(taken >= 1, "it was sent the change");
    let object = kube::Api::<genkan_crds::ReverseProxy>::all(secured.client());
    let seen = object.get("forged").await?;
    assert!(
        !is_programmed(&seen),
        "the other cannot have it: {:?}",
        seen.status
    );
    secured.says(&["proxy connected", &forger.name_any()]).await?;
    let waiting = world
        .wait_condition("rp/forged", "Programmed", "False", "WaitingForProxies")
        .await?;
    assert!(
        waiting.message.contains(&victim.name_any()),
        "{}",
        waiting.message
    );
    proxy.resume()?;
    publish::programmed(&secured.client(), &changed).await?;
    for pod in [&victim, &forger] {
        tokens::delete_pod(&secured.client(), pod).await?;
    }
    proxy.stop().await?;
    secured.operator.stop().await
}

pub async fn a_stream_ends_with_its_token(world: Arc<World>) -> Result<()> {
    let secured = Secured::start(&world).await?;
    let (pod, token) = secured.pod("brief").await?;
    let end = jiff::Timestamp::now().as_second() + 5;
    let token = tokens::ending(&token, &secured.token_key(), end)?;
    let channel = secured.channel().await?;
    let named = Named {
        name: "brief",
        instance: "1",
    };
    let mut stranger = Rogue::open(&channel, Some(&token), named).await?;
    assert_eq!(stranger.acknowledge_all(Duration::from_millis(500)).await?, 1);
    let status = stranger.ended(Duration::from_secs(10)).await?;
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert!(status.message().contains("expired"), "{status:?}");
    let now = jiff::Timestamp::now().as_second();
    assert!((end..end + 3).contains(&now), "{now} for {end}");
    let again = Rogue::open(&channel, Some(&token), named).await;
    assert_eq!(
        again.err().map(|status| status.code()),
        Some(Code::Unauthenticated)
    );
    assert_eq!(secured.operator.refused("Expired").await?.min(1), 1);
    tokens::delete_pod(&secured.client(), &pod).await?;
    secured.operator.stop().await
}

pub async fn an_api_server_that_is_away_keeps_newcomers_waiting(world: Arc<World>) -> Result<()> {
    let secured = Secured::start(&world).await?;
    let (known, token) = secured.pod("known").await?;
    let (new, newcomer) = secured.pod("newcomer").await?;
    let channel = secured.channel().await?;
    let named = Named {
        name: NAMESPACE,
        instance: "1",
    };
    let mut stream = Rogue::open(&channel, Some(&token), named).await?;
    stream.acknowledge_all(Duration::from_millis(300)).await?;
    world.control_plane.kill_api_server();
    let refused = Rogue::open(&channel, Some(&newcomer), named).await.err();
    assert_eq!(refused.map(|status| status.code()), Some(Code::Unavailable));
    assert_eq!(
        stream.acknowledge_all(Duration::from_millis(300)).await?,
        0,
        "it lives"
    );
    world.control_plane.start_api_server().await?;
    wait::until_true("the newcomer is let in", SOON, || async {
        Ok(Rogue::open(&channel, Some(&newcomer), named).await.is_ok())
    })
    .await?;
    for pod in [&known, &new] {
        tokens::delete_pod(&secured.client(), pod).await?;
    }
    secured.operator.stop().await
}
