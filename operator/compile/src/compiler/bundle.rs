//! CA bundles as authors write them: base64 of PEM, or base64 of that once more, as KubeSphere needs it (D-30).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use genkan_routing::model::Secret;
use x509_parser::pem::Pem;

/// The PEM text of a bundle, checked.
///
/// # Errors
/// In words that follow `caBundle`, when it holds no readable certificate.
pub fn read(bundle: &str) -> Result<Vec<u8>, String> {
    let compact = |s: &[u8]| {
        s.iter()
            .copied()
            .filter(|b| !b.is_ascii_whitespace())
            .collect::<Vec<u8>>()
    };
    let once = STANDARD
        .decode(compact(bundle.as_bytes()))
        .map_err(|e| format!("is not base64: {e}"))?;
    let pem = if is_pem(&once) {
        once
    } else {
        STANDARD
            .decode(compact(&once))
            .ok()
            .filter(|twice| is_pem(twice))
            .ok_or_else(|| {
                "is not a certificate: expected base64 of PEM that begins with -----BEGIN CERTIFICATE-----"
                    .to_string()
            })?
    };
    check(&pem)?;
    Ok(pem)
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(27).any(|w| w == b"-----BEGIN CERTIFICATE-----")
}

/// The certificates of a Secret, in PEM: of keys that say that they hold some, and of values that do.
///
/// # Errors
/// Why there are none, as the end of a sentence that begins with the Secret.
pub fn of_secret(secret: &Secret) -> Result<String, String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let texts = secret.data.iter().filter_map(|(key, value)| {
        let text = std::str::from_utf8(value).ok()?;
        let is_named = key.ends_with(".crt") || key.ends_with(".pem");
        (text.contains(BEGIN) && (is_named || text.trim_start().starts_with("-----BEGIN"))).then_some(text)
    });
    let all: Vec<&str> = texts.collect();
    if all.is_empty() {
        return Err("holds no certificate in PEM; its keys end in .crt or .pem".to_owned());
    }
    let pem = all.join("\n");
    check(pem.as_bytes()).map(|()| pem)
}

/// # Errors
/// In words that follow the name of what should be certificates.
pub fn check(pem: &[u8]) -> Result<(), String> {
    let mut count = 0;
    for block in Pem::iter_from_buffer(pem) {
        let block = block.map_err(|e| format!("is not a certificate: the PEM text is broken: {e}"))?;
        if block.label == "CERTIFICATE" {
            count += 1;
            block
                .parse_x509()
                .map_err(|e| format!("is not a certificate: block {count} cannot be read: {e}"))?;
        }
    }
    if count == 0 {
        Err("is not a certificate: the PEM text holds none".into())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_pem() -> String {
        rcgen::generate_simple_self_signed(vec!["backend.example".into()])
            .unwrap()
            .cert
            .pem()
    }

    #[test]
    fn both_forms_are_read() {
        let once = STANDARD.encode(mk_pem());
        assert!(read(&once).is_ok());
        assert!(read(&STANDARD.encode(&once)).is_ok());
        assert!(read(&format!("{}\n{}", &once[..64], &once[64..])).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(read("###").unwrap_err().starts_with("is not base64"));
        assert!(
            read(&STANDARD.encode("hello"))
                .unwrap_err()
                .contains("BEGIN CERTIFICATE")
        );
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(read(&STANDARD.encode(broken)).unwrap_err().contains("block 1"));
    }
}
