use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{Key, Material};

const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const ED25519: &str = "1.3.101.112";

/// The public keys of certificates, and public keys.
///
/// # Errors
/// When there is none of them.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Key>, String> {
    let blocks = Pem::iter_from_buffer(bytes).filter_map(Result::ok);
    let keys: Vec<_> = blocks.filter_map(|block| of_block(&block)).collect();
    if keys.is_empty() {
        return Err("it is neither a JSON Web Key Set nor a certificate or public key in PEM".to_owned());
    }
    Ok(keys)
}

fn of_block(block: &Pem) -> Option<Key> {
    match block.label.as_str() {
        "CERTIFICATE" => {
            let certificate = block.parse_x509().ok()?;
            of_info(certificate.public_key())
        }
        "PUBLIC KEY" => {
            let (_, info) = SubjectPublicKeyInfo::from_der(&block.contents).ok()?;
            of_info(&info)
        }
        _ => None,
    }
}

fn of_info(info: &SubjectPublicKeyInfo<'_>) -> Option<Key> {
    let data = || info.subject_public_key.data.to_vec();
    if info.algorithm.algorithm.to_id_string() == ED25519 {
        return Some(of_material(Material::Ed25519(data())));
    }
    let curve = info
        .algorithm
        .parameters
        .as_ref()
        .and_then(|any| any.as_oid().ok());
    let curve = curve.map(|oid| oid.to_id_string());
    let parsed = info.parsed().ok()?;
    if let PublicKey::RSA(key) = &parsed {
        let plain = |bytes: &[u8]| {
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            bytes[zeros..].to_vec()
        };
        return Some(of_material(Material::Rsa {
            n: plain(key.modulus),
            e: plain(key.exponent),
        }));
    }
    if !matches!(parsed, PublicKey::EC(_)) {
        return None;
    }
    match curve.as_deref() {
        Some(P256) => Some(of_material(Material::P256(data()))),
        Some(P384) => Some(of_material(Material::P384(data()))),
        Some(_) | None => None,
    }
}

fn of_material(material: Material) -> Key {
    Key {
        kid: None,
        algorithm: None,
        material,
    }
}
