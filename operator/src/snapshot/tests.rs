use std::sync::Arc;

use genkan_routing::model::policy::RevisionEntries;
use genkan_routing::model::{
    Endpoint, EndpointSet, ExtensionRevision, ObjectKey, ObjectRef, Published, SetKey,
};

use super::*;

fn mk_key(service: &str) -> SetKey {
    SetKey {
        namespace: "n".into(),
        service: service.into(),
        port: 80,
    }
}

fn key(service: &str) -> ResourceKey {
    mk_key(service).into()
}

fn mk_set(service: &str, port: u16) -> Resource {
    let endpoint = Endpoint {
        address: [10, 0, 0, 1].into(),
        port,
    };
    let set = EndpointSet {
        endpoints: vec![endpoint],
    };
    Resource::endpoints(mk_key(service), set)
}

#[tokio::test]
async fn equal_bytes_are_no_change() {
    let mut resources = Resources::default();
    assert_eq!(resources.hash(), Hash::empty());
    assert!(resources.apply(vec![mk_set("a", 1), mk_set("b", 1)], &[], Instant::now()));
    let hash = resources.hash();
    assert!(!resources.apply(vec![mk_set("a", 1)], &[key("nobody")], Instant::now()));
    assert_eq!((resources.hash(), resources.sequence()), (hash, 1));
}

#[tokio::test]
async fn only_what_changed_gets_a_new_sequence() {
    let mut resources = Resources::default();
    resources.apply(vec![mk_set("a", 1), mk_set("b", 1)], &[], Instant::now());
    resources.apply(vec![mk_set("b", 2)], &[], Instant::now());
    assert_eq!(resources.since(&key("a")).unwrap().sequence, 1);
    assert_eq!(resources.since(&key("b")).unwrap().sequence, 2);
    resources.apply(vec![], &[key("a"), key("b")], Instant::now());
    assert_eq!(
        (resources.hash(), resources.since(&key("a"))),
        (Hash::empty(), None)
    );
}

#[tokio::test]
async fn insertion_order_does_not_show() {
    let (mut one, mut two) = (Resources::default(), Resources::default());
    one.apply(vec![mk_set("a", 1), mk_set("b", 1)], &[], Instant::now());
    two.apply(vec![mk_set("b", 1)], &[], Instant::now());
    two.apply(vec![mk_set("a", 1)], &[], Instant::now());
    assert_eq!(one.hash(), two.hash());
    let (one, two) = (one.difference(None), two.difference(None));
    assert_eq!((one.base, one.upserts), (two.base, two.upserts));
}

#[tokio::test]
async fn who_is_behind_is_told_what_changed_since_and_no_more() {
    let mut resources = Resources::default();
    resources.apply(
        vec![mk_set("a", 1), mk_set("b", 1), mk_set("c", 1)],
        &[],
        Instant::now(),
    );
    let before = resources.hash();
    resources.apply(vec![mk_set("b", 2)], &[key("c")], Instant::now());
    resources.apply(vec![mk_set("b", 3)], &[], Instant::now());
    let change = resources.difference(Some(before));
    assert_eq!(change.base, Some(before));
    assert_eq!(change.keys, [key("b").to_string()]);
    assert_eq!(change.upserts, [codec::encode(&mk_set("b", 3))]);
    assert_eq!(change.removals, [key("c").to_string()]);
    let present = resources.hash();
    let nothing = resources.difference(Some(present));
    assert!(nothing.base == Some(present) && nothing.upserts.is_empty() && nothing.removals.is_empty());
    let stranger = resources.difference(Some(Hash([7; 32])));
    assert_eq!((stranger.base, stranger.upserts.len()), (None, 2));
}

#[tokio::test]
async fn bytes_are_made_once_for_all_streams() {
    let feed = Feed::default();
    let apply = |set| feed.resources().apply(vec![set], &[], Instant::now());
    apply(mk_set("a", 1));
    let everything = feed.push(None).await.unwrap();
    assert_eq!((everything.base, &everything.scope), (None, &Scope::Everything));
    apply(mk_set("b", 1));
    // What was made before still serves a newcomer, who is then told the rest.
    let again = feed.push(Some(Hash([7; 32]))).await.unwrap();
    assert!(Arc::ptr_eq(&everything, &again));
    let one = feed.push(Some(again.version.hash)).await.unwrap();
    let other = feed.push(Some(again.version.hash)).await.unwrap();
    assert!(Arc::ptr_eq(&one, &other));
    assert_eq!(
        (one.base, &one.scope),
        (Some(again.version.hash), &Scope::Only(vec![]))
    );
    assert_eq!(one.version.hash, feed.resources().hash());
}

fn mk_revision(target: &str) -> Resource {
    let key = ObjectKey::cluster(Published::GatewayExtension, "corp");
    Resource::revision(ExtensionRevision {
        object: ObjectRef::new(key, "u", 1),
        target: RevisionEntries {
            id: target.into(),
            entries: Vec::new(),
        },
        stable: None,
        restores_stable: false,
        allow_fail_open: Vec::new(),
        secrets: Vec::new(),
    })
}

/// It would take the revision of an extension that it meets first.
#[tokio::test]
async fn a_newcomer_never_begins_with_an_old_revision() {
    let feed = Feed::default();
    let apply = |resource| feed.resources().apply(vec![resource], &[], Instant::now());
    apply(mk_revision("first"));
    let first = feed.push(None).await.unwrap();
    apply(mk_revision("second"));
    let second = feed.push(None).await.unwrap();
    assert_eq!(second.base, None);
    assert_eq!(second.version.hash, feed.resources().hash());
    assert_ne!(second.version.hash, first.version.hash);
}

fn mk_secret(value: &str) -> Secret {
    Secret {
        kind: "Opaque".into(),
        data: [("k".to_owned(), zeroize::Zeroizing::new(value.as_bytes().to_vec()))].into(),
    }
}

fn seal(resources: &mut Resources, name: &str, value: Option<&str>) -> bool {
    let (mut upserts, mut removals) = (Vec::new(), Vec::new());
    let change = (SecretKey::new("n", name), value.map(mk_secret));
    resources.seal(vec![change], &mut upserts, &mut removals);
    resources.apply(upserts, &removals, Instant::now())
}

fn names(secrets: &[Arc<SealedSecret>]) -> Vec<String> {
    secrets.iter().map(|sealed| sealed.key.to_string()).collect()
}

#[tokio::test]
async fn the_hash_names_the_values_of_secrets_and_only_changed_ones_are_sent_again() {
    let mut resources = Resources::default();
    assert!(seal(&mut resources, "a", Some("one")) && seal(&mut resources, "b", Some("one")));
    let before = resources.hash();
    assert!(
        !seal(&mut resources, "a", Some("one")),
        "the same value is no change"
    );
    assert!(seal(&mut resources, "a", Some("two")));
    let change = resources.difference(Some(before));
    assert_eq!(names(&change.secrets), ["Secret/n/a"]);
    assert_eq!(change.keys, ["Secret/n/a"]);
    let everything = resources.difference(None);
    assert_eq!(names(&everything.secrets), ["Secret/n/a", "Secret/n/b"]);
    for bytes in everything.upserts.iter().chain(&change.upserts) {
        assert!(
            !bytes
                .windows(3)
                .any(|window| window == b"one" || window == b"two")
        );
    }
    // What was there before has the name that it had: the content is what is hashed.
    assert!(seal(&mut resources, "a", Some("one")));
    assert_eq!(resources.hash(), before);
    assert!(seal(&mut resources, "a", None) && !seal(&mut resources, "a", None));
    assert_eq!(names(&resources.secrets()), ["Secret/n/b"]);
}

#[tokio::test]
async fn nobody_without_the_key_can_tell_which_value_has_a_hash() {
    let with = |key: &HashKey| {
        let mut resources = Resources::default();
        assert!(!resources.rekey(key.clone(), Instant::now()));
        seal(&mut resources, "a", Some("one"));
        seal(&mut resources, "b", Some("one"));
        resources
    };
    let [key, other] = [(); 2].map(|()| HashKey::random());
    assert_eq!(
        with(&key).hash(),
        with(&key).hash(),
        "an operator that starts again"
    );
    assert_ne!(with(&key).hash(), with(&other).hash());
    let secrets = with(&key).secrets();
    assert_ne!(secrets[0].hash, secrets[1].hash, "equal values do not show");
    let mut rekeyed = with(&other);
    assert!(rekeyed.rekey(key.clone(), Instant::now()));
    assert_eq!(rekeyed.hash(), with(&key).hash());
    assert!(!rekeyed.rekey(key.clone(), Instant::now()));
    assert_eq!(HashKey::read(key.bytes()), Some(key.clone()));
    assert_eq!(HashKey::read(b"short"), None);
    assert_eq!(format!("{key:?}"), "HashKey(..)");
}
