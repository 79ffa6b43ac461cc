//! Programs come back while requests run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use genkan_e2e::hammer::Hammer;
use genkan_e2e::service::Service;
use genkan_e2e::wait;
use genkan_e2e::world::World;

use super::hammer::{LEAST_RATE, RATE, edit, proxies, targets};

pub async fn a_restart_of_the_operator_fails_no_request(world: Arc<World>) -> Result<()> {
    let backend = world.backend("reborn", 8080).await?;
    world
        .kubectl()
        .apply(&Service::new("default", "reborn", 80, &[backend.address]).manifest())
        .await?;
    let targets = targets(&world, "reborn", 4).await?;
    let client = world.control_plane.client();
    let product = world.product();
    let before = product.operator.config().await?.hash;
    let hammer = Hammer::start(proxies(&world), targets.clone(), RATE);

    product.operator.stop().await?;
    goes_on(&hammer, 300).await?;
    product.operator.start().await?;
    product.in_step().await?;
    assert_eq!(
        product.operator.config().await?.hash,
        before,
        "the same objects have the same hash"
    );
    edit(&client, "reborn", 0, 2, &targets[0], false).await?;

    // And once as a crash: the lease of the dead one has to run out before statuses are written again.
    product.operator.kill();
    goes_on(&hammer, 300).await?;
    product.operator.start().await?;
    product.in_step().await?;
    edit(&client, "reborn", 0, 3, &targets[0], false).await?;
    goes_on(&hammer, 300).await?;
    hammer.finish().await.expect_clean(900, LEAST_RATE)
}

pub async fn a_restart_of_the_api_server_fails_no_request(world: Arc<World>) -> Result<()> {
    let backend = world.backend("headless", 8080).await?;
    world
        .kubectl()
        .apply(&Service::new("default", "steady", 80, &[backend.address]).manifest())
        .await?;
    let targets = targets(&world, "steady", 4).await?;
    let client = world.control_plane.client();
    let hammer = Hammer::start(proxies(&world), targets.clone(), RATE);

    world.control_plane.kill_api_server();
    goes_on(&hammer, 600).await?;
    world.control_plane.start_api_server().await?;
    // Watches are taken up again, and leave nothing out.
    edit(&client, "steady", 0, 2, &targets[0], false).await?;
    edit(&client, "steady", 1, 2, &targets[1], true).await?;
    goes_on(&hammer, 300).await?;
    hammer.finish().await.expect_clean(900, LEAST_RATE)
}

async fn goes_on(hammer: &Hammer, requests: u64) -> Result<()> {
    let sent = hammer.sent();
    wait::until_true("requests go on", Duration::from_secs(30), || async {
        Ok(hammer.sent() > sent + requests)
    })
    .await
}
