//! ServiceAccount tokens: those that the API server issues, and those that it would not.

use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, ResourceExt};
use rcgen::{KeyPair, SigningKey};
use serde_json::{Value, json};

use crate::wait;

/// A Pod that nothing runs: an identity to bind tokens to.
pub async fn pod(client: &Client, namespace: &str, name: &str, account: &str) -> Result<Pod> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod = serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"app": "genkan-dataplane"}},
        "spec": {
            "serviceAccountName": account,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "dataplane", "image": "genkan.example/dataplane"}],
        },
    }))?;
    Ok(pods.create(&PostParams::default(), &pod).await?)
}

/// Deletes a Pod and waits until it is gone.
pub async fn delete_pod(client: &Client, pod: &Pod) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let now = DeleteParams::default().grace_period(0);
    pods.delete(&pod.name_any(), &now).await?;
    wait::until_true("the Pod is gone", std::time::Duration::from_secs(10), || async {
        Ok(pods.get_opt(&pod.name_any()).await?.is_none())
    })
    .await
}

/// A token of a ServiceAccount; without an audience it is for the API server.
pub async fn issued(
    client: &Client,
    (namespace, account): (&str, &str),
    audience: Option<&str>,
    pod: Option<&Pod>,
) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let bound = pod.map(|pod| BoundObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
    });
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: audience.map(|audience| vec![audience.to_owned()]),
            bound_object_ref: bound,
            expiration_seconds: Some(3600),
        }),
        ..TokenRequest::default()
    };
    let answer = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await?;
    answer
        .status
        .and_then(|status| status.token)
        .context("the TokenRequest was answered without a token")
}

/// The same with another end, signed with the key of the API server: it issues none that live for less than minutes.
pub fn ending(token: &str, key: &Path, expires: i64) -> Result<String> {
    let mut parts = token.split('.');
    let (Some(header), Some(claims)) = (parts.next(), parts.next()) else {
        bail!("no token");
    };
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    claims["exp"] = json!(expires);
    claims["nbf"] = json!(expires - 3600);
    claims["iat"] = json!(expires - 3600);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = KeyPair::from_pem(&std::fs::read_to_string(key)?)?;
    let signature = raw(&key.sign(signed.as_bytes())?).context("the form of a signature")?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// JSON Web Tokens hold the two numbers of an ECDSA signature side by side, certificates a DER sequence of them.
fn raw(der: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize| {
        let length = usize::from(*der.get(at + 1)?);
        let digits = der.get(at + 2..at + 2 + length)?;
        let first = digits.iter().position(|byte| *byte != 0)?;
        let mut padded = vec![0; 32usize.checked_sub(digits.len() - first)?];
        padded.extend_from_slice(&digits[first..]);
        Some((padded, at + 2 + length))
    };
    let (mut both, next) = number(2)?;
    both.extend(number(next)?.0);
    Some(both)
}
