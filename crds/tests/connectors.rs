//! What the types of the connector kinds read, and give back.

#![allow(clippy::unwrap_used)]

use genkan_crds::connectors::{
    ConnectorClassSpec, ConnectorClassStatus, ConnectorSpec, ConnectorStatus, ResourceInterfaceSpec,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const CLASS: &str = include_str!("../testdata/connectors/class-tickets.yaml");
const CONNECTOR: &str = include_str!("../testdata/connectors/connector-board.yaml");
const DOCUMENTED: &str = include_str!("../testdata/connectors/class-gitlab.yaml");
const FORM: &str = include_str!("../testdata/connectors/resource-interface.yaml");

fn spec(text: &str) -> Value {
    let object: Value = serde_yaml::from_str(text).unwrap();
    object["spec"].clone()
}

fn comes_back<T: DeserializeOwned + Serialize>(written: &Value) -> T {
    let read: T = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(&serde_json::to_value(&read).unwrap(), written);
    read
}

#[test]
fn what_is_written_comes_back() {
    comes_back::<ConnectorSpec>(&spec(CONNECTOR));
    comes_back::<ResourceInterfaceSpec>(&spec(FORM));
    let class: ConnectorClassSpec = comes_back(&spec(CLASS));
    assert_eq!(class.auth.unwrap().types[0].secret_type(), "Opaque");
    let proxy = class.proxy.unwrap();
    assert_eq!(
        proxy.destination.ca_certs.as_deref(),
        Some("-----BEGIN CERTIFICATE-----\n")
    );
    let documented: ConnectorClassSpec = comes_back(&spec(DOCUMENTED));
    let api = documented.api.unwrap();
    assert!(api.openapi.unwrap().contains_key("paths"));
    assert!(api.destination.reference.unwrap().is_service());
}

#[test]
fn statuses_come_back() {
    comes_back::<ConnectorStatus>(&json!({
        "observedGeneration": 2,
        "annotations": {"a": "b"},
        "api": {"path": "/connectors/v1alpha1/team-a/board/path"},
        "proxy": {"httpAddress": {"url": "http://c-board.team-a.svc.cluster.local"}},
        "proxies": "2/3",
        "credential": {"changedAt": "2026-01-02T03:04:05Z", "lastUsed": "2026-01-02T03:04:05Z"},
        "conditions": [
            {"type": "AuthReady", "status": "True"},
            {
                "type": "CACertReady", "status": "False", "severity": "Info", "reason": "InvalidPEM", "message": "m",
                "lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": 2,
            },
        ],
    }));
    comes_back::<ConnectorClassStatus>(&json!({
        "api": {"address": {"url": "http://tickets-api.tools.svc.cluster.local/v1", "CACerts": "pem"}},
        "proxy": {"httpAddress": {"url": "http://p.n.svc.cluster.local"}},
        "credentialHosts": ["tickets-api.tools.svc.cluster.local"],
    }));
}

/// The schema may have become stricter since an object was stored.
#[test]
fn whatever_is_stored_can_be_read() {
    let class: ConnectorClassSpec = serde_json::from_value(json!({
        "address": {"type": "string"},
        "authProbes": [{}],
        "auth": {"types": [{"generator": {"oauth2": {}}, "secretType": "kubernetes.io/opaque"}]},
        "api": {"ref": {"namespace": "n"}, "openapi": null},
        "configurations": [{}],
        "later": true,
    }))
    .unwrap();
    assert_eq!(class.address.unwrap().address_name(), "address");
    assert_eq!(class.auth.unwrap().types[0].secret_type(), "Opaque");
    let connector: ConnectorSpec = serde_json::from_value(json!({
        "address": null, "auth": {"secretRef": {"namespace": "other"}}, "params": [{}],
    }))
    .unwrap();
    let secret = connector.auth.unwrap().secret_ref.unwrap();
    assert_eq!((secret.named(), secret.stays_in("own")), (None, false));
}
