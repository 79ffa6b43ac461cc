use ring::rand::SystemRandom;
use ring::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

#[test]
fn elliptic_curves_verify() {
    let random = SystemRandom::new();
    let signing = &signature::ECDSA_P384_SHA384_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(signing, pkcs8.as_ref(), &random).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(48);
    let jwk = json!({"kty": "EC", "crv": "P-384", "x": BASE64.encode(x), "y": BASE64.encode(y)});
    let set = KeySet::read(jwk.to_string().as_bytes()).unwrap();
    let signed = pair.sign(&random, b"text").unwrap();
    let key = set.fitting(Algorithm::Es384, None).next().unwrap();
    assert!(key.verifies(Algorithm::Es384, b"text", signed.as_ref()));
    assert!(!key.verifies(Algorithm::Es384, b"other", signed.as_ref()));
    assert!(set.fitting(Algorithm::Es256, None).next().is_none());

    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let x = BASE64.encode(pair.public_key().as_ref());
    let set =
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "a", "alg": "EdDSA", "use": "sig"}]});
    let set = KeySet::read(set.to_string().as_bytes()).unwrap();
    let key = set.fitting(Algorithm::EdDsa, Some("a")).next().unwrap();
    assert!(key.verifies(Algorithm::EdDsa, b"text", pair.sign(b"text").as_ref()));
    assert!(set.fitting(Algorithm::EdDsa, Some("b")).next().is_none());
}

#[test]
fn what_is_not_for_signatures_is_left_out() {
    let set = json!({"keys": [
        {"kty": "oct", "k": BASE64.encode([7; 64]), "use": "enc"},
        {"kty": "oct", "k": BASE64.encode([7; 64]), "key_ops": ["encrypt"]},
        {"kty": "oct", "k": BASE64.encode([7; 64]), "alg": "A256KW"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "future"},
        7,
    ]});
    assert!(KeySet::read(set.to_string().as_bytes()).unwrap().is_empty());
    for bad in ["{", "[]", "", "{\"keys\":1}", "-----BEGIN PUBLIC KEY-----"] {
        assert!(KeySet::read(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(KeySet::read(&vec![b' '; LARGEST + 1]).is_err());
}

#[test]
fn short_secrets_fit_nothing() {
    let set = KeySet::of_secret(&[7; 31]);
    assert!(set.fitting(Algorithm::Hs256, None).next().is_none());
    let set = KeySet::of_secret(&[7; 32]);
    assert!(set.fitting(Algorithm::Hs256, None).next().is_some());
    assert!(set.fitting(Algorithm::Rs256, None).next().is_none());
}
