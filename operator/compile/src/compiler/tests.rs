use bytes::Bytes;
use genkan_proto::codec;
use genkan_routing::model::Published;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::*;
use crate::index::Change;
use crate::object::{Kind, Object, Watched};

mod extensions;
mod sizes;

/// What would be sent: of each resource its bytes, and the step at which they last changed.
#[derive(Default)]
struct World {
    sent: BTreeMap<String, (Bytes, u64)>,
    step: u64,
}

impl World {
    fn apply(&mut self, upserts: Vec<Resource>, removals: &[ResourceKey]) {
        self.step += 1;
        for key in removals {
            self.sent.remove(&key.to_string());
        }
        for resource in upserts {
            let bytes = codec::encode(&resource);
            let sent = self.sent.entry(resource.key.to_string()).or_default();
            if sent.0 != bytes {
                *sent = (bytes, self.step);
            }
        }
    }

    fn bytes(&self) -> Vec<(&str, &Bytes)> {
        let all = self.sent.iter();
        all.map(|(key, (bytes, _))| (key.as_str(), bytes)).collect()
    }
}

/// Index, compiler and world together, as the engine holds them.
#[derive(Default)]
struct Rig {
    index: Index,
    compiler: Compiler,
    world: World,
}

impl Rig {
    /// Returns the keys that were compiled again.
    fn take(&mut self, changes: Vec<Change>) -> Vec<String> {
        let mut dirty = Dirty::default();
        changes.into_iter().for_each(|c| self.index.take(c, &mut dirty));
        let out = self.compiler.compile(&self.index, &dirty);
        let mut keys: Vec<String> = out.upserts.iter().map(|r| r.key.to_string()).collect();
        keys.extend(out.removals.iter().map(|k| format!("-{k}")));
        self.world.apply(out.upserts, &out.removals);
        keys.sort();
        keys
    }

    fn keys(&self) -> Vec<&str> {
        self.world.sent.keys().map(String::as_str).collect()
    }

    fn accepted(&self, name: &str) -> &Finding {
        &self
            .compiler
            .verdict(&ObjectKey::reverse_proxy(name))
            .unwrap()
            .accepted
    }
}

fn mk_object(kind: Kind, value: serde_json::Value) -> Change {
    Change::Apply(Box::new(Object::read(kind, value).unwrap()))
}

fn mk_proxy(name: &str, path: &str, upstream: serde_json::Value) -> Change {
    let spec = json!({"matcher": {"path": path, "method": "*"}, "upstream": upstream});
    mk_object(
        Kind::Published(Published::ReverseProxy),
        json!({"metadata": {"name": name, "uid": name}, "spec": spec}),
    )
}

fn mk_service(name: &str, port: u16) -> Change {
    let value = json!({"metadata": {"namespace": "n", "name": name}, "spec": {"ports": [{"port": port}]}});
    mk_object(Kind::Watched(Watched::Service), value)
}

fn mk_slice(service: &str, address: &str) -> Change {
    let value = json!({
        "metadata": {"namespace": "n", "name": service, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": [address]}],
    });
    mk_object(Kind::Watched(Watched::EndpointSlice), value)
}

fn to(service: &str) -> serde_json::Value {
    json!({"service": {"namespace": "n", "name": service, "port": 80, "scheme": "http"}})
}

fn delete(kind: Kind, name: &str) -> Change {
    let namespace = if matches!(
        kind,
        Kind::Published(Published::ReverseProxy | Published::ApiService | Published::GatewayExtension)
    ) {
        ""
    } else {
        "n"
    };
    Change::Delete(kind, (namespace.into(), name.into()))
}

#[test]
fn an_endpoint_change_compiles_no_route() {
    let mut rig = Rig::default();
    rig.take(vec![
        mk_proxy("x", "/proxy/x", to("s")),
        mk_service("s", 80),
        mk_slice("s", "10.0.0.1"),
    ]);
    assert_eq!(rig.keys(), ["Endpoints/n/s:80", "ReverseProxy/x"]);
    let before = rig.world.sent["ReverseProxy/x"].clone();
    rig.take(vec![mk_slice("s", "10.0.0.2")]);
    assert_eq!(rig.world.sent["ReverseProxy/x"], before);
    assert_eq!(rig.world.sent["Endpoints/n/s:80"].1, 2);
}

#[test]
fn what_nobody_names_is_not_sent() {
    let mut rig = Rig::default();
    assert_eq!(
        rig.take(vec![mk_service("s", 80), mk_slice("s", "10.0.0.1")]),
        [""; 0]
    );
    rig.take(vec![
        mk_proxy("x", "/proxy/x", to("s")),
        mk_proxy("y", "/proxy/y", to("s")),
    ]);
    rig.take(vec![delete(Kind::Published(Published::ReverseProxy), "x")]);
    assert_eq!(rig.keys(), ["Endpoints/n/s:80", "ReverseProxy/y"]);
    rig.take(vec![delete(Kind::Published(Published::ReverseProxy), "y")]);
    assert_eq!(rig.keys(), [""; 0]);
    assert!(rig.world.sent.is_empty());
}

#[test]
fn a_service_that_comes_and_goes_makes_and_breaks_its_routes_only() {
    let mut rig = Rig::default();
    rig.take(vec![
        mk_proxy("x", "/proxy/x", to("s")),
        mk_proxy("y", "/proxy/y", to("t")),
        mk_service("t", 80),
    ]);
    let verdict = |rig: &Rig| {
        rig.compiler
            .verdict(&ObjectKey::reverse_proxy("x"))
            .unwrap()
            .resolved
            .clone()
    };
    assert_eq!(verdict(&rig).reason, "BackendNotFound");
    let touched = rig.take(vec![mk_service("s", 80)]);
    assert_eq!(touched, ["Endpoints/n/s:80", "ReverseProxy/x"]);
    assert!(verdict(&rig).ok);
    rig.take(vec![mk_service("s", 8080)]);
    assert_eq!(
        verdict(&rig).message,
        "Service n/s has no port 80; its only port is 8080"
    );
    rig.take(vec![delete(Kind::Watched(Watched::Service), "s")]);
    assert_eq!(verdict(&rig).reason, "BackendNotFound");
    assert_eq!(
        rig.keys(),
        ["Endpoints/n/t:80", "ReverseProxy/x", "ReverseProxy/y"]
    );
}

#[test]
fn both_sides_of_a_conflict_learn_of_it_and_of_its_end() {
    let mut rig = Rig::default();
    let url = json!({"url": "http://b.example"});
    rig.take(vec![
        mk_proxy("a", "/proxy/x/*", url.clone()),
        mk_proxy("b", "/proxy/x/*", url.clone()),
    ]);
    assert_eq!(rig.accepted("b").reason, "Conflicted");
    assert!(rig.accepted("b").message.contains("ReverseProxy a"));
    assert!(
        rig.accepted("a").message.contains("wins over ReverseProxy b"),
        "{}",
        rig.accepted("a").message
    );
    rig.take(vec![delete(Kind::Published(Published::ReverseProxy), "b")]);
    assert!(!rig.accepted("a").message.contains("wins over"));
    rig.take(vec![mk_proxy("b", "/proxy/x/*", url.clone())]);
    rig.take(vec![delete(Kind::Published(Published::ReverseProxy), "a")]);
    assert!(rig.accepted("b").ok);
    rig.take(vec![
        mk_proxy("wide", "*", url.clone()),
        mk_proxy("wider", "/proxy*", url),
    ]);
    assert_eq!(rig.accepted("wide").reason, "Shadowed");
    assert!(
        rig.accepted("wider")
            .message
            .contains("wins over ReverseProxy wide")
    );
}

/// One event: its kind and name, and what it makes of them.
fn event() -> impl Strategy<Value = (Kind, String, Option<Change>)> {
    let paths = select(&["/proxy/a*", "/proxy/b", "*", "/proxy*", "/proxy/a/b*"][..]);
    let service = || (0..3u8).prop_map(|n| format!("s{n}"));
    let applied = prop_oneof![
        (0..6u8, paths, service()).prop_map(|(n, path, service)| {
            let name = format!("p{n}");
            let change = mk_proxy(&name, path, to(&service));
            (Kind::Published(Published::ReverseProxy), name, change)
        }),
        (service(), 0..4u8).prop_map(|(service, n)| {
            let change = mk_service(&service, if n == 0 { 81 } else { 80 });
            (Kind::Watched(Watched::Service), service, change)
        }),
        (service(), 1..5u8).prop_map(|(service, last)| {
            let change = mk_slice(&service, &format!("10.0.0.{last}"));
            (Kind::Watched(Watched::EndpointSlice), service, change)
        }),
    ];
    (applied, 0..3u8).prop_map(|((kind, name, change), fate)| (kind, name, (fate > 0).then_some(change)))
}

proptest! {
    /// Whatever the order of events, the outcome is that of a fresh compile of what exists at the end.
    #[test]
    fn incremental_equals_from_scratch(events in vec(event(), 1..60)) {
        let mut rig = Rig::default();
        let mut live: BTreeMap<(Kind, String), Change> = BTreeMap::new();
        for (kind, name, change) in events {
            match change {
                None => {
                    live.remove(&(kind, name.clone()));
                    rig.take(vec![delete(kind, &name)]);
                }
                Some(change) => {
                    live.insert((kind, name), change.clone());
                    rig.take(vec![change]);
                }
            }
        }
        let mut fresh = Rig::default();
        fresh.take(live.values().cloned().collect());
        prop_assert_eq!(rig.keys(), fresh.keys());
        prop_assert_eq!(rig.world.bytes(), fresh.world.bytes());
        prop_assert!(rig.compiler.verdicts().eq(fresh.compiler.verdicts()));
    }
}

fn mk_with_expressions(name: &str, day: i64, rules: Vec<String>) -> Change {
    mk_object(
        Kind::Published(Published::ReverseProxy),
        json!({
            "metadata": {"name": name, "uid": name, "creationTimestamp": format!("2026-01-{day:02}T00:00:00Z")},
            "spec": {
                "matcher": {"path": format!("/proxy/{name}"), "method": "*"},
                "upstream": {"url": "http://b.example"},
                "directives": {"pathRegexp": rules},
            },
        }),
    )
}

/// As much as one object may have.
fn mk_large_rules(first: i64) -> Vec<String> {
    (first..first + 30)
        .map(|number| format!("a{{1000}}b{number} x"))
        .collect()
}

#[test]
fn expressions_of_one_author_leave_those_of_others_alone() {
    let mut rig = Rig::default();
    // Young to old: nobody's place depends on when it was seen.
    let days = (1..=28).rev();
    let many = days.map(|day| mk_with_expressions(&format!("o{day:02}"), day, mk_large_rules(day * 100)));
    rig.take(many.collect());
    let refused = |rig: &Rig| {
        let all = rig.compiler.verdicts();
        let refused = all.filter(|(_, verdict)| verdict.accepted.reason == "OverBudget");
        refused.map(|(key, _)| key.name.clone()).collect::<Vec<_>>()
    };
    let young = refused(&rig);
    let first = 28 - young.len() + 1;
    assert!((10..28).contains(&first), "{young:?}");
    assert_eq!(young[0], format!("o{first:02}"), "all others are older");
    let finding = rig.accepted(&young[0]).clone();
    assert!(
        !finding.ok && finding.message.contains("of 524288"),
        "{}",
        finding.message
    );
    // One with ordinary expressions is no matter, and nor is one whose expressions are those of another.
    let ordinary = vec!["^/proxy/([^/]+)/(.*)$ /$2/$1".to_owned()];
    rig.take(vec![
        mk_with_expressions("ordinary", 30, ordinary),
        mk_with_expressions("equal", 29, mk_large_rules(100)),
    ]);
    assert!(rig.accepted("ordinary").ok && rig.accepted("equal").ok);
    assert_eq!(refused(&rig), young);
    // Room that is given back goes to the oldest that waits, and it is compiled again.
    let compiled = rig.take(vec![delete(Kind::Published(Published::ReverseProxy), "o02")]);
    assert!(
        compiled.contains(&format!("ReverseProxy/{}", young[0])),
        "{compiled:?}"
    );
    assert_eq!(refused(&rig), young[1..]);
}
