//! Extensions that act at once: a DataPower zip from a ConfigMap, and hooks.

use std::sync::Arc;

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use genkan_e2e::http1::Request;
use genkan_e2e::world::World;

use super::stand::{Stand, proxy};

/// A zip without compression.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let offset = u32::try_from(out.len()).unwrap_or_default();
        let size = u32::try_from(content.len()).unwrap_or_default();
        let length = u16::try_from(name.len()).unwrap_or_default();
        let mut common = Vec::new();
        for word in [20u16, 0, 0, 0, 0] {
            common.extend(word.to_le_bytes());
        }
        for word in [crc(content), size, size] {
            common.extend(word.to_le_bytes());
        }
        common.extend(length.to_le_bytes());
        common.extend(0u16.to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(*content);
        directory.extend(b"PK\x01\x02");
        directory.extend(20u16.to_le_bytes());
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (begin, size) = (out.len(), directory.len());
    let count = u16::try_from(files.len()).unwrap_or_default();
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(u32::try_from(size).unwrap_or_default().to_le_bytes());
    out.extend(u32::try_from(begin).unwrap_or_default().to_le_bytes());
    out.extend([0; 2]);
    out
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

fn policy(name: &str, value: &str) -> String {
    format!(
        "policy: 1.0.0\ninfo: {{title: {name}, name: {name}, version: 1.0.0}}\nattach: [rest]\n\
         properties: {{$schema: 'http://json-schema.org/draft-04/schema#', type: object, properties: {{}}}}\ngateways: \
         [datapower-api-gateway]\nassembly:\n  execute:\n  - set-variable:\n      version: 2.0.0\n      title: set\n      \
         actions:\n      - {{set: message.headers.x-{name}, value: {value}, type: string}}\n"
    )
}

fn archive(files: &[(&str, &[u8])]) -> String {
    let data = STANDARD.encode(zip(files));
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: corp, namespace: edge}}\nbinaryData: {{corp.zip: {data}}}\n"
    )
}

const EXTENSION: &str = r#"
apiVersion: gateway.genkan.io/v1alpha1
kind: GatewayExtension
metadata: {name: corp}
spec:
  archive:
    source: {configMap: {namespace: edge, name: corp, key: corp.zip}}
"#;

pub async fn an_archive_of_datapower_is_served_and_taken_away(world: Arc<World>) -> Result<()> {
    let stand = Stand::set(&world, 1).await?;
    let kubectl = world.kubectl();
    kubectl.apply(EXTENSION).await?;
    world
        .wait_condition("gwext/corp", "ResolvedRefs", "False", "SourceNotFound")
        .await?;
    let entry = |file: &str| {
        format!(r#"{{"filename": "{file}", "type": "user-defined-policy-yaml", "deploy": "immediate"}}"#)
    };
    let manifest = format!(
        r#"{{"extension": {{"files": [{}, {}, {}]}}}}"#,
        entry("one.yaml"),
        entry("two.yaml"),
        r#"{"filename": "script.zip", "type": "extension", "deploy": "immediate"}"#
    );
    let (one, two) = (policy("one", "first"), policy("two", "second"));
    let script = zip(&[("a.cfg", b"top; configure terminal\n")]);
    let files = |one: &str| {
        archive(&[
            ("manifest.json", manifest.as_bytes()),
            ("one.yaml", one.as_bytes()),
            ("two.yaml", two.as_bytes()),
            ("script.zip", &script),
        ])
    };
    kubectl.apply(&files(&one)).await?;
    // What this version does not convert is rejected, and all other entries stand.
    world
        .wait_condition("gwext/corp", "Accepted", "False", "Unsupported")
        .await?;
    kubectl
        .apply(&proxy("shop", "", "  policies: [{use: one@1}, {use: two@1}]\n"))
        .await?;
    world.wait_for("reverseproxy/shop", "Ready").await?;
    stand.all_answer("/proxy/shop/a", &[], 200, None).await?;
    let answers = stand.through_all(Request::get("/proxy/shop/a")).await?;
    ensure!(
        answers[0].text().contains("first") && answers[0].text().contains("second"),
        "{}",
        answers[0].text()
    );
    let columns = world
        .kubectl()
        .run(&["get", "gwext", "corp", "--no-headers"])
        .await?;
    let columns: Vec<&str> = columns.split_whitespace().collect();
    ensure!(
        columns[..6] == ["corp", "2/3", "False", "1/1", "-", "Unsupported"],
        "{columns:?}"
    );
    let used = world.value("gwext/corp", "{.status.usedBy[*]}").await?;
    ensure!(used == "ReverseProxy shop", "{used}");

    // One changes, and one alone is new.
    let before = world.value("gwext/corp", "{.status.entries[*].digest}").await?;
    kubectl.apply(&files(&policy("one", "changed"))).await?;
    genkan_e2e::wait::until_true("the changed policy acts", super::stand::SOON, || async {
        let answers = stand.through_all(Request::get("/proxy/shop/a")).await?;
        Ok(answers.iter().all(|answer| answer.text().contains("changed")))
    })
    .await?;
    let after = world.value("gwext/corp", "{.status.entries[*].digest}").await?;
    let differ = before
        .split(' ')
        .zip(after.split(' '))
        .filter(|(old, new)| old != new);
    ensure!(differ.count() == 1, "{before}\n{after}");

    // What is used stays, and goes with its last user.
    let without = format!(r#"{{"extension": {{"files": [{}]}}}}"#, entry("two.yaml"));
    let less = archive(&[
        ("manifest.json", without.as_bytes()),
        ("two.yaml", two.as_bytes()),
    ]);
    kubectl.apply(&less).await?;
    let blocked = world
        .wait_condition("gwext/corp", "Deployed", "False", "Blocked")
        .await?;
    ensure!(
        blocked.message == "entry one cannot be removed: it is used by ReverseProxy shop",
        "{}",
        blocked.message
    );
    stand.all_answer("/proxy/shop/a", &[], 200, None).await?;
    kubectl
        .apply(&proxy("shop", "", "  policies: [{use: two@1}]\n"))
        .await?;
    world.wait_for("gwext/corp", "Deployed").await?;
    world.wait_for("reverseproxy/shop", "Ready").await?;
    // A restart needs no source.
    kubectl
        .run(&["delete", "configmap", "corp", "-n", "edge"])
        .await?;
    world
        .wait_condition("gwext/corp", "ResolvedRefs", "False", "SourceNotFound")
        .await?;
    stand.operator.stop().await?;
    stand.operator.start().await?;
    stand.proxies[0].stop().await?;
    stand.proxies[0].start().await?;
    stand.all_answer("/proxy/shop/a", &[], 200, None).await?;
    kubectl.run(&["delete", "gwext", "corp"]).await?;
    world
        .wait_condition("reverseproxy/shop", "ResolvedRefs", "False", "PolicyNotFound")
        .await?;
    stand
        .all_answer("/proxy/shop/a", &[], 503, Some("PolicyNotFound"))
        .await?;
    stand.stop().await
}

const HOOKS: &str = r#"
apiVersion: gateway.genkan.io/v1alpha1
kind: GatewayExtension
metadata: {name: guard}
spec:
  entries:
  - name: only-get
    type: Hook
    hook:
      at: PreRequest
      select: {kinds: [ReverseProxy], labels: {gateway.genkan.io/catalog: "prod*"}}
      steps: [{use: filter, with: {methods: [GET]}}]
  - name: errors
    type: Hook
    hook:
      at: OnError
      errors: ["Method*", "Filter*"]
      steps: [{use: respond, with: {template: datapower}}]
"#;

pub async fn hooks_act_on_what_they_select(world: Arc<World>) -> Result<()> {
    let stand = Stand::set(&world, 1).await?;
    let kubectl = world.kubectl();
    kubectl
        .apply(&proxy("sold", "gateway.genkan.io/catalog: production", ""))
        .await?;
    kubectl
        .apply(&proxy("test", "gateway.genkan.io/catalog: test", ""))
        .await?;
    kubectl.apply(HOOKS).await?;
    for object in ["gwext/guard", "reverseproxy/sold", "reverseproxy/test"] {
        world.wait_for(object, "Ready").await?;
    }
    let post = |path| Request::post(path, b"x");
    genkan_e2e::wait::until_true("the hook refuses POST", super::stand::SOON, || async {
        let answers = stand.through_all(post("/proxy/sold/a")).await?;
        Ok(answers.iter().all(|answer| answer.status == 405))
    })
    .await?;
    let answers = stand.through_all(post("/proxy/sold/a")).await?;
    ensure!(
        answers[0].text().contains("\"httpCode\":\"405\""),
        "{}",
        answers[0].text()
    );
    stand.all_answer("/proxy/sold/a", &[], 200, None).await?;
    let answers = stand.through_all(post("/proxy/test/a")).await?;
    ensure!(answers[0].status == 200, "{}", answers[0].text());
    // A label that comes is as good as one that was there.
    kubectl
        .apply(&proxy("test", "gateway.genkan.io/catalog: prod-2", ""))
        .await?;
    genkan_e2e::wait::until_true("the hook refuses POST there too", super::stand::SOON, || async {
        let answers = stand.through_all(post("/proxy/test/a")).await?;
        Ok(answers.iter().all(|answer| answer.status == 405))
    })
    .await?;
    kubectl.run(&["delete", "gwext", "guard"]).await?;
    genkan_e2e::wait::until_true("nobody refuses POST", super::stand::SOON, || async {
        let answers = stand.through_all(post("/proxy/sold/a")).await?;
        Ok(answers.iter().all(|answer| answer.status == 200))
    })
    .await?;
    stand.stop().await
}
