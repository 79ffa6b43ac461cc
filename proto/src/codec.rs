//! Between the types of the middle ([`genkan_routing::model`]) and the messages of the wire, both ways. Nothing else
//! turns the one into the other.

mod blob;
mod connector;
mod directives;
mod duty;
mod endpoints;
mod object;
mod policy;
mod report;
mod rollout;
mod route;
mod secret;
mod upstream;

use genkan_routing::answer::reason;
use std::str::FromStr;

use bytes::Bytes;
use genkan_routing::model::connector::FEATURE_FLAGS;
use genkan_routing::model::policy::EXTENSIONS;
use genkan_routing::model::{
    Blob, BlobKey, ChunkKey, EndpointSet, EntryKey, ObjectKey, Resource, ResourceBody, Route, SecretKey,
    SetKey,
};
use prost::Message;

use crate::v1alpha1 as wire;

pub use blob::blob_key;
pub use duty::{duties_from_wire, duties_to_wire, report_to_wire, reports_from_wire};
pub use report::{
    health_from_wire, health_to_wire, objection_from_wire, objection_to_wire, reports_len, uses_from_wire,
    uses_to_wire,
};
pub use rollout::{
    active_from_wire, active_to_wire, extension_report_from_wire, extension_report_to_wire,
    rollout_from_wire, rollout_state_from_wire, rollout_state_to_wire, rollout_to_wire,
};
pub use secret::{SealedSecret, encode_secret, fit_together, value_from_wire, value_to_wire};

/// What this version can do beyond the protocol version: the words of `Hello.capabilities` and `Resource.requires`.
pub const CAPABILITIES: [&str; 8] = [
    "health",
    "blobs",
    "secrets",
    "connectors",
    "duties",
    EXTENSIONS,
    "fronting",
    "links",
];

/// The bytes of one resource, read.
#[derive(Debug)]
pub struct Decoded {
    /// As it was sent.
    pub key: String,
    pub content: Content,
}

#[derive(Debug)]
pub enum Content {
    Resource(Resource),
    Stub(Stub),
}

/// What is served in place of a resource that this version cannot serve as it is meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Stub {
    /// `None` where not even its match is understood.
    pub resource: Option<Resource>,
    pub reason: &'static str,
    /// One sentence for the author.
    pub message: String,
    /// As the operator named it: its kind may be unknown here.
    object: Option<wire::ResourceRef>,
}

/// The bytes are no resource of any version; the message that they came in cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("the snapshot holds a resource that cannot be decoded: {0}")]
    Message(#[from] prost::DecodeError),
    #[error("the snapshot holds a resource whose key {key} {what}")]
    Key { key: String, what: &'static str },
}

/// The bytes that are sent, and hashed.
pub fn encode(resource: &Resource) -> Bytes {
    to_wire(resource).encode_to_vec().into()
}

/// How many bytes [`encode`] makes of a route.
pub fn route_len(route: &Route) -> usize {
    let message = wire::Resource {
        key: route.object.key.to_string(),
        object: Some(object::to_wire(&route.object)),
        requires: route.requires(),
        secrets: route::secrets(route),
        policies: route.policies.as_deref().map(policy::policies_to_wire),
        resource: Some(route::to_wire(route)),
    };
    message.encoded_len()
}

/// How many bytes [`encode`] makes of the endpoints of a port.
pub fn endpoints_len(key: &SetKey, set: &EndpointSet) -> usize {
    let message = wire::Resource {
        key: key.to_string(),
        resource: Some(endpoints::to_wire(set)),
        ..wire::Resource::default()
    };
    message.encoded_len()
}

/// How many bytes [`encode`] makes of a blob.
pub fn blob_len(key: &BlobKey, blob: &Blob) -> usize {
    let message = wire::Resource {
        key: key.to_string(),
        resource: Some(blob::to_wire(blob)),
        ..wire::Resource::default()
    };
    message.encoded_len()
}

fn to_wire(resource: &Resource) -> wire::Resource {
    let of_nobody = |body| wire::Resource {
        resource: Some(body),
        ..wire::Resource::default()
    };
    let message = match &resource.body {
        ResourceBody::Route(route) => wire::Resource {
            object: Some(object::to_wire(&route.object)),
            secrets: route::secrets(route),
            policies: route.policies.as_deref().map(policy::policies_to_wire),
            resource: Some(route::to_wire(route)),
            ..wire::Resource::default()
        },
        ResourceBody::Policy(policy) => wire::Resource {
            object: Some(object::to_wire(&policy.object)),
            ..of_nobody(policy::policy_to_wire(policy))
        },
        ResourceBody::Revision(revision) => wire::Resource {
            object: Some(object::to_wire(&revision.object)),
            ..of_nobody(policy::revision_to_wire(revision))
        },
        ResourceBody::Entry(entry) => of_nobody(policy::entry_to_wire(entry)),
        ResourceBody::Endpoints(set) => of_nobody(endpoints::to_wire(set)),
        ResourceBody::Blob(blob) => of_nobody(blob::to_wire(blob)),
        ResourceBody::Chunk(blob) => of_nobody(blob::chunk_to_wire(blob)),
        ResourceBody::Secret(hash) => of_nobody(secret::to_wire(hash)),
        ResourceBody::FeatureFlags(flags) => of_nobody(connector::flags_to_wire(flags)),
    };
    wire::Resource {
        key: resource.key.to_string(),
        requires: resource.requires.clone(),
        ..message
    }
}

/// Reads what [`encode`] of this or another version wrote.
///
/// # Errors
/// When the bytes are no resource of any version.
pub fn decode(bytes: &Bytes) -> Result<Decoded, DecodeError> {
    let message = wire::Resource::decode(bytes.clone())?;
    let key = message.key.clone();
    let named = message.object.clone();
    let lacks = lacks(&message, bytes.len());
    let (resource, problem) = match (from_wire(message)?, lacks) {
        (Some((resource, problem)), None) => {
            (Some(resource), problem.map(|problem| (reason::INVALID, problem)))
        }
        (Some((resource, _)), Some(lacks)) => (Some(resource), Some((reason::UNSUPPORTED, lacks))),
        (None, lacks) => {
            let lacks = lacks.unwrap_or_else(|| "its kind is not known".to_owned());
            (None, Some((reason::UNSUPPORTED, lacks)))
        }
    };
    let content = match (resource, problem) {
        (Some(resource), None) => Content::Resource(resource),
        (resource, problem) => Content::Stub(Stub::new(resource, problem.unwrap_or_default(), named)),
    };
    Ok(Decoded { key, content })
}

/// What this version would have to know to serve it; `None` if it knows all of it.
fn lacks(message: &wire::Resource, length: usize) -> Option<String> {
    let knows = |word: &String| CAPABILITIES.contains(&word.as_str());
    if let Some(word) = message.requires.iter().find(|word| !knows(word)) {
        return Some(format!("it requires {word:?}, which is not known"));
    }
    // Fields that this version does not know are dropped in decoding, and missing when it is encoded again.
    (message.resource.is_some() && message.encoded_len() != length)
        .then(|| "it says something that is not known".to_owned())
}

/// With what is wrong with it, in which case it is a stub already; `None` if its kind is not known.
fn from_wire(message: wire::Resource) -> Result<Option<(Resource, Option<String>)>, DecodeError> {
    let Some(body) = message.resource else {
        return Ok(None);
    };
    let key = message.key;
    let malformed = |what| DecodeError::Key {
        key: key.clone(),
        what,
    };
    let object = || {
        let object = message.object.clone();
        let object = object.and_then(|object| object::from_wire(object).ok());
        let object = object.ok_or_else(|| malformed("comes without its object"))?;
        match ObjectKey::from_str(&key).as_ref() == Ok(&object.key) {
            true => Ok(object),
            false => Err(malformed("is not that of its object")),
        }
    };
    let received: route::Received = match body {
        wire::resource::Resource::ReverseProxy(proxy) => proxy.into(),
        wire::resource::Resource::ApiService(service) => service.into(),
        wire::resource::Resource::ConnectorClass(class) => (class, key.as_str()).into(),
        wire::resource::Resource::Connector(connector) => (connector, key.as_str()).into(),
        wire::resource::Resource::FeatureFlags(flags) => {
            if key != FEATURE_FLAGS {
                return Err(malformed("is none of feature flags"));
            }
            let resource = Resource {
                requires: message.requires,
                ..Resource::feature_flags(connector::flags_from_wire(flags))
            };
            return Ok(Some((resource, None)));
        }
        wire::resource::Resource::EndpointSet(set) => {
            let key = SetKey::parse(&key).ok_or_else(|| malformed("is none of endpoints"))?;
            let resource = Resource {
                requires: message.requires,
                ..Resource::endpoints(key, endpoints::from_wire(&set))
            };
            return Ok(Some((resource, None)));
        }
        wire::resource::Resource::Blob(blob) => {
            let blob = blob::from_wire(blob);
            let key = BlobKey::parse(&key).filter(|key| *key == blob_key(&blob));
            let resource = Resource {
                requires: message.requires,
                ..Resource::blob(key.ok_or_else(|| malformed("is not that of its content"))?, blob)
            };
            return Ok(Some((resource, None)));
        }
        wire::resource::Resource::Chunk(chunk) => {
            let key = ChunkKey::parse(&key).ok_or_else(|| malformed("is none of a piece of a file"))?;
            let content = chunk.content.into();
            let resource = Resource {
                requires: message.requires,
                ..Resource::chunk(key, Blob { content })
            };
            return Ok(Some((resource, None)));
        }
        wire::resource::Resource::Secret(named) => {
            let key = SecretKey::parse(&key).ok_or_else(|| malformed("is none of a secret"))?;
            let hash = secret::from_wire(&named).ok_or_else(|| malformed("comes with no hash"))?;
            let resource = Resource {
                requires: message.requires,
                ..Resource::secret(key, hash)
            };
            return Ok(Some((resource, None)));
        }
        wire::resource::Resource::PolicyDefinition(policy) => {
            let (policy, problem) = policy::policy_from_wire(policy, object()?);
            let resource = Resource {
                requires: message.requires,
                ..Resource::policy(policy)
            };
            return Ok(Some((resource, problem)));
        }
        wire::resource::Resource::ExtensionRevision(revision) => {
            let revision = policy::revision_from_wire(revision, object()?);
            let resource = Resource {
                requires: message.requires,
                ..Resource::revision(revision)
            };
            return Ok(Some((resource, None)));
        }
        wire::resource::Resource::ExtensionEntry(entry) => {
            let key = EntryKey::parse(&key).ok_or_else(|| malformed("is none of an entry"))?;
            let entry = policy::entry_from_wire(&entry);
            let problem = entry.as_ref().err().cloned();
            let resource = Resource {
                requires: message.requires,
                ..Resource::entry(key, entry.unwrap_or_default())
            };
            return Ok(Some((resource, problem)));
        }
    };
    let object = object()?;
    let key = object.key.clone().into();
    let (route, problem) = received.read(object, &message.secrets, message.policies);
    let body = ResourceBody::Route(Box::new(route));
    Ok(Some((
        Resource {
            key,
            requires: message.requires,
            body,
        },
        problem,
    )))
}

// === impl Content ===

impl Content {
    /// A published object, and not what others are built with.
    pub fn is_route(&self) -> bool {
        let resource = match self {
            Self::Resource(resource) => Some(resource),
            Self::Stub(stub) => stub.resource.as_ref(),
        };
        resource.is_some_and(|resource| match &resource.body {
            ResourceBody::Route(_) => true,
            ResourceBody::Endpoints(_)
            | ResourceBody::Blob(_)
            | ResourceBody::Chunk(_)
            | ResourceBody::Secret(_)
            | ResourceBody::FeatureFlags(_)
            | ResourceBody::Policy(_)
            | ResourceBody::Entry(_)
            | ResourceBody::Revision(_) => false,
        })
    }
}

// === impl Stub ===

impl Stub {
    fn new(
        resource: Option<Resource>,
        (reason, problem): (&'static str, String),
        object: Option<wire::ResourceRef>,
    ) -> Self {
        let message = match reason {
            reason::UNSUPPORTED => format!("{problem}; run data planes of the operator's version"),
            _ => problem,
        };
        let resource = resource.map(|mut resource| {
            resource.make_unavailable(reason, &message);
            resource
        });
        Self {
            resource,
            reason,
            message,
            object,
        }
    }

    /// The word about it in an acknowledgement; `None` for what belongs to no object.
    pub fn verdict(&self) -> Option<wire::Verdict> {
        let object = self.object.clone()?;
        Some(report::error_verdict(object, self.reason, &self.message))
    }
}

#[cfg(test)]
mod tests;
