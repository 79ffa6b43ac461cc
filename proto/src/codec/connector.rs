use std::collections::BTreeMap;

use genkan_routing::model::{
    AuthType, ClassProxy, Connector, ConnectorClass, Credential, FeatureFlags, Injection, Operation,
    OwnProxy, Provider, Role, SecretKey, TokenSource, Upstream,
};

use super::upstream;
use crate::v1alpha1 as wire;
use wire::auth_type::Injection as Kind;

/// Of a Connector; nothing for a stub.
pub fn call(role: &Role) -> Option<wire::ConnectorCall> {
    let connector = role.connector()?;
    Some(wire::ConnectorCall {
        class: connector.class.clone(),
        address: connector.address.clone(),
        extensions: named(&connector.extensions),
        auth: connector.auth.clone(),
        credential: match &connector.credential {
            Credential::None => None,
            Credential::Secret(key) => Some(wire::connector_call::Credential::Secret(key.to_string())),
            Credential::Problem(problem) => Some(wire::connector_call::Credential::Problem(problem.clone())),
        },
    })
}

/// Of a class; nothing for a stub.
pub fn class(role: &Role) -> Option<wire::ClassCall> {
    let class = role.class()?;
    let operation = |operation: &Operation| wire::Operation {
        template: operation.template.clone(),
        methods: operation.methods.iter().map(method).collect(),
    };
    Some(wire::ClassCall {
        operations: class.operations.iter().map(operation).collect(),
        auth: class.auth.iter().map(auth).collect(),
        extensions: named(&class.extensions),
        direct: named(&class.direct),
        proxy: match &class.proxy {
            ClassProxy::None => None,
            ClassProxy::BuiltIn => Some(wire::ClassProxy::default()),
            ClassProxy::Own(own) => Some(wire::ClassProxy {
                own: Some(upstream::to_wire(&own.upstream)),
                host_suffix: own.host_suffix.clone().unwrap_or_default(),
            }),
        },
        permissions: class.permissions.clone().unwrap_or_default(),
    })
}

fn named(all: &BTreeMap<String, Upstream>) -> Vec<wire::NamedUpstream> {
    let one = |(name, to): (&String, &Upstream)| wire::NamedUpstream {
        name: name.clone(),
        upstream: Some(upstream::to_wire(to)),
    };
    all.iter().map(one).collect()
}

fn method((method, provider): (&String, &Provider)) -> wire::OperationMethod {
    wire::OperationMethod {
        method: method.clone(),
        provider: Some(match provider {
            Provider::Api => wire::operation_method::Provider::Api(true),
            Provider::Tool(address) => wire::operation_method::Provider::Tool(address.clone()),
        }),
    }
}

fn auth((name, auth): (&String, &AuthType)) -> wire::AuthType {
    let (injection, policy, source) = match &auth.injection {
        Injection::Basic => (Kind::Basic, "", None),
        Injection::Bearer => (Kind::Bearer, "", None),
        Injection::Rego(policy) => (Kind::Rego, policy.as_str(), None),
        Injection::OAuth2(source) => (Kind::Oauth2, "", Some(source)),
        Injection::Undefined => (Kind::Undefined, "", None),
    };
    wire::AuthType {
        name: name.clone(),
        secret_type: auth.secret_type.clone(),
        optional: auth.is_optional,
        keys: auth.keys.clone(),
        injection: injection.into(),
        policy: policy.to_owned(),
        token_source: source.map(|source| wire::TokenSource {
            url: source.url.clone(),
            scopes: source.scopes.clone(),
            authorities: source.authorities.clone().unwrap_or_default(),
        }),
    }
}

/// # Errors
/// What makes no sense in it, in one sentence.
pub fn call_from_wire(call: wire::ConnectorCall) -> Result<Role, String> {
    Ok(Role::Connector(Box::new(Connector {
        class: call.class,
        address: call.address,
        extensions: named_from_wire(call.extensions)?,
        auth: call.auth,
        credential: match call.credential {
            None => Credential::None,
            Some(wire::connector_call::Credential::Problem(problem)) => Credential::Problem(problem),
            Some(wire::connector_call::Credential::Secret(key)) => {
                let key = SecretKey::parse(&key).ok_or_else(|| format!("its secret {key:?} is no key"))?;
                Credential::Secret(key)
            }
        },
    })))
}

/// # Errors
/// What makes no sense in it, in one sentence.
pub fn class_from_wire(class: wire::ClassCall) -> Result<Role, String> {
    let auth: Result<_, String> = class.auth.into_iter().map(auth_from_wire).collect();
    let operations: Result<_, String> = class.operations.into_iter().map(operation_from_wire).collect();
    Ok(Role::Class(Box::new(ConnectorClass {
        operations: operations?,
        auth: auth?,
        extensions: named_from_wire(class.extensions)?,
        direct: named_from_wire(class.direct)?,
        proxy: match class.proxy {
            None => ClassProxy::None,
            Some(wire::ClassProxy { own: None, .. }) => ClassProxy::BuiltIn,
            Some(wire::ClassProxy {
                own: Some(own),
                host_suffix,
            }) => ClassProxy::Own(Box::new(OwnProxy {
                upstream: upstream::from_wire(own)?,
                host_suffix: Some(host_suffix).filter(|suffix| !suffix.is_empty()),
            })),
        },
        permissions: Some(class.permissions).filter(|policy| !policy.is_empty()),
    })))
}

fn named_from_wire(all: Vec<wire::NamedUpstream>) -> Result<BTreeMap<String, Upstream>, String> {
    let one = |named: wire::NamedUpstream| {
        let to = named
            .upstream
            .ok_or_else(|| format!("the address {:?} leads nowhere", named.name))?;
        Ok((named.name, upstream::from_wire(to)?))
    };
    all.into_iter().map(one).collect()
}

fn operation_from_wire(operation: wire::Operation) -> Result<Operation, String> {
    let method = |method: wire::OperationMethod| {
        let provider = match method.provider {
            Some(wire::operation_method::Provider::Api(true)) => Provider::Api,
            Some(wire::operation_method::Provider::Tool(address)) => Provider::Tool(address),
            Some(wire::operation_method::Provider::Api(false)) | None => {
                return Err(format!("nobody answers {} {}", method.method, operation.template));
            }
        };
        Ok((method.method, provider))
    };
    let methods: Result<_, String> = operation.methods.into_iter().map(method).collect();
    Ok(Operation {
        template: operation.template,
        methods: methods?,
    })
}

fn auth_from_wire(auth: wire::AuthType) -> Result<(String, AuthType), String> {
    let injection = match auth.injection() {
        Kind::Basic => Injection::Basic,
        Kind::Bearer => Injection::Bearer,
        Kind::Rego => Injection::Rego(auth.policy),
        Kind::Undefined => Injection::Undefined,
        Kind::Oauth2 => {
            let source = auth.token_source;
            let source =
                source.ok_or_else(|| format!("nobody grants tokens to the auth type {:?}", auth.name))?;
            Injection::OAuth2(TokenSource {
                url: source.url,
                scopes: source.scopes,
                authorities: Some(source.authorities).filter(|pem| !pem.is_empty()),
            })
        }
        Kind::Unspecified => return Err(format!("the auth type {:?} says not how", auth.name)),
    };
    let made = AuthType {
        secret_type: auth.secret_type,
        is_optional: auth.optional,
        keys: auth.keys,
        injection,
    };
    Ok((auth.name, made))
}

pub fn flags_to_wire(flags: &FeatureFlags) -> wire::resource::Resource {
    wire::resource::Resource::FeatureFlags(wire::FeatureFlags { on: flags.0.clone() })
}

pub fn flags_from_wire(flags: wire::FeatureFlags) -> FeatureFlags {
    FeatureFlags(flags.on)
}
