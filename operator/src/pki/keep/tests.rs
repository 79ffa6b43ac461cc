//! Forms alone; what is done with them is proved on a real API server.

use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;

use super::form::{MARK, Stored, of_authority, of_pair};
use super::*;

fn mk_pair() -> (Authority, Pair) {
    let now = SystemTime::now();
    let authority = Authority::make("test", now).unwrap();
    let pair = authority
        .sign(&Purpose::Client("genkan-dataplane".into()), now)
        .unwrap();
    (authority, pair)
}

#[test]
fn a_request_header_config_map_reads_as_that_of_kube_apiserver() {
    let (_, pair) = mk_pair();
    let client = "genkan-dataplane".to_owned();
    let data = Publication::RequestHeader { client }.data(&pair);
    let keys: Vec<_> = data.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "requestheader-allowed-names",
            "requestheader-client-ca-file",
            "requestheader-extra-headers-prefix",
            "requestheader-group-headers",
            "requestheader-uid-headers",
            "requestheader-username-headers",
        ]
    );
    assert_eq!(data["requestheader-allowed-names"], r#"["genkan-dataplane"]"#);
    assert_eq!(
        data["requestheader-extra-headers-prefix"],
        r#"["X-Remote-Extra-"]"#
    );
    assert_eq!(data["requestheader-client-ca-file"], pair.ca);
    assert!(!data.values().any(|value| value.contains("PRIVATE")));
}

#[test]
fn a_pair_never_carries_the_key_of_its_authority() {
    let (authority, pair) = mk_pair();
    let data = of_pair(&pair);
    assert_eq!(data.keys().collect::<Vec<_>>(), ["ca.crt", "tls.crt", "tls.key"]);
    let key = authority.key.as_bytes();
    assert!(data.values().all(|value| value.0 != key));
    assert_eq!(of_authority(&authority).len(), 2);
}

#[test]
fn what_bears_no_mark_was_given() {
    let (authority, pair) = mk_pair();
    let mut secret = Secret {
        data: Some(of_pair(&pair)),
        metadata: ObjectMeta {
            labels: Some([(MARK.0.to_owned(), "Helm".to_owned())].into()),
            ..ObjectMeta::default()
        },
        ..Secret::default()
    };
    assert!(!Stored::new(secret.clone()).is_ours);
    secret.metadata.labels = Some([(MARK.0.to_owned(), MARK.1.to_owned())].into());
    let stored = Stored::new(secret);
    assert!(stored.is_ours);
    assert_eq!(stored.pair(), pair);
    let empty = Stored::new(Secret::default());
    assert!(!empty.is_ours);
    assert_eq!(
        empty
            .pair()
            .examine(&Purpose::Client(String::new()), SystemTime::now())
            .unwrap_err(),
        super::super::Flaw::Certificate
    );
    assert_eq!(authority.examine(SystemTime::now()), Ok(()));
}
