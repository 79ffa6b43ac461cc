//! What the API of a class is told: the address of the tool, and the Secret.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::model::Secret;

/// All of them, as lines.
pub fn lines(address: &str, held: Option<&Secret>) -> Vec<(String, Zeroizing<String>)> {
    let line = |name: &str, value: String| (name.to_owned(), Zeroizing::new(value));
    let mut lines = vec![line("X-Plugin-Meta", meta(address))];
    if let Some(held) = held {
        lines.push(line("X-Plugin-Auth", auth(&held.kind)));
        lines.push(("X-Plugin-Secret".to_owned(), secret(held)));
    }
    lines
}

/// `X-Plugin-Meta`.
pub(super) fn meta(address: &str) -> String {
    STANDARD.encode(serde_json::json!({ "baseURL": address }).to_string())
}

/// `X-Plugin-Auth`.
pub(super) fn auth(kind: &str) -> String {
    STANDARD.encode(kind)
}

/// `X-Plugin-Secret`: keys in their order, each value as Kubernetes writes it.
pub(super) fn secret(secret: &Secret) -> Zeroizing<String> {
    let data: BTreeMap<&str, Zeroizing<String>> = secret
        .data
        .iter()
        .map(|(key, value)| (key.as_str(), Zeroizing::new(STANDARD.encode(value.as_slice()))))
        .collect();
    let data: BTreeMap<&str, &str> = data.iter().map(|(key, value)| (*key, value.as_str())).collect();
    // A map of text always has a form in JSON.
    let json = Zeroizing::new(serde_json::to_string(&data).unwrap_or_default());
    Zeroizing::new(STANDARD.encode(json.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_samples_are_met_byte_for_byte() {
        assert_eq!(
            meta("https://git.example.test"),
            "eyJiYXNlVVJMIjoiaHR0cHM6Ly9naXQuZXhhbXBsZS50ZXN0In0="
        );
        assert_eq!(auth("Opaque"), "T3BhcXVl");
        let mk_secret = |data: &[(&str, &[u8])]| Secret {
            kind: "Opaque".into(),
            data: data
                .iter()
                .map(|(key, value)| ((*key).to_owned(), Zeroizing::new(value.to_vec())))
                .collect(),
        };
        let basic = mk_secret(&[("username", b"u"), ("password", b"p")]);
        assert_eq!(
            *secret(&basic),
            "eyJwYXNzd29yZCI6ImNBPT0iLCJ1c2VybmFtZSI6ImRRPT0ifQ=="
        );
        assert_eq!(
            *secret(&mk_secret(&[("blob", b"\x00\xff\x10")])),
            "eyJibG9iIjoiQVA4USJ9"
        );
    }
}
