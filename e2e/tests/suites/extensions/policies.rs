//! Policies that objects write themselves, and PolicyDefinitions.

use std::sync::Arc;

use anyhow::{Result, ensure};
use genkan_e2e::http1::Request;
use genkan_e2e::world::World;

use super::stand::{Stand, proxy};

const GREET: &str = r#"
apiVersion: gateway.genkan.io/v1alpha1
kind: PolicyDefinition
metadata: {name: greet-v1-0-0}
spec:
  policy: greet
  version: 1.0.0
  parameters: {type: object, required: [who], properties: {who: {type: string}}}
  steps:
  - {use: set, with: {headers: {set: {X-Greeting: "hello {{ params.who }}"}}}}
"#;

const KEYS: &str = r#"
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: edge}
stringData: {ann: key-of-ann}
"#;

pub async fn policies_of_an_object_act_and_say_what_is_wrong(world: Arc<World>) -> Result<()> {
    let stand = Stand::set(&world, 1).await?;
    let kubectl = world.kubectl();
    let shop = proxy(
        "shop",
        "",
        "  policySecrets: [{alias: keys, namespace: edge, name: keys}]\n  policies:\n  \
         - {use: apiKey, with: {keys: {secret: keys}}}\n  \
         - {use: rateLimit, with: {requests: 3, per: 1h, key: auth.key}}\n  \
         - {use: greet@1, with: {who: world}}\n  \
         - {use: set, on: Response, with: {headers: {set: {X-Seen: \"yes\"}}}}\n",
    );
    kubectl.apply(&shop).await?;
    world
        .wait_condition("reverseproxy/shop", "Accepted", "True", "Accepted")
        .await?;
    // One after the other, each in its own words.
    world
        .wait_condition("reverseproxy/shop", "ResolvedRefs", "False", "SecretNotFound")
        .await?;
    kubectl.apply(KEYS).await?;
    let missing = world
        .wait_condition("reverseproxy/shop", "ResolvedRefs", "False", "PolicyNotFound")
        .await?;
    ensure!(
        missing.message == "ReverseProxy shop: there is no policy greet@1",
        "{}",
        missing.message
    );
    stand
        .all_answer("/proxy/shop/a", &[], 503, Some("PolicyNotFound"))
        .await?;
    kubectl.apply(GREET).await?;
    world.wait_for("reverseproxy/shop", "Ready").await?;
    world.wait_for("policydefinition/greet-v1-0-0", "Ready").await?;
    let used = world
        .value("policydefinition/greet-v1-0-0", "{.status.usedBy[0]}")
        .await?;
    ensure!(used == "ReverseProxy shop", "{used}");

    stand
        .all_answer("/proxy/shop/a", &[], 401, Some("KeyMissing"))
        .await?;
    let key = [("X-Api-Key", "key-of-ann")];
    for left in ["2", "1", "0"] {
        let request = Request {
            headers: &key,
            ..Request::get("/proxy/shop/a")
        };
        let answers = stand.through_all(request).await?;
        let answer = &answers[0];
        ensure!(answer.status == 200, "{}", answer.text());
        ensure!(answer.text().contains("hello world"), "{}", answer.text());
        ensure!(!answer.text().contains("key-of-ann"), "{}", answer.text());
        ensure!(answer.header("x-seen") == Some("yes"), "{answer:?}");
        ensure!(
            answer.header("ratelimit-remaining") == Some(left),
            "{left}: {answer:?}"
        );
    }
    stand
        .all_answer("/proxy/shop/a", &key, 429, Some("RateLimited"))
        .await?;

    ensure!(stand.backend.requests() == 3, "{}", stand.backend.requests());

    // A changed definition acts, and one that is wrong harms nobody but who uses it.
    kubectl.apply(&proxy("other", "", "")).await?;
    world.wait_for("reverseproxy/other", "Ready").await?;
    kubectl
        .apply(&GREET.replace("hello {{ params.who }}", "{{ params.who + }}"))
        .await?;
    world
        .wait_condition("reverseproxy/shop", "Ready", "False", "Invalid")
        .await?;
    stand.all_answer("/proxy/other/a", &[], 200, None).await?;
    stand.stop().await
}
