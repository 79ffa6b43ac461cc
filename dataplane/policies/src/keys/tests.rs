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

/// Made by another library, of the word "text".
#[test]
fn keys_of_others_verify() {
    let jwk = json!({"kty": "RSA", "n": N, "e": "AQAB"}).to_string();
    for (keys, algorithm, signature) in [
        (jwk.as_str(), Algorithm::Rs256, RS256),
        (&jwk, Algorithm::Ps256, PS256),
        (PUBLIC_KEY, Algorithm::Rs256, RS256),
        (PUBLIC_KEY, Algorithm::Ps256, PS256),
        (CERTIFICATE, Algorithm::Es256, ES256),
    ] {
        let set = KeySet::read(keys.as_bytes()).unwrap();
        let key = set.fitting(algorithm, None).next().unwrap();
        let signature = BASE64.decode(signature).unwrap();
        assert!(key.verifies(algorithm, b"text", &signature), "{algorithm:?}");
        assert!(!key.verifies(algorithm, b"other", &signature), "{algorithm:?}");
        // A key of one kind is no key of another.
        assert!(!key.verifies(Algorithm::Hs256, b"text", &signature));
    }
}

const N: &str = "qX-Q7gzVPSFbvaHlbvg_9iB_3QE8eOFGWDDXxwi0QalhOiBWryXg7wBdfX7CDzgd0VVuOfu23yPprNLuQphrVEFbWiT4T3D9Zgcb5RdOJd5wAU2BULRABEIGp5xotRskcrL5xPSgZpyfN4dSiTCuHccHFMUomsjvCC9pqwPc0pN7dbeMwtxiWjbsRXelDFW3naqmZi25KJTh28rmDFcuSiJI3Qm-dmXXSXcS7Phv0OqexJdGJPyBU_0Wnf_KtxizyBqjMrdtIOA39ADde0lj3P_LmcxbObHmQ1579kOIajrDe_exBr3saXsWZSsmM7SnVma2pHiZhaV13xZ4nsQPzQ";
const RS256: &str = "ORZSyXKb82_maSf8yRQR7iTNViPhpOPbu_Od-Fts6ouilBk1DxoD7Nm6Dodb1-v-AXO_4gEjJoiQgQETRm27ehZYwGeAJ8QGuDcVWVevu2MiW5WOJAgh8WFh1nF6C06IVrz2nCORf9KuZGgHOyiYeBJYVfiUO00rOwnCX4FHu0anHffBSZOa30UVRf-Go4cpdFmv2FIwH_R3Hgb_QCTJYhTUkbVJQf5-sicMaWOOweQzMKio02K9WliEdwgZZWI0WwRHfbVhEHPJorl9cPWa20hmzg3mlZrua7odushVWzfZd3mNJK1j2pMIl_tKQSIWTpnCfTmH3Ft7DOea8RFngA";
const PS256: &str = "D9o6UCTSS8G4G82hC-hFDb77PZchJsuxvRr4XrHae9LZMxtRL2BRSFEiMOmJleDuUf2Pa1tDMV04mDDv2y_2cDQOdCxRv9ZksX6mIro0uYocDDlQEvc7Yosdns4R7wL08cDERC2W_-Aua2gAGG-KzUBvzYzDmMJEroh6raU50u2IwCaL3vPJp_Mq-1RVBVZT9vJuibh55AhAJETjxc4Ji-yhpv28lCCq2ddVVMfwJE83dU-asoSLjfnpmyyBpencu2-tw8M-qzYU_8ZN3znj0GwUNLumrHqRShSscoljQVs9dW8dQw3GomogmcnNBsOS1CVUnkwpFJ7nSBIyOt0yVA";
const ES256: &str = "KPQ8Cy0nhwixZvmB36fe0VP50qpuUE6ZAmM_ikWRzaPDiHjgaqDDdVAu-M4qXBv3E4SDgS-ruXQkfpXU9e2LyQ";
const PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqX+Q7gzVPSFbvaHlbvg/
9iB/3QE8eOFGWDDXxwi0QalhOiBWryXg7wBdfX7CDzgd0VVuOfu23yPprNLuQphr
VEFbWiT4T3D9Zgcb5RdOJd5wAU2BULRABEIGp5xotRskcrL5xPSgZpyfN4dSiTCu
HccHFMUomsjvCC9pqwPc0pN7dbeMwtxiWjbsRXelDFW3naqmZi25KJTh28rmDFcu
SiJI3Qm+dmXXSXcS7Phv0OqexJdGJPyBU/0Wnf/KtxizyBqjMrdtIOA39ADde0lj
3P/LmcxbObHmQ1579kOIajrDe/exBr3saXsWZSsmM7SnVma2pHiZhaV13xZ4nsQP
zQIDAQAB
-----END PUBLIC KEY-----
";
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBczCCARmgAwIBAgIUYYN9SHGSdtmRD9IoJDYYM+pZ+TkwCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDaWRwMCAXDTI2MTEzMDIzNDIwOFoYDzIxMjYxMTA2MjM0MjA4
WjAOMQwwCgYDVQQDDANpZHAwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASUVwV+
tQbBRH3qsjtnJKwpETUedeLJAdwae8e52ZkfH8QIwElxPfLLnp64/VqP/izip5QI
KQRqHn+mDI9UowCho1MwUTAdBgNVHQ4EFgQUhNX4cRM9acZvvwmFA4+DZloHlTEw
HwYDVR0jBBgwFoAUhNX4cRM9acZvvwmFA4+DZloHlTEwDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNIADBFAiBqYZzgdzy8qPJPtoGbHERE/qy1Eo2SxVIxHkm8
iedLOQIhAMVRtyanMscI2uGsUAj+XVVWL70gJMfsUY1njd3hF5fz
-----END CERTIFICATE-----
";
