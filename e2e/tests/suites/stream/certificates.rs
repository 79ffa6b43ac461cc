//! The pairs that the operator keeps, and those that it is given.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use genkan_e2e::pki::Authority;
use genkan_e2e::rogue;
use genkan_e2e::wait;
use genkan_e2e::world::World;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;

use super::secured::{NAMESPACE, Secured, gone};

/// Longer than the operator takes to look again.
const MENDED: Duration = Duration::from_secs(30);

pub async fn the_operator_keeps_its_authority(world: Arc<World>) -> Result<()> {
    let secured = Secured::start(&world).await?;
    let authority = secured.authority().await?;
    secured.channel().await?;
    let pair = secured.secrets().get("genkan-stream").await?;
    secured.operator.stop().await?;
    secured.operator.start().await?;
    assert_eq!(secured.authority().await?, authority);
    let again = secured.secrets().get("genkan-stream").await?;
    assert_eq!(
        again.resource_version(),
        pair.resource_version(),
        "there was nothing to write"
    );

    // Who mounts a pair gets no key that signs.
    for name in ["genkan-stream", "genkan-proxy-client"] {
        let keys = secured.secrets().get(name).await?.data.unwrap_or_default();
        let keys: Vec<_> = keys.keys().map(String::as_str).collect();
        assert_eq!(keys, ["ca.crt", "tls.crt", "tls.key"], "{name}");
    }
    secured.operator.stop().await
}

pub async fn what_is_broken_by_hand_is_mended(world: Arc<World>) -> Result<()> {
    let secured = Secured::start(&world).await?;
    let authority = secured.authority().await?;
    wait::until_true("the second pair is published", MENDED, || async {
        Ok(secured
            .config_maps()
            .get_opt("genkan-requestheader")
            .await?
            .is_some())
    })
    .await?;
    let front = secured
        .published("genkan-requestheader", "requestheader-client-ca-file")
        .await?;
    assert_ne!(front, authority);
    for (key, value) in [
        ("requestheader-allowed-names", r#"["genkan-dataplane"]"#),
        ("requestheader-username-headers", r#"["X-Remote-User"]"#),
        ("requestheader-uid-headers", r#"["X-Remote-Uid"]"#),
        ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
        ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#),
    ] {
        assert_eq!(secured.published("genkan-requestheader", key).await?, value);
    }

    gone(&secured.secrets(), "genkan-stream").await?;
    gone(&secured.secrets(), "genkan-stream-ca").await?;
    gone(&secured.config_maps(), "genkan-stream-ca").await?;
    let edit = json!({"data": {"requestheader-allowed-names": "[\"everybody\"]", "requestheader-client-ca-file": "x"}});
    secured
        .config_maps()
        .patch(
            "genkan-requestheader",
            &PatchParams::default(),
            &Patch::Merge(edit),
        )
        .await?;
    wait::until_true("everything is as it was", MENDED, || async {
        let names = secured
            .published("genkan-requestheader", "requestheader-allowed-names")
            .await?;
        let front_now = secured
            .published("genkan-requestheader", "requestheader-client-ca-file")
            .await?;
        let pair = secured.secrets().get_opt("genkan-stream").await?;
        let kept = secured.authority().await? == authority;
        Ok(kept && pair.is_some() && front_now == front && names == r#"["genkan-dataplane"]"#)
    })
    .await
    .with_context(|| secured.operator.tail(20))?;
    secured
        .channel()
        .await
        .context("the new pair is of the old authority")?;
    secured.operator.expect_running()?;
    secured.operator.stop().await
}

/// The authority is gone, and nobody remembers its key: another takes its place, and no data plane is shut out meanwhile.
pub async fn another_authority_comes_with_overlap(world: Arc<World>) -> Result<()> {
    let secured = Secured::start(&world).await?;
    let old = secured.authority().await?;
    secured.operator.stop().await?;
    gone(&secured.secrets(), "genkan-stream-ca").await?;
    secured.operator.start().await?;
    wait::until_true("both authorities are told of", MENDED, || async {
        Ok(secured.authority().await?.len() > old.len())
    })
    .await?;
    rogue::connect(secured.operator.grpc, &old).await?;
    let both = secured.authority().await?;
    let new = both
        .strip_prefix(&old)
        .context("the old one is told of no longer")?;
    wait::until_true("a certificate of the new one is used", MENDED, || async {
        Ok(rogue::connect(secured.operator.grpc, new).await.is_ok())
    })
    .await
    .with_context(|| secured.operator.tail(10))?;
    assert!(rogue::connect(secured.operator.grpc, &old).await.is_err());
    secured.channel().await.context("with both")?;
    secured.operator.stop().await
}

/// A Secret as cert-manager writes it.
fn given(authority: &Authority, name: &str) -> Result<Secret> {
    let pair = authority.server(name, &["genkan-operator.genkan-system.svc", "127.0.0.1"])?;
    let data = BTreeMap::from([
        ("tls.crt".to_owned(), std::fs::read_to_string(pair.certificate)?),
        ("tls.key".to_owned(), std::fs::read_to_string(pair.key)?),
        ("ca.crt".to_owned(), authority.pem.clone()),
    ]);
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some("genkan-stream".into()),
            namespace: Some(NAMESPACE.into()),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".into()),
        string_data: Some(data),
        ..Secret::default()
    })
}

pub async fn a_given_secret_is_used_and_never_written(world: Arc<World>) -> Result<()> {
    let secured = Secured::prepare(&world).await?;
    let authority = Authority::new(&secured.folder, "given")?;
    let params = PostParams::default();
    let first = secured
        .secrets()
        .create(&params, &given(&authority, "first")?)
        .await?;
    secured.operator.start().await?;
    assert_eq!(secured.authority().await?, authority.pem);
    rogue::connect(secured.operator.grpc, &authority.pem).await?;
    assert!(
        secured.secrets().get_opt("genkan-stream-ca").await?.is_none(),
        "there is nothing to sign"
    );

    // Unusable: said in a sentence, and what is in use stays in use.
    let broken = Patch::Merge(json!({"stringData": {"tls.key": "x"}}));
    secured
        .secrets()
        .patch("genkan-stream", &PatchParams::default(), &broken)
        .await?;
    secured
        .says(&["genkan-system/genkan-stream", "tls.key", "stays in use"])
        .await?;
    rogue::connect(secured.operator.grpc, &authority.pem).await?;

    // Renewed by another authority.
    let other = Authority::new(&secured.folder, "other")?;
    let second = secured
        .secrets()
        .patch(
            "genkan-stream",
            &PatchParams::default(),
            &Patch::Merge(given(&other, "second")?),
        )
        .await?;
    let both = format!("{}{}", authority.pem, other.pem);
    wait::until_true("both authorities are told of", MENDED, || async {
        Ok(secured.authority().await? == both)
    })
    .await?;
    rogue::connect(secured.operator.grpc, &authority.pem)
        .await
        .context("the old certificate, while not everybody can know the new authority")?;
    wait::until_true("the new one is used", MENDED, || async {
        Ok(rogue::connect(secured.operator.grpc, &other.pem).await.is_ok())
    })
    .await
    .with_context(|| secured.operator.tail(10))?;
    assert_eq!(secured.authority().await?, both, "for a while longer");
    let last = secured.secrets().get("genkan-stream").await?;
    assert_eq!(last.resource_version(), second.resource_version());
    assert_eq!(last.uid(), first.uid());
    secured.operator.stop().await?;

    // And at the start: it waits, and is not ready.
    secured
        .secrets()
        .patch("genkan-stream", &PatchParams::default(), &broken)
        .await?;
    secured.operator.start_only()?;
    secured
        .says(&["genkan-system/genkan-stream", "tls.key", "was given"])
        .await?;
    secured.operator.expect_running()?;
    secured.operator.stop().await
}
