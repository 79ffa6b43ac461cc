//! Who could have taken the request, and why all but one did not.

use std::sync::Arc;

use genkan_routing::model::Matcher;
use genkan_routing::{Decision, Pattern, RequestInfo, comparable};
use serde::Serialize;

use super::World;
use super::destination::Destination;

/// What a request asks for, and where it goes.
pub(super) type Found<'f> = (
    &'f RequestInfo<'f>,
    &'f Decision<'f, Arc<Destination>, Arc<Destination>>,
);

/// An object that matches the request, or would but for one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Kind and name.
    pub object: String,
    /// What it takes.
    pub takes: String,
    pub wins: bool,
    pub why: String,
}

/// What could have taken a request for which this was found.
pub(super) fn of(world: &World, method: &str, found: Option<Found<'_>>) -> Vec<Candidate> {
    let Some((info, decision)) = found else {
        return Vec::new();
    };
    match decision {
        Decision::Cluster { .. } | Decision::Kubernetes => Vec::new(),
        Decision::Connector(found) => found.map(|taking| named(taking)).into_iter().collect(),
        _ if info.is_resource => api_services(world, info.group, info.version),
        Decision::ApiService(taking) => match &taking.route.matcher {
            Matcher::ApiService { group, version } => api_services(world, group, version),
            Matcher::ReverseProxy { .. } | Matcher::Connector { .. } | Matcher::ConnectorClass { .. } => {
                Vec::new()
            }
        },
        Decision::ReverseProxy(_)
        | Decision::BarePrefix { .. }
        | Decision::ApiGroup { .. }
        | Decision::ApiGroupList(_)
        | Decision::NotFound => reverse_proxies(world, method, info),
    }
}

/// The one object that a name belongs to.
fn named(taking: &Destination) -> Candidate {
    Candidate {
        object: taking.route.object.key.title(),
        takes: taking.route.matcher.to_string(),
        wins: true,
        why: "the path names it".to_owned(),
    }
}

/// Objects whose path below `/proxy` matches, the winner first, then by how near they came.
fn reverse_proxies(world: &World, method: &str, info: &RequestInfo<'_>) -> Vec<Candidate> {
    let path = comparable(&info.path);
    let winner = world
        .doors
        .reverse_proxies
        .lookup(method, &path)
        .map(|taking| &taking.route);
    let winner_key = winner.map(|route| &route.object.key);
    let mut found = Vec::new();
    for (key, record) in &world.index.published {
        let Some(matcher) = &record.matcher else { continue };
        let (asked, own) = match matcher {
            Matcher::ReverseProxy { path, method } => (path, method),
            Matcher::ApiService { .. } | Matcher::Connector { .. } | Matcher::ConnectorClass { .. } => {
                continue;
            }
        };
        let pattern = Pattern::parse(asked);
        if !pattern.matches(&path) {
            continue;
        }
        let takes_method = own == "*" || own == method;
        let wins = winner_key == Some(key);
        let refusal = world.verdict(key).filter(|verdict| !verdict.sent);
        let why = if !takes_method {
            format!("it takes only {own}")
        } else if let Some(verdict) = refusal {
            format!("{}: {}", verdict.accepted.reason, verdict.accepted.message)
        } else if wins {
            "it matches best".to_owned()
        } else {
            match winner.map(|winner| &winner.matcher) {
                Some(Matcher::ReverseProxy { path, .. }) => lost(&pattern, path),
                Some(
                    Matcher::ApiService { .. } | Matcher::Connector { .. } | Matcher::ConnectorClass { .. },
                )
                | None => String::new(),
            }
        };
        let rank = (
            !wins,
            !takes_method,
            std::cmp::Reverse(pattern.literal.len()),
            own == "*",
        );
        found.push((
            rank,
            Candidate {
                object: key.title(),
                takes: matcher.to_string(),
                wins,
                why,
            },
        ));
    }
    found.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one.object.cmp(&other.object)));
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

fn lost(pattern: &Pattern, winner: &str) -> String {
    let best = Pattern::parse(winner);
    if best.literal.len() > pattern.literal.len() {
        "its path is shorter".to_owned()
    } else if best.wildcard != pattern.wildcard {
        "a whole path comes before one that ends in *".to_owned()
    } else {
        "a named method comes before *".to_owned()
    }
}

/// Objects that publish a version of the group, those of the version first.
fn api_services(world: &World, group: &str, version: &str) -> Vec<Candidate> {
    let winner = world
        .doors
        .api_services
        .get(group, version)
        .map(|taking| &taking.route.object.key);
    let mut found = Vec::new();
    for (key, record) in world.index.published.iter().filter(|(_, r)| r.spec.is_ok()) {
        let Some(matcher) = &record.matcher else { continue };
        let own = match matcher {
            Matcher::ApiService { group: of, version } if of == group => version,
            Matcher::ApiService { .. }
            | Matcher::ReverseProxy { .. }
            | Matcher::Connector { .. }
            | Matcher::ConnectorClass { .. } => continue,
        };
        let wins = winner == Some(key);
        let same = own == version;
        let verdict = world.verdict(key);
        let why = match verdict {
            _ if wins => "it publishes this group and version".to_owned(),
            _ if !same => format!("it publishes version {own}"),
            Some(verdict) => format!("{}: {}", verdict.accepted.reason, verdict.accepted.message),
            None => String::new(),
        };
        let candidate = Candidate {
            object: key.title(),
            takes: matcher.to_string(),
            wins,
            why,
        };
        found.push(((!wins, !same), candidate));
    }
    found.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one.object.cmp(&other.object)));
    found.into_iter().map(|(_, candidate)| candidate).collect()
}
