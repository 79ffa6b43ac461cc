use genkan_routing::model::Published;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn mk_slice(name: &str, service: &str) -> Object {
    let value = json!({
        "metadata": {"namespace": "n", "name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}],
    });
    Object::read(Kind::Watched(Watched::EndpointSlice), value).unwrap()
}

fn mk_proxy(name: &str) -> Object {
    let value = json!({"metadata": {"name": name}, "spec": {
        "matcher": {"path": "/proxy/x", "method": "*"}, "upstream": {"url": "http://backend.example"}}});
    Object::read(Kind::Published(Published::ReverseProxy), value).unwrap()
}

fn key(name: &str) -> Key {
    ("n".into(), name.into())
}

#[test]
fn a_list_removes_what_it_does_not_name() {
    let (mut index, mut dirty) = (Index::default(), Dirty::default());
    index.take(Change::Apply(Box::new(mk_proxy("a"))), &mut dirty);
    index.take(Change::Apply(Box::new(mk_proxy("b"))), &mut dirty);
    let mut dirty = Dirty::default();
    index.take(
        Change::Reset(Kind::Published(Published::ReverseProxy), vec![mk_proxy("b")]),
        &mut dirty,
    );
    let kept: Vec<_> = index.published.keys().cloned().collect();
    assert_eq!(kept, [ObjectKey::reverse_proxy("b")]);
    assert!(dirty.published.contains(&ObjectKey::reverse_proxy("a")));
}

#[test]
fn a_slice_that_moves_concerns_both_services() {
    let (mut index, mut dirty) = (Index::default(), Dirty::default());
    index.take(Change::Apply(Box::new(mk_slice("s", "old"))), &mut dirty);
    let mut dirty = Dirty::default();
    index.take(Change::Apply(Box::new(mk_slice("s", "new"))), &mut dirty);
    assert_eq!(dirty.endpoints, BTreeSet::from([key("old"), key("new")]));
    assert!(!index.slices.contains_key(&key("old")));
    let mut dirty = Dirty::default();
    index.take(Change::Apply(Box::new(mk_slice("s", "new"))), &mut dirty);
    assert!(dirty.is_empty(), "an echo is no change");
    index.take(
        Change::Delete(Kind::Watched(Watched::EndpointSlice), key("s")),
        &mut dirty,
    );
    assert!(index.slices.is_empty() && dirty.endpoints.contains(&key("new")));
}

#[test]
fn nothing_is_synced_before_every_kind_was_listed() {
    let (mut index, mut dirty) = (Index::default(), Dirty::default());
    for kind in Kind::all() {
        assert!(!index.is_synced());
        index.take(Change::Reset(kind, vec![]), &mut dirty);
    }
    assert!(index.is_synced());
}

#[test]
fn an_unreadable_specification_is_kept() {
    let value = json!({"metadata": {"name": "x"}, "spec": {"matcher": "wrong"}});
    let Object::Published(record) = Object::read(Kind::Published(Published::ReverseProxy), value).unwrap()
    else {
        panic!()
    };
    assert!(record.spec.unwrap_err().starts_with("spec cannot be read"));
}

proptest! {
    /// Changes against the simplest model there is: a map that is cleared and filled.
    #[test]
    fn agrees_with_a_naive_map(changes in vec((0..6u8, 0..3u8, 0..4u8), 0..300)) {
        let (mut index, mut naive) = (Index::default(), BTreeMap::<String, String>::new());
        for (name, service, change) in changes {
            let (name, service) = (format!("s{name}"), format!("svc{service}"));
            let slice = mk_slice(&name, &service);
            let kind = Kind::Watched(Watched::EndpointSlice);
            let change = match change {
                0 => {
                    naive.remove(&name);
                    Change::Delete(kind, key(&name))
                }
                1 => {
                    naive = BTreeMap::from([(name, service)]);
                    Change::Reset(kind, vec![slice])
                }
                _ => {
                    naive.insert(name, service);
                    Change::Apply(Box::new(slice))
                }
            };
            index.take(change, &mut Dirty::default());
            let got: BTreeMap<String, String> = (index.slices.iter())
                .flat_map(|(owner, slices)| slices.keys().map(|s| (s.clone(), owner.1.clone())))
                .collect();
            prop_assert_eq!(&got, &naive);
        }
    }
}
