//! From one resource to what stands in the tables.

use std::net::SocketAddr;
use std::sync::Arc;

use genkan_proto::codec::{self, Content};
use genkan_proto::v1alpha1::Verdict;
use genkan_routing::Directives;
use genkan_routing::answer::reason;
use genkan_routing::connectors::Role;
use genkan_routing::model::{
    self, Matcher, ObjectRef, Objection, ResourceBody, ResourceKey, Secret, SecretKey, Unavailable,
};

use super::{Builder, Fresh, Place};
use crate::tables::{Action, Route};
use crate::upstream::{Upstream, UpstreamError};

/// What came of a resource.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub route: Option<Arc<Route>>,
    pub verdict: Option<Verdict>,
}

// === impl Builder ===

impl Builder {
    /// Puts it where it belongs.
    pub(super) fn build(&mut self, Fresh { key, content }: Fresh) -> Made {
        let (resource, mut verdict) = match content {
            Content::Resource(resource) => (Some(resource), None),
            Content::Stub(stub) => {
                let verdict = stub.verdict();
                (stub.resource, verdict)
            }
        };
        let (mut route, mut model) = (None, None);
        let place = match resource.map(|resource| (resource.key, resource.body)) {
            Some((ResourceKey::Endpoints(key), ResourceBody::Endpoints(set))) => {
                let address = |endpoint: &model::Endpoint| SocketAddr::new(endpoint.address, endpoint.port);
                self.sets.fill(&key, set.endpoints.iter().map(address).collect());
                Place::Endpoints(key)
            }
            Some((ResourceKey::Blob(key), ResourceBody::Blob(blob))) => {
                self.parts.insert(key, &blob);
                Place::Blob(key)
            }
            Some((ResourceKey::Chunk(key), ResourceBody::Chunk(piece))) => {
                self.policies.take_chunk(key, piece);
                Place::Chunk(key)
            }
            Some((ResourceKey::Secret(key), ResourceBody::Secret(hash))) => {
                self.parts.secrets.name(key.clone(), hash);
                self.parts.touch(key.clone());
                self.policies.touch();
                Place::Secret(key)
            }
            Some((ResourceKey::Entry(key), ResourceBody::Entry(entry))) => {
                self.policies.enter(key.clone(), *entry);
                Place::Entry(key)
            }
            Some((_, ResourceBody::Policy(policy))) => {
                let name = policy.object.key.name.clone();
                self.policies.define(*policy);
                Place::Policy(name)
            }
            Some((_, ResourceBody::Revision(revision))) => {
                let extension = revision.object.key.name.clone();
                // The first configuration of this process is in the making.
                self.policies.revise(*revision, self.sequence == 1);
                Place::Revision(extension)
            }
            Some((_, ResourceBody::Route(described))) => {
                model = self.parts.join(&key, &described).then(|| described.clone());
                let (built, objection) = self.build_route(*described);
                verdict = verdict.or_else(|| objection.as_ref().map(codec::objection_to_wire));
                let built = Arc::new(built);
                self.put_in(&built);
                route = Some(Arc::clone(&built));
                Place::Route(built)
            }
            Some((ResourceKey::FeatureFlags, ResourceBody::FeatureFlags(flags))) => {
                self.switch(&flags);
                Place::FeatureFlags
            }
            // The codec reads a key by the kind of its content.
            Some((
                _,
                ResourceBody::Endpoints(_)
                | ResourceBody::Blob(_)
                | ResourceBody::Chunk(_)
                | ResourceBody::Secret(_)
                | ResourceBody::Entry(_)
                | ResourceBody::FeatureFlags(_),
            ))
            | None => Place::Nowhere,
        };
        self.note(&key, place, verdict.as_ref());
        if let Some(built) = self.built.amend(&key) {
            built.model = model;
        }
        Made { route, verdict }
    }

    /// Builds a route of which nothing but what it is built with has changed.
    pub(super) fn rebuild(&mut self, key: &str) -> Option<Made> {
        let built = self.built.get(key)?;
        let (Place::Route(old), Some(model)) = (&built.place, built.model.as_deref()) else {
            return None;
        };
        let (old, model) = (Arc::clone(old), model.clone());
        self.take_out(&old);
        let (route, objection) = self.build_route(model);
        let (route, verdict) = (Arc::new(route), objection.as_ref().map(codec::objection_to_wire));
        self.put_in(&route);
        self.note(key, Place::Route(Arc::clone(&route)), verdict.as_ref());
        Some(Made {
            route: Some(route),
            verdict,
        })
    }

    /// What cannot be built becomes a stub and an objection.
    fn build_route(&mut self, model: model::Route) -> (Route, Option<Objection>) {
        let held = |key| self.parts.secrets.get(key).cloned().ok_or(key);
        let secrets: Result<Vec<Arc<Secret>>, &SecretKey> = model.secrets.iter().map(held).collect();
        let (mut action, mut objection) = match (&model.action, &secrets) {
            (model::Action::Forward(_), Err(key)) => {
                let message = format!(
                    "{} has not come from the operator: nothing of it is kept over a restart, and none is sent in plain \
                     text",
                    key.title()
                );
                refuse(&model.object, reason::SECRETS_UNAVAILABLE, message)
            }
            (model::Action::Forward(upstream), Ok(_)) => self.forward(&model.object, upstream),
            (model::Action::Unavailable(why), _) => (Action::Unavailable(why.clone()), None),
        };
        let mut directives = None;
        match &model.matcher {
            Matcher::ReverseProxy { .. } => {
                let spec = model.directives.clone().unwrap_or_default();
                match Directives::compile(&spec) {
                    Ok(compiled) => directives = Some(compiled),
                    Err(problems) => {
                        let sentences = problems
                            .iter()
                            .map(|problem| format!("{}: {}", problem.field, problem.reason));
                        let message = sentences.collect::<Vec<_>>().join("; ");
                        // A stub that it was already says more.
                        if let Action::Forward(_) = action {
                            (action, objection) = refuse(&model.object, reason::INVALID, message);
                        }
                    }
                }
            }
            Matcher::ApiService { .. } | Matcher::Connector { .. } | Matcher::ConnectorClass { .. } => {}
        }
        let secrets = match action {
            Action::Forward(_) => secrets.unwrap_or_default(),
            Action::Unavailable(_) => Vec::new(),
        };
        let part = match self.role(&model, secrets.first()) {
            Ok(part) => part,
            Err(error) => {
                (action, objection) = refuse(&model.object, reason_of(&error), error.to_string());
                Role::None
            }
        };
        let meter = self.metrics.meter(&model.object.key);
        let route = Route::new(model, action, directives, secrets, part, meter);
        let (linked, unlinked) = self.link(&route);
        route.linked.store(linked.map(Arc::new));
        (route, objection.or(unlinked))
    }

    fn forward(&mut self, object: &ObjectRef, upstream: &model::Upstream) -> (Action, Option<Objection>) {
        let Self {
            sets, names, parts, ..
        } = self;
        match Upstream::build(upstream, names, |key| sets.get(key), |key| parts.bundle(key)) {
            Ok(upstream) => (Action::Forward(Arc::new(upstream)), None),
            Err(error) => refuse(object, reason_of(&error), error.to_string()),
        }
    }
}

fn reason_of(error: &UpstreamError) -> &'static str {
    match error {
        UpstreamError::CaBundle(_) | UpstreamError::NoCaBundle => reason::INVALID_CA_BUNDLE,
        UpstreamError::Authority => reason::INVALID,
    }
}

/// A stub, and the word about it.
fn refuse(object: &ObjectRef, reason: &str, message: String) -> (Action, Option<Objection>) {
    let action = Action::Unavailable(Unavailable::new(reason, message.as_str()));
    let objection = Objection {
        object: object.clone(),
        reason: reason.to_owned(),
        message,
        entry: None,
    };
    (action, Some(objection))
}
