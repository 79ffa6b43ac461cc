//! One bad object harms no other.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use genkan_crds::ReverseProxy;
use genkan_e2e::http1::{self, Request};
use genkan_e2e::publish::{self, is_programmed, reverse_proxy};
use genkan_e2e::service::Service;
use genkan_e2e::wait;
use genkan_e2e::world::World;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::{Value, json};

const OBJECTS: usize = 1000;
const LABEL: &str = "scenario=thousand";

fn object(n: usize) -> Value {
    let directives = json!({"headerUp": [format!("X-Number {n}")]});
    let prefix = format!("/proxy/thousand/{n}");
    let mut object = reverse_proxy(
        &format!("thousand-{n}"),
        &prefix,
        "thousand.default.svc",
        directives,
    );
    object["metadata"]["labels"] = json!({"scenario": "thousand"});
    if n == OBJECTS / 2 {
        // Only a program can tell that this is no certificate.
        object["spec"]["upstream"] =
            json!({"url": "https://thousand.default.svc", "caBundle": "bm90aGluZw=="});
    }
    object
}

pub async fn one_broken_object_among_a_thousand_harms_none(world: Arc<World>) -> Result<()> {
    let backend = world.backend("thousand", 8080).await?;
    world
        .kubectl()
        .apply(&Service::new("default", "thousand", 80, &[backend.address]).manifest())
        .await?;
    let client = world.control_plane.client();
    stream::iter(0..OBJECTS)
        .map(|n| {
            let client = client.clone();
            async move { publish::apply_only(&client, &object(n)).await }
        })
        .buffer_unordered(16)
        .try_collect::<Vec<_>>()
        .await?;
    let api: Api<ReverseProxy> = Api::all(client.clone());
    let list = ListParams::default().labels(LABEL);
    wait::until_true("all thousand are programmed", Duration::from_secs(60), || async {
        let all = api.list(&list).await?;
        Ok(all.items.len() == OBJECTS && all.items.iter().all(is_programmed))
    })
    .await?;
    for n in (0..OBJECTS).step_by(50) {
        for answer in world
            .through_all(Request::get(&format!("/proxy/thousand/{n}/x")))
            .await?
        {
            if n == OBJECTS / 2 {
                assert_eq!(
                    (answer.status, answer.header("x-genkan-reason")),
                    (503, Some("Invalid"))
                );
            } else {
                assert_eq!(answer.status, 200, "{n}: {}", answer.text());
                assert!(
                    answer.text().contains(&format!("\"{n}\"")),
                    "{n}: {}",
                    answer.text()
                );
            }
        }
    }
    let broken = format!("reverseproxy/thousand-{}", OBJECTS / 2);
    let seen = world
        .wait_condition(&broken, "Accepted", "False", "Invalid")
        .await?;
    assert!(seen.message.contains("upstream.caBundle"), "{}", seen.message);

    api.delete_collection(&DeleteParams::default(), &list).await?;
    wait::until_true("all thousand are gone", Duration::from_secs(30), || async {
        let mut gone = true;
        for proxy in &world.product().proxies {
            gone &= http1::get(proxy.listen, "/proxy/thousand/999/x").await?.status == 404;
        }
        Ok(gone)
    })
    .await?;
    world.product().in_step().await
}
