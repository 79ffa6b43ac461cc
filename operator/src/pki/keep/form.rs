//! The forms of Secrets and ConfigMaps: those of cert-manager and of kube-apiserver.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use serde_json::json;

use super::told::Told;
use super::{Authority, Pair, Publication};

/// What the operator made bears this label; what does not was given to it.
pub(super) const MARK: (&str, &str) = ("app.kubernetes.io/managed-by", "genkan-operator");

/// The annotation of a ConfigMap that says since when each authority of it is told of.
pub(super) const NOTE: &str = "genkan.io/authorities";

/// The type of a Secret with a certificate and its key.
pub(super) const TLS: &str = "kubernetes.io/tls";

/// A Secret as it was found.
#[derive(Debug)]
pub(super) struct Stored {
    pub secret: Secret,
    pub is_ours: bool,
}

// === impl Stored ===

impl Stored {
    pub fn new(secret: Secret) -> Self {
        let is_ours = secret.labels().get(MARK.0).is_some_and(|value| value == MARK.1);
        Self { secret, is_ours }
    }

    pub fn pair(&self) -> Pair {
        Pair {
            certificate: self.text("tls.crt"),
            key: self.text("tls.key"),
            ca: self.text("ca.crt"),
        }
    }

    pub fn authority(&self) -> Authority {
        Authority {
            certificate: self.text("tls.crt"),
            key: self.text("tls.key"),
        }
    }

    /// Nothing where the key is absent: what is wrong with nothing is told by whoever reads it.
    fn text(&self, key: &str) -> String {
        let data = self.secret.data.as_ref().and_then(|data| data.get(key));
        data.and_then(|bytes| String::from_utf8(bytes.0.clone()).ok())
            .unwrap_or_default()
    }
}

pub(super) fn of_pair(pair: &Pair) -> BTreeMap<String, ByteString> {
    data([
        ("tls.crt", &pair.certificate),
        ("tls.key", &pair.key),
        ("ca.crt", &pair.ca),
    ])
}

pub(super) fn of_authority(authority: &Authority) -> BTreeMap<String, ByteString> {
    data([("tls.crt", &authority.certificate), ("tls.key", &authority.key)])
}

fn data<const N: usize>(entries: [(&str, &String); N]) -> BTreeMap<String, ByteString> {
    let bytes = |text: &String| ByteString(text.clone().into_bytes());
    entries.map(|(key, text)| (key.to_owned(), bytes(text))).into()
}

// === impl Publication ===

impl Publication {
    /// The key that holds authorities.
    fn key(&self) -> &'static str {
        match self {
            Self::Authority => "ca.crt",
            Self::RequestHeader { .. } => "requestheader-client-ca-file",
        }
    }

    /// What clients were told of until now.
    pub(super) fn told(&self, map: Option<&ConfigMap>) -> Told {
        let text = map.and_then(|map| map.data.as_ref()?.get(self.key()));
        let note = map.and_then(|map| map.annotations().get(NOTE));
        Told::read(text.map_or("", String::as_str), note.map(String::as_str))
    }

    /// `pair` is in use, or will be.
    pub(super) fn data(&self, pair: &Pair, told: &Told) -> BTreeMap<String, String> {
        let list = |text: &str| json!([text]).to_string();
        let entries = match self {
            Self::Authority => vec![(self.key(), told.text())],
            Self::RequestHeader { client } => vec![
                (self.key(), told.text()),
                (
                    "requestheader-allowed-names",
                    list(&pair.common_name().unwrap_or_else(|| client.clone())),
                ),
                ("requestheader-username-headers", list("X-Remote-User")),
                ("requestheader-uid-headers", list("X-Remote-Uid")),
                ("requestheader-group-headers", list("X-Remote-Group")),
                ("requestheader-extra-headers-prefix", list("X-Remote-Extra-")),
            ],
        };
        entries
            .into_iter()
            .map(|(key, text)| (key.to_owned(), text))
            .collect()
    }
}
