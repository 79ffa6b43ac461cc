//! However edits, restarts, lost and late messages are interleaved, the end is that of a fresh start: in the tables of
//! every data plane and in the statuses of every object.
//!
//! Operator and data planes are the real ones but for the wire between them. `GENKAN_SEED=N` replays one run, and
//! `GENKAN_RUNS=N` asks for more of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use genkan_compile::compiler::Compiler;
use genkan_compile::index::{Change, Dirty, Index};
use genkan_compile::object::{Kind, Object, Watched};
use genkan_compile::verdict::{Backend, Verdict};
use genkan_dataplane::names::{Names, System};
use genkan_dataplane::tables::{Builder, Change as TableChange, Current, Route};
use genkan_operator::assess::{SetState, assess};
use genkan_operator::fleet::Fleet;
use genkan_operator::snapshot::{Feed, HashKey, Push, Scope, Since};
use genkan_proto::codec::{SealedSecret, decode, objection_from_wire, value_from_wire, value_to_wire};
use genkan_proto::{Hash, decompress};
use genkan_routing::model::{Published, Resource, ResourceBody, Secret, SecretKey, SetKey};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::time::Instant;

const STEPS: usize = 80;
const PROXIES: usize = 3;
const RUNS: u64 = 150;

static BUNDLES: LazyLock<[String; 2]> = LazyLock::new(|| {
    [(); 2].map(|()| {
        let made = rcgen::generate_simple_self_signed(vec!["b.example".into()]).unwrap();
        STANDARD.encode(made.cert.pem())
    })
});

/// One operator: it is restarted by making another one of the same objects.
struct Operator {
    index: Index,
    compiler: Compiler,
    feed: Feed,
    fleet: Fleet,
    sets: BTreeMap<SetKey, SetState>,
    sessions: u64,
}

/// One data plane, and its stream.
struct Proxy {
    name: String,
    builder: Builder,
    current: Current,
    stream: Option<Stream>,
    /// What it would find on its disk.
    kept: BTreeMap<String, Bytes>,
}

#[derive(Default)]
struct Stream {
    session: u64,
    /// What the operator believes that the proxy holds.
    held: Option<Hash>,
    has_acknowledged: bool,
    lacks_secrets: bool,
    in_flight: Option<(Arc<Push>, Vec<Arc<SealedSecret>>)>,
}

// === impl Operator ===

impl Operator {
    fn start(objects: impl IntoIterator<Item = Change>) -> Self {
        let mut operator = Self {
            index: Index::default(),
            compiler: Compiler::default(),
            feed: Feed::default(),
            fleet: Fleet::default(),
            sets: BTreeMap::new(),
            sessions: 0,
        };
        operator.take(objects);
        operator
    }

    fn take(&mut self, changes: impl IntoIterator<Item = Change>) {
        let now = Instant::now();
        let mut dirty = Dirty::default();
        changes
            .into_iter()
            .for_each(|change| self.index.take(change, &mut dirty));
        let mut out = self.compiler.compile(&self.index, &dirty);
        for resource in &mut out.upserts {
            serve_with_secrets(resource);
        }
        self.feed.resources().apply(out.upserts, &out.removals, now);
        let since = Since {
            sequence: self.feed.resources().sequence(),
            at: now,
        };
        for (key, usable) in out.sets {
            if self.sets.get(&key).is_none_or(|known| known.usable != usable) {
                self.sets.insert(key, SetState { usable, since });
            }
        }
        for key in out.gone {
            self.fleet.forget_object(&key);
        }
        self.feed.publish();
    }

    fn rekey(&mut self) {
        let key = HashKey::read(&[7; HashKey::LENGTH]).unwrap();
        self.feed.resources().rekey(key, Instant::now());
    }

    /// The value of a Secret is another one now, or it is gone.
    fn keep_secret(&mut self, name: &str, value: Option<u8>) {
        let secret = value.map(|value| Secret {
            kind: "Opaque".into(),
            data: [("key".to_owned(), vec![value].into())].into(),
        });
        let (mut upserts, mut removals) = (Vec::new(), Vec::new());
        let mut resources = self.feed.resources();
        resources.seal(
            vec![(SecretKey::new("n", name), secret)],
            &mut upserts,
            &mut removals,
        );
        resources.apply(upserts, &removals, Instant::now());
        drop(resources);
        self.feed.publish();
    }

    /// Every object's conditions, without their times.
    fn statuses(&self) -> BTreeMap<String, Vec<(String, String, String)>> {
        let now = Instant::now();
        let of = |(key, verdict): (&genkan_routing::model::ObjectKey, &Verdict)| {
            let since = self.feed.resources().since(&key.clone().into());
            let set = match &verdict.backend {
                Backend::Endpoints(set) => self.sets.get(set).copied(),
                Backend::Host(_) | Backend::None => None,
            };
            let status = assess(verdict, since, &self.fleet, set, None, now).status(
                verdict,
                &Value::Null,
                jiff::Timestamp::UNIX_EPOCH,
            );
            let text = |condition: &Value, field: &str| condition[field].as_str().unwrap().to_owned();
            let conditions = status["conditions"].as_array().unwrap().iter();
            let told = conditions.map(|c| (text(c, "type"), text(c, "status"), text(c, "message")));
            (key.to_string(), told.collect())
        };
        self.compiler.verdicts().map(of).collect()
    }
}

// === impl Proxy ===

impl Proxy {
    fn start(name: &str) -> Self {
        let names = Names::new(Arc::new(System::default()), Arc::default());
        Self {
            name: name.to_owned(),
            builder: Builder::new(Arc::new(names), Arc::default()),
            current: Current::default(),
            stream: None,
            kept: BTreeMap::new(),
        }
    }

    /// It ends and begins with what is on its disk, which is no value of a secret.
    fn restart(&mut self) {
        let mut again = Self::start(&self.name);
        let held = self.current.load();
        if held.sequence > 0 {
            let upserts: Vec<Bytes> = self.kept.values().cloned().collect();
            let change = TableChange {
                base: None,
                upserts: &upserts,
                removals: &[],
                announced: &held.hash.0,
            };
            again.builder.apply(change).unwrap().publish(&again.current);
            again.kept = std::mem::take(&mut self.kept);
        }
        *self = again;
    }

    fn connect(&mut self, operator: &mut Operator) {
        operator.sessions += 1;
        let tables = self.current.load();
        let held = (tables.sequence > 0).then_some(tables.hash);
        operator
            .fleet
            .connect(&self.name, &self.name, operator.sessions, Instant::now());
        self.stream = Some(Stream {
            session: operator.sessions,
            held,
            lacks_secrets: self.builder.lacks_secrets(),
            ..Stream::default()
        });
    }

    fn disconnect(&mut self, operator: &mut Operator) {
        if let Some(stream) = self.stream.take() {
            operator
                .fleet
                .disconnect(&self.name, stream.session, Instant::now());
        }
    }

    /// The operator sends what is new, if nothing is on its way.
    async fn send(&mut self, operator: &Operator) {
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.in_flight.is_none()) else {
            return;
        };
        let present = operator.feed.resources().hash();
        if !stream.has_acknowledged || stream.held != Some(present) {
            let push = operator.feed.push(stream.held).await.unwrap();
            let secrets = match std::mem::take(&mut stream.lacks_secrets) {
                true => operator.feed.resources().secrets(),
                false => push.secrets.clone(),
            };
            stream.in_flight = Some((push, secrets));
        }
    }

    /// What is on its way arrives, and the answer too unless it is lost with the stream.
    fn receive(&mut self, operator: &mut Operator, is_answer_lost: bool) {
        let Some(stream) = &mut self.stream else { return };
        let Some((push, secrets)) = stream.in_flight.take() else {
            return;
        };
        let frame: Vec<u8> = push.chunks.concat();
        let snapshot = decompress(&frame).unwrap();
        let change = TableChange {
            base: push.base,
            upserts: &snapshot.upserts,
            removals: &snapshot.removals,
            announced: &push.version.hash.0,
        };
        let value = |sealed: &Arc<SealedSecret>| value_from_wire(&value_to_wire(sealed)).unwrap();
        self.builder.expect(secrets.iter().map(value).collect());
        let mut applied = self.builder.apply(change).unwrap();
        if push.base.is_none() {
            self.kept.clear();
        }
        self.kept.retain(|key, _| !snapshot.removals.contains(key));
        for bytes in &snapshot.upserts {
            self.kept.insert(decode(bytes).unwrap().key, bytes.clone());
        }
        let is_complete = applied.concerns_others;
        let all = push.base.is_none() || !stream.has_acknowledged || is_complete;
        let verdicts = if all {
            self.builder.verdicts()
        } else {
            std::mem::take(&mut applied.verdicts)
        };
        applied.publish(&self.current);
        if is_answer_lost {
            self.disconnect(operator);
            return;
        }
        let scope = if stream.has_acknowledged && !is_complete {
            push.scope.clone()
        } else {
            Scope::Everything
        };
        (stream.held, stream.has_acknowledged) = (Some(push.version.hash), true);
        let objections = verdicts.into_iter().filter_map(objection_from_wire).collect();
        operator.fleet.acknowledge(
            &self.name,
            stream.session,
            push.version.sequence,
            &scope,
            objections,
        );
    }

    /// Everything that a request could meet.
    fn seen(&self) -> Vec<String> {
        let tables = self.current.load();
        let mut lines: Vec<String> = tables
            .routes
            .values()
            .map(|route| {
                format!(
                    "{:?} {:?} {:?} {:?}",
                    route.object,
                    route.matcher,
                    route.upstream().map(|u| (&u.authority, u.is_tls())),
                    (route.action.unavailable(), values(route))
                )
            })
            .collect();
        lines.sort();
        for path in ["/proxy/a/x", "/proxy/b", "/proxy/c"] {
            let route = tables.table.reverse_proxies.lookup("GET", path.as_bytes());
            lines.push(format!("{path} {:?}", route.map(|route| &route.title)));
        }
        for version in ["v1", "v2"] {
            let route = tables.table.api_services.get("g.io", version);
            lines.push(format!("{version} {:?}", route.map(|route| &route.title)));
        }
        lines
    }
}

/// No kind refers to a Secret yet: some objects are made to.
fn serve_with_secrets(resource: &mut Resource) {
    if let ResourceBody::Route(route) = &mut resource.body {
        let name = match route.object.key.name.as_str() {
            "p1" | "p2" => "x",
            "p3" => "y",
            _ => return,
        };
        route.secrets = vec![SecretKey::new("n", name)];
        *resource = Resource::route((**route).clone());
    }
}

fn values(route: &Route) -> Vec<&[u8]> {
    route
        .secrets
        .iter()
        .map(|secret| secret.data["key"].as_slice())
        .collect()
}

fn object(
    random: &mut StdRng,
    generations: &mut BTreeMap<String, i64>,
) -> (Kind, (String, String), Option<Value>) {
    let service = ["s", "t"][random.random_range(0..2)];
    let (kind, namespace, name, body) = match random.random_range(0..4) {
        0 => {
            let path = ["/proxy/a/*", "/proxy/b", "*", "/proxy/c"][random.random_range(0..4)];
            // One that proxies refuse and operators do not know of: they learn of it from the acknowledgement.
            let upstream = match random.random_range(0..6) {
                0 => json!({"url": "http://b.example"}),
                1 => json!({"url": "not a url"}),
                // Several objects with one CA bundle, and one object with several.
                2 | 3 => {
                    json!({"url": "https://b.example", "caBundle": BUNDLES[random.random_range(0..2)].as_str()})
                }
                _ => json!({"service": {"namespace": "n", "name": service, "port": 80, "scheme": "http"}}),
            };
            let name = format!("p{}", random.random_range(0..5));
            let spec = json!({"matcher": {"path": path, "method": "*"}, "upstream": upstream});
            (
                Kind::Published(Published::ReverseProxy),
                "",
                name,
                json!({"spec": spec}),
            )
        }
        1 => {
            let version = ["v1", "v2"][random.random_range(0..2)];
            let name = format!("a{}", random.random_range(0..3));
            let to = json!({"namespace": "n", "name": service, "port": 80, "scheme": "http"});
            let spec = json!({"group": "g.io", "version": version, "service": to});
            (
                Kind::Published(Published::ApiService),
                "",
                name,
                json!({"spec": spec}),
            )
        }
        2 => {
            let port = [80, 81][random.random_range(0..2)];
            let ports = json!([{"port": port}]);
            (
                Kind::Watched(Watched::Service),
                "n",
                service.to_owned(),
                json!({"spec": {"ports": ports}}),
            )
        }
        _ => {
            let endpoints: Vec<Value> = (0..random.random_range(0..3))
                .map(|n| json!({"addresses": [format!("10.0.0.{}", n + 1)]}))
                .collect();
            let body = json!({"addressType": "IPv4", "ports": [{"port": 80}], "endpoints": endpoints});
            (
                Kind::Watched(Watched::EndpointSlice),
                "n",
                service.to_owned(),
                body,
            )
        }
    };
    let key = (namespace.to_owned(), name.clone());
    if random.random_range(0..4) == 0 {
        return (kind, key, None);
    }
    let generation = generations.entry(format!("{}/{name}", kind.name())).or_default();
    *generation += 1;
    let mut value = body;
    value["metadata"] = json!({
        "namespace": namespace, "name": name, "uid": format!("{}/{name}", kind.name()), "generation": *generation,
        "labels": {"kubernetes.io/service-name": service},
    });
    (kind, key, Some(value))
}

fn apply(kind: Kind, value: &Value) -> Change {
    Change::Apply(Box::new(Object::read(kind, value.clone()).unwrap()))
}

async fn run(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut objects: BTreeMap<(Kind, (String, String)), Value> = BTreeMap::new();
    let mut generations = BTreeMap::new();
    let mut secrets: BTreeMap<&str, u8> = BTreeMap::new();
    let begin = |objects: &BTreeMap<(Kind, (String, String)), Value>, secrets: &BTreeMap<&str, u8>| {
        let mut operator = Operator::start(objects.iter().map(|((kind, _), value)| apply(*kind, value)));
        // Its key is the one that was kept.
        operator.rekey();
        for (name, value) in secrets {
            operator.keep_secret(name, Some(*value));
        }
        operator
    };
    let mut operator = begin(&objects, &secrets);
    let mut proxies: Vec<Proxy> = (0..PROXIES)
        .map(|n| Proxy::start(&format!("proxy-{n}")))
        .collect();
    for _ in 0..STEPS {
        let at = random.random_range(0..PROXIES);
        match random.random_range(0..15) {
            0..=4 => {
                let (kind, key, value) = object(&mut random, &mut generations);
                let change = match value {
                    Some(value) => {
                        let change = apply(kind, &value);
                        objects.insert((kind, key), value);
                        change
                    }
                    None => {
                        objects.remove(&(kind, key.clone()));
                        Change::Delete(kind, key)
                    }
                };
                operator.take([change]);
            }
            5 => {
                // Another operator knows the objects and nothing else, and no stream of the old one is left.
                for proxy in &mut proxies {
                    proxy.disconnect(&mut operator);
                }
                operator = begin(&objects, &secrets);
            }
            6 => proxies[at] = Proxy::start(&format!("proxy-{at}")),
            7 => proxies[at].disconnect(&mut operator),
            8 | 9 => {
                let proxy = &mut proxies[at];
                if proxy.stream.is_none() {
                    proxy.connect(&mut operator);
                }
                proxy.send(&operator).await;
            }
            10 => {
                proxies[at].disconnect(&mut operator);
                proxies[at].restart();
            }
            11 | 12 => {
                let name = ["x", "y"][random.random_range(0..2)];
                let value = random.random_range(0..4);
                match value {
                    0 => drop(secrets.remove(name)),
                    value => drop(secrets.insert(name, value)),
                }
                operator.keep_secret(name, secrets.get(name).copied());
            }
            13 => proxies[at].receive(&mut operator, true),
            _ => proxies[at].receive(&mut operator, false),
        }
    }
    settle(&mut operator, &mut proxies).await;
    let mut fresh = begin(&objects, &secrets);
    let mut newcomers: Vec<Proxy> = (0..PROXIES)
        .map(|n| Proxy::start(&format!("proxy-{n}")))
        .collect();
    settle(&mut fresh, &mut newcomers).await;
    for (old, new) in proxies.iter().zip(&newcomers) {
        assert_eq!(old.seen(), new.seen(), "tables; replay with GENKAN_SEED={seed}");
        assert!(!old.builder.lacks_secrets(), "GENKAN_SEED={seed}");
        assert_eq!(
            old.current.load().hash,
            new.current.load().hash,
            "GENKAN_SEED={seed}"
        );
    }
    assert_eq!(
        operator.statuses(),
        fresh.statuses(),
        "statuses; replay with GENKAN_SEED={seed}"
    );
}

async fn settle(operator: &mut Operator, proxies: &mut [Proxy]) {
    for proxy in proxies {
        if proxy.stream.is_none() {
            proxy.connect(operator);
        }
        // What is on its way, what was left out meanwhile, and what nobody sent yet.
        for _ in 0..3 {
            proxy.receive(operator, false);
            proxy.send(operator).await;
        }
        proxy.receive(operator, false);
    }
}

#[tokio::test(start_paused = true)]
async fn every_interleaving_ends_as_a_fresh_start() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    match number("GENKAN_SEED") {
        Some(seed) => run(seed).await,
        None => {
            for seed in 0..number("GENKAN_RUNS").unwrap_or(RUNS) {
                run(seed).await;
            }
        }
    }
}
