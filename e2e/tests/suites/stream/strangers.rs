//! Tokens that open nothing.

use std::sync::Arc;

use anyhow::Result;
use genkan_e2e::rogue::{Named, Rogue};
use genkan_e2e::tokens;
use genkan_e2e::world::World;
use genkan_proto::AUDIENCE;
use tonic::Code;

use super::secured::{ACCOUNT, NAMESPACE, Secured};

pub async fn strangers_are_refused_and_get_nothing(world: Arc<World>) -> Result<()> {
    let secured = Secured::start(&world).await?;
    let client = secured.client();
    let (pod, good) = secured.pod("edge").await?;
    let account =
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {namespace: genkan-system, name: stranger}\n";
    world.kubectl().apply(account).await?;
    let foreign_pod = tokens::pod(&client, NAMESPACE, &world.name("stranger"), "stranger").await?;
    let foreign = (NAMESPACE, "stranger");

    let foreign = tokens::issued(&client, foreign, Some(AUDIENCE), Some(&foreign_pod)).await?;
    let audience = tokens::issued(&client, ACCOUNT, Some("vault.example"), Some(&pod)).await?;
    let api_server = tokens::issued(&client, ACCOUNT, None, Some(&pod)).await?;
    let unbound = tokens::issued(&client, ACCOUNT, Some(AUDIENCE), None).await?;
    let key = secured.token_key();
    let now = jiff::Timestamp::now().as_second();
    let expired = tokens::ending(&good, &key, now - 600)?;
    // The API server grants clocks a minute; the operator's own does not need it.
    let just_expired = tokens::ending(&good, &key, now - 10)?;
    let forged = format!("{}x", good.trim_end_matches(|c| c != '.'));
    let (gone, buried) = secured.pod("gone").await?;
    tokens::delete_pod(&client, &gone).await?;

    let channel = secured.channel().await?;
    let named = Named {
        name: "edge",
        instance: "1",
    };
    for (what, token, code, reason) in [
        ("no token", None, Code::Unauthenticated, "NoToken"),
        ("no form", Some("abc"), Code::Unauthenticated, "Malformed"),
        (
            "a foreign account",
            Some(&*foreign),
            Code::PermissionDenied,
            "ServiceAccount",
        ),
        (
            "another audience",
            Some(&*audience),
            Code::Unauthenticated,
            "Rejected",
        ),
        (
            "that of the API server",
            Some(&*api_server),
            Code::Unauthenticated,
            "Rejected",
        ),
        (
            "bound to nothing",
            Some(&*unbound),
            Code::PermissionDenied,
            "NotBound",
        ),
        ("expired", Some(&*expired), Code::Unauthenticated, "Rejected"),
        (
            "just expired",
            Some(&*just_expired),
            Code::Unauthenticated,
            "Expired",
        ),
        ("not signed", Some(&*forged), Code::Unauthenticated, "Rejected"),
        (
            "of a deleted Pod",
            Some(&*buried),
            Code::Unauthenticated,
            "Rejected",
        ),
    ] {
        let before = secured.operator.refused(reason).await?;
        let opened = Rogue::open(&channel, token, named).await;
        // A status instead of a stream: there was no message.
        let status = opened.err();
        assert_eq!(
            status.as_ref().map(|s| s.code()),
            Some(code),
            "{what}: {status:?}"
        );
        assert_eq!(secured.operator.refused(reason).await?, before + 1, "{what}");
        secured.says(&["call refused", reason]).await?;
        let output = secured.operator.output();
        assert!(
            token.is_none_or(|token| token.len() < 10 || !output.contains(token)),
            "{what}"
        );
    }
    assert!(!secured.operator.output().contains("proxy connected"));
    assert!(
        Rogue::open(&channel, Some(&good), named).await.is_ok(),
        "the good one is good"
    );
    for pod in [&pod, &foreign_pod] {
        tokens::delete_pod(&client, pod).await?;
    }
    secured.operator.stop().await
}
