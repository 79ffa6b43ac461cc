use std::collections::BTreeMap;
use std::sync::LazyLock;

use genkan_routing::model::{
    Action, Authorities, Blob, Endpoint, EndpointSet, ObjectKey, Resource, ResourceBody, Route as Model, Tls,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use genkan_routing::model::Matcher;

use super::*;
use crate::names::System;
use crate::tables::Current;

mod extensions;

fn mk_builder() -> Builder {
    let names = Names::new(Arc::new(System::default()), Arc::default());
    Builder::new(Arc::new(names), Arc::default())
}

fn mk_set(service: &str) -> SetKey {
    SetKey {
        namespace: "n".into(),
        service: service.into(),
        port: 80,
    }
}

fn mk_endpoints(service: &str, last: u8) -> Resource {
    let endpoint = Endpoint {
        address: [10, 0, 0, last].into(),
        port: 80,
    };
    let endpoints = if last == 0 { vec![] } else { vec![endpoint] };
    Resource::endpoints(mk_set(service), EndpointSet { endpoints })
}

fn mk_model(key: ObjectKey, matcher: Matcher, service: &str, generation: i64) -> Resource {
    Resource::route(Model {
        object: ObjectRef::new(key, "u", generation),
        matcher,
        directives: None,
        action: model::Action::Forward(model::Upstream {
            authority: format!("{service}.n.svc"),
            base_path: String::new(),
            target: model::Target::Endpoints(mk_set(service)),
            tls: None,
            http2: false,
            fronting: Default::default(),
            https_by_default: false,
        }),
        forward_authorization: false,
        secrets: Vec::new(),
        role: model::Role::None,
        policies: None,
    })
}

fn mk_proxy(name: &str, path: &str, service: &str, generation: i64) -> Resource {
    let matcher = Matcher::ReverseProxy {
        path: path.into(),
        method: "*".into(),
    };
    mk_model(ObjectKey::reverse_proxy(name), matcher, service, generation)
}

fn mk_api(name: &str, version: &str, service: &str, generation: i64) -> Resource {
    let matcher = Matcher::ApiService {
        group: "g.io".into(),
        version: version.into(),
    };
    mk_model(ObjectKey::api_service(name), matcher, service, generation)
}

fn mk_blob(which: u8) -> Blob {
    static PEMS: LazyLock<[String; 2]> = LazyLock::new(|| {
        [(); 2].map(|()| {
            let made = rcgen::generate_simple_self_signed(vec!["b.example".into()]).unwrap();
            made.cert.pem()
        })
    });
    Blob {
        content: PEMS[usize::from(which)].as_bytes().into(),
    }
}

/// With TLS, and the authorities of a bundle.
fn trusting(resource: Resource, which: u8) -> Resource {
    let ResourceBody::Route(mut route) = resource.body else {
        panic!()
    };
    if let Action::Forward(upstream) = &mut route.action {
        upstream.tls = Some(Tls {
            server_name: "b.example".into(),
            ca: Authorities::Bundle(codec::blob_key(&mk_blob(which))),
            beside_roots: false,
            insecure_skip_verify: false,
        });
    }
    Resource::route(*route)
}

fn hash_of(world: &BTreeMap<String, Bytes>) -> Hash {
    let mut held = Buckets::default();
    for (key, bytes) in world {
        held.insert(key, resource_hash(bytes));
    }
    held.hash()
}

/// Everything that a request, or a report, could see of the tables.
fn seen(tables: &Tables) -> String {
    let mut lines = Vec::new();
    let mut show = |what: &str, route: &Route| {
        let upstream = route.upstream().map(|upstream| match &upstream.target {
            Target::Set { key, endpoints } => format!("{key} {:?}", endpoints.addresses()),
            Target::Address(_) | Target::Named(_) => "host".into(),
        });
        let why = match &route.action {
            crate::tables::Action::Unavailable(why) => why.message.as_str(),
            crate::tables::Action::Forward(_) => "",
        };
        lines.push(format!(
            "{what} {} {} {upstream:?} {why}",
            route.title, route.object.generation
        ));
    };
    for path in ["/proxy/a/x", "/proxy/b", "/proxy/a"] {
        for route in tables.table.reverse_proxies.matches("GET", path.as_bytes()) {
            show(path, route);
        }
    }
    for version in ["v1", "v2"] {
        if let Some(route) = tables.table.api_services.get("g.io", version) {
            show(version, route);
        }
    }
    let mut routes: Vec<_> = tables.routes.values().collect();
    routes.sort_by_key(|route| route.object.key.clone());
    for route in routes {
        show("route", route);
    }
    lines.join("\n")
}

/// Whatever the edits and however they are cut into changes, what is served is what a fresh start would serve.
#[tokio::test]
async fn changes_lead_where_everything_leads() {
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut builder, current) = (mk_builder(), Current::default());
        let mut world: BTreeMap<String, Bytes> = BTreeMap::new();
        for step in 0..60 {
            let base = hash_of(&world);
            let before = world.clone();
            for _ in 0..random.random_range(1..4) {
                let service = ["s", "t"][random.random_range(0..2)];
                let generation = random.random_range(1..4);
                let path = ["/proxy/a/*", "/proxy/b", "/proxy/*"][random.random_range(0..3)];
                let which = random.random_range(0..2);
                let resource = match random.random_range(0..5) {
                    // One object a match, as the operator sends it.
                    0 => mk_proxy(&path.replace(['/', '*'], "-"), path, service, generation),
                    1 => {
                        let name = path.replace(['/', '*'], "-");
                        trusting(mk_proxy(&name, path, service, generation), which)
                    }
                    // Whether or not somebody trusts it.
                    2 => Resource::blob(codec::blob_key(&mk_blob(which)), mk_blob(which)),
                    3 => {
                        let version = ["v1", "v2"][random.random_range(0..2)];
                        mk_api(version, version, service, generation)
                    }
                    _ => mk_endpoints(service, random.random_range(0..3)),
                };
                let key = resource.key.to_string();
                if random.random_range(0..3) == 0 {
                    world.remove(&key);
                } else {
                    world.insert(key, codec::encode(&resource));
                }
            }
            let announced = hash_of(&world);
            let upserts: Vec<Bytes> = (world.iter())
                .filter(|(key, bytes)| before.get(*key) != Some(bytes))
                .map(|(_, bytes)| bytes.clone())
                .collect();
            let removals: Vec<String> = before
                .keys()
                .filter(|key| !world.contains_key(*key))
                .cloned()
                .collect();
            let all: Vec<Bytes> = world.values().cloned().collect();
            let change = if random.random_range(0..5) == 0 {
                Change {
                    base: None,
                    upserts: &all,
                    removals: &[],
                    announced: &announced.0,
                }
            } else {
                Change {
                    base: Some(base),
                    upserts: &upserts,
                    removals: &removals,
                    announced: &announced.0,
                }
            };
            builder.apply(change).unwrap().publish(&current);
            let mut fresh = (mk_builder(), Current::default());
            let everything = Change {
                base: None,
                upserts: &all,
                removals: &[],
                announced: &announced.0,
            };
            fresh.0.apply(everything).unwrap().publish(&fresh.1);
            assert_eq!(
                seen(&current.load()),
                seen(&fresh.1.load()),
                "seed {seed}, step {step}"
            );
            assert_eq!(current.load().hash, announced);
        }
    }
}

#[tokio::test]
async fn a_change_that_is_refused_has_changed_nothing() {
    let (mut builder, current) = (mk_builder(), Current::default());
    let one = codec::encode(&mk_proxy("a", "/proxy/a/*", "s", 1));
    let first = BTreeMap::from([("ReverseProxy/a".to_owned(), one.clone())]);
    let everything = Change {
        base: None,
        upserts: std::slice::from_ref(&one),
        removals: &[],
        announced: &hash_of(&first).0,
    };
    builder.apply(everything).unwrap().publish(&current);
    let before = seen(&current.load());
    let other = codec::encode(&mk_proxy("a", "/proxy/b", "s", 2));
    let held = Some(hash_of(&first));
    let upserts = [other];
    let wrong = Change {
        base: held,
        upserts: &upserts,
        removals: &[],
        announced: &[7; 32],
    };
    assert!(matches!(builder.apply(wrong), Err(ApplyError::Hash { .. })));
    let stranger = Change {
        base: Some(Hash([9; 32])),
        ..wrong
    };
    assert!(matches!(builder.apply(stranger), Err(ApplyError::Base { .. })));
    let twice = [one.clone(), one];
    let twice = Change {
        upserts: &twice,
        ..wrong
    };
    assert!(matches!(builder.apply(twice), Err(ApplyError::Twice(_))));
    let broken = [Bytes::from_static(b"\xff")];
    let broken = Change {
        upserts: &broken,
        ..wrong
    };
    assert!(matches!(builder.apply(broken), Err(ApplyError::Decode(_))));
    // Nothing at all is a change that leaves things as they are.
    let nothing = Change {
        base: held,
        upserts: &[],
        removals: &[],
        announced: &hash_of(&first).0,
    };
    let applied = builder.apply(nothing).unwrap();
    assert!(applied.fresh.is_empty() && applied.gone.is_empty());
    applied.publish(&current);
    assert_eq!(seen(&current.load()), before);
}

/// What is known of a backend stays when nothing about its object changed.
#[tokio::test]
async fn a_neighbour_of_a_change_is_the_same_route_as_before() {
    let (mut builder, current) = (mk_builder(), Current::default());
    let of = |resources: &[Resource]| -> BTreeMap<String, Bytes> {
        let pairs = resources.iter().map(|r| (r.key.to_string(), codec::encode(r)));
        pairs.collect()
    };
    let world = of(&[
        mk_proxy("a", "/proxy/a/*", "s", 1),
        mk_proxy("b", "/proxy/b", "s", 1),
        mk_endpoints("s", 1),
    ]);
    let all: Vec<Bytes> = world.values().cloned().collect();
    let everything = Change {
        base: None,
        upserts: &all,
        removals: &[],
        announced: &hash_of(&world).0,
    };
    builder.apply(everything).unwrap().publish(&current);
    let before = current.load();
    let key = ObjectKey::reverse_proxy("b");
    let changed = codec::encode(&mk_proxy("a", "/proxy/a/*", "s", 2));
    let mut later = world.clone();
    later.insert("ReverseProxy/a".into(), changed.clone());
    let change = Change {
        base: Some(hash_of(&world)),
        upserts: std::slice::from_ref(&changed),
        removals: &[],
        announced: &hash_of(&later).0,
    };
    let applied = builder.apply(change).unwrap();
    assert_eq!(
        applied.gone,
        [ObjectRef::new(ObjectKey::reverse_proxy("a"), "u", 1)]
    );
    assert_eq!(applied.fresh.len(), 1);
    applied.publish(&current);
    assert!(Arc::ptr_eq(&before.routes[&key], &current.load().routes[&key]));
}

/// However many routes trust a bundle, it is held once.
#[tokio::test]
async fn an_equal_bundle_is_one_bundle() {
    let (mut builder, current) = (mk_builder(), Current::default());
    let mut world: BTreeMap<String, Bytes> = (0..20)
        .map(|n| trusting(mk_proxy(&format!("p{n}"), &format!("/proxy/{n}"), "s", 1), 0))
        .map(|resource| (resource.key.to_string(), codec::encode(&resource)))
        .collect();
    let blob = Resource::blob(codec::blob_key(&mk_blob(0)), mk_blob(0));
    let apply = |builder: &mut Builder, world: &BTreeMap<String, Bytes>| {
        let all: Vec<Bytes> = world.values().cloned().collect();
        let everything = Change {
            base: None,
            upserts: &all,
            removals: &[],
            announced: &hash_of(world).0,
        };
        builder.apply(everything).unwrap()
    };
    let applied = apply(&mut builder, &world);
    assert_eq!(
        applied.verdicts.len(),
        20,
        "nobody is trusted for want of a bundle"
    );
    assert_eq!(applied.verdicts[0].reason, "InvalidCABundle");
    applied.publish(&current);
    world.insert(blob.key.to_string(), codec::encode(&blob));
    let applied = apply(&mut builder, &world);
    assert_eq!((applied.verdicts.len(), applied.fresh.len()), (0, 20));
    assert!(applied.gone.is_empty() && builder.verdicts().is_empty());
    applied.publish(&current);
    let bundle = builder.parts.bundle(&codec::blob_key(&mk_blob(0))).unwrap();
    let tables = current.load();
    for route in tables.routes.values() {
        assert!(route.upstream().unwrap().trusts(&bundle), "{}", route.title);
    }
}
