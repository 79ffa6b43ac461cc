use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::{Algorithm, Key, Material};

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

/// # Errors
/// When it is neither a set nor a key.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Key>, String> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|_| "the keys are no JSON")?;
    if value.get("kty").is_some() {
        return Ok(key(value).into_iter().collect());
    }
    let set: Set = serde_json::from_value(value).map_err(|_| "the keys are no JSON Web Key Set")?;
    Ok(set.keys.into_iter().filter_map(key).collect())
}

/// `None`: it is not for signatures, or of a kind that is not known here.
fn key(value: serde_json::Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let is_for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
    let verifies = |ops: &Vec<String>| ops.iter().any(|op| op == "verify");
    if !is_for_signatures || !jwk.key_ops.as_ref().is_none_or(verifies) {
        return None;
    }
    let algorithm = match jwk.alg.as_deref() {
        Some(name) => Some(Algorithm::parse(name)?),
        None => None,
    };
    let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => Material::Rsa {
            n: unsigned(bytes(jwk.n.as_deref()?)?),
            e: unsigned(bytes(jwk.e.as_deref()?)?),
        },
        ("EC", Some("P-256")) => Material::P256(point(&jwk, 32)?),
        ("EC", Some("P-384")) => Material::P384(point(&jwk, 48)?),
        ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(jwk.x.as_deref()?)?),
        ("oct", _) => Material::Octets(bytes(jwk.k.as_deref()?)?.into()),
        _ => return None,
    };
    Some(Key {
        kid: jwk.kid,
        algorithm,
        material,
    })
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

/// Without zeros in front.
fn unsigned(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes[zeros..].to_vec()
}

/// Uncompressed.
fn point(jwk: &Jwk, size: usize) -> Option<Vec<u8>> {
    let (x, y) = (bytes(jwk.x.as_deref()?)?, bytes(jwk.y.as_deref()?)?);
    if x.len() != size || y.len() != size {
        return None;
    }
    Some([&[4][..], &x, &y].concat())
}
