use genkan_routing::DirectiveSpec;
use genkan_routing::directives::{BodyRule, RewriteLinks};
use genkan_routing::model::{
    Action, AuthType, Authorities, ClassProxy, ConnectorClass, Endpoint, EndpointSet, Injection, KeyedHash,
    Matcher, ObjectRef, Operation, Provider, ResourceKey, Role, Route, Secret, Target, Tls, TokenSource,
    Unavailable, Upstream,
};
use prost::encoding::{WireType, encode_key, encode_varint};
use zeroize::Zeroizing;

use super::*;

fn mk_upstream(target: Target) -> Upstream {
    Upstream {
        authority: "shop.example:8443".into(),
        base_path: "/base".into(),
        target,
        tls: Some(Tls {
            server_name: "shop.example".into(),
            ca: Authorities::Bundle(blob_key(&mk_blob())),
            beside_roots: true,
            insecure_skip_verify: true,
        }),
        http2: true,
        fronting: Default::default(),
        https_by_default: true,
    }
}

fn mk_blob() -> Blob {
    Blob {
        content: b"PEM".as_slice().into(),
    }
}

fn mk_set() -> SetKey {
    SetKey {
        namespace: "shop".into(),
        service: "cart".into(),
        port: 80,
    }
}

fn mk_route() -> Route {
    Route {
        object: ObjectRef::new(ObjectKey::reverse_proxy("shop"), "uid", 3),
        matcher: Matcher::ReverseProxy {
            path: "/proxy/shop/*".into(),
            method: "*".into(),
        },
        directives: Some(DirectiveSpec {
            method: Some("POST".into()),
            header_up: vec!["X a".into()],
            auth_proxy: true,
            rewrite_links: RewriteLinks::Full,
            rewrite_body: vec![BodyRule {
                content_type: "text/html".into(),
                from: "a".into(),
                to: "b".into(),
            }],
            ..DirectiveSpec::default()
        }),
        action: Action::Forward(mk_upstream(Target::Host {
            name: "shop.example".into(),
            port: 8443,
        })),
        forward_authorization: true,
        secrets: vec![SecretKey::new("tools", "gitlab")],
        role: Role::None,
        policies: None,
    }
}

fn mk_class() -> ConnectorClass {
    let auth = |injection| AuthType {
        secret_type: "Opaque".into(),
        is_optional: true,
        keys: vec!["client_id".into()],
        injection,
    };
    let source = TokenSource {
        url: "https://login.example/token".into(),
        scopes: vec!["read".into(), "write".into()],
        authorities: Some("PEM".into()),
    };
    ConnectorClass {
        operations: vec![Operation {
            template: "/mine".into(),
            methods: [("GET".to_owned(), Provider::Api)].into(),
        }],
        auth: [
            ("basic".to_owned(), auth(Injection::Basic)),
            ("granted".to_owned(), auth(Injection::OAuth2(source))),
            ("made".to_owned(), auth(Injection::Rego("package proxy".into()))),
        ]
        .into(),
        proxy: ClassProxy::BuiltIn,
        permissions: Some("package permissions".into()),
        ..ConnectorClass::default()
    }
}

fn stub_of(bytes: Vec<u8>) -> Stub {
    match decode(&bytes.into()).unwrap().content {
        Content::Stub(stub) => stub,
        Content::Resource(resource) => panic!("{resource:?}"),
    }
}

#[test]
fn what_is_encoded_is_decoded() {
    let api = Route {
        object: ObjectRef::new(ObjectKey::api_service("v1.test"), "uid", 1),
        matcher: Matcher::ApiService {
            group: "test".into(),
            version: "v1".into(),
        },
        directives: None,
        action: Action::Forward(mk_upstream(Target::Endpoints(mk_set()))),
        forward_authorization: false,
        secrets: Vec::new(),
        role: Role::None,
        policies: None,
    };
    let stub = Route {
        action: Action::Unavailable(Unavailable::new("Invalid", "no")),
        directives: None,
        ..mk_route()
    };
    let set = EndpointSet {
        endpoints: vec![
            Endpoint {
                address: [10, 0, 0, 1].into(),
                port: 80,
            },
            Endpoint {
                address: "fd00::1".parse().unwrap(),
                port: 80,
            },
        ],
    };
    let routes = [mk_route(), api, stub].map(Resource::route);
    let class = Route {
        object: ObjectRef::new(ObjectKey::connector_class("tickets"), "uid", 1),
        matcher: Matcher::ConnectorClass {
            name: "tickets".into(),
        },
        directives: None,
        forward_authorization: false,
        secrets: Vec::new(),
        role: Role::Class(Box::new(mk_class())),
        ..mk_route()
    };
    let blob = Resource::blob(blob_key(&mk_blob()), mk_blob());
    let named = Resource::secret(SecretKey::new("tools", "gitlab"), KeyedHash([7; 32]));
    for resource in routes.into_iter().chain([Resource::route(class)]).chain([
        Resource::endpoints(mk_set(), set),
        blob,
        named,
    ]) {
        let decoded = decode(&encode(&resource)).unwrap();
        assert_eq!(decoded.key, resource.key.to_string());
        match decoded.content {
            Content::Resource(read) => assert_eq!(read, resource),
            Content::Stub(stub) => panic!("{stub:?}"),
        }
    }
}

#[test]
fn a_word_that_is_not_known_makes_a_stub_of_its_object_alone() {
    let mut resource = Resource::route(mk_route());
    resource.requires = vec!["health".into(), "teleport".into()];
    let stub = stub_of(encode(&resource).into());
    let served = stub.resource.clone().unwrap();
    assert_eq!(served.key, ResourceKey::Object(ObjectKey::reverse_proxy("shop")));
    let ResourceBody::Route(route) = served.body else {
        panic!()
    };
    assert_eq!(route.matcher, mk_route().matcher);
    let Action::Unavailable(why) = route.action else {
        panic!()
    };
    assert_eq!(why.reason, "Unsupported");
    assert_eq!(
        why.message,
        "it requires \"teleport\", which is not known; run data planes of the operator's version"
    );
    let verdict = stub.verdict().unwrap();
    assert_eq!(
        (verdict.reason.as_str(), verdict.message),
        ("Unsupported", why.message)
    );
    assert_eq!(verdict.resource.unwrap().uid, "uid");
}

#[test]
fn a_field_that_is_not_known_makes_a_stub() {
    let mut proxy = wire::ReverseProxy {
        path: "/proxy/x".into(),
        method: "*".into(),
        ..Default::default()
    }
    .encode_to_vec();
    encode_key(999, WireType::Varint, &mut proxy);
    encode_varint(1, &mut proxy);
    let mut bytes = to_wire(&Resource::route(mk_route()));
    bytes.resource = None;
    let mut bytes = bytes.encode_to_vec();
    encode_key(4, WireType::LengthDelimited, &mut bytes);
    encode_varint(proxy.len() as u64, &mut bytes);
    bytes.extend(proxy);
    let stub = stub_of(bytes);
    assert_eq!(stub.reason, "Unsupported");
    let ResourceBody::Route(route) = stub.resource.unwrap().body else {
        panic!()
    };
    assert!(matches!(route.matcher, Matcher::ReverseProxy { path, .. } if path == "/proxy/x"));
}

#[test]
fn a_kind_that_is_not_known_is_a_verdict_and_nothing_more() {
    let later = wire::Resource {
        key: "Teapot/tools/short".into(),
        object: Some(wire::ResourceRef {
            kind: "Teapot".into(),
            namespace: "tools".into(),
            name: "short".into(),
            uid: "u".into(),
            generation: 2,
        }),
        ..Default::default()
    };
    let mut bytes = later.encode_to_vec();
    encode_key(11, WireType::LengthDelimited, &mut bytes);
    encode_varint(2, &mut bytes);
    bytes.extend([8, 1]);
    let stub = stub_of(bytes);
    assert_eq!(stub.resource, None);
    let verdict = stub.verdict().unwrap();
    assert_eq!(verdict.resource.unwrap().kind, "Teapot");
    assert_eq!(
        verdict.message,
        "its kind is not known; run data planes of the operator's version"
    );
}

#[test]
fn what_makes_no_sense_is_a_stub_with_a_sentence() {
    let whole = to_wire(&Resource::route(mk_route()));
    let with = |change: &dyn Fn(&mut wire::ReverseProxy)| {
        let mut message = whole.clone();
        let Some(wire::resource::Resource::ReverseProxy(proxy)) = &mut message.resource else {
            panic!()
        };
        change(proxy);
        stub_of(message.encode_to_vec())
    };
    let upstream = |proxy: &mut wire::ReverseProxy, change: fn(&mut wire::Upstream)| match &mut proxy.action {
        Some(wire::reverse_proxy::Action::Upstream(upstream)) => change(upstream),
        _ => panic!(),
    };
    let nothing = with(&|proxy| proxy.action = None);
    assert_eq!(nothing.reason, "Invalid");
    assert!(nothing.message.contains("neither an upstream nor a reason"));
    for (what, message) in [
        (with(&|p| upstream(p, |u| u.target = None)), "no target"),
        (
            with(&|p| upstream(p, |u| u.tls = Some(wire::Tls::default()))),
            "names no server to verify",
        ),
    ] {
        assert!(what.message.contains(message), "{what:?}");
        assert!(what.resource.is_some());
    }
}

#[test]
fn authorities_are_read_in_the_old_form_too() {
    let mut message = to_wire(&Resource::route(mk_route()));
    assert_eq!(message.requires, ["blobs", "links", "secrets"]);
    let tls = |message: &mut wire::Resource, change: fn(&mut wire::Tls)| match &mut message.resource {
        Some(wire::resource::Resource::ReverseProxy(proxy)) => match &mut proxy.action {
            Some(wire::reverse_proxy::Action::Upstream(upstream)) => change(upstream.tls.as_mut().unwrap()),
            _ => panic!(),
        },
        _ => panic!(),
    };
    tls(&mut message, |tls| {
        assert!(tls.ca.is_empty());
        (tls.ca, tls.ca_bundle) = (b"PEM".to_vec(), String::new());
    });
    let Content::Resource(read) = decode(&message.encode_to_vec().into()).unwrap().content else {
        panic!()
    };
    let ResourceBody::Route(route) = read.body else {
        panic!()
    };
    let ca = route.upstream().unwrap().tls.as_ref().unwrap().ca.clone();
    assert_eq!(ca, Authorities::Inline(mk_blob().content));
    tls(&mut message, |tls| tls.ca_bundle = "Blob/x".into());
    assert!(stub_of(message.encode_to_vec()).message.contains("is no key"));
}

#[test]
fn keys_that_belong_to_something_else_refuse_everything() {
    let mut resource = to_wire(&Resource::route(mk_route()));
    resource.key = "ReverseProxy/other".into();
    assert!(matches!(
        decode(&resource.encode_to_vec().into()),
        Err(DecodeError::Key { .. })
    ));
    let blob = Resource::blob(
        blob_key(&mk_blob()),
        Blob {
            content: b"other".as_slice().into(),
        },
    );
    assert!(matches!(decode(&encode(&blob)), Err(DecodeError::Key { .. })));
    resource.object = None;
    assert!(matches!(
        decode(&resource.encode_to_vec().into()),
        Err(DecodeError::Key { .. })
    ));
    assert!(matches!(
        decode(&Bytes::from_static(b"\xff")),
        Err(DecodeError::Message(_))
    ));
}

#[test]
fn reports_survive_the_wire() {
    use genkan_routing::model::{BackendState, Health, Objection};
    let object = mk_route().object;
    for state in [
        BackendState::Reachable,
        BackendState::Unresolved,
        BackendState::Unreachable,
        BackendState::TlsFailed,
    ] {
        let health = Health {
            object: object.clone(),
            state,
            error: "why".into(),
        };
        assert_eq!(health_from_wire(health_to_wire(&health)), Some(health));
    }
    let objection = Objection {
        object,
        reason: "Invalid".into(),
        message: "no".into(),
        entry: Some("corp/mark".into()),
    };
    assert_eq!(
        objection_from_wire(objection_to_wire(&objection)),
        Some(objection)
    );
}

#[test]
fn rollouts_survive_the_wire() {
    use genkan_routing::model::policy::{
        ActiveRevisions, ExtensionReport, Rollout, RolloutAction, RolloutStage, RolloutState,
    };
    for action in [
        RolloutAction::Drain,
        RolloutAction::Apply,
        RolloutAction::Verify,
        RolloutAction::Undrain,
    ] {
        let rollout = Rollout {
            extension: "corp".into(),
            revision: "corp-1".into(),
            action,
            nonce: 7,
        };
        assert_eq!(rollout_from_wire(rollout_to_wire(&rollout)), Some(rollout));
    }
    assert_eq!(rollout_from_wire(wire::Rollout::default()), None);
    for stage in [
        RolloutStage::Draining,
        RolloutStage::Drained,
        RolloutStage::Applied,
        RolloutStage::Verified,
        RolloutStage::Undrained,
        RolloutStage::Failed,
    ] {
        let state = RolloutState {
            extension: "corp".into(),
            revision: "corp-1".into(),
            stage,
            in_flight: 3,
            error: "why".into(),
            nonce: 7,
        };
        assert_eq!(
            rollout_state_from_wire(rollout_state_to_wire(&state)),
            Some(state)
        );
    }
    assert_eq!(rollout_state_from_wire(wire::RolloutState::default()), None);
    let report = ExtensionReport {
        extension: "corp".into(),
        revision: "corp-1".into(),
        requests: 50,
        errors: 1,
    };
    assert_eq!(
        extension_report_from_wire(extension_report_to_wire(&report)),
        report
    );
    let active = ActiveRevisions::from([("a".into(), "a-1".into()), ("b".into(), String::new())]);
    assert_eq!(active_from_wire(active_to_wire(&active)), active);
}

fn mk_secret() -> Secret {
    let entry = |name: &str, value: &str| (name.to_owned(), Zeroizing::new(value.as_bytes().to_vec()));
    Secret {
        kind: "kubernetes.io/basic-auth".into(),
        data: [entry("username", "root"), entry("password", "hunter2")].into(),
    }
}

#[test]
fn values_survive_the_wire_and_are_printed_nowhere() {
    let sealed = SealedSecret {
        key: SecretKey::new("tools", "gitlab"),
        hash: KeyedHash([7; 32]),
        encoded: encode_secret(&mk_secret()),
    };
    let value = value_to_wire(&sealed);
    let sent = wire::SecretValues {
        nonce: 1,
        values: vec![value.clone()],
    };
    let message = wire::OperatorMessage {
        message: Some(wire::operator_message::Message::Secrets(sent)),
    };
    let printed = format!("{sealed:?} {message:?}");
    assert!(printed.contains("tools/gitlab"), "{printed}");
    for word in ["hunter2", "104, 117", "password"] {
        assert!(!printed.contains(word), "{printed}");
    }
    let (key, hash, read) = value_from_wire(&value).unwrap();
    assert_eq!((key, hash, read), (sealed.key, sealed.hash, mk_secret()));
    // What names it has nothing of it.
    let named = encode(&Resource::secret(SecretKey::new("tools", "gitlab"), sealed.hash));
    assert!(!named.windows(7).any(|window| window == b"hunter2"));
}

#[test]
fn values_that_name_nothing_are_refused() {
    let good = wire::SecretValue {
        key: "Secret/tools/gitlab".into(),
        keyed_hash: vec![7; 32],
        value: Vec::new(),
    };
    assert!(value_from_wire(&good).is_ok());
    let with = |change: fn(&mut wire::SecretValue)| {
        let mut value = good.clone();
        change(&mut value);
        value_from_wire(&value).is_err()
    };
    assert!(with(|value| value.key = "Secret/x".into()));
    assert!(with(|value| value.keyed_hash = vec![7]));
    assert!(with(|value| value.value = vec![0xff]));
    let resource = wire::Resource {
        key: "Secret/tools/gitlab".into(),
        resource: Some(wire::resource::Resource::Secret(wire::Secret::default())),
        ..Default::default()
    };
    assert!(matches!(
        decode(&resource.encode_to_vec().into()),
        Err(DecodeError::Key { .. })
    ));
    let mut resource = to_wire(&Resource::route(mk_route()));
    resource.secrets = vec!["Secret/x".into()];
    assert!(stub_of(resource.encode_to_vec()).message.contains("is no Secret"));
}

#[test]
fn values_are_cut_into_messages_that_are_read() {
    let sealed = |size: usize| SealedSecret {
        key: SecretKey::new("n", "x"),
        hash: KeyedHash([7; 32]),
        encoded: Zeroizing::new(vec![0; size]),
    };
    let sizes = [600_000, 600_000, 300_000, 10, 10, 1 << 20, 10, 10];
    let all: Vec<_> = sizes.map(|size| std::sync::Arc::new(sealed(size))).into();
    let cut: Vec<usize> = all.chunk_by(fit_together()).map(<[_]>::len).collect();
    assert_eq!(cut, [1, 4, 1, 2]);
}
