//! What chains cost a request.
//!
//! `cargo bench -p genkan-policies --bench policies` prints a table beside the goals.

#![allow(clippy::unwrap_used, reason = "a figure that cannot be had must stop the run")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use futures::executor::block_on;
use genkan_policies::{
    Aliases, Caller, Exchange, Job, Limiters, ObjectFacts, Outcome, Outside, Request, Source, Stage, State,
    Unreachable, Waiting, World, link,
};
use genkan_routing::model::policy::PolicyStep;
use http::{HeaderMap, HeaderValue};
use ring::hmac;
use serde_json::{Value, json};
use tokio::time::Instant;

const ROUNDS: usize = 5;
const OPERATIONS: u32 = 20_000;

struct Around(Instant);

impl Outside for Around {
    fn now(&self) -> Duration {
        Duration::from_secs(1_700_000_000)
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn fetch_keys<'a>(
        &'a self,
        _: &'a str,
        _: Option<Duration>,
    ) -> Waiting<'a, Result<Arc<[u8]>, Unreachable>> {
        Box::pin(async {
            Err(Unreachable {
                is_timeout: false,
                detail: String::new(),
            })
        })
    }

    fn pause(&self, _: Duration) -> Waiting<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn blocking(&self, job: Job) -> Waiting<'_, Option<bool>> {
        Box::pin(async { Some(job()) })
    }
}

fn token(secret: &[u8]) -> String {
    let head = BASE64.encode(br#"{"alg":"HS256"}"#);
    let claims = json!({
        "iss": "https://idp.example", "sub": "ann", "exp": 1_700_003_600, "aud": ["orders"],
        "scope": "read write", "tier": "gold", "groups": ["a", "b"], "email": "ann@example.com",
    });
    let signed = format!("{head}.{}", BASE64.encode(claims.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", BASE64.encode(signature.as_ref()))
}

/// The best of some rounds, in nanoseconds.
fn cost(steps: &Value, body: &[u8], token: &str) -> f64 {
    let steps: Vec<PolicyStep> = serde_json::from_value(steps.clone()).unwrap();
    let (labels, secrets) = (BTreeMap::new(), Aliases::new());
    let object = ObjectFacts {
        kind: "ReverseProxy",
        namespace: "",
        name: "shop",
        labels: &labels,
        policies: &steps,
        secrets: &secrets,
    };
    let plan = link(&object, &World::default(), &Limiters::default()).unwrap();
    let around = Around(Instant::now());
    let groups = ["system:authenticated".to_owned(), "finance".to_owned()];
    let request = Request {
        id: "1-2",
        method: "POST",
        scheme: "https",
        host: "gw.test",
        path: "/proxy/shop/items",
        query: "a=1&b=2",
        route: "shop",
        source: Source {
            address: Some([192, 0, 2, 7].into()),
            certificate: None,
        },
        caller: Caller {
            user: "ann",
            groups: &groups,
            claims: None,
            key: None,
            method: "token",
        },
    };
    let mut base = HeaderMap::new();
    for name in [
        "accept",
        "user-agent",
        "x-request-id",
        "x-tenant",
        "cookie",
        "referer",
    ] {
        base.insert(name, HeaderValue::from_static("some-value"));
    }
    base.insert("content-type", HeaderValue::from_static("application/json"));
    base.insert(
        "authorization",
        HeaderValue::from_str(&format!("Bearer {token}")).unwrap(),
    );
    let body = bytes::Bytes::copy_from_slice(body);
    let once = |headers: &mut HeaderMap| {
        let mut state = State::default();
        let mut exchange =
            Exchange::new(request, Stage::Request(headers), &mut state).with_body(body.clone());
        let outcome = block_on(plan.after_review.run(&mut exchange, &around));
        assert!(matches!(black_box(outcome), Outcome::Forward));
    };
    let idle = |headers: &mut HeaderMap| {
        let mut state = State::default();
        black_box(Exchange::new(request, Stage::Request(headers), &mut state).with_body(body.clone()));
    };
    let measure = |run: &dyn Fn(&mut HeaderMap)| {
        let from = Instant::now();
        for _ in 0..OPERATIONS {
            let mut headers = base.clone();
            run(black_box(&mut headers));
        }
        from.elapsed().as_secs_f64() * 1e9 / f64::from(OPERATIONS)
    };
    let best = |run: &dyn Fn(&mut HeaderMap)| {
        let rounds = (0..ROUNDS).map(|_| measure(run));
        rounds.fold(f64::MAX, f64::min)
    };
    best(&once) - best(&idle)
}

/// Linked again, as every object is when the world changes.
fn linking(steps: &Value) -> f64 {
    const OBJECTS: u32 = 200;
    let steps: Vec<PolicyStep> = serde_json::from_value(steps.clone()).unwrap();
    let (labels, secrets) = (BTreeMap::new(), Aliases::new());
    let object = ObjectFacts {
        kind: "ReverseProxy",
        namespace: "",
        name: "shop",
        labels: &labels,
        policies: &steps,
        secrets: &secrets,
    };
    let (world, limiters) = (World::default(), Limiters::default());
    let from = Instant::now();
    for _ in 0..OBJECTS {
        black_box(link(&object, &world, &limiters).unwrap());
    }
    from.elapsed().as_secs_f64() * 1e9 / f64::from(OBJECTS)
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let secret = [7; 32];
    let token = token(&secret);
    let jwks = json!({"keys": [{"kty": "oct", "k": BASE64.encode(secret)}]});
    let jwt = json!([{"use": "jwt", "with": {
        "issuer": "https://idp.example", "audiences": ["orders"], "algorithms": ["HS256"], "keys": {"jwks": jwks},
    }}]);
    let items: Vec<_> = (0..40)
        .map(|n| json!({"sku": format!("AB-{n}"), "qty": n, "note": "as usual"}))
        .collect();
    let order = json!({"id": 1, "items": items}).to_string();
    let schema = json!({"type": "object", "required": ["id", "items"], "properties": {
        "id": {"type": "integer", "minimum": 1},
        "items": {"type": "array", "items": {"type": "object", "required": ["sku"], "properties": {
            "sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"}, "qty": {"type": "number", "minimum": 0},
        }}},
    }});
    let table = [
        ("no policy", "20 ns", json!([])),
        (
            "three header-only steps",
            "6 µs",
            json!([
                {"use": "set", "with": {"headers": {"set": {"X-A": "1", "X-Who": "{{ auth.user }}"}, "remove": ["cookie"]}}},
                {"use": "filter", "with": {"ip": {"deny": ["198.51.100.0/24"]}, "methods": ["GET", "POST"]}},
                {"use": "log", "with": {"fields": {"tenant": "request.headers['x-tenant']"}}},
            ]),
        ),
        (
            "CEL authorize",
            "2 µs",
            json!([{"use": "authorize", "with": {"cel": "'finance' in auth.groups && request.method == 'POST'"}}]),
        ),
        (
            "local rate limit",
            "0.5 µs",
            json!([{"use": "rateLimit", "with": {"requests": 1_000_000_000, "per": "1s"}}]),
        ),
        (
            "local rate limit by user",
            "",
            json!([{"use": "rateLimit", "with": {"requests": 1_000_000_000, "per": "1s", "key": "auth.user"}}]),
        ),
        ("jwt, same token again", "2 µs", jwt),
        (
            "JSON of 2 KB validated",
            "30 µs",
            json!([{"use": "validateSchema", "with": {"schema": schema}}]),
        ),
    ];
    println!("{:<28} {:>10} {:>8} {:>14}", "chain", "ns", "goal", "to link, ns");
    for (name, goal, steps) in table {
        let linked = linking(&steps);
        let ran = cost(&steps, order.as_bytes(), &token);
        println!("{name:<28} {ran:>10.0} {goal:>8} {linked:>14.0}");
    }
}
