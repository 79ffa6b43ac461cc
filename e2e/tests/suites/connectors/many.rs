//! More Secrets in one namespace than are followed one by one.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use genkan_e2e::wait;
use genkan_e2e::world::World;
use serde_json::{Value, json};

use super::callers;
use super::document::Document;
use super::objects::{self, CLASSES};
use super::stage::Stage;

const NAMESPACE: &str = "crowded";
const MANY: usize = 60;
const SETTLE: Duration = Duration::from_secs(30);

pub async fn a_namespace_with_many_secrets_is_watched_once(world: Arc<World>) -> Result<()> {
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
        &objects::made("ConnectorClass", NAMESPACE, &class),
    )
    .await?;
    let write = async |n: usize, token: &str| {
        let secret = objects::secret(
            &format!("s{n}"),
            "connectors.cpaas.io/bearer-token",
            &[("token", token)],
        );
        objects::apply(client, &objects::secrets(NAMESPACE), &secret).await
    };
    let folder = objects::connectors(NAMESPACE);
    for n in 0..MANY {
        write(n, &format!("token-{n}")).await?;
        let auth = json!({"name": "bearer", "secretRef": {"name": format!("s{n}")}});
        let spec = json!({"connectorClassName": NAMESPACE, "address": format!("http://{}", tool.address), "auth": auth});
        objects::apply(
            client,
            &folder,
            &objects::made("Connector", &format!("c{n}"), &spec),
        )
        .await?;
    }
    let carries = async |n: usize, token: &str| {
        let target = format!("/connectors/v1alpha1/{NAMESPACE}/c{n}/path/x");
        wait::until_true(&format!("c{n} carries {token}"), SETTLE, || async {
            let answer = stage.call(&target, &caller).await?;
            let said: Value = answer.json()?;
            Ok(said.to_string().contains(&format!("\"Bearer {token}\"")))
        })
        .await
    };
    for n in 0..MANY {
        carries(n, &format!("token-{n}")).await?;
    }
    wait::until_true("the namespace is watched", SETTLE, || async {
        Ok(stage
            .operator
            .output()
            .contains("the namespace is watched, without values"))
    })
    .await?;

    // A change, a removal, one that comes back, and one that nobody had yet.
    write(3, "token-other").await?;
    carries(3, "token-other").await?;
    objects::delete(client, &format!("{}/s4", objects::secrets(NAMESPACE))).await?;
    let path = format!("{folder}/c4");
    stage
        .until_condition(&path, "SecretReady", "False", "SecretNotFound", SETTLE)
        .await?;
    write(4, "token-again").await?;
    carries(4, "token-again").await?;
    let auth = json!({"name": "bearer", "secretRef": {"name": "late"}});
    let spec =
        json!({"connectorClassName": NAMESPACE, "address": format!("http://{}", tool.address), "auth": auth});
    objects::apply(client, &folder, &objects::made("Connector", "c60", &spec)).await?;
    let path = format!("{folder}/c60");
    stage
        .until_condition(&path, "SecretReady", "False", "SecretNotFound", SETTLE)
        .await?;
    let late = objects::secret(
        "late",
        "connectors.cpaas.io/bearer-token",
        &[("token", "token-late")],
    );
    objects::apply(client, &objects::secrets(NAMESPACE), &late).await?;
    carries(60, "token-late").await?;
    stage.end().await
}
