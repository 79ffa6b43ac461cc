//! Two objects want the same: one wins, and both can be told why.

use std::sync::Arc;

use anyhow::Result;
use genkan_e2e::http1::Request;
use genkan_e2e::publish::{api_service, manifest, reverse_proxy};
use genkan_e2e::service::Service;
use genkan_e2e::world::World;
use serde_json::{Value, json};

/// Creation times of objects have a resolution of a second; names decide within one.
async fn create_older_and_newer(world: &World, older: &Value, newer: &Value) -> Result<()> {
    world
        .kubectl()
        .apply(&manifest(std::slice::from_ref(older)))
        .await?;
    world
        .kubectl()
        .apply(&manifest(std::slice::from_ref(newer)))
        .await?;
    Ok(())
}

async fn two_backends(world: &World, stem: &str) -> Result<[genkan_e2e::backend::Backend; 2]> {
    let one = world.backend("one", 8080).await?;
    let two = world.backend("two", 8080).await?;
    for (n, backend) in [&one, &two].into_iter().enumerate() {
        let name = format!("{stem}-{n}");
        world
            .kubectl()
            .apply(&Service::new("default", &name, 80, &[backend.address]).manifest())
            .await?;
    }
    Ok([one, two])
}

async fn answered_by(world: &World, path: &str, backend: &str) -> Result<()> {
    for answer in world.through_all(Request::get(path)).await? {
        assert_eq!(
            answer.header("x-backend"),
            Some(backend),
            "{path}: {}",
            answer.text()
        );
    }
    Ok(())
}

pub async fn a_conflict_is_told_to_the_loser_and_ends_with_the_winner(world: Arc<World>) -> Result<()> {
    let _backends = two_backends(&world, "conflict").await?;
    // Older, and first by name where both are of one second.
    let winner = reverse_proxy(
        "conflict-a",
        "/proxy/conflict",
        "conflict-0.default.svc",
        json!({}),
    );
    let loser = reverse_proxy(
        "conflict-b",
        "/proxy/conflict",
        "conflict-1.default.svc",
        json!({}),
    );
    create_older_and_newer(&world, &winner, &loser).await?;
    world.wait_for("reverseproxy/conflict-a", "Ready").await?;
    let seen = world
        .wait_condition("reverseproxy/conflict-b", "Accepted", "False", "Conflicted")
        .await?;
    assert!(seen.message.contains("conflict-a"), "{}", seen.message);
    let ready = world
        .wait_condition("reverseproxy/conflict-b", "Ready", "False", "Conflicted")
        .await?;
    assert_eq!(ready.observed_generation, 1);
    answered_by(&world, "/proxy/conflict/", "one").await?;

    world.kubectl().delete(&manifest(&[winner])).await?;
    world.wait_for("reverseproxy/conflict-b", "Programmed").await?;
    answered_by(&world, "/proxy/conflict/", "two").await
}

pub async fn what_can_never_win_is_shadowed(world: Arc<World>) -> Result<()> {
    let _backends = two_backends(&world, "shadow").await?;
    // A prefix that begins before /proxy reaches nothing that the longer one does not take... unless it stands alone.
    let wide = |name: &str, path: &str| {
        let mut object = reverse_proxy(name, "/proxy/shadow", "shadow-0.default.svc", json!({}));
        object["spec"]["matcher"]["path"] = json!(path);
        object
    };
    let everything = wide("shadow-proxy", "/proxy*");
    let nothing_left = wide("shadow-root", "/*");
    world
        .kubectl()
        .apply(&manifest(&[everything.clone(), nothing_left.clone()]))
        .await?;
    let seen = world
        .wait_condition("reverseproxy/shadow-root", "Accepted", "False", "Shadowed")
        .await?;
    assert!(seen.message.contains("shadow-proxy"), "{}", seen.message);
    world
        .kubectl()
        .delete(&manifest(&[everything, nothing_left]))
        .await
}

pub async fn the_older_of_two_api_services_is_served(world: Arc<World>) -> Result<()> {
    let _backends = two_backends(&world, "twice").await?;
    let older = api_service(
        "v1.twice.example.io",
        "twice.example.io",
        "v1",
        "twice-0.default.svc",
    );
    let newer = api_service(
        "v1.twice.example.io-again",
        "twice.example.io",
        "v1",
        "twice-1.default.svc",
    );
    create_older_and_newer(&world, &older, &newer).await?;
    world.wait_for("xapi/v1.twice.example.io", "Ready").await?;
    let seen = world
        .wait_condition(
            "xapi/v1.twice.example.io-again",
            "Accepted",
            "False",
            "Conflicted",
        )
        .await?;
    assert!(seen.message.contains("v1.twice.example.io"), "{}", seen.message);
    answered_by(&world, "/kapis/twice.example.io/v1/x", "one").await
}
