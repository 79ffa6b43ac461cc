//! Who calls: tokens, keys, names and passwords, and what of them never goes on.

#![allow(clippy::unwrap_used, reason = "a plan that cannot be made fails the test")]

#[path = "vectors/mk.rs"]
mod mk;
#[path = "plans/setup.rs"]
mod setup;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64};
use genkan_policies::{Job, Outside, Unreachable, Waiting};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use setup::{Setup, header};

/// An issuer whose keys are fetched.
struct Issuer {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl Issuer {
    fn new(kid: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self {
            kid,
            pair: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap(),
        }
    }

    fn jwks(&self) -> Value {
        let x = BASE64.encode(self.pair.public_key().as_ref());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid}]})
    }

    fn bearer(&self, claims: &Value) -> String {
        let head = json!({"alg": "EdDSA", "kid": self.kid}).to_string();
        let signed = format!("{}.{}", BASE64.encode(head), BASE64.encode(claims.to_string()));
        let signature = self.pair.sign(signed.as_bytes());
        format!("Bearer {signed}.{}", BASE64.encode(signature.as_ref()))
    }
}

/// Keys by URL; it counts how often it is asked.
struct Web {
    keys: Option<Arc<[u8]>>,
    newer: Option<Arc<[u8]>>,
    asked: AtomicUsize,
    has_room: bool,
    now: u64,
}

impl Web {
    fn new(keys: Option<&Value>, newer: Option<&Value>) -> Self {
        let text = |keys: &Value| Arc::from(keys.to_string().into_bytes());
        Self {
            keys: keys.map(text),
            newer: newer.map(text),
            asked: AtomicUsize::new(0),
            has_room: true,
            now: 1000,
        }
    }
}

impl Outside for Web {
    fn now(&self) -> Duration {
        Duration::from_secs(self.now)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.now)
    }

    fn fetch_keys<'a>(
        &'a self,
        url: &'a str,
        max_age: Option<Duration>,
    ) -> Waiting<'a, Result<Arc<[u8]>, Unreachable>> {
        assert_eq!(url, "https://idp.example/jwks");
        self.asked.fetch_add(1, Ordering::Relaxed);
        let is_again = max_age == Some(Duration::from_secs(60));
        let keys = if is_again { &self.newer } else { &self.keys };
        let found = keys.clone().ok_or(Unreachable {
            is_timeout: false,
            detail: "idp.example: no connection".into(),
        });
        Box::pin(async { found })
    }

    fn pause(&self, length: Duration) -> Waiting<'_, ()> {
        Box::pin(tokio::time::sleep(length))
    }

    fn blocking(&self, job: Job) -> Waiting<'_, Option<bool>> {
        let done = self.has_room.then(job);
        Box::pin(async move { done })
    }
}

fn jwt(more: Value) -> Value {
    let mut with = json!({"issuer": "https://idp.example", "keys": {"url": "https://idp.example/jwks"}});
    with.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!([{"use": "jwt", "with": with}])
}

fn claims(more: Value) -> Value {
    let mut claims = json!({"iss": "https://idp.example", "exp": 2000, "sub": "ann"});
    claims
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    claims
}

#[test]
fn tokens_are_verified_once_and_keys_fetched_when_they_are_needed() {
    let issuer = Issuer::new("a");
    let web = Web::new(Some(&issuer.jwks()), None);
    let setup = Setup::new(jwt(json!({})));
    let plan = setup.link().unwrap();
    assert!(plan.claims_authorization());
    let bearer = issuer.bearer(&claims(json!({"groups": ["a", "system:masters"]})));
    for _ in 0..3 {
        let done = setup.send_at(&plan, &[("authorization", &bearer)], &web);
        assert!(done.answer.is_none(), "{:?}", done.answer);
        let auth = done.state.auth.unwrap();
        assert_eq!((auth.user.as_str(), auth.method.as_str()), ("ann", "jwt"));
        assert_eq!(auth.groups, ["a"]);
        assert!(header(&done.headers, "authorization").is_none());
    }
    assert_eq!(web.asked.load(Ordering::Relaxed), 1);
    // What was found good is not good for ever.
    let late = Web { now: 2030, ..web };
    let done = setup.send_at(&plan, &[("authorization", &bearer)], &late);
    assert_eq!(done.answer.unwrap().reason, "TokenInvalid");
}

#[test]
fn an_unknown_key_is_asked_for_again() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let web = Web::new(Some(&old.jwks()), Some(&new.jwks()));
    let setup = Setup::new(jwt(json!({})));
    let plan = setup.link().unwrap();
    let bearer = new.bearer(&claims(json!({})));
    assert!(
        setup
            .send_at(&plan, &[("authorization", &bearer)], &web)
            .answer
            .is_none()
    );
    assert_eq!(web.asked.load(Ordering::Relaxed), 2);

    let away = Web::new(None, None);
    let bearer = new.bearer(&claims(json!({"jti": "1"})));
    let answer = setup
        .send_at(&plan, &[("authorization", &bearer)], &away)
        .answer
        .unwrap();
    assert_eq!((answer.status, &*answer.reason), (503, "CallFailed"));
    assert!(!answer.message.contains("idp") && answer.detail.contains("idp"));
}

#[test]
fn a_token_that_is_forwarded_reaches_the_backend() {
    let issuer = Issuer::new("a");
    let web = Web::new(Some(&issuer.jwks()), None);
    let bearer = issuer.bearer(&claims(json!({})));
    let from = json!([{"header": "x-token"}, {"header": "authorization"}]);
    for (with, lines, forwards) in [
        (json!({"forward": true}), vec![("authorization", &*bearer)], true),
        (json!({}), vec![("authorization", &*bearer)], false),
        // The one that counts stands elsewhere: what is in Authorization was judged by nobody.
        (
            json!({"forward": true, "from": from}),
            vec![("x-token", &bearer[7..]), ("authorization", "Bearer other")],
            false,
        ),
    ] {
        let setup = Setup::new(jwt(with.clone()));
        let done = setup.send_at(&setup.link().unwrap(), &lines, &web);
        assert!(done.answer.is_none(), "{:?}", done.answer);
        assert_eq!(done.state.forwards_authorization, forwards, "{with}");
    }
}

/// Some backends take a dash and an underscore for the same.
#[test]
fn a_client_brings_no_claims_in_another_spelling() {
    let setup = Setup::new(jwt(json!({"optional": true, "headers": {"sub": "X-User"}})));
    let lines = [
        ("X_User", "root"),
        ("x.user", "root"),
        ("x-user", "root"),
        ("x-users", "a"),
    ];
    let done = setup.send("GET", &lines);
    assert!(done.answer.is_none());
    let left: Vec<_> = done.headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(left, ["x-users"]);
}

#[test]
fn an_identity_is_never_one_of_kubernetes() {
    let issuer = Issuer::new("a");
    let web = Web::new(Some(&issuer.jwks()), None);
    let identity =
        json!({"identity": {"user": "'idp:' + auth.user", "groups": "auth.claims.roles"}, "forward": true});
    let setup = Setup::new(jwt(identity));
    let plan = setup.link().unwrap();
    let bearer = issuer.bearer(&claims(json!({"roles": ["a", "b"]})));
    let done = setup.send_at(&plan, &[("authorization", &bearer)], &web);
    let identity = done.state.identity.unwrap();
    assert_eq!((identity.user.as_str(), identity.groups.len()), ("idp:ann", 2));
    assert!(header(&done.headers, "authorization").is_some());

    let bearer = issuer.bearer(&claims(json!({"roles": ["system:masters"]})));
    let done = setup.send_at(&plan, &[("authorization", &bearer)], &web);
    assert_eq!(done.answer.unwrap().reason, "PolicyDenied");
    assert!(done.state.identity.is_none());
}

#[test]
fn two_tokens_and_claims_that_lack_are_refused() {
    let issuer = Issuer::new("a");
    let web = Web::new(Some(&issuer.jwks()), None);
    let setup = Setup::new(jwt(
        json!({"claims": {"scope": ["read", "write"]}, "audiences": ["orders"]}),
    ));
    let plan = setup.link().unwrap();
    let good = issuer.bearer(&claims(json!({"scope": "write read", "aud": "orders"})));
    let send = |headers: &[(&str, &str)]| setup.send_at(&plan, headers, &web).answer;
    assert!(send(&[("authorization", &good)]).is_none());
    let twice = send(&[("authorization", &good), ("authorization", &good)]);
    assert_eq!(twice.unwrap().reason, "TokenInvalid");
    let narrow = issuer.bearer(&claims(json!({"scope": "read", "aud": ["orders"]})));
    let answer = send(&[("authorization", &narrow)]).unwrap();
    assert_eq!((answer.status, &*answer.reason), (403, "PolicyDenied"));
    assert_eq!(answer.headers[0].1, "Bearer error=\"insufficient_scope\"");
    let other = send(&[("authorization", "Basic YTpi")]);
    assert_eq!(other.unwrap().reason, "TokenMissing");
}

#[test]
fn passwords_are_verified_elsewhere_and_believed_for_a_minute() {
    let hash = "$2b$04$B20z/HEmMhrit4qnsvop4uvw9oVmVESSL6JtHcfG2q5Wq7/QJTmt.";
    let setup = Setup::new(json!([{"use": "basic", "with": {"users": {"secret": "u"}}}]));
    let setup = setup.with_secrets(json!({"u": {"htpasswd": format!("ann:{hash}\n")}}));
    let plan = setup.link().unwrap();
    assert!(plan.claims_authorization());
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let mut web = Web::new(None, None);
    let send = |web: &Web, value: &str| setup.send_at(&plan, &[("authorization", value)], web).answer;
    assert_eq!(send(&web, &basic("ann:wrong")).unwrap().reason, "PasswordInvalid");
    assert!(send(&web, &basic("ann:opensesame")).is_none());
    web.has_room = false;
    assert!(send(&web, &basic("ann:opensesame")).is_none());
    assert_eq!(send(&web, &basic("ann:wrong")).unwrap().status, 503);
    web.now += 60;
    assert_eq!(send(&web, &basic("ann:opensesame")).unwrap().status, 503);
    assert_eq!(send(&web, "Bearer x").unwrap().reason, "PasswordMissing");
}

#[test]
fn credentials_are_taken_out_of_cookies_and_nothing_else() {
    let setup = Setup::new(json!([
        {"use": "apiKey", "with": {"keys": {"secret": "k"}, "from": [{"cookie": "key"}]}},
    ]));
    let setup = setup.with_secrets(json!({"k": {"team": "aaaa"}}));
    let done = setup.send("GET", &[("cookie", "a=b; key=aaaa; c=d")]);
    assert!(done.answer.is_none());
    assert_eq!(header(&done.headers, "cookie"), Some("a=b; c=d"));
    assert_eq!(done.state.auth.unwrap().key.as_deref(), Some("team"));
    for cookie in ["key=bbbb", "key=aaaa; key=aaaa", "key="] {
        let answer = setup.send("GET", &[("cookie", cookie)]).answer.unwrap();
        assert_eq!(answer.reason, "KeyInvalid", "{cookie}");
    }
}

/// A definition sees Secrets of its extension, and those that its user marks; nobody reaches the other's.
#[test]
fn aliases_belong_to_whoever_gave_them() {
    let definition = |entry: Option<&str>| {
        json!({
            "policy": "p", "version": "1.0.0", "entry": entry,
            "parameters": {"type": "object", "properties": {
                "mine": {"type": "string", "x-genkan-secret": true}, "name": {"type": "string"},
            }},
            "steps": [
                {"use": "apiKey", "with": {"keys": {"secret": "{{ params.mine }}"}, "forward": true}},
                {"use": "apiKey", "when": "has(params.name)", "with": {"keys": {"secret": "{{ params.name }}"}}},
            ],
        })
    };
    let policies = |with: Value| json!([{"use": "p", "with": with}]);
    let mut setup = Setup::new(policies(json!({"mine": "k", "name": "theirs"})))
        .with_secrets(json!({"k": {"a": "aaaa"}}))
        .define(definition(Some("ext/entry")));
    let theirs = mk::mk_secrets(&json!({"theirs": {"b": "aaaa"}}));
    setup.world.secrets.insert("ext".into(), theirs);
    let done = setup.send("GET", &[("x-api-key", "aaaa")]);
    assert!(done.answer.is_none(), "{:?}", done.answer);
    assert_eq!(done.state.auth.unwrap().key.as_deref(), Some("b"));
    for with in [
        json!({"mine": "theirs", "name": "theirs"}),
        json!({"mine": "@theirs", "name": "theirs"}),
        json!({"mine": "k", "name": "k"}),
    ] {
        let mut other = Setup::new(policies(with.clone())).with_secrets(json!({"k": {"a": "aaaa"}}));
        other = other.define(definition(Some("ext/entry")));
        other.world.secrets = setup.world.secrets.clone();
        assert!(
            other.link().unwrap_err().message.contains("there is no alias"),
            "{with}"
        );
    }
}

#[test]
fn nothing_secret_is_printed() {
    let setup = Setup::new(json!([
        {"use": "apiKey", "with": {"keys": {"secret": "k"}}},
        {"use": "hmac", "with": {"key": {"secret": "k"}, "header": "x-sig", "payload": "x"}},
        {"use": "jwt", "with": {"keys": {"secret": "k"}, "algorithms": ["HS256"]}},
        {"use": "basic", "with": {"users": {"secret": "u"}}},
    ]))
    .with_secrets(json!({
        "k": {"key": "hunter2-hunter2-hunter2-hunter2-"},
        "u": {"htpasswd": "ann:$2b$04$B20z/HEmMhrit4qnsvop4uvw9oVmVESSL6JtHcfG2q5Wq7/QJTmt."},
    }));
    let printed = format!("{:?} {:?}", setup.link().unwrap(), setup.secrets);
    assert!(
        !printed.contains("hunter2") && !printed.contains("B20z"),
        "{printed}"
    );
}
