//! A credential changes while requests run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use genkan_e2e::hammer::{Hammer, Target};
use genkan_e2e::wait;
use genkan_e2e::world::World;
use kube::Client;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::callers;
use super::document::Document;
use super::objects::{self, CLASSES};
use super::stage::Stage;

const NAMESPACE: &str = "rotated";
const TARGET: &str = "/connectors/v1alpha1/rotated/tool/path";
const ROTATIONS: u64 = 40;
const RATE: u32 = 200;
/// So that enough requests meet each value.
const EVERY: Duration = Duration::from_millis(250);
/// From the write to the first use.
const LIMIT: Duration = Duration::from_secs(2);

pub async fn a_changed_secret_is_used_at_once_and_fails_no_request(world: Arc<World>) -> Result<()> {
    let stage = Stage::set(&world, &Document::load()?).await?;
    let client = &stage.client;
    let tool = world.backend("tool", 8080).await?;
    stage.team(NAMESPACE).await?;
    let caller = callers::reader(client, NAMESPACE).await?;
    let bearer = json!({"name": "bearer", "secretType": "connectors.cpaas.io/bearer-token", "params": [{"name": "token"}]});
    let class = json!({
        "address": {"name": "address"}, "auth": {"types": [bearer]},
        "proxy": {"ref": {"name": "connectors-proxy-service", "namespace": "connectors-system"}},
    });
    objects::apply(
        client,
        CLASSES,
        &objects::made("ConnectorClass", "rotated", &class),
    )
    .await?;
    write(client, 1).await?;
    let auth = json!({"name": "bearer", "secretRef": {"name": "tool"}});
    let address = format!("http://{}", tool.address);
    let spec = json!({"connectorClassName": "rotated", "address": address, "auth": auth});
    let folder = objects::connectors(NAMESPACE);
    objects::apply(client, &folder, &objects::made("Connector", "tool", &spec)).await?;
    stage.switch(&["enable-connector-apis-write-passthrough"]).await?;
    stage.until_answer(&format!("{TARGET}/x"), &caller, 200).await?;

    let target = Arc::new(Target::behind(TARGET, 1, &caller.token));
    let hammer = Hammer::start(vec![stage.proxy.listen], vec![target.clone()], RATE);
    let mut times = Vec::new();
    let mut tick = tokio::time::interval(EVERY);
    for version in 2..2 + ROTATIONS {
        tick.tick().await;
        target.begin(version);
        write(client, version).await?;
        let begin = Instant::now();
        wait::until_true("the new value is used", Duration::from_secs(10), || async {
            let answer = stage.call(&format!("{TARGET}/x"), &caller).await?;
            Ok(used(&answer.json()?) == Some(version))
        })
        .await?;
        times.push(begin.elapsed());
        target.confirm(version);
    }
    let report = hammer.finish().await;
    times.sort_unstable();
    let (median, longest) = (
        times[times.len() / 2],
        times.last().copied().context("no rotation")?,
    );
    println!(
        "{ROTATIONS} rotations, {} requests, {} failed; from the write to the first use: p50 {median:?}, longest {longest:?}",
        report.sent, report.failed
    );
    report.expect_clean(ROTATIONS * 20, 0.0)?;
    ensure!(longest < LIMIT, "{longest:?} passed before a new value was used");
    stage.end().await
}

async fn write(client: &Client, version: u64) -> Result<()> {
    let kind = "connectors.cpaas.io/bearer-token";
    let secret = objects::secret("tool", kind, &[("token", &version.to_string())]);
    objects::apply(client, &objects::secrets(NAMESPACE), &secret).await?;
    Ok(())
}

/// The version that the tool was called with.
fn used(said: &Value) -> Option<u64> {
    let headers = said["headers"].as_array()?;
    let header = headers.iter().find(|pair| {
        pair[0]
            .as_str()
            .is_some_and(|name| name.eq_ignore_ascii_case("authorization"))
    })?;
    header[1].as_str()?.strip_prefix("Bearer ")?.parse().ok()
}
