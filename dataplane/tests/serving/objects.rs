//! Resources as the operator would send them.

use std::net::SocketAddr;

use prost::Message as _;

use genkan_proto::v1alpha1::{
    ApiService, AuthType, Blob, ClassCall, ClassProxy, Connector, ConnectorCall, ConnectorClass, Directives,
    Endpoint, EndpointSet, Host, Resource, ResourceRef, ReverseProxy, Secret, SecretData, SecretEntry,
    SecretValue, Tls, Unavailable, Upstream, api_service, auth_type, connector, connector_call,
    connector_class, resource, reverse_proxy, upstream,
};

pub fn mk_ref(kind: &str, name: &str, generation: i64) -> ResourceRef {
    ResourceRef {
        kind: kind.into(),
        name: name.into(),
        uid: format!("uid-{name}"),
        generation,
        ..ResourceRef::default()
    }
}

/// An upstream named by its address.
pub fn mk_host(address: SocketAddr) -> Upstream {
    mk_named(&address.ip().to_string(), address.port())
}

pub fn mk_named(name: &str, port: u16) -> Upstream {
    Upstream {
        authority: format!("{name}:{port}"),
        target: Some(upstream::Target::Host(Host {
            name: name.into(),
            port: port.into(),
        })),
        ..Upstream::default()
    }
}

/// An upstream with TLS for `server_name`.
pub fn mk_tls(address: SocketAddr, server_name: &str, ca: &str) -> Upstream {
    Upstream {
        authority: server_name.into(),
        tls: Some(Tls {
            server_name: server_name.into(),
            ca: ca.as_bytes().to_vec(),
            ..Tls::default()
        }),
        ..mk_host(address)
    }
}

/// The same, with the bundle in a resource of its own.
pub fn mk_bundled(address: SocketAddr, server_name: &str, ca: &str) -> (Upstream, Resource) {
    let blob = Blob {
        content: ca.as_bytes().to_vec(),
    };
    let key = format!("Blob/{}", blake3::hash(&blob.content).to_hex());
    let mut upstream = mk_tls(address, server_name, "");
    if let Some(tls) = &mut upstream.tls {
        tls.ca_bundle.clone_from(&key);
    }
    let resource = Resource {
        key,
        resource: Some(resource::Resource::Blob(blob)),
        ..Resource::default()
    };
    (upstream, resource)
}

/// That a Secret has a value, and the value.
pub fn mk_secret(name: &str, value: &str) -> (Resource, SecretValue) {
    mk_secret_of(name, "Opaque", &[("key", value)])
}

/// The same for a Secret that a `basicAuth` of [`mk_class`] takes.
pub fn mk_basic_auth(name: &str, user: &str, password: &str) -> (Resource, SecretValue) {
    // In the order of their names.
    let entries = [("password", password), ("username", user)];
    mk_secret_of(name, "kubernetes.io/basic-auth", &entries)
}

fn mk_secret_of(name: &str, kind: &str, entries: &[(&str, &str)]) -> (Resource, SecretValue) {
    let key = format!("Secret/n/{name}");
    // As good as any: who receives it has no key to check it by.
    let text: String = entries.iter().map(|(_, value)| *value).collect();
    let keyed_hash = blake3::hash(text.as_bytes()).as_bytes().to_vec();
    let entry = |(name, value): &(&str, &str)| SecretEntry {
        name: (*name).into(),
        value: value.as_bytes().to_vec(),
    };
    let data = SecretData {
        r#type: kind.into(),
        entries: entries.iter().map(entry).collect(),
    };
    let named = resource::Resource::Secret(Secret {
        keyed_hash: keyed_hash.clone(),
    });
    let resource = Resource {
        key: key.clone(),
        resource: Some(named),
        ..Resource::default()
    };
    let value = SecretValue {
        key,
        keyed_hash,
        value: data.encode_to_vec(),
    };
    (resource, value)
}

/// A class whose tools are called with what the Secret of a Connector holds, and which has no API of its own.
pub fn mk_class(name: &str) -> Resource {
    let auth = AuthType {
        name: "basicAuth".into(),
        secret_type: "kubernetes.io/basic-auth".into(),
        injection: auth_type::Injection::Basic.into(),
        ..AuthType::default()
    };
    let class = ConnectorClass {
        action: Some(connector_class::Action::Unavailable(Unavailable {
            reason: "NonAPI".into(),
            message: String::new(),
        })),
        call: Some(ClassCall {
            auth: vec![auth],
            proxy: Some(ClassProxy::default()),
            ..ClassCall::default()
        }),
    };
    Resource {
        key: format!("ConnectorClass/{name}"),
        object: Some(mk_ref("ConnectorClass", name, 1)),
        resource: Some(resource::Resource::ConnectorClass(class)),
        ..Resource::default()
    }
}

/// A Connector of namespace `n`, with the key of its Secret.
pub fn mk_connector(name: &str, class: &str, address: Upstream, secret: &str) -> Resource {
    let connector = Connector {
        action: Some(connector::Action::Upstream(address)),
        call: Some(ConnectorCall {
            class: class.into(),
            address: "https://tool.example/base".into(),
            auth: "basicAuth".into(),
            credential: Some(connector_call::Credential::Secret(secret.into())),
            ..ConnectorCall::default()
        }),
    };
    Resource {
        key: format!("Connector/n/{name}"),
        object: Some(ResourceRef {
            namespace: "n".into(),
            ..mk_ref("Connector", name, 1)
        }),
        requires: vec!["secrets".into()],
        policies: None,
        secrets: vec![secret.into()],
        resource: Some(resource::Resource::Connector(connector)),
    }
}

/// An upstream that is a Service, and its endpoints.
pub fn mk_service(name: &str, addresses: &[SocketAddr]) -> (Upstream, Resource) {
    let key = format!("Endpoints/default/{name}:80");
    let endpoint = |address: &SocketAddr| Endpoint {
        address: address.ip().to_string(),
        port: address.port().into(),
    };
    let set = EndpointSet {
        endpoints: addresses.iter().map(endpoint).collect(),
    };
    let upstream = Upstream {
        authority: format!("{name}.default.svc"),
        target: Some(upstream::Target::Endpoints(key.clone())),
        ..Upstream::default()
    };
    (
        upstream,
        Resource {
            key,
            resource: Some(resource::Resource::EndpointSet(set)),
            ..Resource::default()
        },
    )
}

/// A ReverseProxy on `path`, for every method.
pub fn mk_proxy(name: &str, path: &str, upstream: Upstream, directives: Directives) -> Resource {
    let action = reverse_proxy::Action::Upstream(upstream);
    wrap_proxy(
        name,
        ReverseProxy {
            action: Some(action),
            directives: Some(directives),
            ..bare_proxy(path)
        },
    )
}

pub fn mk_stub(name: &str, path: &str, reason: &str, message: &str) -> Resource {
    let action = reverse_proxy::Action::Unavailable(Unavailable {
        reason: reason.into(),
        message: message.into(),
    });
    wrap_proxy(
        name,
        ReverseProxy {
            action: Some(action),
            ..bare_proxy(path)
        },
    )
}

pub fn mk_api(group: &str, version: &str, upstream: Upstream) -> Resource {
    let name = format!("{version}.{group}");
    let api = ApiService {
        group: group.into(),
        version: version.into(),
        action: Some(api_service::Action::Upstream(upstream)),
        forward_authorization: false,
    };
    Resource {
        key: format!("APIService/{name}"),
        object: Some(mk_ref("APIService", &name, 1)),
        resource: Some(resource::Resource::ApiService(api)),
        ..Resource::default()
    }
}

pub fn bare_proxy(path: &str) -> ReverseProxy {
    ReverseProxy {
        path: path.into(),
        method: "*".into(),
        ..ReverseProxy::default()
    }
}

pub fn wrap_proxy(name: &str, proxy: ReverseProxy) -> Resource {
    Resource {
        key: format!("ReverseProxy/{name}"),
        object: Some(mk_ref("ReverseProxy", name, 1)),
        resource: Some(resource::Resource::ReverseProxy(proxy)),
        ..Resource::default()
    }
}

pub fn none() -> Directives {
    Directives::default()
}
